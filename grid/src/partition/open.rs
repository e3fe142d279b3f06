//! Opening a partition: its folder, its log, its snapshot, and the tail that has to be replayed.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gridmill_client::Encoded;
use gridmill_model::engine::Damaged;
use gridmill_persistence::{
    HowStopped, Log, LogOptions, LogReader, Position, Recovered, Run, Storage,
};
use parking_lot::Mutex;

use crate::error::StartError;
use crate::identity::{Root, RunNote};
use crate::state::Cell;
use crate::topology::Refusal;

use super::batch::{Batch, Item, NO_DEPOT, Verdict, kind};
use super::budget::{Account, Budget};
use super::check::{Checked, check};
use super::core::{Core, ItemAnswers, Lane, Limits, Stop};
use super::crumbs::Crumbs;
use super::fold::{FoldContext, FoldFault, fold_now};
use super::manifest::{Manifest, ManifestFault, ManifestFile, RunMeta, TopologyMeta, runs_dir};
use super::plan::Plan;
use super::reconcile::{LogFacts, reconcile};
use super::registry::Registry;
use super::replay::{Replay, ReplayError, verdicts};

/// What opening a partition needs.
#[derive(Clone)]
pub(crate) struct OpenOptions {
    pub(crate) storage: Arc<dyn Storage>,
    /// The data folder.
    pub(crate) root: Root,
    /// The partition's folder.
    pub(crate) dir: PathBuf,
    pub(crate) plan: Arc<Plan>,
    pub(crate) partition: u32,
    pub(crate) partitions: u32,
    pub(crate) limits: Limits,
    pub(crate) log: LogOptions,
    /// For unfolded changes.
    pub(crate) changes: Budget,
    pub(crate) accept_new_code: bool,
    /// Records to set aside before they are replayed.
    pub(crate) quarantine_at: Vec<Position>,
    /// Appenders of records from here on still wait for what handlers say.
    pub(crate) waiting_from: Option<Position>,
}

/// What a handler said in a replay to an appender that still waits.
pub(crate) struct Said {
    /// The record's position.
    pub(crate) position: Position,
    pub(crate) topology: usize,
    pub(crate) what: What,
}

pub(crate) enum What {
    Reply(Encoded),
    Refusal(Refusal),
    Quarantined(String),
}

/// A partition, ready to run.
pub(crate) struct Opened {
    pub(crate) core: Core,
    pub(crate) log: Log,
    /// What handlers said to appenders that wait, in the replay.
    pub(crate) said: Vec<Said>,
    /// Where the log ended before anything was added to it.
    pub(crate) end: Position,
    pub(crate) registry: Registry,
    pub(crate) folds: FoldContext,
    /// The next offset of each depot of the plan.
    pub(crate) next_offsets: Vec<u64>,
    pub(crate) last_time: i64,
    pub(crate) how: HowStopped,
    /// Records that were replayed.
    pub(crate) replayed: u64,
}

impl OpenOptions {
    /// What a folder that has nothing yet would say of itself.
    pub(super) fn new_manifest(&self) -> Manifest {
        Manifest::new(self.plan.name, self.plan.version, self.partition, self.partitions)
    }

    pub(super) fn fail(&self, message: impl ToString) -> StartError {
        StartError::Partition {
            module: self.plan.name.to_owned(),
            partition: self.partition,
            message: message.to_string(),
        }
    }

    pub(super) fn damaged(&self, damage: Damaged) -> StartError {
        let (module, partition) = (self.plan.name.to_owned(), self.partition);
        StartError::Damaged { module, partition, damage }
    }

    pub(super) fn log_fault(&self, source: gridmill_persistence::LogError) -> StartError {
        let (module, partition) = (self.plan.name.to_owned(), self.partition);
        StartError::Log { module, partition, source }
    }

    fn replay_fault(&self, error: ReplayError) -> StartError {
        match error {
            ReplayError::Log(source) => self.log_fault(source),
            other => self.fail(other),
        }
    }

    fn stopped(&self, stop: Stop) -> StartError {
        match stop {
            Stop::Damaged(damage) => self.damaged(damage),
            other => self.fail(other),
        }
    }

    pub(super) fn manifest_fault(&self, fault: ManifestFault) -> StartError {
        StartError::of_manifest(self.plan.name, self.partition, fault)
    }
}

