//! What a folder holds: modules, depots, topologies, PStates, files and their sizes.

use std::fmt::Display;
use std::path::PathBuf;

use gridmill_model::Schema;
use gridmill_persistence::{HowStopped, Position, Run};
use serde::{Serialize, Serializer};

use super::{Fault, Folder, FolderError, ModuleDir, PartitionDir, of_log, of_run};
use crate::machine::manifest::{DepotMeta, Manifest, PStateMeta, RunMeta, TopologyMeta, runs_dir};
use crate::quarantine::Quarantined;

/// A whole folder.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The folder.
    pub folder: PathBuf,
    /// Its modules, by name.
    pub modules: Vec<ModuleInfo>,
}

/// One module.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ModuleInfo {
    /// Its name.
    pub name: String,
    /// The version of the code that ran last.
    pub version: u32,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionInfo>,
}

/// One partition of a module.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PartitionInfo {
    /// Its number.
    pub partition: u32,
    /// How it was stopped: `clean`, `unclean` or `torn`.
    pub stopped: &'static str,
    /// The position of its next record.
    #[serde(serialize_with = "as_text")]
    pub end: Position,
    /// Its depots.
    pub depots: Vec<DepotInfo>,
    /// Its topologies.
    pub topologies: Vec<TopologyInfo>,
    /// Its log's segments, oldest first.
    pub segments: Vec<SegmentFile>,
}

/// One depot on one partition.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DepotInfo {
    /// Its name.
    pub name: String,
    /// Whether it has one partition only.
    pub global: bool,
    /// The topology whose stage it belongs to, where it does: the records are those that were sent there.
    pub stage_of: Option<String>,
    /// Whether it was removed; its records are still in the log.
    pub removed: bool,
    /// The offset of its first record.
    pub start: u64,
    /// The offset of its next record.
    pub end: u64,
    /// Name and fields of each form of its events.
    pub variants: Vec<(String, String)>,
}

/// One topology on one partition.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TopologyInfo {
    /// Its name.
    pub name: String,
    /// Whether it takes part in the live flow; otherwise it reads the past.
    pub live: bool,
    /// Its runs have everything before this position.
    #[serde(serialize_with = "as_text")]
    pub next: Position,
    /// Records that the next start reads to bring it to the log's end.
    pub lag: u64,
    /// The depots that it reads.
    pub sources: Vec<String>,
    /// Records that it has set aside, as of its last flush.
    pub quarantine: Vec<Quarantined>,
    /// The PStates that it owns.
    pub pstates: Vec<PStateInfo>,
}

/// One PState on one partition, as of its topology's last flush.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PStateInfo {
    /// Its name.
    pub name: String,
    /// Its shape.
    #[serde(serialize_with = "as_text")]
    pub schema: Schema,
    /// Entries of its root.
    pub entries: u64,
    /// Its runs, newest first.
    pub runs: Vec<RunFile>,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RunFile {
    /// The file's name in the partition's folder of runs.
    pub file: String,
    /// Entries in it, deletions included.
    pub entries: u64,
    /// Deletions in it.
    pub deletions: u64,
    /// The file's size.
    pub bytes: u64,
}

/// One segment of a log.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SegmentFile {
    /// The file's name in the partition's folder of segments.
    pub file: String,
    /// The position of its first record.
    #[serde(serialize_with = "as_text")]
    pub first: Position,
    /// Bytes of records in it.
    pub used: u64,
    /// The file's size.
    pub bytes: u64,
    /// Whether the log goes on in a later segment.
    pub sealed: bool,
}

/// A value as it is shown, not as it is kept.
pub(crate) fn as_text<T: Display, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

pub(super) fn inspect(folder: &Folder) -> Result<Inspection, FolderError> {
    let mut modules = Vec::new();
    for module in &folder.modules {
        modules.push(inspect_module(folder, module)?);
    }
    Ok(Inspection { folder: folder.root.clone(), modules })
}

