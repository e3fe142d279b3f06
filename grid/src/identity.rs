//! Whose files are whose: the grid's id, and what its data folder holds.
//!
//! A grid draws an id at its first start. The file `GRID` at the root of the data folder has it, with
//! the modules that were started to the end; every partition's manifest has it too, and names its log
//! and its runs. So a file of another grid or partition is not taken for one's own, and what is gone
//! is missed by another file.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;

use gridmill_persistence::{LogError, LogReader, Storage, manifest};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::error::StartError;
use crate::machine::manifest::{Manifest, ManifestFault, ManifestFile};
use crate::machine::open::partition_dir;

/// The file at the root of a data folder.
pub(crate) const FILE: &str = "GRID";

/// Which grid a file belongs to: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct GridId([u8; 16]);

impl GridId {
    pub(crate) fn random() -> Self {
        let random = RandomState::new();
        let halves = [random.hash_one(0), random.hash_one(1)].map(u128::from);
        Self((halves[0] << 64 | halves[1]).to_be_bytes())
    }
}

impl fmt::Display for GridId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for GridId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who wrote a run, as a note in the file. For people: that a run is the right one is told by its seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunNote {
    pub(crate) grid: GridId,
    pub(crate) module: String,
    pub(crate) partition: u32,
    pub(crate) pstate: String,
    /// The name that the file was written under.
    pub(crate) file: String,
}

impl RunNote {
    /// The note of a run; `None` where version 1 wrote it, or something else.
    pub(crate) fn of(run: &gridmill_persistence::Run) -> Option<Self> {
        postcard::from_bytes(run.user()).ok()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        // Strings and numbers: postcard always encodes them.
        postcard::to_stdvec(self).unwrap_or_default()
    }
}

impl fmt::Display for RunNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { grid, module, partition, pstate, file } = self;
        write!(
            f,
            "{file} of PState `{pstate}`, partition {partition} of module `{module}` of grid {grid}"
        )
    }
}

/// What `GRID` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contents {
    pub(crate) id: GridId,
    /// Modules that were started to the end.
    pub(crate) modules: Vec<HeldModule>,
}

/// A module that was started to the end, so that all its partitions have to be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldModule {
    pub(crate) name: String,
    /// By partition: how many records its log has had at least.
    pub(crate) ends: Vec<u64>,
}

impl Contents {
    /// What the file says; `None` where there is none.
    pub(crate) fn read(storage: &dyn Storage) -> Result<Option<Self>, ManifestFault> {
        let Some(bytes) = manifest::read_checked(storage, Path::new(""), FILE)? else {
            return Ok(None);
        };
        let decoded = postcard::from_bytes(&bytes);
        decoded.map(Some).map_err(|error| ManifestFault::Decode {
            file: storage.display(Path::new(FILE)).display().to_string(),
            message: error.to_string(),
        })
    }
}

/// The data folder of a grid that starts or runs. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    id: GridId,
    state: Arc<Mutex<RootState>>,
}

#[derive(Debug)]
struct RootState {
    contents: Contents,
    /// What stands in the file.
    written: Option<Contents>,
}

impl Root {
    /// Reads what the folder holds. A folder without the file is new, was left by a first start that
    /// did not end, was written by version 1, or has lost it: then the manifests know the id. Changes
    /// nothing.
    ///
    /// # Errors
    /// [`StartError`]: the file cannot be read, or manifests of several grids lie in the folder.
    pub(crate) fn open(storage: &Arc<dyn Storage>) -> Result<Self, StartError> {
        let written = Contents::read(&**storage);
        let written = written.map_err(|fault| unreadable(&**storage, fault))?;
        let contents = match &written {
            Some(contents) => contents.clone(),
            None => adopt(storage)?,
        };
        let state = Arc::new(Mutex::new(RootState { contents, written }));
        let id = state.lock().contents.id;
        Ok(Self { id, state })
    }

    pub(crate) fn id(&self) -> GridId {
        self.id
    }

    /// Whether all partitions of the module have been there.
    pub(crate) fn holds(&self, module: &str) -> bool {
        self.state.lock().contents.modules.iter().any(|held| held.name == module)
    }

    /// How many records the log of a partition has had at least.
    pub(crate) fn known_end(&self, module: &str, partition: u32) -> u64 {
        let state = self.state.lock();
        let held = state.contents.modules.iter().find(|held| held.name == module);
        held.and_then(|held| held.ends.get(partition as usize).copied()).unwrap_or(0)
    }

    /// The log of a partition is durable up to its record number `end`: noted when next saved.
    pub(crate) fn note_end(&self, module: &str, partition: u32, end: u64) {
        let mut state = self.state.lock();
        let held = state.contents.modules.iter_mut().find(|held| held.name == module);
        if let Some(known) = held.and_then(|held| held.ends.get_mut(partition as usize)) {
            *known = end.max(*known);
        }
    }