/// A partition whose tail is replayed, in memory: its folder still says what it said before.
pub(crate) struct Replayed {
    opened: Opened,
    /// Verdicts of the replay, which the log does not have yet.
    found: Vec<Verdict>,
}

/// Opens the partition's folder, creating what is not there.
///
/// # Errors
/// [`StartError`]; files that exist are then as they were, but for a cut torn tail.
pub(crate) fn open(options: &OpenOptions) -> Result<Opened, StartError> {
    let replayed = begin(options, check(options)?)?;
    let opened = enter(options, replayed)?;
    Ok(settle(options, opened))
}

/// The second step: recovers the log and replays its tail. All that the folder gets is what recovery
/// may always do: a torn tail is cut, a new epoch begins. Dropping what this returns takes back the
/// rest.
pub(crate) fn begin(options: &OpenOptions, checked: Checked) -> Result<Replayed, StartError> {
    let storage = &options.storage;
    let Checked { stored, cells } = checked;
    let made = storage.create_dir_all(&runs_dir(&options.dir));
    made.map_err(|source| StartError::Folder { folder: storage.display(&options.dir), source })?;
    if let Some(stored) = &stored {
        // Also runs of a start that was cut short here: this one may give their names again.
        remove_orphans(options, stored, stored.grid.is_none());
    }
    let number = stored.as_ref().and_then(|stored| stored.log);
    let log_options = LogOptions { partition: number, ..options.log.clone() };
    let opened = Log::open(Arc::clone(storage), &options.dir, log_options);
    let (log, recovered) = opened.map_err(|source| options.log_fault(source))?;
    let (reader, end) = (log.reader(), log.next_position());
    let before = stored.clone().unwrap_or_else(|| options.new_manifest());
    let mut manifest = reconcile(&options.plan, before, &LogFacts { reader: &reader, end })?;
    manifest.version = options.plan.version;
    let registry = Registry::new(&options.plan, &manifest);
    let core = core_over(options, &manifest, cells);
    adopt(options, &mut manifest, &core, log.partition());
    if stored.as_ref() != Some(&manifest) {
        manifest.end = manifest.end.max(end);
    }
    let (dir, id) = (options.dir.clone(), options.root.id());
    let file = ManifestFile::held(Arc::clone(storage), dir.clone(), stored, manifest, id);
    let folds = FoldContext {
        storage: Arc::clone(storage),
        root: options.root.clone(),
        dir,
        manifest: Arc::new(Mutex::new(file)),
        syncer: log.syncer(),
    };
    let next_offsets = next_offsets(&options.plan, &registry, &recovered);
    let Recovered { how, last_time, .. } = recovered;
    let (replayed, said) = (0, Vec::new());
    let mut opened =
        Opened { core, log, end, registry, folds, next_offsets, last_time, how, replayed, said };
    let found = replay(options, &mut opened)?;
    Ok(Replayed { opened, found })
}

/// The third step: the folder says what the code declares. Dropping what this returns takes it back.
pub(crate) fn enter(options: &OpenOptions, replayed: Replayed) -> Result<Opened, StartError> {
    let Replayed { mut opened, found } = replayed;
    let entered = opened.folds.manifest.lock().enter();
    entered.map_err(|fault| options.manifest_fault(fault))?;
    let Opened { log, last_time, core, registry, .. } = &mut opened;
    let logged = log_verdicts(log, *last_time, core, registry, &found);
    logged.map_err(|source| options.log_fault(source))?;
    if !found.is_empty() {
        let next = opened.log.next_position();
        for lane in opened.core.lanes.iter_mut().filter(|lane| lane.live) {
            lane.next = next;
        }
    }
    let end = opened.log.next_position().number();
    options.root.note_end(options.plan.name, options.partition, end);
    Ok(opened)
}

/// The last step: nothing is taken back any more, and what nothing names is removed.
pub(crate) fn settle(options: &OpenOptions, opened: Opened) -> Opened {
    let mut manifest = opened.folds.manifest.lock();
    let unowned = manifest.was_unowned();
    manifest.settle();
    remove_orphans(options, manifest.get(), unowned);
    drop(manifest);
    opened
}

