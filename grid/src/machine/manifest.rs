//! What a partition's folder says of itself: types, topologies, their runs and how far they are.
//!
//! One small file, replaced atomically. A topology's part of it is a snapshot: the runs of its
//! PStates and the one log position that they cover, with what stands in quarantine.
//!
//! It says which grid, log and runs the folder is made of, so that files of another are not taken for
//! them.

mod v1;
mod v2;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use gridmill_model::Schema;
use gridmill_persistence::{LogError, Position, Run, Storage};
use serde::{Deserialize, Serialize};

use super::control::Verdict;
use super::flow::marks::StoredMark;
use crate::identity::{GridId, RunNote};

const FILE: &str = "MANIFEST";

/// The version that is written; older ones are read.
const VERSION: u32 = 3;

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
    /// The last generation of each topology by name, also of those that were removed.
    pub(crate) generations: Vec<(String, u32)>,
    /// What sends to partitions, by the number that stands in stamps; numbers are never given again.
    pub(crate) channels: Vec<ChannelMeta>,
    pub(crate) intake: Intake,
    /// Whether the last start let nobody hear of a record before it was synced, so that the log has all that
    /// others know of it. Only kept where something is sent.
    pub(crate) synced: bool,
}

/// One life of a topology that sends records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChannelMeta {
    pub(crate) topology: String,
    pub(crate) generation: u32,
}

/// What has come of what partitions sent to this one, as of a position of its log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intake {
    /// The marks count what was logged before this position.
    pub(crate) at: Position,
    /// By channel, then by partition.
    pub(crate) marks: Vec<StoredMark>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DepotMeta {
    pub(crate) name: String,
    pub(crate) global: bool,
    /// Its records stay in the log, but nobody reads them.
    pub(crate) removed: bool,
    /// The topology whose stage it belongs to, where it does.
    pub(crate) inbox: Option<String>,
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
    /// A run of what it sent before `next` and was not confirmed; `None` where that is nothing.
    pub(crate) outbox: Option<RunMeta>,
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
    pub(crate) homes: Homes,
    /// Newest first.
    pub(crate) runs: Vec<RunMeta>,
}

/// On which partitions the keys of a PState live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Homes {
    /// Version 1 began the PState: its initial entries lie on every partition, and release builds let
    /// handlers make entries under keys of others, where no reader looks.
    Unknown,
    /// Each on that of its hash.
    Hashed,
    /// Each where code of the user says.
    Chosen,
}

impl Homes {
    pub(crate) fn of(hashed: bool) -> Self {
        if hashed { Self::Hashed } else { Self::Chosen }
    }
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
            generations: Vec::new(),
            channels: Vec::new(),
            intake: Intake::default(),
            synced: false,
        }
    }

    /// The generation of a new topology with this name.
    pub(crate) fn next_generation(&self, name: &str) -> u32 {
        // Not 0: version 1 does not tell which topologies there have been.
        self.last_generation(name).map_or(1, |last| last + 1)
    }

    /// The generation of the last topology with this name, also where it was removed.
    pub(crate) fn last_generation(&self, name: &str) -> Option<u32> {
        let held = self.topology(name).map(|topology| topology.generation);
        let known = self.generations.iter().find(|(known, _)| known == name);
        held.max(known.map(|&(_, last)| last))
    }

    /// There was a topology of this name and generation.
    pub(crate) fn note_generation(&mut self, name: &str, generation: u32) {
        match self.generations.iter_mut().find(|(known, _)| known == name) {
            Some((_, last)) => *last = generation.max(*last),
            None => self.generations.push((name.to_owned(), generation)),
        }
    }

    /// How many records the log has had at least.
    pub(crate) fn known_end(&self) -> u64 {
        let next = self.topologies.iter().map(|topology| topology.next.number());
        let known = self.end.number().max(self.intake.at.number());
        next.fold(known, u64::max)
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
        let outboxes = self.topologies.iter().filter_map(|topology| topology.outbox.as_ref());
        let runs = pstates.flat_map(|pstate| &pstate.runs).chain(outboxes);
        runs.map(|run| run.file.as_str())
    }

    /// The number of a topology's channel, in the life that it has here.
    pub(crate) fn channel(&self, topology: &TopologyMeta) -> Option<u16> {
        let known = |channel: &ChannelMeta| {
            channel.topology == topology.name && channel.generation == topology.generation
        };
        self.channels.iter().position(known).and_then(|index| u16::try_from(index).ok())
    }
}

impl TopologyMeta {
    pub(crate) fn pstate(&self, name: &str) -> Option<&PStateMeta> {
        self.pstates.iter().find(|pstate| pstate.name == name)
    }

    pub(crate) fn pstate_mut(&mut self, name: &str) -> Option<&mut PStateMeta> {
        self.pstates.iter_mut().find(|pstate| pstate.name == name)
    }
}

impl RunMeta {
    pub(crate) fn of(file: &str, run: &Run) -> Self {
        Self { file: file.to_owned(), seal: Some(run.seal()) }
    }

