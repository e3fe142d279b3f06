//! The manifest as version 2 wrote it: frozen, so that such folders go on opening.

use gridmill_model::Schema;
use gridmill_persistence::Position;
use serde::Deserialize;

use super::{
    DepotMeta, Homes, Intake, Manifest, PStateMeta, RunMeta, SourceMeta, TopologyMeta, VariantMeta,
};
use crate::identity::GridId;
use crate::machine::control::Verdict;

#[derive(Deserialize)]
struct ManifestV2 {
    grid: Option<GridId>,
    log: Option<u64>,
    end: Position,
    module: String,
    version: u32,
    partition: u32,
    partitions: u32,
    next_type: u32,
    next_run: u64,
    depots: Vec<DepotV2>,
    topologies: Vec<TopologyV2>,
    generations: Vec<(String, u32)>,
}

#[derive(Deserialize)]
struct DepotV2 {
    name: String,
    global: bool,
    removed: bool,
    variants: Vec<VariantV2>,
}

#[derive(Deserialize)]
struct VariantV2 {
    type_id: u32,
    name: String,
    schema: Schema,
}

#[derive(Deserialize)]
struct TopologyV2 {
    name: String,
    generation: u32,
    live: bool,
    next: Position,
    sources: Vec<SourceV2>,
    quarantine: Vec<VerdictV2>,
    pstates: Vec<PStateV2>,
}

#[derive(Deserialize)]
struct SourceV2 {
    depot: String,
    start: u64,
}

#[derive(Deserialize)]
struct VerdictV2 {
    topology: String,
    position: Position,
    depot: String,
    offset: u64,
    time: i64,
    attempts: u32,
    message: String,
}

#[derive(Deserialize)]
struct PStateV2 {
    name: String,
    schema: Schema,
    len: u64,
    homes: HomesV2,
    runs: Vec<RunV2>,
}

#[derive(Deserialize)]
enum HomesV2 {
    Unknown,
    Hashed,
    Chosen,
}

#[derive(Deserialize)]
struct RunV2 {
    file: String,
    seal: Option<u64>,
}

/// A manifest of version 2 as one of today, in memory. Nothing was ever sent in such a folder.
pub(super) fn decode(bytes: &[u8]) -> Result<Manifest, postcard::Error> {
    postcard::from_bytes::<ManifestV2>(bytes).map(Manifest::from)
}

impl From<ManifestV2> for Manifest {
    fn from(old: ManifestV2) -> Self {
        Self {
            grid: old.grid,
            log: old.log,
            end: old.end,
            module: old.module,
            version: old.version,
            partition: old.partition,
            partitions: old.partitions,
            next_type: old.next_type,
            next_run: old.next_run,
            depots: old.depots.into_iter().map(DepotMeta::from).collect(),
            topologies: old.topologies.into_iter().map(TopologyMeta::from).collect(),
            generations: old.generations,
            channels: Vec::new(),
            intake: Intake::default(),
            synced: false,
        }
    }
}

impl From<DepotV2> for DepotMeta {
    fn from(old: DepotV2) -> Self {
        let DepotV2 { name, global, removed, variants } = old;
        let variants = variants
            .into_iter()
            .map(|VariantV2 { type_id, name, schema }| VariantMeta { type_id, name, schema });
        Self { name, global, removed, inbox: None, variants: variants.collect() }
    }
}

impl From<TopologyV2> for TopologyMeta {
    fn from(old: TopologyV2) -> Self {
        let TopologyV2 { name, generation, live, next, sources, quarantine, pstates } = old;
        let sources =
            sources.into_iter().map(|SourceV2 { depot, start }| SourceMeta { depot, start });
        Self {
            name,
            generation,
            live,
            next,
            sources: sources.collect(),
            quarantine: quarantine.into_iter().map(Verdict::from).collect(),
            pstates: pstates.into_iter().map(PStateMeta::from).collect(),
            outbox: None,
        }
    }
}

impl From<VerdictV2> for Verdict {
    fn from(old: VerdictV2) -> Self {
        let VerdictV2 { topology, position, depot, offset, time, attempts, message } = old;
        Self { topology, position, depot, offset, time, attempts, message }
    }
}

impl From<PStateV2> for PStateMeta {
    fn from(old: PStateV2) -> Self {
        let PStateV2 { name, schema, len, homes, runs } = old;
        let homes = match homes {
            HomesV2::Unknown => Homes::Unknown,
            HomesV2::Hashed => Homes::Hashed,
            HomesV2::Chosen => Homes::Chosen,
        };
        let runs = runs.into_iter().map(|RunV2 { file, seal }| RunMeta { file, seal });
        Self { name, schema, len, homes, runs: runs.collect() }
    }
}
