//! Finding the record that ends the process: one that overflows the stack or exhausts the memory
//! cannot be caught, and would end every start again.
//!
//! A start notes that it begins to replay a tail, and removes the note when it is through. Where two
//! starts in a row did not get through, the next one leaves a breadcrumb before each record. The start
//! after that knows the record's position and says so.

use std::path::{Path, PathBuf};

use gridmill_persistence::{LogError, Position, Storage, StorageFile, manifest};

const NOTE: &str = "REPLAYING";
const CRUMB: &str = "CRUMB";

/// Starts that did not get through before breadcrumbs are left.
const PATIENCE: u8 = 2;

/// A replay under way.
#[derive(Debug)]
pub(crate) struct Breadcrumbs<'a> {
    storage: &'a dyn Storage,
    dir: PathBuf,
    breadcrumb: Option<std::sync::Arc<dyn StorageFile>>,
}

/// The position of the record in which the starts before this one ended the process, where they left
/// word of one. `known` are positions that will not be handled. Changes nothing.
pub(crate) fn ended_at(
    storage: &dyn Storage,
    dir: &Path,
    known: &[Position],
) -> Result<Option<Position>, LogError> {
    if starts_before(storage, dir)? <= PATIENCE {
        return Ok(None);
    }
    let position = read_breadcrumb(storage, &dir.join(CRUMB));
    Ok(position.filter(|position| !known.contains(position)))
}

/// How many starts in a row did not get through.
fn starts_before(storage: &dyn Storage, dir: &Path) -> Result<u8, LogError> {
    let note = manifest::read_checked(storage, dir, NOTE)?;
    Ok(note.and_then(|note| note.first().copied()).unwrap_or(0))
}

impl<'a> Breadcrumbs<'a> {
    /// Notes that a replay begins, after [`ended_at`] named no record.
    pub(crate) fn begin(storage: &'a dyn Storage, dir: &Path) -> Result<Self, LogError> {
        let breadcrumb_path = dir.join(CRUMB);
        let starts = starts_before(storage, dir)?;
        manifest::write_atomic(storage, dir, NOTE, &[starts.saturating_add(1)])?;
        let breadcrumb = if starts >= PATIENCE {
            // A breadcrumb from before belongs to a record that is set aside now.
            let _ = storage.remove(&breadcrumb_path);
            let created = storage.create(&breadcrumb_path);
            Some(created.map_err(|source| io(storage, &breadcrumb_path, source))?)
        } else {
            None
        };
        Ok(Self { storage, dir: dir.to_path_buf(), breadcrumb })
    }

    /// Whether records are to be handled one at a time, with a breadcrumb before each.
    pub(crate) fn is_wary(&self) -> bool {
        self.breadcrumb.is_some()
    }

    /// The next record to be handled stands at `position`. The breadcrumb outlives the process, which is
    /// all that it is for; it is not synced.
    pub(crate) fn drop_at(&self, position: Position) -> Result<(), LogError> {
        let Some(breadcrumb) = &self.breadcrumb else { return Ok(()) };
        let bits = position.to_bits();
        // Twice, once inverted: what a power loss leaves of a breadcrumb names no record.
        let bytes = [bits.to_le_bytes(), (!bits).to_le_bytes()].concat();
        let path = self.dir.join(CRUMB);
        breadcrumb.write_at(0, &bytes).map_err(|source| io(self.storage, &path, source))
    }

    /// The replay is through.
    pub(crate) fn end(self) {
        drop(self);
    }
}

impl Drop for Breadcrumbs<'_> {
    /// Forgets everything: the replay is through, or ended with an error that says more than a breadcrumb
    /// (a full disk, say). Only a process that ends leaves its notes.
    fn drop(&mut self) {
        for name in [CRUMB, NOTE] {
            // What stays is taken for one more start that did not get through: harmless.
            let _ = self.storage.remove(&self.dir.join(name));
        }
        // Otherwise a power loss would bring them back, and count a start that did get through.
        let _ = self.storage.sync_dir(&self.dir);
    }
}

fn io(storage: &dyn Storage, path: &Path, source: std::io::Error) -> LogError {
    LogError::Io { action: "write", file: storage.display(path), source }
}

fn read_breadcrumb(storage: &dyn Storage, path: &Path) -> Option<Position> {
    let file = storage.open_read(path).ok()?;
    let mut bytes = [0; 16];
    file.read_at(0, &mut bytes).ok()?;
    let half = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let (bits, inverted) = (half(0)?, half(8)?);
    (bits == !inverted).then(|| Position::from_bits(bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridmill_persistence::SimStorage;

    fn begin(disk: &SimStorage) -> Breadcrumbs<'_> {
        Breadcrumbs::begin(disk, Path::new("")).expect("the disk has no faults")
    }

    fn ended(disk: &SimStorage, known: &[Position]) -> Option<Position> {
        ended_at(disk, Path::new(""), known).expect("the disk has no faults")
    }

    #[test]
    fn names_the_record_after_three_starts_that_ended_in_it() {
        let disk = SimStorage::new();
        let poison = Position::new(1, 77);
        for start in 0..3 {
            assert_eq!(ended(&disk, &[]), None, "start {start} is refused");
            let breadcrumbs = begin(&disk);
            assert_eq!(breadcrumbs.is_wary(), start == 2);
            breadcrumbs.drop_at(poison).expect("the disk has no faults");
            // As a process that ends: nothing is tidied up.
            std::mem::forget(breadcrumbs);
        }
        assert_eq!(ended(&disk, &[]), Some(poison));
        assert_eq!(ended(&disk, &[poison]), None, "a known record is refused");
        begin(&disk).end();
        assert_eq!(ended(&disk, &[]), None);
        assert!(!begin(&disk).is_wary());
    }

    #[test]
    fn an_error_is_no_end_of_the_process() {
        let disk = SimStorage::new();
        for _ in 0..5 {
            assert_eq!(ended(&disk, &[]), None, "nothing ended here");
            begin(&disk).drop_at(Position::new(1, 3)).expect("the disk has no faults");
        }
    }
}
