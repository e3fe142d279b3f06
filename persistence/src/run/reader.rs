//! Opening a run and reading single keys.

use std::fmt;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use super::error::{RunError, shared};
use super::hash_key;
use super::index::{Print, Shape};
use super::info::{RunInfo, Slot};
use super::layout::{FOOT_MAGIC, FRAME, Footer, HEAD_MAGIC, Header, VERSION, frame_facts};
use super::meta::Meta;
use super::pages::{Pages, fetch, part};
use super::range::RunRange;
use super::uniform::Uniform;
use super::verify;
use super::view::{RunEntry, View};
use crate::{Mapped, Storage};

/// An open run. Clones share it; the file may be removed while it is open.
///
/// # Examples
///
/// ```
/// use std::ops::Bound;
/// use std::path::Path;
/// use std::sync::Arc;
///
/// use gridmill_persistence::run::{Run, RunOptions, RunWriter, Slot};
/// use gridmill_persistence::{SimStorage, Storage};
///
/// let storage: Arc<dyn Storage> = Arc::new(SimStorage::new());
/// let path = Path::new("ages.run");
/// let options = RunOptions { value_align: 1, ..RunOptions::default() };
/// let mut writer = RunWriter::create(Arc::clone(&storage), path, options)?;
/// writer.add(b"ada", Some(b"36"))?;
/// writer.add(b"bob", None)?;
/// assert_eq!(writer.finish()?.entries, 2);
///
/// let run = Run::open(&*storage, path)?;
/// assert_eq!(run.get(b"ada")?, Some(Slot::Value(b"36")));
/// assert_eq!(run.get(b"bob")?, Some(Slot::Deleted));
/// assert_eq!(run.get(b"eve")?, None);
/// assert_eq!(run.range(Bound::Excluded(b"ada"), Bound::Unbounded).count(), 1);
/// # Ok::<(), gridmill_persistence::run::RunError>(())
/// ```
#[derive(Clone)]
pub struct Run {
    pub(super) inner: Arc<Inner>,
}

/// Keys per step of [`Run::warm`]: more than a core can wait for at once.
const WARM_BATCH: usize = 32;

/// What the clones of a run share.
pub(super) struct Inner {
    pub(super) file: Arc<Path>,
    pub(super) map: Mapped,
    pub(super) header: Header,
    pub(super) meta: Meta,
    pub(super) uniform: Uniform,
    pub(super) shape: Shape,
    pub(super) pages: Pages,
    pub(super) seal: u64,
}

impl Run {
    /// Opens the run at `path`. Reads the header, the footer and the meta archive: the cost does
    /// not depend on the number of entries.
    ///
    /// # Errors
    /// `Io` where the file cannot be opened or mapped, `NotARun` where it is something else or is
    /// cut off, `Version` where another release wrote it, `Damaged` or `Malformed` where what was
    /// read is not as written, `Unreadable` where the disk cannot read it.
    pub fn open(storage: &dyn Storage, path: &Path) -> Result<Self, RunError> {
        let file = shared(storage.display(path));
        let opened = storage.open_read(path).map_err(RunError::io(&file, "open"))?;
        let len = opened.len().map_err(RunError::io(&file, "measure"))?;
        if len < 2 * FRAME as u64 {
            let expected = 2 * FRAME as u64;
            return Err(RunError::NotARun { file, what: "its length", expected, got: len });
        }
        let map = opened.map(0..len).map_err(RunError::io(&file, "map"))?;
        let header = Header::decode(frame(&file, &map, 0, HEAD_MAGIC)?);
        if !header.value_align.is_power_of_two() || header.value_align > 16 {
            return Err(malformed(&file, 12, "the alignment of values is none of 1, 2, 4, 8, 16"));
        }
        let value_align = u64::from(header.value_align);
        let (meta, seal) = read_meta(&file, &map, len - FRAME as u64, value_align)?;
        let uniform = meta.uniform(value_align);
        let shape = Shape::of(uniform.locations(meta.data_end));
        let pages = Pages::new(Arc::clone(&file), map.clone(), &meta);
        Ok(Self { inner: Arc::new(Inner { file, map, header, meta, uniform, shape, pages, seal }) })
    }