fn inspect_module(folder: &Folder, module: &ModuleDir) -> Result<ModuleInfo, Fault> {
    let mut info = ModuleInfo { name: module.name.clone(), version: 0, partitions: Vec::new() };
    for &number in &module.partitions {
        let partition = folder.partition(&module.name, number)?;
        info.version = info.version.max(partition.manifest.version);
        info.partitions.push(inspect_partition(folder, number, &partition)?);
    }
    Ok(info)
}

fn inspect_partition(
    folder: &Folder,
    number: u32,
    partition: &PartitionDir,
) -> Result<PartitionInfo, Fault> {
    let PartitionDir { manifest, reader, recovered, .. } = partition;
    let depots = (0u16..).zip(&manifest.depots);
    let depots = depots.map(|(number, depot)| inspect_depot(partition, number, depot));
    let topologies = manifest.topologies.iter();
    let topologies = topologies.map(|topology| inspect_topology(folder, partition, topology));
    let segments = reader.segments().into_iter().map(|segment| SegmentFile {
        file: file_name(&segment.file),
        first: segment.first,
        used: segment.used,
        bytes: segment.capacity,
        sealed: segment.sealed,
    });
    Ok(PartitionInfo {
        partition: number,
        stopped: match recovered.how {
            HowStopped::New | HowStopped::Clean => "clean",
            HowStopped::Unclean => "unclean",
            HowStopped::TornTail { .. } => "torn",
        },
        end: recovered.end,
        depots: depots.collect::<Result<_, _>>()?,
        topologies: topologies.collect::<Result<_, _>>()?,
        segments: segments.collect(),
    })
}

fn inspect_depot(
    partition: &PartitionDir,
    number: u16,
    depot: &DepotMeta,
) -> Result<DepotInfo, Fault> {
    let (start, end) = partition.reader.depot_bounds(number).map_err(of_log)?;
    let variants = depot.variants.iter();
    let variants = variants.map(|variant| (variant.name.clone(), variant.schema.to_string()));
    Ok(DepotInfo {
        name: depot.name.clone(),
        global: depot.global,
        stage_of: depot.inbox.clone(),
        removed: depot.removed,
        start,
        end,
        variants: variants.collect(),
    })
}

fn inspect_topology(
    folder: &Folder,
    partition: &PartitionDir,
    topology: &TopologyMeta,
) -> Result<TopologyInfo, Fault> {
    let pstates = topology.pstates.iter().map(|pstate| inspect_pstate(folder, partition, pstate));
    let Manifest { module, partition: number, .. } = &partition.manifest;
    let quarantined = |verdict| Quarantined::of(module, *number, verdict);
    let quarantine = topology.quarantine.iter().map(quarantined);
    Ok(TopologyInfo {
        name: topology.name.clone(),
        live: topology.live,
        next: topology.next,
        lag: partition.recovered.end.number().saturating_sub(topology.next.number()),
        sources: topology.sources.iter().map(|source| source.depot.clone()).collect(),
        quarantine: quarantine.collect(),
        pstates: pstates.collect::<Result<_, _>>()?,
    })
}

fn inspect_pstate(
    folder: &Folder,
    partition: &PartitionDir,
    pstate: &PStateMeta,
) -> Result<PStateInfo, Fault> {
    let dir = runs_dir(&partition.dir);
    let mut runs = Vec::new();
    for RunMeta { file, .. } in &pstate.runs {
        let run = Run::open(&*folder.storage, &dir.join(file)).map_err(of_run)?;
        runs.push(RunFile {
            file: file.clone(),
            entries: run.len(),
            deletions: run.tombstones(),
            bytes: run.bytes(),
        });
    }
    let (name, schema) = (pstate.name.clone(), pstate.schema.clone());
    Ok(PStateInfo { name, schema, entries: pstate.len, runs })
}

fn file_name(path: &std::path::Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
