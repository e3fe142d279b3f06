//! Writing a run: one pass over sorted entries, then the sections that make it quick to read.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{RunError, shared};
use super::index::{LOCATION_MAX, Print, Shape};
use super::info::{RunInfo, RunOptions};
use super::layout::{
    FENCE_BYTES, Footer, GROUP, Header, LEN_DELETED, LEN_FOLLOWS, PAGE, UNIT, side_path, temp_path,
};
use super::meta::{Meta, table_len};
use super::reader::file_name;
use super::side::create_file;
use super::sink::Sink;
use super::spill::{MemoryLimits, Remembered};
use super::uniform::Uniform;
use super::{KEY_BYTES_MAX, USER_BYTES_MAX, VALUE_BYTES_MAX, hash_key};
use crate::Storage;

/// A run being written. It appears under its name when [`RunWriter::finish`] succeeds and not
/// before; dropping the writer removes what it wrote.
///
/// Memory, beside the note: at most 6 MiB, a tenth of a byte an entry, and a thousandth of the file.
/// What does not fit into that lies in a file beside the run until it is finished: 10 bytes an entry,
/// from 256 Ki entries on. See [`Run`](super::Run) for an example.
#[must_use = "a run exists only after `finish`"]
pub struct RunWriter {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    temp: PathBuf,
    file: Arc<Path>,
    options: RunOptions,
    sink: Sink,
    state: FileState,
    entries: u64,
    tombstones: u64,
    uniform: Uniform,
    min_key: Vec<u8>,
    last_key: Vec<u8>,
    remembered: Remembered,
    /// Where in the file the entries of the last fence begin.
    fence_at: u64,
}

/// What became of the file under its temporary name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FileState {
    Writing,
    /// A write failed half-way; only removing it is left.
    Broken,
    Renamed,
}

impl RunWriter {
    /// Starts the run that will be called `path`, replacing a leftover of an earlier attempt.
    ///
    /// # Errors
    /// `Align` and `TooLarge` for options that a run cannot keep, `Io` where the file cannot be
    /// made. Nothing is left behind.
    pub fn create(
        storage: Arc<dyn Storage>,
        path: &Path,
        options: RunOptions,
    ) -> Result<Self, RunError> {
        Self::create_within(storage, path, options, MemoryLimits::USUAL)
    }

    /// [`RunWriter::create`] with other room for what is remembered in memory.
    pub(super) fn create_within(
        storage: Arc<dyn Storage>,
        path: &Path,
        options: RunOptions,
        room: MemoryLimits,
    ) -> Result<Self, RunError> {
        let file = shared(storage.display(path));
        check_options(&file, &options)?;
        let temp = temp_path(path);
        let opened = create_file(&*storage, &temp).map_err(RunError::io(&file, "create"))?;
        let header = Header { value_align: options.value_align as u32, schema: options.schema };
        let (side, hint) = (side_path(path), options.entries_hint);
        let mut writer = Self {
            remembered: Remembered::new(Arc::clone(&storage), side, room, hint),
            storage,
            path: path.to_path_buf(),
            temp,
            file,
            sink: Sink::new(opened),
            state: FileState::Writing,
            entries: 0,
            tombstones: 0,
            uniform: Uniform::default(),
            min_key: Vec::new(),
            last_key: Vec::new(),
            fence_at: 0,
            options,
        };
        writer.writing(|writer| writer.sink.put(&header.encode()))?;
        Ok(writer)
    }

    /// Adds an entry: a value, or `None` for a key that is deleted. Keys come in strictly ascending
    /// order.
    ///
    /// # Errors
    /// `KeyOrder` and `TooLarge`: nothing was added and the writer goes on. `Io`: the run cannot be
    /// finished any more.
    pub fn add(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), RunError> {
        self.check_entry(key, value)?;
        self.writing(|writer| writer.put_entry(key, value))
    }