    /// What the run says of `key`; `None` where it says nothing and an older run may.
    ///
    /// # Errors
    /// `Damaged` or `Malformed` where the bytes touched are not as written; `Unreadable` where the disk
    /// cannot read them. That is so for a page that is touched for the first time. A page that was read
    /// once and that the system dropped from memory since is read by touching it: if the disk fails then,
    /// the system ends the process (`SIGBUS`).
    #[inline]
    pub fn get(&self, key: &[u8]) -> Result<Option<Slot<'_>>, RunError> {
        self.get_hashed(key, hash_key(key))
    }

    /// [`Run::get`] for a caller that has `hash`, the [`hash_key`] of `key`, already. A wrong hash
    /// finds nothing.
    ///
    /// # Errors
    /// As [`Run::get`].
    pub fn get_hashed(&self, key: &[u8], hash: u64) -> Result<Option<Slot<'_>>, RunError> {
        let view = View::new(&self.inner);
        let found = locate(view, key, Print::of(hash))?;
        Ok(found.map(|(_, slot)| slot))
    }

    /// As [`Run::get_hashed`], but a value's bytes are not read yet: who reads a part of them has
    /// [`Run::verify_part`] make sure of it first. So what is not asked for is not read from the disk.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use std::sync::Arc;
    /// # use gridmill_persistence::run::{Run, RunOptions, RunWriter, Slot, hash_key};
    /// # use gridmill_persistence::{SimStorage, Storage};
    /// # let storage: Arc<dyn Storage> = Arc::new(SimStorage::new());
    /// # let options = RunOptions { value_align: 1, ..RunOptions::default() };
    /// # let mut writer = RunWriter::create(Arc::clone(&storage), Path::new("a.run"), options)?;
    /// writer.add(b"key", Some(&[7; 1 << 20]))?;
    /// # writer.finish()?;
    /// # let run = Run::open(&*storage, Path::new("a.run"))?;
    /// let Some(Slot::Value(value)) = run.look_hashed(b"key", hash_key(b"key"))? else { panic!() };
    /// run.verify_part(&value[500_000..500_008])?;
    /// assert_eq!(value[500_000], 7);
    /// assert!(run.pages_read() < 8);
    /// # Ok::<(), gridmill_persistence::run::RunError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Run::get`].
    pub fn look_hashed(&self, key: &[u8], hash: u64) -> Result<Option<Slot<'_>>, RunError> {
        let view = View::new(&self.inner);
        let found = locate_by(view, key, Print::of(hash), View::entry_unread)?;
        Ok(found.map(|(_, slot)| slot))
    }

    /// Makes sure that bytes of this run are as they were written: a part of what [`Run::look_hashed`] or
    /// [`RunRange::unread`] gave.
    ///
    /// # Errors
    /// As [`Run::get`]; `Malformed` where the bytes are none of this run's.
    #[inline]
    pub fn verify_part(&self, part: &[u8]) -> Result<(), RunError> {
        View::new(&self.inner).verify_part(part)
    }

    /// Brings what [`Run::get_hashed`] will look at for `hashes` into the processor's cache.
    ///
    /// A lookup waits for memory twice, one after the other; a batch waits for many at once. Worth
    /// it for a few dozen keys up to some thousands, right before they are read. Changes no answer,
    /// and leaves errors to the reads that follow.
    pub fn warm(&self, hashes: &[u64]) {
        let view = View::new(&self.inner);
        let mut seen = 0;
        for batch in hashes.chunks(WARM_BATCH) {
            let mut entries = [0; WARM_BATCH];
            for (hash, at) in batch.iter().zip(&mut entries) {
                *at = likely(view, Print::of(*hash));
            }
            seen ^= entries.iter().fold(0, |sum, at| sum ^ view.glance(*at));
        }
        std::hint::black_box(seen);
    }

    /// All entries with keys between the bounds, in order, from either end. Empty where `from` lies
    /// beyond `to`.
    pub fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> RunRange<'_> {
        RunRange::new(View::new(&self.inner), from, to)
    }

    /// Reads everything: checksums, order, counts, the index and the fences.
    ///
    /// # Errors
    /// The first `Damaged` or `Malformed` found.
    pub fn verify(&self) -> Result<(), RunError> {
        verify::verify(View::new(&self.inner))
    }

    /// How many keys the run holds, deletions included.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.inner.meta.entries
    }

    /// Whether the run holds no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of the keys are deletions.
    #[must_use]
    pub fn tombstones(&self) -> u64 {
        self.inner.meta.tombstones
    }

    /// The file's length in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.inner.map.len() as u64
    }

    /// How many pages of the file were read since it was opened, each counted once.
    #[must_use]
    pub fn pages_read(&self) -> u64 {
        self.inner.pages.read()
    }

    /// The fingerprint of the values' type that the writer was given.
    #[must_use]
    pub fn schema(&self) -> u64 {
        self.inner.header.schema
    }

    /// The alignment of every value, in bytes.
    #[must_use]
    pub fn value_align(&self) -> usize {
        self.inner.header.value_align as usize
    }

    /// A hash of all that is in the run, its note included, by way of the checksums: two runs with one
    /// seal say the same.
    ///
    /// ```
    /// use std::path::Path;
    /// use std::sync::Arc;
    /// use gridmill_persistence::run::{Run, RunOptions, RunWriter};
    /// use gridmill_persistence::{SimStorage, Storage};
    ///
    /// let storage: Arc<dyn Storage> = Arc::new(SimStorage::new());
    /// let write = |name: &str, value: &[u8]| {
    ///     let options = RunOptions::default();
    ///     let mut writer = RunWriter::create(Arc::clone(&storage), Path::new(name), options)?;
    ///     writer.add(b"key", Some(value))?;
    ///     writer.finish()?;
    ///     Run::open(&*storage, Path::new(name))
    /// };
    /// let seal = write("1.run", b"value")?.seal();
    /// assert_eq!(write("2.run", b"value")?.seal(), seal);
    /// assert_ne!(write("3.run", b"other")?.seal(), seal);
    /// # Ok::<(), gridmill_persistence::run::RunError>(())
    /// ```
    #[must_use]
    pub fn seal(&self) -> u64 {
        self.inner.seal
    }

    /// The log position that the writer said the run covers.
    #[must_use]
    pub fn covers(&self) -> u64 {
        self.inner.meta.covers
    }

    /// The opaque note that the writer was given.
    #[must_use]
    pub fn user(&self) -> &[u8] {
        &self.inner.meta.user
    }

    /// The smallest key; empty in an empty run.
    #[must_use]
    pub fn min_key(&self) -> &[u8] {
        &self.inner.meta.min_key
    }

    /// The largest key; empty in an empty run.
    #[must_use]
    pub fn max_key(&self) -> &[u8] {
        &self.inner.meta.max_key
    }

    /// Where the file lies, for messages.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.inner.file
    }

    /// The facts about the run, as its writer returned them.
    #[must_use]
    pub fn info(&self) -> RunInfo {
        RunInfo {
            file: file_name(&self.inner.file),
            entries: self.len(),
            tombstones: self.tombstones(),
            bytes: self.bytes(),
            min_key: self.min_key().to_vec(),
            max_key: self.max_key().to_vec(),
            schema: self.schema(),
        }
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, entries) = (&self.inner.file, self.len());
        f.debug_struct("Run").field("file", file).field("entries", &entries).finish_non_exhaustive()
    }
}

