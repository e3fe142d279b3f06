//! Reading the folder of a grid that does not run: checking it, looking into it, printing its events.
//!
//! Nothing here changes a file. While a [`Folder`] is open no grid starts in it; a running grid
//! checks its own files with [`Grid::verify`](crate::Grid::verify).

mod damage;
mod dump;
mod flows;
mod inspect;
mod time;
mod verify;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gridmill_model::engine::Damaged;
use gridmill_persistence::{FileStorage, LogReader, Recovered, Storage};

use crate::builder::LOCK_FILE;
use crate::identity::{Contents, begun};
use crate::machine::manifest::{self, Manifest, ManifestFile};
use crate::machine::open::partition_dir;

pub use dump::{Record, Records};
pub use inspect::{
    DepotInfo, Inspection, ModuleInfo, PStateInfo, PartitionInfo, RunFile, SegmentFile,
    TopologyInfo,
};
pub use time::rfc3339;
pub use verify::Verification;

pub(crate) use inspect::as_text;

pub use damage::Unread;
pub(crate) use damage::{Fault, damage_of, of_log};
use damage::{of_io, of_run};
pub(crate) use verify::{Target, verify_all};

/// Why a folder cannot be read.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// There is no grid in the folder.
    #[error("{folder} holds no grid{}", where_it_is(nearby.as_deref()))]
    NotAGrid {
        /// The folder.
        folder: PathBuf,
        /// A folder in it or around it that does hold one.
        nearby: Option<PathBuf>,
    },
    /// A grid runs in the folder.
    #[error(
        "a grid runs in {folder}: stop it first, or ask it (`Grid::verify`, `Grid::stats`) while it \
         runs"
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder cannot be used.
    #[error("the folder {folder} cannot be read: {source}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what was written.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// A file could not be read for a reason that says nothing of the file.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// No module of the folder has such a depot.
    #[error("there is no depot `{depot}` in the folder; it has {}", known.join(", "))]
    UnknownDepot {
        /// The depot asked for.
        depot: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The depot has fewer partitions.
    #[error("depot `{depot}` has partitions 0 to {}, got {got}", expected.saturating_sub(1))]
    NoPartition {
        /// The depot.
        depot: String,
        /// How many partitions it has.
        expected: u32,
        /// The partition asked for.
        got: u32,
    },
}

gridmill_client::debug_as_it_reads!(FolderError);

impl FolderError {
    /// Whether the caller asked for something that is not there, and nothing is wrong with the files.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NotAGrid { .. } | Self::UnknownDepot { .. } | Self::NoPartition { .. })
    }

    /// Whether something is wrong with the files. Otherwise nothing is known of them.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_))
    }
}

impl From<Fault> for FolderError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Damaged(damaged) => Self::Damaged(damaged),
            Fault::Unread(unread) => Self::Unread(unread),
        }
    }
}

/// The data folder of a grid that does not run, open for reading.
///
/// ```no_run
/// use gridmill::folder::Folder;
///
/// let folder = Folder::open("./data")?;
/// let verification = folder.verify();
/// assert!(verification.is_whole(), "{:?}", verification.problems);
/// for record in folder.records("todo/events", None, 0)? {
///     let record = record?;
///     println!("{} {}", record.offset, record.event);
/// }
/// # Ok::<(), gridmill::folder::FolderError>(())
/// ```
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    storage: Arc<dyn Storage>,
    modules: Vec<ModuleDir>,
    /// Folders of partitions that were never begun.
    leftovers: Vec<PathBuf>,
    /// Keeps grids away while the folder is read.
    _lock: Vec<File>,
}

/// A module's folder and the numbers of the partitions in it.
#[derive(Debug)]
struct ModuleDir {
    name: String,
    partitions: Vec<u32>,
}

/// A partition, read.
struct PartitionDir {
    dir: PathBuf,
    manifest: Manifest,
    reader: LogReader,
    recovered: Recovered,
}

impl Folder {
    /// Opens the data folder of a grid. A copy of one, which lacks the lock file, will do.
    ///
    /// # Errors
    /// [`FolderError::NotAGrid`], [`FolderError::InUse`] while a grid runs there,
    /// [`FolderError::Folder`].
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, FolderError> {
        let root = folder.as_ref().to_path_buf();
        let failed = |source| FolderError::Folder { folder: root.clone(), source };
        match std::fs::metadata(&root) {
            Ok(known) if known.is_dir() => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => return Err(FolderError::NotAGrid { folder: root, nearby: None }),
        }
        let lock = lock(&root)?;
        let modules = modules(&root).map_err(failed)?;
        if modules.is_empty() {
            let nearby = nearby(&root);
            return Err(FolderError::NotAGrid { folder: root, nearby });
        }
        let storage: Arc<dyn Storage> = Arc::new(FileStorage::new(&root));
        let mut folder = Self { root, storage, modules, leftovers: Vec::new(), _lock: lock };
        folder.set_leftovers_aside();
        Ok(folder)
    }

    /// A first start that was refused or killed leaves folders without a manifest. Nothing was ever in them.
    fn set_leftovers_aside(&mut self) {
        // What cannot be read is named by who needs it.
        let contents = Contents::read(&*self.storage).ok().flatten();
        for module in &mut self.modules {
            let count = begun(&self.storage, contents.as_ref(), &module.name).unwrap_or(0);
            let left = module.partitions.extract_if(.., |number| {
                let dir = partition_dir(&module.name, *number);
                *number >= count && matches!(read_manifest(&*self.storage, &dir), Ok(None))
            });
            let left = left.map(|number| self.root.join(&module.name).join(number.to_string()));
            self.leftovers.extend(left);
        }
    }