    /// How many entries were added.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.entries
    }

    /// Whether nothing was added yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// How many bytes of the file were produced so far; grows with every entry.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.sink.position()
    }

    /// Completes the run: writes its sections, syncs, renames, syncs the folder. When this returns
    /// `Ok` the run survives a power loss.
    ///
    /// # Errors
    /// `Io`, or `Unusable` after an earlier `Io`. The run is absent, unless only the folder's sync
    /// failed: then it is there and may vanish with the power, so it must not be relied upon.
    pub fn finish(mut self) -> Result<RunInfo, RunError> {
        let bytes = self.writing(Self::put_sections)?;
        // Before the folder is synced: what is gone stays gone.
        self.remembered.let_go();
        let renamed = self.storage.rename(&self.temp, &self.path);
        renamed.map_err(RunError::io(&self.file, "rename"))?;
        self.state = FileState::Renamed;
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let synced = self.storage.sync_dir(folder);
        synced.map_err(RunError::io(&self.file, "sync the folder of"))?;
        Ok(RunInfo {
            file: file_name(&self.path),
            entries: self.entries,
            tombstones: self.tombstones,
            bytes,
            min_key: std::mem::take(&mut self.min_key),
            max_key: std::mem::take(&mut self.last_key),
            schema: self.options.schema,
        })
    }

    pub(super) fn options(&self) -> &RunOptions {
        &self.options
    }

    /// Runs a step that writes. A failed one leaves the file in no known state.
    #[inline]
    fn writing<T>(&mut self, step: impl FnOnce(&mut Self) -> io::Result<T>) -> Result<T, RunError> {
        if self.state != FileState::Writing {
            return Err(RunError::Unusable { file: Arc::clone(&self.file) });
        }
        step(self).map_err(|error| {
            self.state = FileState::Broken;
            RunError::io(&self.file, "write")(error)
        })
    }

    #[inline]
    fn check_entry(&self, key: &[u8], value: Option<&[u8]>) -> Result<(), RunError> {
        check_size(&self.file, "a key", KEY_BYTES_MAX, key.len())?;
        check_size(&self.file, "a value", VALUE_BYTES_MAX, value.map_or(0, <[u8]>::len))?;
        let position = self.sink.position();
        check_size(&self.file, "the run", (LOCATION_MAX * UNIT) as usize, position as usize)?;
        if self.entries > 0 && key <= self.last_key.as_slice() {
            let (previous, key) = (self.last_key.clone(), key.to_vec());
            return Err(RunError::KeyOrder { file: Arc::clone(&self.file), previous, key });
        }
        Ok(())
    }

    fn put_entry(&mut self, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        debug_assert!(self.entries == 0 || self.last_key.as_slice() < key, "order was checked");
        let length = if self.is_uniform(key, value) {
            self.put_uniform(key, value)?
        } else {
            self.put_loose(key, value)?
        };
        self.remembered.add(Print::of(hash_key(key)), length)?;
        self.tombstones += u64::from(value.is_none());
        self.entries += 1;
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        Ok(())
    }

    /// Whether the entry goes on with the uniform ones; the first of a run says what these are.
    #[inline]
    fn is_uniform(&mut self, key: &[u8], value: Option<&[u8]>) -> bool {
        if let (0, Some(value)) = (self.entries, value) {
            let value_align = self.options.value_align as u64;
            self.uniform = Uniform::of(key.len() as u64, value.len() as u64, value_align);
        }
        self.entries == self.uniform.count && self.uniform.fits(key, value)
    }

    /// Puts an entry without a head; returns its length in locations.
    #[inline]
    fn put_uniform(&mut self, key: &[u8], value: Option<&[u8]>) -> io::Result<u64> {
        if self.entries.is_multiple_of(GROUP) {
            self.start_group(key, self.sink.position())?;
        }
        self.uniform.count += 1;
        self.put_body(key, value)?;
        self.sink.pad_to(self.options.value_align as u64)?;
        debug_assert_eq!(self.sink.position(), self.uniform.end(), "numbers say where they lie");
        Ok(1)
    }

    fn put_loose(&mut self, key: &[u8], value: Option<&[u8]>) -> io::Result<u64> {
        self.sink.pad_to(UNIT)?;
        let at = self.sink.position();
        debug_assert!(at >= self.uniform.loose_at(), "loose entries follow the uniform ones");
        if self.entries.is_multiple_of(GROUP) {
            self.start_group(key, at)?;
            self.remembered.mark(at)?;
        }
        self.put_head(key, value)?;
        self.put_body(key, value)?;
        self.sink.pad_to(UNIT)?;
        Ok((self.sink.position() - at) / UNIT)
    }

    #[inline]
    fn put_body(&mut self, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        self.sink.put(key)?;
        let Some(value) = value else { return Ok(()) };
        self.sink.pad_to(self.options.value_align as u64)?;
        self.sink.put(value)
    }

    #[inline]
    fn put_head(&mut self, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        let [k0, k1] = (key.len() as u16).to_le_bytes();
        let short = match value {
            None => LEN_DELETED,
            Some(value) if value.len() < usize::from(LEN_DELETED) => value.len() as u16,
            Some(_) => LEN_FOLLOWS,
        };
        let [v0, v1] = short.to_le_bytes();
        self.sink.put(&[k0, k1, v0, v1])?;
        match value {
            Some(value) if short == LEN_FOLLOWS => {
                self.sink.put(&(value.len() as u32).to_le_bytes())
            }
            _ => Ok(()),
        }
    }

    fn start_group(&mut self, key: &[u8], at: u64) -> io::Result<()> {
        debug_assert!(self.fence_at <= at, "groups follow one another");
        if self.entries == 0 {
            self.min_key = key.to_vec();
        }
        if self.entries == 0 || at - self.fence_at >= FENCE_BYTES {
            self.fence_at = at;
            self.remembered.fence(self.entries / GROUP, key)?;
        }
        Ok(())
    }

    /// Writes all that comes after the entries; returns the file's length.
    fn put_sections(&mut self) -> io::Result<u64> {
        self.sink.pad_to(UNIT)?;
        let data_end = self.sink.position();
        self.sink.pad_to(8)?;
        let marks_at = self.sink.position();
        self.remembered.put_marks(&mut self.sink)?;
        let fences_at = self.sink.position();
        self.remembered.put_fences(&mut self.sink)?;
        self.sink.pad_to(super::layout::BUCKET)?;
        let index_at = self.sink.position();
        let shape = Shape::of(self.uniform.locations(data_end));
        self.remembered.put_index(&mut self.sink, shape, self.entries)?;
        let table_at = self.sink.position();
        let table = table(self.sink.finish_pages()?);
        let meta = Meta {
            entries: self.entries,
            tombstones: self.tombstones,
            uniform: self.uniform.count,
            key_len: self.uniform.key_len as u32,
            value_len: self.uniform.value_len as u32,
            data_end,
            marks_at,
            fences_at,
            fence_count: self.remembered.fence_count(),
            index_at,
            table_at,
            table_crcs: table.chunks(PAGE as usize).map(crc32c::crc32c).collect(),
            min_key: self.min_key.clone(),
            max_key: self.last_key.clone(),
            covers: self.options.covers,
            user: self.options.user.clone(),
        };
        self.put_tail(table, &meta)
    }

    fn put_tail(&mut self, mut tail: Vec<u8>, meta: &Meta) -> io::Result<u64> {
        let archive = meta.encode().map_err(io::Error::other)?;
        let meta_at = meta.table_at + tail.len() as u64;
        let footer =
            Footer { meta_at, meta_len: archive.len() as u64, meta_crc: crc32c::crc32c(&archive) };
        let value_align = self.options.value_align as u64;
        assert_eq!(
            meta.contradiction(meta_at, value_align),
            None,
            "a run is written by its own rules"
        );
        tail.extend_from_slice(&archive);
        tail.extend_from_slice(&footer.encode());
        self.sink.finish(&tail)?;
        Ok(self.sink.position())
    }
}