fn next_offsets(plan: &Plan, registry: &Registry, recovered: &Recovered) -> Vec<u64> {
    let next = |depot| recovered.next_offsets.get(&registry.source(depot)).copied().unwrap_or(0);
    (0..plan.depots.len()).map(next).collect()
}

/// The core over the snapshot's runs.
fn core_over(options: &OpenOptions, manifest: &Manifest, cells: Vec<Box<dyn Cell>>) -> Core {
    let plan = &options.plan;
    let lane = |name: &str| manifest.topology(name).map(lane_of).unwrap_or_default();
    let lanes = plan.topologies.iter().map(|topology| lane(topology.name)).collect();
    let numbers = (options.partition, options.partitions);
    Core::new(Arc::clone(plan), numbers, cells, lanes, options.limits)
}

fn lane_of(meta: &TopologyMeta) -> Lane {
    let quarantine = meta.quarantine.iter().map(|verdict| (verdict.position, verdict.clone()));
    Lane {
        live: meta.live,
        next: meta.next,
        starts: meta.sources.iter().map(|source| source.start).collect(),
        quarantine: quarantine.collect(),
        skip: Default::default(),
    }
}

/// Lets the manifest say whose the folder is and what belongs into it, where version 1 wrote it.
fn adopt(options: &OpenOptions, manifest: &mut Manifest, core: &Core, log: u64) {
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

/// Removes runs that no manifest names: folds and merges that a crash cut short. What another grid or
/// partition wrote stays; in a folder of version 1 (`unowned`) it is not known who wrote it.
fn remove_orphans(options: &OpenOptions, manifest: &Manifest, unowned: bool) {
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

/// Applies the log's tail to the topologies of the live flow; returns what the replay set aside.
fn replay(options: &OpenOptions, opened: &mut Opened) -> Result<Vec<Verdict>, StartError> {
    let plan = Arc::clone(&options.plan);
    let live: Vec<usize> =
        (0..plan.topologies.len()).filter(|&topology| opened.core.lanes[topology].live).collect();
    let end = opened.log.next_position();
    let from = live.iter().map(|&topology| opened.core.lanes[topology].next).min().unwrap_or(end);
    if from.number() >= end.number() && options.quarantine_at.is_empty() {
        return Ok(Vec::new());
    }
    warn_of_apart(options, &opened.core);
    let reader = opened.log.reader();
    let registry = opened.registry.clone();
    let mut skip = known_verdicts(options, opened, from)?;
    // Before the replay: what it folds must not pass over records that stand nowhere.
    let mut found = asked_for(options, opened, &mut skip)?;
    set_skips(&mut opened.core, &skip);
    let unfinished = hide_unfinished(&mut opened.core).map_err(|e| options.damaged(e))?;
    let replay = Replay::new(&plan, &registry, reader, from, live.iter().copied());
    let mut replay = replay.map_err(|e| options.replay_fault(e))?;
    let crumbs = begin_replay(options)?;
    if crumbs.is_wary() {
        replay.one_by_one();
    }
    let mut changes = options.changes.account();
    while let Some(mut batch) = replay.next_batch().map_err(|e| options.replay_fault(e))? {
        if let Some(position) = batch.first_event() {
            crumbs.drop_at(position).map_err(|e| options.log_fault(e))?;
        }
        if let Some(from) = options.waiting_from {
            note_verdicts(&batch, &opened.core, from, &mut opened.said);
        }
        loop {
            let applied = opened.core.apply(&mut batch).map_err(|e| options.stopped(e))?;
            if let Some(from) = options.waiting_from {
                note_said(&batch, applied.answers, from, &mut opened.said);
            }
            found.extend(applied.verdicts);
            fold_full(&mut opened.core, &mut changes, &opened.folds)
                .map_err(|e| options.fail(e))?;
            if batch.is_applied() {
                break;
            }
        }
        opened.replayed = replay.position().number() - from.number();
    }
    crumbs.end();
    for (pstate, cell) in unfinished {
        opened.core.swap_cell(pstate, cell);
    }
    for &topology in &live {
        let lane = &mut opened.core.lanes[topology];
        lane.skip.clear();
        lane.next = opened.log.next_position();
    }
    Ok(found)
}

/// Writes out what has more changes than it may, in a replay.
fn fold_full(core: &mut Core, changes: &mut Account, folds: &FoldContext) -> Result<(), FoldFault> {
    let groups = core.plan.groups.len();
    for group in 0..groups {
        changes.set((0..groups).map(|group| core.weight_of(group)).sum());
        if changes.is_over(core.weight_of(group)) {
            let live: Vec<usize> = core.live_of(group).collect();
            fold_now(core, &live, folds)?;
        }
    }
    Ok(())
}

/// Version 1 folded topologies apart that see each other: one that lies behind what it reads handles its
/// records again with what came of later ones.
fn warn_of_apart(options: &OpenOptions, core: &Core) {
    let plan = &options.plan;
    for (topology, lane) in plan.topologies.iter().zip(&core.lanes).filter(|(_, lane)| lane.live) {
        for &pstate in &topology.at {
            let owner = plan.pstates[pstate].topology;
            let (of_owner, empty) = (&core.lanes[owner], core.cell(pstate).runs().is_empty());
            if of_owner.live && of_owner.next > lane.next && !empty {
                let (module, partition) = (plan.name, options.partition);
                let (topology, reads) = (topology.name, plan.topologies[owner].name);
                tracing::warn!(
                    module, partition, topology, reads, from = %lane.next, to = %of_owner.next,
                    "an older release wrote the snapshots of two topologies that see each other at \
                     different records: those between them are handled again with later state"
                );
            }
        }
    }
}

/// Cells that were taken out, each with the place that it had.
type Hidden = Vec<(usize, Box<dyn Cell>)>;

/// Puts empty cells in the places of those that belong to topologies which read the past: that is what
/// others saw of them in the live flow. Returns the cells.
fn hide_unfinished(core: &mut Core) -> Result<Hidden, Damaged> {
    let plan = Arc::clone(&core.plan);
    let read_past = |&pstate: &usize| !core.lanes[plan.pstates[pstate].topology].live;
    let hidden: Vec<usize> = (0..plan.pstates.len()).filter(read_past).collect();
    let hide = |pstate: usize| core.empty_cell(pstate).map(|cell| (pstate, cell));
    let empty = hidden.into_iter().map(hide).collect::<Result<Vec<_>, Damaged>>()?;
    let swap = |(pstate, cell)| (pstate, core.swap_cell(pstate, cell));
    Ok(empty.into_iter().map(swap).collect())
}

/// Notes that the replay begins; refuses where the starts before ended in one record.
fn begin_replay(options: &OpenOptions) -> Result<Crumbs<'_>, StartError> {
    let begun = Crumbs::begin(&*options.storage, &options.dir);
    begun.map_err(|source| options.log_fault(source))
}

/// Keeps what handlers said about records from `from` on.
fn note_said(batch: &Batch, answers: Vec<ItemAnswers>, from: Position, said: &mut Vec<Said>) {
    for (item, answers) in batch.items.iter().zip(answers) {
        let Item::Events(events) = item else { continue };
        let mut note = |index: u32, topology, what| {
            let position = events.infos[index as usize].position;
            if position >= from {
                said.push(Said { position, topology, what });
            }
        };
        for (topology, answers) in answers.topologies {
            for (index, value) in answers.replies {
                note(index, topology, What::Reply(value));
            }
            for (index, refusal) in answers.refusals {
                note(index, topology, What::Refusal(refusal));
            }
        }
        for (index, topology, message) in answers.quarantined {
            note(index, topology, What::Quarantined(message));
        }
    }
}

/// Keeps the verdicts of the log about records from `from` on: the partition may have ended between a
/// verdict and the answer.
fn note_verdicts(batch: &Batch, core: &Core, from: Position, said: &mut Vec<Said>) {
    for item in &batch.items {
        let Item::Verdict(verdict) = item else { continue };
        // One that reads the past answers nobody.
        let topology = core.topology(&verdict.topology).filter(|&of| core.lanes[of].live);
        if let Some(topology) = topology.filter(|_| verdict.position >= from) {
            let (position, message) = (verdict.position, verdict.message.clone());
            said.push(Said { position, topology, what: What::Quarantined(message) });
        }
    }
}

fn set_skips(core: &mut Core, skip: &HashSet<(usize, Position)>) {
    for (topology, lane) in core.lanes.iter_mut().enumerate() {
        let mine = skip.iter().filter(|&&(of, _)| of == topology);
        lane.skip = mine.map(|&(_, position)| position).collect();
    }
}

/// Verdicts in the log's tail; where records are to be set aside, also those that topologies which read
/// the past will meet.
fn known_verdicts(
    options: &OpenOptions,
    opened: &Opened,
    from: Position,
) -> Result<HashSet<(usize, Position)>, StartError> {
    let mut first = from;
    if !options.quarantine_at.is_empty() {
        let next = opened.core.lanes.iter().map(|lane| lane.next);
        first = next.fold(first, Position::min);
    }
    let known = verdicts(&options.plan, &opened.registry, &opened.log.reader(), first);
    known.map_err(|error| options.replay_fault(error))
}

/// Sets aside the records that the builder was told to, for each topology that has not handled them and
/// does not have them in `skip`; returns the verdicts.
fn asked_for(
    options: &OpenOptions,
    opened: &mut Opened,
    skip: &mut HashSet<(usize, Position)>,
) -> Result<Vec<Verdict>, StartError> {
    let mut found = Vec::new();
    let reader = opened.log.reader();
    for &position in &options.quarantine_at {
        let Some((depot, offset, time)) = event_at(options, opened, &reader, position)? else {
            continue;
        };
        for (topology, lane) in opened.core.lanes.iter_mut().enumerate() {
            let source = options.plan.topologies[topology].source(depot);
            let to_come = source.is_some_and(|source| offset >= lane.starts[source])
                && position >= lane.next
                && !lane.quarantine.contains_key(&position);
            if !to_come || !skip.insert((topology, position)) {
                continue;
            }
            let verdict = Verdict {
                topology: options.plan.topologies[topology].name.to_owned(),
                position,
                depot: options.plan.depots[depot].name.to_owned(),
                offset,
                time,
                attempts: 0,
                message: "set aside by `quarantine_at`".to_owned(),
            };
            lane.quarantine.insert(position, verdict.clone());
            found.push(verdict);
        }
    }
    Ok(found)
}

fn event_at(
    options: &OpenOptions,
    opened: &Opened,
    reader: &LogReader,
    position: Position,
) -> Result<Option<(usize, u64, i64)>, StartError> {
    let mut scan = reader.scan(position).map_err(|source| options.log_fault(source))?;
    let record = scan.next().map_err(|source| options.log_fault(source))?;
    Ok(record.filter(|record| record.position == position && record.kind == kind::EVENT).and_then(
        |record| {
            let (depot, _) = opened.registry.event(record.type_id)?;
            Some((depot, record.depot_offset, record.time))
        },
    ))
}

/// Writes verdicts to the log and makes them durable.
fn log_verdicts(
    log: &mut Log,
    time: i64,
    core: &Core,
    registry: &Registry,
    verdicts: &[Verdict],
) -> Result<(), gridmill_persistence::LogError> {
    if verdicts.is_empty() {
        return Ok(());
    }
    for verdict in verdicts {
        let generation = generation(core, registry, &verdict.topology);
        push_control(log, (kind::VERDICT, generation), time, verdict)?;
    }
    log.write()?;
    log.syncer().sync()?;
    Ok(())
}

/// The generation of a topology that the code has.
pub(crate) fn generation(core: &Core, registry: &Registry, topology: &str) -> u32 {
    core.topology(topology).map_or(0, |topology| registry.generation(topology))
}

/// Puts a control record into the log's batch: of a kind, and for a generation of its topology.
pub(crate) fn push_control<T: serde::Serialize>(
    log: &mut Log,
    (kind, generation): (u8, u32),
    time: i64,
    record: &T,
) -> Result<Position, gridmill_persistence::LogError> {
    // Control records hold strings and integers: postcard always encodes them.
    let payload = postcard::to_stdvec(record).unwrap_or_default();
    let meta = gridmill_persistence::RecordMeta {
        time,
        depot_offset: 0,
        type_id: generation,
        source: NO_DEPOT,
        kind,
        id: None,
    };
    log.push(&meta, &payload)
}

/// The partition's folder below the data folder.
pub(crate) fn partition_dir(module: &str, partition: u32) -> PathBuf {
    Path::new(module).join(partition.to_string())
}