    /// What was expected and what is there, where the file is not the run that was written there for `owner`.
    pub(crate) fn mismatch(&self, run: &Run, owner: impl Display) -> Option<(String, String)> {
        let (expected, got) = (self.seal?, run.seal());
        if expected == got {
            return None;
        }
        let whose = RunNote::of(run).map_or_else(
            || "a run that does not say whose it is".to_owned(),
            |note| note.to_string(),
        );
        let expected = format!("run {expected:#018x} of {owner}");
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
    /// The grid that runs.
    owner: GridId,
    /// The log is durable up to here at least.
    durable: Position,
    /// Its owner is gone; nothing may be written any more.
    revoked: bool,
    stage: Stage,
}

/// How far the start is that a manifest belongs to.
#[derive(Debug)]
enum Stage {
    /// The folder has what it had before the start.
    Held(Option<Manifest>),
    /// The folder has this manifest, and had that one before the start; with its file's version and
    /// payload, where it was written over.
    Entered {
        stored: Option<Manifest>,
        bytes: Option<(u32, Vec<u8>)>,
    },
    Settled,
}

impl ManifestFile {
    /// What the folder is to say in the place of `stored` once the start goes through.
    pub(crate) fn held(
        storage: Arc<dyn Storage>,
        dir: PathBuf,
        stored: Option<Manifest>,
        manifest: Manifest,
        owner: GridId,
    ) -> Self {
        static OPENINGS: AtomicU16 = AtomicU16::new(0);
        let opening = OPENINGS.fetch_add(1, Ordering::Relaxed);
        let (durable, stage) = (manifest.end, Stage::Held(stored));
        Self { storage, dir, manifest, opening, owner, durable, revoked: false, stage }
    }

    /// Writes what was held back.
    pub(crate) fn enter(&mut self) -> Result<(), ManifestFault> {
        let Stage::Held(stored) = &self.stage else { return Ok(()) };
        let differs = stored.as_ref() != Some(&self.manifest);
        let bytes = if differs { read(&*self.storage, &self.dir)? } else { None };
        let Stage::Held(stored) = &mut self.stage else { return Ok(()) };
        let stored = stored.take();
        // Also a write that fails may be there afterwards.
        self.stage = Stage::Entered { stored, bytes };
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

    /// Whether version 1 wrote what the folder had before this start, which is not settled yet.
    pub(crate) fn was_unowned(&self) -> bool {
        match &self.stage {
            Stage::Held(stored) | Stage::Entered { stored, .. } => {
                stored.as_ref().is_some_and(|stored| stored.grid.is_none())
            }
            Stage::Settled => false,
        }
    }

    /// The manifest in `dir`, if there is one.
    pub(crate) fn read(
        storage: &dyn Storage,
        dir: &Path,
    ) -> Result<Option<Manifest>, ManifestFault> {
        let Some((version, bytes)) = read(storage, dir)? else { return Ok(None) };
        let decoded = match version {
            1 => v1::decode(&bytes),
            2 => v2::decode(&bytes),
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

    /// Changes the manifest, durably (but for one that is held back), or not at all.
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
            if !matches!(self.stage, Stage::Held(_)) {
                self.write(&next)?;
            }
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

    fn write(&self, manifest: &Manifest) -> Result<(), ManifestFault> {
        let bytes = postcard::to_stdvec(manifest).map_err(|error| ManifestFault::Decode {
            file: FILE.to_owned(),
            message: error.to_string(),
        })?;
        self.put(VERSION, &bytes)
    }

    fn put(&self, version: u32, bytes: &[u8]) -> Result<(), ManifestFault> {
        if self.revoked {
            return Err(ManifestFault::Revoked);
        }
        let (storage, dir) = (&*self.storage, &self.dir);
        gridmill_persistence::manifest::write_versioned(storage, dir, FILE, version, bytes)?;
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
        let (stored, bytes, entered) = match std::mem::replace(&mut self.stage, Stage::Settled) {
            Stage::Settled => return,
            Stage::Held(stored) => (stored, None, false),
            Stage::Entered { stored, bytes } => (stored, bytes, true),
        };
        let taken_back = match (&stored, &bytes) {
            // As it was, to the byte: an older release may have to read it.
            (Some(_), Some((version, bytes))) => self.put(*version, bytes),
            (Some(stored), None) if entered && *stored != self.manifest => self.write(stored),
            (None, _) if entered => {
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

/// The version and the payload of the file in `dir`, if there is one.
fn read(storage: &dyn Storage, dir: &Path) -> Result<Option<(u32, Vec<u8>)>, LogError> {
    gridmill_persistence::manifest::read_versioned(storage, dir, FILE, VERSION)
}

/// Where the manifest of a partition lies.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// Where the runs of a partition lie.
pub(crate) fn runs_dir(dir: &Path) -> PathBuf {
    dir.join("runs")
}
