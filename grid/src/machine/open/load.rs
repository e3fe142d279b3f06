//! What a snapshot says: the machine over its runs, and files that nothing names.

use std::path::Path;
use std::sync::Arc;

use gridmill_persistence::Run;

use crate::identity::RunNote;
use crate::machine::core::{Consumer, Core};
use crate::machine::manifest::{Manifest, RunMeta, TopologyMeta, runs_dir};
use crate::machine::registry::Registry;
use crate::state::Cell;

use super::OpenOptions;

/// The core over the snapshot's runs.
pub(super) fn core_over(
    options: &OpenOptions,
    manifest: &Manifest,
    registry: Arc<Registry>,
    cells: Vec<Box<dyn Cell>>,
) -> Core {
    let plan = &options.plan;
    let consumer = |name: &str| manifest.topology(name).map(consumer_of).unwrap_or_default();
    let consumers = plan.topologies.iter().map(|topology| consumer(topology.name)).collect();
    let numbers = (options.partition, options.partitions);
    Core::new((Arc::clone(plan), registry), numbers, cells, consumers, options.limits)
}

fn consumer_of(meta: &TopologyMeta) -> Consumer {
    let quarantine = meta.quarantine.iter().map(|verdict| (verdict.position, verdict.clone()));
    Consumer {
        live: meta.live,
        next: meta.next,
        starts: meta.sources.iter().map(|source| source.start).collect(),
        quarantine: quarantine.collect(),
        skip: Default::default(),
    }
}

/// Lets the manifest say whose the folder is and what belongs into it, where version 1 wrote it.
pub(super) fn adopt(options: &OpenOptions, manifest: &mut Manifest, core: &Core, log: u64) {
    manifest.grid = Some(options.root.id());
    manifest.log = Some(log);
    for (pstate, def) in options.plan.pstates.iter().enumerate() {
        let topology = manifest.topology_mut(options.plan.topologies[def.topology].name);
        let metas = topology.into_iter().flat_map(|topology| &mut topology.pstates);
        for meta in metas.filter(|meta| meta.name == def.name) {
            for (meta, run) in meta.runs.iter_mut().zip(core.cell(pstate).runs()) {
                *meta = RunMeta::of(&meta.file, run);
            }
        }
    }
}

/// Removes runs that no manifest names: flushes and merges that a crash cut short. What another grid or
/// partition wrote stays; in a folder of version 1 (`unowned`) it is not known who wrote it.
pub(super) fn remove_orphans(options: &OpenOptions, manifest: &Manifest, unowned: bool) {
    let dir = runs_dir(&options.dir);
    let Ok(names) = options.storage.list(&dir) else { return };
    for name in names.iter().filter(|name| !manifest.runs().any(|run| run == name.as_str())) {
        if !unowned && is_foreign(options, &dir.join(name)) {
            tracing::warn!(file = %name, "a run of another partition lies in the folder; it stays");
            continue;
        }
        if let Err(error) = options.storage.remove(&dir.join(name)) {
            tracing::warn!(file = %name, %error, "a file that nothing uses could not be removed");
        }
    }
}

/// Whether a whole run says that another wrote it, or does not say who.
fn is_foreign(options: &OpenOptions, path: &Path) -> bool {
    Run::open(&*options.storage, path).is_ok_and(|run| {
        RunNote::of(&run).is_none_or(|note| {
            (note.grid, note.partition) != (options.root.id(), options.partition)
                || note.module != options.plan.name
        })
    })
}
