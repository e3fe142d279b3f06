//! A disk in memory that is deterministic from a seed.
//!
//! Every storage operation, every loss and every tear is decided by the seed and the order of
//! calls, so a failing run is repeated by its number. Without faults it is simply a fast disk.

mod disk;
mod file;
mod names;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::storage::{LockGuard, Storage, StorageFile};
use disk::Disk;
use file::{SimFile, SimLock};

/// What goes wrong on a simulated disk, and when. Counts start at 1; `None` is never.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// This sync of a file fails with an I/O error, and what it should have made durable never is.
    pub fail_sync: Option<u64>,
    /// This write fails with an I/O error after a part of its sectors, chosen by the seed.
    pub fail_write: Option<u64>,
    /// The power goes in the middle of this operation: it and all later ones fail. Call
    /// [`SimStorage::crash`] to see what is left.
    pub power_off: Option<u64>,
    /// How many more bytes files may grow by before they are refused with `StorageFull`.
    pub space_left: Option<u64>,
}

/// A disk in memory. Clones share it.
///
/// It keeps the contract of [`Storage`] and not more: what was not synced may be kept, lost or torn
/// in 512-byte sectors by [`crash`](Self::crash), and entries of folders that were not synced may
/// vanish, each for itself.
///
/// ```
/// use std::path::Path;
/// use gridmill_persistence::{SimStorage, Storage};
///
/// # fn main() -> std::io::Result<()> {
/// let storage = SimStorage::new();
/// storage.create(Path::new("a"))?.write_at(0, b"hello")?;
/// let after_kill = storage.kill(); // a killed process loses nothing that it wrote
/// assert_eq!(&after_kill.open(Path::new("a"))?.map(0..5)?[..], b"hello");
/// assert!(storage.open(Path::new("a")).is_err(), "the killed process does nothing more");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SimStorage {
    disk: Arc<Mutex<Disk>>,
    life: u64,
}

impl Default for SimStorage {
    fn default() -> Self {
        Self::new()
    }
}

impl SimStorage {
    /// An empty disk on which nothing goes wrong by itself.
    pub fn new() -> Self {
        Self::with_faults(0, Faults::default())
    }

    /// An empty disk on which `faults` happen; `seed` decides what they and crashes destroy.
    pub fn with_faults(seed: u64, faults: Faults) -> Self {
        Self { disk: Arc::new(Mutex::new(Disk::new(seed, faults))), life: 0 }
    }

    /// Loses power: what was not synced is kept, lost or torn, locks are free, and every handle
    /// made before fails from now on. Returns the disk as the next start finds it; faults are
    /// cleared.
    pub fn crash(&self) -> Self {
        let mut disk = self.disk.lock();
        disk.lose_power();
        Self { disk: Arc::clone(&self.disk), life: disk.begin_life() }
    }

    /// Kills the process: everything written survives, locks are free, and every handle made before
    /// fails from now on. Returns the disk as the next start finds it; faults are cleared.
    pub fn kill(&self) -> Self {
        let life = self.disk.lock().begin_life();
        Self { disk: Arc::clone(&self.disk), life }
    }

    /// Replaces the faults; their counts start anew.
    pub fn set_faults(&self, faults: Faults) {
        self.disk.lock().set_faults(faults);
    }

    /// Lets files grow by `bytes` more in all, or without limit. Removing files makes room again.
    pub fn set_space_left(&self, bytes: Option<u64>) {
        self.disk.lock().set_space_left(bytes);
    }

    /// Flips one bit of a file, durably, as a failing disk would.
    ///
    /// # Errors
    /// `NotFound` where there is no such file, `InvalidInput` beyond its end.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) -> io::Result<()> {
        self.disk.lock().flip_bit(path, offset, bit)
    }

    /// Makes a part of a file unreadable, as a bad sector does, or all of it readable again: reads that
    /// touch it fail.
    ///
    /// # Errors
    /// `NotFound` where there is no such file.
    pub fn set_unreadable(&self, path: &Path, bytes: Option<Range<u64>>) -> io::Result<()> {
        self.disk.lock().spoil(path, bytes)
    }

    /// How many operations the disk has done since its faults were last set: the scale of
    /// [`Faults::power_off`].
    pub fn operations(&self) -> u64 {
        self.disk.lock().operations()
    }

    /// Whether the power went ([`Faults::power_off`]): nothing works any more until [`crash`](Self::crash).
    pub fn is_off(&self) -> bool {
        self.disk.lock().is_off()
    }

    /// A digest of the names and bytes of all files as running programs see them: it stays the same as
    /// long as no file is made, changed, renamed or removed.
    pub fn digest(&self) -> u64 {
        self.disk.lock().digest()
    }

    fn with<T>(&self, work: impl FnOnce(&mut Disk) -> io::Result<T>) -> io::Result<T> {
        let mut disk = self.disk.lock();
        disk.enter(self.life)?;
        work(&mut disk)
    }

    fn file(
        &self,
        writable: bool,
        find: impl FnOnce(&mut Disk) -> io::Result<u64>,
    ) -> io::Result<Arc<dyn StorageFile>> {
        let id = self.with(|disk| find(disk).and_then(|id| disk.open(id)))?;
        Ok(Arc::new(SimFile::new(self.clone(), id, writable)))
    }
}

impl Storage for SimStorage {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.with(|disk| disk.names.create_dir_all(dir))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.with(|disk| disk.names.list(dir))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        self.file(true, |disk| disk.create(path))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        self.file(true, |disk| disk.names.find(path))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        self.file(false, |disk| disk.names.find(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.with(|disk| disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.with(|disk| disk.remove(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.with(|disk| disk.sync_dir(dir))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        self.with(|disk| disk.lock(path))?;
        Ok(Box::new(SimLock::new(self.clone(), path.to_path_buf())))
    }

    fn display(&self, path: &Path) -> PathBuf {
        Path::new("sim:").join(path)
    }

    fn deterministic(&self) -> bool {
        true
    }
}