    /// Reads every file and checks it: checksums, order, counts, and that files agree. What is wrong
    /// stands in the answer; one damaged file does not keep the others from being read.
    pub fn verify(&self) -> Verification {
        let targets = self.modules.iter().map(|module| Target {
            module: module.name.clone(),
            partitions: module.partitions.iter().map(|&number| (number, None)).collect(),
        });
        let mut verification = verify_all(&self.storage, targets.collect());
        verification.notes.extend(self.leftovers.iter().map(|folder| {
            let folder = folder.display();
            format!("{folder} was left by a start that did not come to its end: it holds nothing")
        }));
        verification
    }

    /// What the folder holds, without reading the records and entries themselves.
    ///
    /// # Errors
    /// [`FolderError::Damaged`] and [`FolderError::Unread`] at the first file that cannot be read.
    pub fn inspect(&self) -> Result<Inspection, FolderError> {
        inspect::inspect(self)
    }

    /// The records of a depot from offset `from` on, partition after partition; of one partition
    /// where it is given.
    ///
    /// # Errors
    /// [`FolderError::UnknownDepot`], [`FolderError::NoPartition`], [`FolderError::Damaged`],
    /// [`FolderError::Unread`].
    pub fn records(
        &self,
        depot: &str,
        partition: Option<u32>,
        from: u64,
    ) -> Result<Records, FolderError> {
        dump::records(self, depot, partition, from)
    }

    fn partition(&self, module: &str, number: u32) -> Result<PartitionDir, Fault> {
        let dir = partition_dir(module, number);
        let manifest = read_manifest(&*self.storage, &dir)?;
        let manifest = manifest.ok_or_else(|| no_manifest(&*self.storage, &dir))?;
        let opened = LogReader::open_dir(Arc::clone(&self.storage), &dir);
        let (reader, recovered) = opened.map_err(of_log)?;
        if reader.segments().is_empty() {
            return Err(no_log(&*self.storage, &dir).into());
        }
        Ok(PartitionDir { dir, manifest, reader, recovered })
    }
}

fn where_it_is(nearby: Option<&Path>) -> String {
    match nearby {
        Some(folder) => format!(", but {} does: give that folder", folder.display()),
        None => {
            ": expected folders MODULE/PARTITION in it; give the folder that `Grid::builder` was \
                 given"
                .to_owned()
        }
    }
}

/// A grid in a folder of `root`, or one that `root` is a module or a partition of.
fn nearby(root: &Path) -> Option<PathBuf> {
    let mut below: Vec<PathBuf> = folders(root).ok()?.iter().map(|name| root.join(name)).collect();
    below.sort();
    let whole = root.canonicalize().ok()?;
    let above = whole.ancestors().skip(1).take(2).map(Path::to_path_buf);
    let holds = |folder: &PathBuf| {
        folder.join(LOCK_FILE).is_file() && modules(folder).is_ok_and(|found| !found.is_empty())
    };
    below.into_iter().chain(above).find(holds)
}

/// Shares the locks of the folder: several tools may read at once, a grid cannot start. The folder
/// itself is locked too, because the lock file may be missing, or be deleted while a grid runs.
fn lock(root: &Path) -> Result<Vec<File>, FolderError> {
    let failed = |source| FolderError::Folder { folder: root.to_path_buf(), source };
    let mut locked = Vec::new();
    for path in [root.to_path_buf(), root.join(LOCK_FILE)] {
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened.map_err(failed)?,
        };
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {
                return Err(FolderError::InUse { folder: root.to_path_buf() });
            }
            // Some file systems do not lock folders.
            Err(TryLockError::Error(source)) if path != *root => return Err(failed(source)),
            Ok(()) | Err(TryLockError::Error(_)) => locked.push(file),
        }
    }
    Ok(locked)
}

/// Folders that have numbered folders in them, by name.
fn modules(root: &Path) -> io::Result<Vec<ModuleDir>> {
    let mut modules = Vec::new();
    for name in folders(root)? {
        let inside = folders(&root.join(&name))?;
        let number = |name: &String| name.parse().ok().filter(|n: &u32| n.to_string() == *name);
        let mut partitions: Vec<u32> = inside.iter().filter_map(number).collect();
        partitions.sort_unstable();
        if !partitions.is_empty() {
            modules.push(ModuleDir { name, partitions });
        }
    }
    modules.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(modules)
}

fn folders(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        // A partition may lie elsewhere: a start follows links too.
        if std::fs::metadata(entry.path()).is_ok_and(|known| known.is_dir()) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

fn read_manifest(storage: &dyn Storage, dir: &Path) -> Result<Option<Manifest>, Fault> {
    ManifestFile::read(storage, dir).map_err(damage::of_manifest)
}

fn no_manifest(storage: &dyn Storage, dir: &Path) -> Damaged {
    let file = storage.display(&manifest::path(dir)).display().to_string();
    Damaged::new(file, 0, "expected a manifest, got no file; restore the folder from a backup")
}

pub(crate) fn no_log(storage: &dyn Storage, dir: &Path) -> Damaged {
    let file = storage.display(&dir.join("log")).display().to_string();
    Damaged::new(file, 0, "expected segments of a log, got none; restore the folder from a backup")
}
