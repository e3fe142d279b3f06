//! The storage seam: everything that this crate asks of a disk, as one small trait.
//!
//! [`FileStorage`](crate::FileStorage) is the real disk. [`SimStorage`](crate::SimStorage) is a
//! disk in memory that tears writes, loses syncs, flips bits and fills up, chosen by a seed. One
//! suite of tests runs against both.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::zeros;

/// A folder in which files can be made, written, synced and mapped. All paths are relative to it.
///
/// Durability contract: bytes written with [`StorageFile::write_at`] survive a power loss only
/// after [`StorageFile::sync`] returned `Ok`; a file's creation, rename or removal survives only
/// after [`Storage::sync_dir`] of its folder returned `Ok`.
pub trait Storage: fmt::Debug + Send + Sync + 'static {
    /// Creates the folder `dir` and its missing parents. Succeeds if it exists already.
    /// New folders are durable when this returns.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Names (not paths) of the entries of `dir`, in no particular order. A missing folder is an
    /// error.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Creates the file `path` for writing; fails with `AlreadyExists` where there is one.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>>;
    /// Creates the file `path` for writing, filled with `len` zeros; fails with `AlreadyExists` where
    /// there is one. After another error it may be there in part.
    fn create_zeros(&self, path: &Path, len: u64) -> io::Result<Arc<dyn StorageFile>> {
        let file = self.create(path)?;
        zeros::write(&*file, 0..len)?;
        Ok(file)
    }
    /// Opens the existing file `path` for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>>;
    /// Opens the existing file `path` for reading; what writes to it may fail.
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>>;
    /// Moves `from` over `to`, atomically, replacing what is there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file. Maps of it stay readable until they are dropped.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes the exclusive lock on the file `path`, creating it; held until the guard is dropped.
    /// Fails with `WouldBlock` while another holder, of this process or another, has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>>;
    /// Where `path` lies, for messages.
    fn display(&self, path: &Path) -> PathBuf;
    /// Whether work must stay on the calling thread, so that a seed decides the order of
    /// operations. Only the simulated disk says yes.
    fn deterministic(&self) -> bool {
        false
    }
}

/// Keeps a folder locked; dropping it lets go.
pub trait LockGuard: fmt::Debug + Send + Sync {}

/// One open file. Shared between a writer and any number of readers.
#[expect(clippy::len_without_is_empty, reason = "nobody asks whether a file is empty")]
pub trait StorageFile: fmt::Debug + Send + Sync {
    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Writes all of `bytes` at `offset`, growing the file where needed. One system call when it
    /// can.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Writes whole pages past the page cache, so that the next sync has little left to do: `offset`, the
    /// length and the place in memory are multiples of 4,096. Views of the file show them; bytes that a
    /// view shows already may be written again, unchanged. False where that cannot be: then `pages` are
    /// to be written by [`write_at`](Self::write_at), some of them may be there already.
    fn write_pages(&self, _offset: u64, _pages: &[u8]) -> io::Result<bool> {
        Ok(false)
    }
    /// Nothing more will be written: the file lets go of what only writes need. A later write may take it
    /// again.
    fn written(&self) {}
    /// Makes all bytes written so far durable (fdatasync). After an error the file's unsynced bytes
    /// are in an unknown state and must never be synced again: rewrite them elsewhere.
    fn sync(&self) -> io::Result<()>;
    /// Fills `bytes` with what stands from `offset` on. Where the disk cannot read that, it is an error
    /// here; a view that is touched there would end the process.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;
    /// A read-only view of `range`, which must lie within the file and must not change while
    /// the view lives (the log hands out only what is below its durable position; runs are never
    /// written again).
    fn map(&self, range: Range<u64>) -> io::Result<Mapped>;
}

/// What a [`Mapped`] shows a part of.
pub trait MappedOwner: Send + Sync {
    /// All of it. Always the same bytes.
    fn bytes(&self) -> &[u8];
    /// Brings `range` into memory, so that a part which the disk cannot read is an error now and not the
    /// end of the process when it is touched. Nothing to do for what lies in memory anyway.
    fn fetch(&self, _range: Range<usize>) -> io::Result<()> {
        Ok(())
    }
    /// Says that `range` will be read soon, so that it is read as one, beside what goes on.
    fn will_need(&self, _range: Range<usize>) {}
}

impl MappedOwner for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// Bytes of a file, read in place. Cheap to clone; keeps what it needs alive.
#[derive(Clone)]
pub struct Mapped {
    owner: Arc<dyn MappedOwner>,
    range: Range<usize>,
}

impl Mapped {
    /// A view of `range` of what `owner` holds.
    ///
    /// # Panics
    /// When `range` does not lie within `owner`.
    pub fn new(owner: Arc<dyn MappedOwner>, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= owner.bytes().len());
        Self { owner, range }
    }

    /// A part of this view, sharing its owner.
    ///
    /// # Panics
    /// When `range` does not lie within this view.
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.range.len());
        let start = self.range.start;
        Self { owner: Arc::clone(&self.owner), range: start + range.start..start + range.end }
    }
}

impl Mapped {
    /// Brings a part of the view into memory: what the disk cannot read of it is an error here, once. The
    /// system may drop what it read when memory is short; a disk that fails when it reads that again ends
    /// the process (`SIGBUS`).
    ///
    /// # Errors
    /// What the system said. Where it cannot say at which byte, it is somewhere in `range`.
    pub fn fetch(&self, range: Range<usize>) -> io::Result<()> {
        self.owner.fetch(self.within(range))
    }

    /// Says that a part of the view will be read soon. Views are read as they are touched and nothing
    /// around that, which is slow where much is read in a row.
    pub fn will_need(&self, range: Range<usize>) {
        self.owner.will_need(self.within(range));
    }

    /// What `range` of the view is of the file.
    fn within(&self, range: Range<usize>) -> Range<usize> {
        let end = range.end.min(self.range.len());
        let start = range.start.min(end);
        self.range.start + start..self.range.start + end
    }
}

impl std::ops::Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.owner.bytes()[self.range.clone()]
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mapped({} bytes)", self.range.len())
    }
}