impl Drop for RunWriter {
    fn drop(&mut self) {
        if self.state != FileState::Renamed {
            // Best effort: what stays is a name that `is_unfinished`, and the next attempt replaces
            // it.
            let _ = self.storage.remove(&self.temp);
        }
    }
}

impl fmt::Debug for RunWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, entries) = (&self.file, self.entries);
        f.debug_struct("RunWriter").field("file", file).field("entries", &entries).finish()
    }
}

fn check_options(file: &Arc<Path>, options: &RunOptions) -> Result<(), RunError> {
    let got = options.value_align;
    if !got.is_power_of_two() || got > 16 {
        return Err(RunError::Align { file: Arc::clone(file), got });
    }
    check_size(file, "the note", USER_BYTES_MAX, options.user.len())
}

#[inline]
fn check_size(
    file: &Arc<Path>,
    what: &'static str,
    limit: usize,
    got: usize,
) -> Result<(), RunError> {
    if got <= limit {
        return Ok(());
    }
    let (limit, got) = (limit as u64, got as u64);
    Err(RunError::TooLarge { file: Arc::clone(file), what, limit, got })
}

/// The table of page checksums, with zeros up to where the meta archive may begin.
fn table(page_crcs: &[u32]) -> Vec<u8> {
    let mut table: Vec<u8> = page_crcs.iter().flat_map(|crc| crc.to_le_bytes()).collect();
    table.resize(table_len(page_crcs.len() as u64) as usize, 0);
    table
}
