//! The manifest as version 1 wrote it: frozen, so that such folders go on opening.

use gridmill_model::Schema;
use gridmill_persistence::Position;
use serde::Deserialize;

use super::{
    DepotMeta, Homes, Intake, Manifest, PStateMeta, RunMeta, SourceMeta, TopologyMeta, VariantMeta,
};
use crate::machine::control::Verdict;

#[derive(Deserialize)]
struct ManifestV1 {
    module: String,
    version: u32,
    partition: u32,
    partitions: u32,
    next_type: u32,
    next_run: u64,
    depots: Vec<DepotV1>,
    topologies: Vec<TopologyV1>,
}

#[derive(Deserialize)]
struct DepotV1 {
    name: String,
    global: bool,
    removed: bool,
    variants: Vec<VariantV1>,
}

#[derive(Deserialize)]
struct VariantV1 {
    type_id: u32,
    name: String,
    schema: Schema,
}

#[derive(Deserialize)]
struct TopologyV1 {
    name: String,
    live: bool,
    next: Position,
    sources: Vec<SourceV1>,
    quarantine: Vec<VerdictV1>,
    pstates: Vec<PStateV1>,
}

#[derive(Deserialize)]
struct SourceV1 {
    depot: String,
    start: u64,
}

#[derive(Deserialize)]
struct VerdictV1 {
    topology: String,
    position: Position,
    depot: String,
    offset: u64,
    time: i64,
    attempts: u32,
    message: String,
}

#[derive(Deserialize)]
struct PStateV1 {
    name: String,
    schema: Schema,
    len: u64,
    runs: Vec<String>,
}

/// A manifest of version 1 as one of today, in memory. Whose the files are it does not know.
pub(super) fn decode(bytes: &[u8]) -> Result<Manifest, postcard::Error> {
    postcard::from_bytes::<ManifestV1>(bytes).map(Manifest::from)
}

impl From<ManifestV1> for Manifest {
    fn from(old: ManifestV1) -> Self {
        Self {
            grid: None,
            log: None,
            end: Position::START,
            module: old.module,
            version: old.version,
            partition: old.partition,
            partitions: old.partitions,
            next_type: old.next_type,
            next_run: old.next_run,
            depots: old.depots.into_iter().map(DepotMeta::from).collect(),
            topologies: old.topologies.into_iter().map(TopologyMeta::from).collect(),
            generations: Vec::new(),
            channels: Vec::new(),
            intake: Intake::default(),
            synced: false,
        }
    }
}

impl From<DepotV1> for DepotMeta {
    fn from(old: DepotV1) -> Self {
        let DepotV1 { name, global, removed, variants } = old;
        let variants = variants
            .into_iter()
            .map(|VariantV1 { type_id, name, schema }| VariantMeta { type_id, name, schema });
        Self { name, global, removed, inbox: None, variants: variants.collect() }
    }
}

impl From<TopologyV1> for TopologyMeta {
    fn from(old: TopologyV1) -> Self {
        let TopologyV1 { name, live, next, sources, quarantine, pstates } = old;
        let sources =
            sources.into_iter().map(|SourceV1 { depot, start }| SourceMeta { depot, start });
        Self {
            name,
            generation: 0,
            live,
            next,
            sources: sources.collect(),
            quarantine: quarantine.into_iter().map(Verdict::from).collect(),
            pstates: pstates.into_iter().map(PStateMeta::from).collect(),
            outbox: None,
        }
    }
}

impl From<VerdictV1> for Verdict {
    fn from(old: VerdictV1) -> Self {
        let VerdictV1 { topology, position, depot, offset, time, attempts, message } = old;
        Self { topology, position, depot, offset, time, attempts, message }
    }
}

impl From<PStateV1> for PStateMeta {
    fn from(old: PStateV1) -> Self {
        let PStateV1 { name, schema, len, runs } = old;
        let runs = runs.into_iter().map(|file| RunMeta { file, seal: None });
        Self { name, schema, len, homes: Homes::Unknown, runs: runs.collect() }
    }
}
