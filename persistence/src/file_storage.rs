//! The real disk: a folder of the file system.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::direct::{self, Direct};
use crate::mapped::FileMap;
use crate::storage::{LockGuard, Mapped, Storage, StorageFile};
use crate::zeros;

/// A folder of the file system as [`Storage`].
///
/// ```
/// use std::path::Path;
/// use gridmill_persistence::{FileStorage, Storage};
///
/// # fn main() -> std::io::Result<()> {
/// let folder = tempfile::tempdir()?;
/// let storage = FileStorage::new(folder.path());
/// let file = storage.create(Path::new("greeting"))?;
/// file.write_at(0, b"hello")?;
/// file.sync()?;
/// storage.sync_dir(Path::new(""))?; // only now would a power loss spare the file
/// assert_eq!(&file.map(0..5)?[..], b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct FileStorage {
    root: PathBuf,
}

impl FileStorage {
    /// The folder `root`, which need not exist yet: `create_dir_all("")` makes it.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn at(&self, path: &Path) -> PathBuf {
        if path.as_os_str().is_empty() { self.root.clone() } else { self.root.join(path) }
    }
}

impl Storage for FileStorage {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        create_durably(&self.at(dir))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(self.at(dir))?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        opened(self.at(path), options.read(true).write(true).create_new(true), Direct::Untried)
    }

    fn create_zeros(&self, path: &Path, len: u64) -> io::Result<Arc<dyn StorageFile>> {
        let file = self.create(path)?;
        let filled = zeros::write_past_cache(&self.at(path), len)?;
        zeros::write(&*file, filled..len)?;
        Ok(file)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        opened(self.at(path), OpenOptions::new().read(true).write(true), Direct::Untried)
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        opened(self.at(path), OpenOptions::new().read(true), Direct::Refused)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(self.at(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(self.at(dir))?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).open(self.at(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(FileLock { _file: file })),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn display(&self, path: &Path) -> PathBuf {
        self.at(path)
    }
}

/// Makes `dir` and its missing parents, and syncs the folder that holds each new one, so that files
/// synced inside are not lost with their folder.
fn create_durably(dir: &Path) -> io::Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().unwrap_or(Path::new(""));
    create_durably(parent)?;
    match std::fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !dir.is_dir() => Err(error),
        _ => sync_folder(if parent.as_os_str().is_empty() { Path::new(".") } else { parent }),
    }
}

fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn opened(
    path: PathBuf,
    options: &OpenOptions,
    direct: Direct,
) -> io::Result<Arc<dyn StorageFile>> {
    let file = options.open(&path)?;
    Ok(Arc::new(RealFile { file, path, direct: Mutex::new(direct), map: FileMap::default() }))
}

/// The operating system drops the lock with the file, also when the process is killed.
#[derive(Debug)]
struct FileLock {
    _file: File,
}

impl LockGuard for FileLock {}

#[derive(Debug)]
struct RealFile {
    file: File,
    path: PathBuf,
    direct: Mutex<Direct>,
    map: FileMap,
}

impl StorageFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn write_pages(&self, offset: u64, pages: &[u8]) -> io::Result<bool> {
        if !direct::fits(offset, pages) {
            return Ok(false);
        }
        let mut direct = self.direct.lock();
        let Some(file) = direct.handle(&self.file, &self.path) else { return Ok(false) };
        direct::taken(file.write_all_at(pages, offset))
    }

    fn written(&self) {
        self.direct.lock().close();
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }

    fn map(&self, range: Range<u64>) -> io::Result<Mapped> {
        if range.start >= range.end {
            return Ok(Mapped::new(Arc::new(Vec::<u8>::new()), 0..0));
        }
        let map = self.map.covering(&self.file, range.end)?;
        Ok(Mapped::new(map, range.start as usize..range.end as usize))
    }
}
