//! The real disk: a folder of the file system.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
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
    /// The folder itself, once it was locked: whatever its name becomes, files are made in it.
    held: Arc<Mutex<Option<OpenDir>>>,
}

/// A folder that is open.
#[derive(Debug)]
struct OpenDir {
    dir: File,
    /// A name that leads to it after it was renamed, where the system has one.
    name: Option<PathBuf>,
}

impl OpenDir {
    fn open(root: &Path) -> io::Result<Self> {
        let dir = File::open(root)?;
        let name = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
        let leads = std::fs::metadata(&name).is_ok_and(|meta| identity(&meta) == identity_of(&dir));
        Ok(Self { dir, name: leads.then_some(name) })
    }
}

fn identity(meta: &Metadata) -> Option<(u64, u64)> {
    Some((meta.dev(), meta.ino()))
}

fn identity_of(file: &File) -> Option<(u64, u64)> {
    file.metadata().ok().as_ref().and_then(identity)
}

impl FileStorage {
    /// The folder `root`, which need not exist yet: `create_dir_all("")` makes it. An empty path is the
    /// working folder.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = Some(root.into()).filter(|root| !root.as_os_str().is_empty());
        Self { root: root.unwrap_or_else(|| PathBuf::from(".")), held: Arc::default() }
    }

    /// Where `path` lies now.
    fn at(&self, path: &Path) -> io::Result<PathBuf> {
        let held = self.held.lock();
        let root = match held.as_ref() {
            None => &self.root,
            Some(OpenDir { name: Some(name), .. }) => name,
            Some(OpenDir { dir, name: None }) => {
                let now = std::fs::metadata(&self.root)?;
                if identity(&now) != identity_of(dir) {
                    let message = "the data folder was renamed or replaced while it was in use";
                    return Err(io::Error::other(message));
                }
                &self.root
            }
        };
        Ok(join(root, path))
    }
}

fn join(root: &Path, path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() { root.to_path_buf() } else { root.join(path) }
}

impl Storage for FileStorage {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        create_durably(&self.at(dir)?)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(self.at(dir)?)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        opened(self.at(path)?, options.read(true).write(true).create_new(true), Direct::Untried)
    }

    fn create_zeros(&self, path: &Path, len: u64) -> io::Result<Arc<dyn StorageFile>> {
        let file = self.create(path)?;
        let filled = zeros::write_past_cache(&self.at(path)?, len)?;
        zeros::write(&*file, filled..len)?;
        Ok(file)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        opened(self.at(path)?, OpenOptions::new().read(true).write(true), Direct::Untried)
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        opened(self.at(path)?, OpenOptions::new().read(true), Direct::Refused)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(self.at(from)?, self.at(to)?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(self.at(path)?)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(self.at(dir)?)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        // The folder too: the lock file may be deleted, and the folder renamed, while it is in use.
        let folder = File::open(&self.root)?;
        if let Err(TryLockError::WouldBlock) = folder.try_lock() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let held = OpenDir::open(&self.root)?;
        let file = lock_file(held.name.as_deref().unwrap_or(&self.root), path)?;
        if identity_of(&held.dir) != identity_of(&folder) {
            return Err(io::Error::other("the data folder was replaced while it was being locked"));
        }
        *self.held.lock() = Some(held);
        Ok(Box::new(FileLock { _file: file, _folder: folder }))
    }

    fn display(&self, path: &Path) -> PathBuf {
        join(&self.root, path)
    }
}

fn lock_file(root: &Path, path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).open(root.join(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) => Err(error),
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

/// The operating system drops the locks with the files, also when the process is killed.
#[derive(Debug)]
struct FileLock {
    _file: File,
    _folder: File,
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
