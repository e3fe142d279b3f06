//! What a partition's folder says of itself: types, topologies, their runs and how far they are.
//!
//! One small file, replaced atomically. A topology's part of it is a snapshot: the runs of its
//! PStates and the one log position that they cover, with what stands in quarantine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use gridmill_model::Schema;
use gridmill_persistence::{LogError, Position, Storage};
use serde::{Deserialize, Serialize};

use super::batch::Verdict;

const FILE: &str = "MANIFEST";

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
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
    /// The last generation of each topology by name, also of those that were removed.
    pub(crate) generations: Vec<(String, u32)>,
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
    /// Which of the topologies of this name it is: one that was removed and added again is another, and
    /// what was decided for the first is nothing to it. Those of version 1 are of generation 0.
    pub(crate) generation: u32,
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
    /// File names, newest first.
    pub(crate) runs: Vec<String>,
}

impl Manifest {
    pub(crate) fn new(module: &str, version: u32, partition: u32, partitions: u32) -> Self {
        Self {
            module: module.to_owned(),
            version,
            partition,
            partitions,
            next_type: 1,
            next_run: 1,
            depots: Vec::new(),
            topologies: Vec::new(),
            generations: Vec::new(),
        }
    }

    /// The generation of a new topology with this name.
    pub(crate) fn next_generation(&mut self, name: &str) -> u32 {
        if let Some((_, last)) = self.generations.iter_mut().find(|(known, _)| known == name) {
            *last += 1;
            return *last;
        }
        // Not 0: version 1 does not tell which topologies there have been.
        self.generations.push((name.to_owned(), 1));
        1
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
        pstates.flat_map(|pstate| pstate.runs.iter().map(String::as_str))
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
///
/// A start holds it back until all partitions are through: what is dropped before it is settled
/// takes back what it did to the folder.
#[derive(Debug)]
pub(crate) struct ManifestFile {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    manifest: Manifest,
    /// Tells it from those that were opened before in this process.
    opening: u16,
    /// Its owner is gone; nothing may be written any more.
    revoked: bool,
    stage: Stage,
}

/// How far the start is that a manifest belongs to.
#[derive(Debug)]
enum Stage {
    /// The folder has what it had before the start.
    Held(Option<Manifest>),
    /// The folder has this manifest, and had that one before the start.
    Entered(Option<Manifest>),
    Settled,
}

impl ManifestFile {
    /// What the folder is to say in the place of `stored` once the start goes through.
    pub(crate) fn held(
        storage: Arc<dyn Storage>,
        dir: PathBuf,
        stored: Option<Manifest>,
        manifest: Manifest,
    ) -> Self {
        static OPENINGS: AtomicU16 = AtomicU16::new(0);
        let opening = OPENINGS.fetch_add(1, Ordering::Relaxed);
        let stage = Stage::Held(stored);
        Self { storage, dir, manifest, opening, revoked: false, stage }
    }

    /// Writes what was held back.
    pub(crate) fn enter(&mut self) -> Result<(), ManifestFault> {
        let Stage::Held(stored) = &mut self.stage else { return Ok(()) };
        let stored = stored.take();
        let differs = stored.as_ref() != Some(&self.manifest);
        // Also a write that fails may be there afterwards.
        self.stage = Stage::Entered(stored);
        if differs { self.write(&self.manifest) } else { Ok(()) }
    }

    /// The start went through: nothing is taken back any more.
    pub(crate) fn settle(&mut self) {
        self.stage = Stage::Settled;
    }

    /// Whether the folder may still go back to what it had before.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Settled)
    }

    /// The manifest in `dir`, if there is one.
    pub(crate) fn read(
        storage: &dyn Storage,
        dir: &Path,
    ) -> Result<Option<Manifest>, ManifestFault> {
        let Some(bytes) = gridmill_persistence::manifest::read_checked(storage, dir, FILE)? else {
            return Ok(None);
        };
        let decoded = postcard::from_bytes(&bytes);
        decoded.map(Some).map_err(|error| ManifestFault::Decode {
            file: storage.display(&path(dir)).display().to_string(),
            message: error.to_string(),
        })
    }

    pub(crate) fn get(&self) -> &Manifest {
        &self.manifest
    }

    /// Changes the manifest, durably (but for one that is held back), or not at all.
    pub(crate) fn update(
        &mut self,
        change: impl FnOnce(&mut Manifest),
    ) -> Result<(), ManifestFault> {
        let mut next = self.manifest.clone();
        change(&mut next);
        if next != self.manifest {
            if !matches!(self.stage, Stage::Held(_)) {
                self.write(&next)?;
            }
            self.manifest = next;
        }
        Ok(())
    }

    /// Refuses all later changes.
    pub(crate) fn revoke(&mut self) {
        self.revoked = true;
    }

    fn write(&self, manifest: &Manifest) -> Result<(), ManifestFault> {
        if self.revoked {
            return Err(ManifestFault::Revoked);
        }
        let bytes = postcard::to_stdvec(manifest).map_err(|error| ManifestFault::Decode {
            file: FILE.to_owned(),
            message: error.to_string(),
        })?;
        gridmill_persistence::manifest::write_atomic(&*self.storage, &self.dir, FILE, &bytes)?;
        Ok(())
    }

    /// A path for a new run. The number is used up even if nothing comes of it, until the next start.
    /// The number of the opening in the name keeps apart what a thread of an actor that died may still be
    /// writing; what a process that died was writing is removed by the next start.
    pub(crate) fn next_run(&mut self) -> (String, PathBuf) {
        let name = format!("{:04x}-{:08}.run", self.opening, self.manifest.next_run);
        self.manifest.next_run += 1;
        let path = runs_dir(&self.dir).join(&name);
        (name, path)
    }
}

impl Drop for ManifestFile {
    /// Takes back a start that did not go through. Where that fails, the folder fits the code of this
    /// start, and the next one removes the runs.
    fn drop(&mut self) {
        let (stored, entered) = match std::mem::replace(&mut self.stage, Stage::Settled) {
            Stage::Settled => return,
            Stage::Held(stored) => (stored, false),
            Stage::Entered(stored) => (stored, true),
        };
        let taken_back = match &stored {
            Some(stored) if entered && *stored != self.manifest => self.write(stored),
            None if entered => {
                // Where it had none, its log is new as well: nothing is lost with it.
                let _ = self.storage.remove(&path(&self.dir));
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(error) = taken_back {
            tracing::warn!(folder = %self.dir.display(), %error, "a refused start is not taken back");
            return;
        }
        let known =
            |run: &&str| stored.iter().any(|stored| stored.runs().any(|known| known == *run));
        for run in self.manifest.runs().filter(|run| !known(run)) {
            let _ = self.storage.remove(&runs_dir(&self.dir).join(run));
        }
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