/// Finds `key` through the index: where its entry is, and what it says.
#[inline]
pub(super) fn locate<'a>(
    view: View<'a>,
    key: &[u8],
    print: Print,
) -> Result<Option<(u64, Slot<'a>)>, RunError> {
    locate_by(view, key, print, View::entry)
}

/// [`locate`] with what reads an entry.
#[inline]
fn locate_by<'a>(
    view: View<'a>,
    key: &[u8],
    print: Print,
    read: impl Fn(View<'a>, u64) -> Result<RunEntry<'a>, RunError>,
) -> Result<Option<(u64, Slot<'a>)>, RunError> {
    let (buckets, shape) = (view.run.meta.buckets(), &view.run.shape);
    let mut number = print.home(buckets);
    for _ in 0..buckets {
        let bucket = view.bucket(number)?;
        let mut hits = shape.matches(bucket, print);
        while hits != 0 {
            let at = view.run.uniform.place(shape.first_location(bucket, hits));
            let entry = read(view, at)?;
            if same(entry.key, key) {
                return Ok(Some((at, entry.slot)));
            }
            hits &= hits - 1;
        }
        if !shape.spilled(bucket, print) {
            return Ok(None);
        }
        number = if number + 1 == buckets { 0 } else { number + 1 };
    }
    Ok(None)
}

