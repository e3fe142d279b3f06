//! What a partition's folder says of itself: types, topologies, their runs and how far they are.
//!
//! One small file, replaced atomically. A topology's part of it is a snapshot: the runs of its
//! PStates and the one log position that they cover, with what stands in quarantine.
//!
//! It says which grid, log and runs the folder is made of, so that files of another are not taken for
//! them.

mod v1;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gridmill_model::Schema;
use gridmill_persistence::{LogError, Position, Run, Storage};
use serde::{Deserialize, Serialize};

use super::batch::Verdict;
use crate::identity::{GridId, RunNote};

const FILE: &str = "MANIFEST";

/// The version that is written; older ones are read.
const VERSION: u32 = 2;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The grid that the folder belongs to; `None` where version 1 wrote it and no grid has adopted it.
    pub(crate) grid: Option<GridId>,
    /// The number that every segment of the log carries; `None` as with `grid`.
    pub(crate) log: Option<u64>,
    /// The log has been durable up to here at least.
    pub(crate) end: Position,
    pub(crate) module: String,
    /// The version of the code that processed the log last.
    pub(crate) version: u32,
    pub(crate) partition: u32,
    pub(crate) partitions: u32,
    pub(crate) next_type: u32,
    pub(crate) next_run: u64,
    /// By depot number, which stands in every record's header.
    pub(crate) depots: Vec<DepotMeta>,
    pub(crate) topologies: Vec<TopologyMeta>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DepotMeta {
    pub(crate) name: String,
    pub(crate) global: bool,
    /// Its records stay in the log, but nobody reads them.
    pub(crate) removed: bool,
    pub(crate) variants: Vec<VariantMeta>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct VariantMeta {
    pub(crate) type_id: u32,
    pub(crate) name: String,
    pub(crate) schema: Schema,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TopologyMeta {
    pub(crate) name: String,
    /// Whether it takes part in the live flow.
    pub(crate) live: bool,
    /// The runs hold everything before this position.
    pub(crate) next: Position,
    pub(crate) sources: Vec<SourceMeta>,
    pub(crate) quarantine: Vec<Verdict>,
    pub(crate) pstates: Vec<PStateMeta>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SourceMeta {
    pub(crate) depot: String,
    /// The depot offset at which the topology started.
    pub(crate) start: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PStateMeta {
    pub(crate) name: String,
    pub(crate) schema: Schema,
    pub(crate) len: u64,
    /// Whether a key lives on the partition of its hash.
    pub(crate) hashed: bool,
    /// Newest first.
    pub(crate) runs: Vec<RunMeta>,
}

/// A run of a PState.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunMeta {
    /// The file's name.
    pub(crate) file: String,
    /// [`Run::seal`](gridmill_persistence::Run::seal) of the file that belongs there; `None` where
    /// version 1 named it and no grid has adopted it.
    pub(crate) seal: Option<u64>,
}

impl Manifest {
    pub(crate) fn new(module: &str, version: u32, partition: u32, partitions: u32) -> Self {
        Self {
            grid: None,
            log: None,
            end: Position::START,
            module: module.to_owned(),
            version,
            partition,
            partitions,
            next_type: 1,
            next_run: 1,
            depots: Vec::new(),
            topologies: Vec::new(),
        }
    }

    /// How many records the log has had at least.
    pub(crate) fn known_end(&self) -> u64 {
        let next = self.topologies.iter().map(|topology| topology.next.number());
        next.fold(self.end.number(), u64::max)
    }

    pub(crate) fn topology(&self, name: &str) -> Option<&TopologyMeta> {
        self.topologies.iter().find(|topology| topology.name == name)
    }

    pub(crate) fn topology_mut(&mut self, name: &str) -> Option<&mut TopologyMeta> {
        self.topologies.iter_mut().find(|topology| topology.name == name)
    }

    /// Every run that the manifest names.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &str> {
        let pstates = self.topologies.iter().flat_map(|topology| &topology.pstates);
        pstates.flat_map(|pstate| pstate.runs.iter().map(|run| run.file.as_str()))
    }
}

impl RunMeta {
    pub(crate) fn of(file: &str, run: &Run) -> Self {
        Self { file: file.to_owned(), seal: Some(run.seal()) }
    }

    /// What was expected and what is there, where the file is not the run that was written there.
    pub(crate) fn mismatch(&self, run: &Run, pstate: &str) -> Option<(String, String)> {
        let (expected, got) = (self.seal?, run.seal());
        if expected == got {
            return None;
        }
        let whose = RunNote::of(run).map_or_else(
            || "a run that does not say whose it is".to_owned(),
            |note| note.to_string(),
        );
        let expected = format!("run {expected:#018x} of PState `{pstate}`");
        Some((expected, format!("{got:#018x}, {whose}")))
    }
}

/// Why a manifest cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestFault {
    #[error(transparent)]
    File(#[from] LogError),
    #[error("{file} cannot be decoded: {message}; it was written by another version of Gridmill")]
    Decode { file: String, message: String },
    #[error("the partition has stopped")]
    Revoked,
}

/// The manifest in its folder. Kept behind one lock: it has one writer at a time.
#[derive(Debug)]
pub(crate) struct ManifestFile {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    manifest: Manifest,
    /// The log's epoch, which every unclean stop raises.
    epoch: u16,
    /// The grid that runs.
    owner: GridId,
    /// The log is durable up to here at least.
    durable: Position,
    /// Its owner is gone; nothing may be written any more.
    revoked: bool,
}

impl ManifestFile {
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        dir: PathBuf,
        manifest: Manifest,
        epoch: u16,
        owner: GridId,
    ) -> Self {
        let durable = manifest.end;
        Self { storage, dir, manifest, epoch, owner, durable, revoked: false }
    }

    /// The manifest in `dir`, if there is one.
    pub(crate) fn read(
        storage: &dyn Storage,
        dir: &Path,
    ) -> Result<Option<Manifest>, ManifestFault> {
        let stored = gridmill_persistence::manifest::read_versioned(storage, dir, FILE, VERSION)?;
        let Some((version, bytes)) = stored else { return Ok(None) };
        let decoded = match version {
            1 => v1::decode(&bytes),
            _ => postcard::from_bytes(&bytes),
        };
        decoded.map(Some).map_err(|error| ManifestFault::Decode {
            file: storage.display(&path(dir)).display().to_string(),
            message: error.to_string(),
        })
    }

    pub(crate) fn get(&self) -> &Manifest {
        &self.manifest
    }

    /// Changes the manifest, durably, or not at all.
    pub(crate) fn update(
        &mut self,
        change: impl FnOnce(&mut Manifest),
    ) -> Result<(), ManifestFault> {
        let mut next = self.manifest.clone();
        change(&mut next);
        if next != self.manifest {
            next.end = next.end.max(self.durable);
        }
        if next != self.manifest {
            self.write(&next)?;
            self.manifest = next;
        }
        Ok(())
    }

    /// The log is durable up to `end`: noted with the next change.
    pub(crate) fn durable_to(&mut self, end: Position) {
        self.durable = self.durable.max(end);
    }

    /// Notes, durably, where a log ends that is about to be closed.
    pub(crate) fn note_end(&mut self, end: Position) -> Result<(), ManifestFault> {
        self.durable_to(end);
        self.update(|manifest| manifest.end = end)
    }

    /// What a new run of a PState says of itself.
    pub(crate) fn run_note(&self, pstate: &str, file: &str) -> RunNote {
        RunNote {
            grid: self.owner,
            module: self.manifest.module.clone(),
            partition: self.manifest.partition,
            pstate: pstate.to_owned(),
            file: file.to_owned(),
        }
    }

    /// Refuses all later changes.
    pub(crate) fn revoke(&mut self) {
        self.revoked = true;
    }

    /// Writes a manifest.
    pub(crate) fn write(&self, manifest: &Manifest) -> Result<(), ManifestFault> {
        if self.revoked {
            return Err(ManifestFault::Revoked);
        }
        let bytes = postcard::to_stdvec(manifest).map_err(|error| ManifestFault::Decode {
            file: FILE.to_owned(),
            message: error.to_string(),
        })?;
        let (storage, dir) = (&*self.storage, &self.dir);
        gridmill_persistence::manifest::write_versioned(storage, dir, FILE, VERSION, &bytes)?;
        Ok(())
    }

    /// A path for a new run. The number is used up even if nothing comes of it, until the next start.
    /// The epoch in the name keeps apart what a thread of an actor that died may still be writing.
    pub(crate) fn next_run(&mut self) -> (String, PathBuf) {
        let name = format!("{:04x}-{:08}.run", self.epoch, self.manifest.next_run);
        self.manifest.next_run += 1;
        let path = runs_dir(&self.dir).join(&name);
        (name, path)
    }
}

/// Where the manifest of a partition lies.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// Where the runs of a partition lie.
pub(crate) fn runs_dir(dir: &Path) -> PathBuf {
    dir.join("runs")
}
