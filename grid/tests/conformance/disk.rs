//! A simulated disk that tells when it first refuses something, so that tests need not sleep.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gridmill::persistence::{LockGuard, Mapped, SimStorage, Storage, StorageFile};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::latch::Latch;

/// A [`SimStorage`] with a bell that rings for every operation that fails.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) sim: SimStorage,
    failures: Arc<Semaphore>,
    /// No file is made whose path has this in it.
    forbidden: Arc<Mutex<Option<&'static str>>>,
    /// Where syncs wait.
    held: Arc<Mutex<Option<&'static Latch>>>,
}

impl Disk {
    pub(crate) fn new(sim: SimStorage) -> Self {
        let failures = Arc::new(Semaphore::new(0));
        Self { sim, failures, forbidden: Arc::default(), held: Arc::default() }
    }

    /// From now on no file is made whose path has this in it.
    pub(crate) fn forbid(&self, part: Option<&'static str>) {
        *self.forbidden.lock() = part;
    }

    /// From now on syncs of files wait until `latch` is open.
    pub(crate) fn hold_syncs(&self, latch: &'static Latch) {
        *self.held.lock() = Some(latch);
    }

    /// Waits for the next operation that fails, unless one has failed already.
    pub(crate) async fn failed(&self) {
        let rung = self.failures.acquire().await;
        rung.expect("the bell is never taken down").forget();
    }

    fn hear<T>(&self, result: io::Result<T>) -> io::Result<T> {
        // What is not there is no failure of the disk.
        if result.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
            self.failures.add_permits(1);
        }
        result
    }

    fn file(&self, file: io::Result<Arc<dyn StorageFile>>) -> io::Result<Arc<dyn StorageFile>> {
        let file = self.hear(file)?;
        Ok(Arc::new(DiskFile { disk: self.clone(), file }))
    }
}

impl Storage for Disk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.hear(self.sim.create_dir_all(dir))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.hear(self.sim.list(dir))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        let forbidden = *self.forbidden.lock();
        if forbidden.is_some_and(|part| path.to_string_lossy().contains(part)) {
            return self.file(Err(io::Error::other("this cannot be made now")));
        }
        self.file(self.sim.create(path))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        self.file(self.sim.open(path))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        self.file(self.sim.open_read(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.hear(self.sim.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.hear(self.sim.remove(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.hear(self.sim.sync_dir(dir))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        self.sim.lock(path)
    }

    fn display(&self, path: &Path) -> PathBuf {
        self.sim.display(path)
    }

    fn deterministic(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct DiskFile {
    disk: Disk,
    file: Arc<dyn StorageFile>,
}

impl StorageFile for DiskFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.hear(self.file.write_at(offset, bytes))
    }

    fn sync(&self) -> io::Result<()> {
        let held = *self.disk.held.lock();
        held.inspect(|latch| latch.pass());
        self.disk.hear(self.file.sync())
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, bytes)
    }

    fn map(&self, range: Range<u64>) -> io::Result<Mapped> {
        self.file.map(range)
    }
}