    /// From now on all partitions of these modules have to be there. Brings the file up to date.
    ///
    /// # Errors
    /// [`LogError`]: the file is as it was.
    pub(crate) fn enter(
        &self,
        storage: &dyn Storage,
        modules: &[(&'static str, u32)],
    ) -> Result<(), LogError> {
        for &(module, partitions) in modules {
            self.hold(module, partitions);
        }
        self.save(storage).inspect_err(|_| self.take_back(storage))
    }

    /// None of the module's partitions has a record yet, or it is not known how many.
    fn hold(&self, module: &str, partitions: u32) {
        if !self.holds(module) {
            let ends = vec![0; partitions as usize];
            let held = HeldModule { name: module.to_owned(), ends };
            self.state.lock().contents.modules.push(held);
        }
    }

    /// A write that failed may be there afterwards: puts back what stood in the file.
    fn take_back(&self, storage: &dyn Storage) {
        let written = self.state.lock().written.clone();
        let taken_back = match &written {
            Some(contents) => write(storage, contents).map_err(|error| error.to_string()),
            None => match storage.remove(Path::new(FILE)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
                _ => Ok(()),
            },
        };
        if let Err(error) = taken_back {
            tracing::warn!(file = FILE, %error, "a refused start is not taken back");
        }
        if let Some(contents) = written {
            self.state.lock().contents = contents;
        }
    }

    /// Brings the file up to date.
    ///
    /// # Errors
    /// [`LogError`]: the file is as it was.
    pub(crate) fn save(&self, storage: &dyn Storage) -> Result<(), LogError> {
        let contents = {
            let state = self.state.lock();
            if state.written.as_ref() == Some(&state.contents) {
                return Ok(());
            }
            state.contents.clone()
        };
        write(storage, &contents)?;
        self.state.lock().written = Some(contents);
        Ok(())
    }
}

fn write(storage: &dyn Storage, contents: &Contents) -> Result<(), LogError> {
    // Strings and numbers: postcard always encodes them.
    let bytes = postcard::to_stdvec(contents).unwrap_or_default();
    manifest::write_atomic(storage, Path::new(""), FILE, &bytes)
}

/// What a folder without the file holds, as its manifests have it.
fn adopt(storage: &Arc<dyn Storage>) -> Result<Contents, StartError> {
    let mut id = None;
    let mut modules = Vec::new();
    for name in list(&**storage, Path::new("")) {
        let manifests = manifests(&**storage, &name)?;
        for (partition, manifest) in &manifests {
            let Some(got) = manifest.grid else { continue };
            let expected = *id.get_or_insert(got);
            if got != expected {
                return Err(foreign_manifest(&**storage, &name, *partition, expected, got));
            }
        }
        let Some((_, first)) = manifests.first() else { continue };
        if is_begun(storage, &name, first.partitions, &manifests) {
            modules.push(HeldModule { name, ends: vec![0; first.partitions as usize] });
        }
    }
    Ok(Contents { id: id.unwrap_or_else(GridId::random), modules })
}

fn list(storage: &dyn Storage, dir: &Path) -> Vec<String> {
    let mut names = storage.list(dir).unwrap_or_default();
    names.sort_unstable();
    names
}

/// The manifests in the folder of a module, with the numbers of their partitions' folders.
fn manifests(storage: &dyn Storage, module: &str) -> Result<Vec<(u32, Manifest)>, StartError> {
    let mut found = Vec::new();
    for name in list(storage, Path::new(module)) {
        let number = name.parse().ok().filter(|number: &u32| number.to_string() == name);
        let Some(partition) = number else { continue };
        let manifest = ManifestFile::read(storage, &partition_dir(module, partition));
        let manifest =
            manifest.map_err(|fault| StartError::of_manifest(module, partition, fault))?;
        found.extend(manifest.map(|manifest| (partition, manifest)));
    }
    found.sort_unstable_by_key(|(partition, _)| *partition);
    Ok(found)
}

/// How many partitions a module has in a folder whose `GRID` holds `contents`; `None` where no start of it
/// came to its end: what lies there was left by one that did not. What cannot be read was begun.
pub(crate) fn begun(
    storage: &Arc<dyn Storage>,
    contents: Option<&Contents>,
    module: &str,
) -> Option<u32> {
    let held = contents.into_iter().flat_map(|contents| &contents.modules);
    if let Some(held) = held.into_iter().find(|held| held.name == module) {
        return Some(held.ends.len() as u32);
    }
    let Ok(manifests) = manifests(&**storage, module) else { return Some(u32::MAX) };
    let count = manifests.first().map(|(_, first)| first.partitions);
    count.filter(|&count| is_begun(storage, module, count, &manifests))
}

/// A start enters all manifests before any partition gets a record.
fn is_begun(
    storage: &Arc<dyn Storage>,
    module: &str,
    count: u32,
    manifests: &[(u32, Manifest)],
) -> bool {
    let whole = manifests.len() as u64 >= u64::from(count);
    whole || manifests.iter().any(|(partition, _)| has_records(storage, module, *partition))
}

/// Whether a partition's log has anything in it. No partition gets a record before all have been
/// made, so that what lacks one beside it has lost it. A log that cannot be read is not empty.
fn has_records(storage: &Arc<dyn Storage>, module: &str, partition: u32) -> bool {
    let dir = partition_dir(module, partition);
    let opened = LogReader::open_dir(Arc::clone(storage), &dir);
    opened.map_or(true, |(_, recovered)| recovered.end.number() > 0)
}

/// A manifest of another grid.
pub(crate) fn foreign_manifest(
    storage: &dyn Storage,
    module: &str,
    partition: u32,
    expected: GridId,
    got: GridId,
) -> StartError {
    let file = crate::machine::manifest::path(&partition_dir(module, partition));
    StartError::Foreign {
        module: module.to_owned(),
        partition,
        file: storage.display(&file),
        expected: format!("the manifest of grid {expected}"),
        got: format!("that of grid {got}"),
    }
}

fn unreadable(storage: &dyn Storage, fault: ManifestFault) -> StartError {
    let folder = storage.display(Path::new(""));
    StartError::Folder { folder, source: std::io::Error::other(fault.to_string()) }
}