/// Whether two keys are equal, reading nothing but them.
///
/// `memcmp` fetches short keys with one wide load that reaches into the next cache line: measured
/// among a million counters, a sixth of the price of a lookup, a third of a warmed one's.
#[inline]
fn same(key: &[u8], other: &[u8]) -> bool {
    if key.len() != other.len() {
        return false;
    }
    let (Some(end), Some(other_end)) = (key.last_chunk::<8>(), other.last_chunk::<8>()) else {
        return key.iter().eq(other);
    };
    let word = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
    if word(end) != word(other_end) || key.len() == 8 {
        return word(end) == word(other_end);
    }
    let (words, others) = (key.as_chunks::<8>().0, other.as_chunks::<8>().0);
    words.iter().zip(others).all(|(one, other)| word(one) == word(other))
}

/// Where the entry of a key probably is, by its home bucket; 0 where it probably is not.
#[inline]
fn likely(view: View<'_>, print: Print) -> u64 {
    let (buckets, shape) = (view.run.meta.buckets(), &view.run.shape);
    if buckets == 0 {
        return 0;
    }
    view.bucket(print.home(buckets)).map_or(0, |bucket| {
        let hits = shape.matches(bucket, print);
        if hits == 0 { 0 } else { view.run.uniform.place(shape.first_location(bucket, hits)) }
    })
}

/// The last part of a path as text.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The frame at `at`, whole and of the kind and version that we read.
fn frame<'a>(
    file: &Arc<Path>,
    map: &'a Mapped,
    at: u64,
    magic: u64,
) -> Result<&'a [u8; FRAME], RunError> {
    fetch(file, map, at, at + FRAME as u64)?;
    let bytes = part(map, at, at + FRAME as u64).first_chunk();
    let frame: &[u8; FRAME] = bytes.ok_or_else(|| malformed(file, at, "a frame is cut off"))?;
    let (found, version, expected, got) = frame_facts(frame);
    let file = Arc::clone(file);
    if found != magic {
        let what = if at == 0 { "its first bytes" } else { "its last bytes" };
        return Err(RunError::NotARun { file, what, expected: magic, got: found });
    }
    if expected != got {
        return Err(RunError::Damaged { file, offset: at, expected, got });
    }
    if version != VERSION {
        return Err(RunError::Version { file, expected: VERSION, got: version });
    }
    Ok(frame)
}

/// Finds and reads the meta archive by the footer at `foot_at`; with the seal of the run, because it
/// has the checksums of all pages.
fn read_meta(
    file: &Arc<Path>,
    map: &Mapped,
    foot_at: u64,
    value_align: u64,
) -> Result<(Meta, u64), RunError> {
    let footer = Footer::decode(frame(file, map, foot_at, FOOT_MAGIC)?);
    if footer.meta_at.checked_add(footer.meta_len) != Some(foot_at) {
        let got = footer.meta_at.saturating_add(footer.meta_len);
        let file = Arc::clone(file);
        return Err(RunError::NotARun { file, what: "its end", expected: foot_at, got });
    }
    fetch(file, map, footer.meta_at, foot_at)?;
    let bytes = part(map, footer.meta_at, foot_at);
    let (expected, got) = (footer.meta_crc, crc32c::crc32c(bytes));
    if expected != got {
        let file = Arc::clone(file);
        return Err(RunError::Damaged { file, offset: footer.meta_at, expected, got });
    }
    let meta = Meta::decode(bytes)
        .map_err(|_| malformed(file, footer.meta_at, "the meta archive cannot be read"))?;
    match meta.contradiction(footer.meta_at, value_align) {
        Some(what) => Err(malformed(file, footer.meta_at, what)),
        None => Ok((meta, hash_key(bytes))),
    }
}

fn malformed(file: &Arc<Path>, offset: u64, what: &'static str) -> RunError {
    RunError::Malformed { file: Arc::clone(file), offset, what }
}
