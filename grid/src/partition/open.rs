//! Opening a partition: its folder, its log, its snapshot, and the tail that has to be replayed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gridmill_model::engine::Damaged;
use gridmill_persistence::{
    HowStopped, Log, LogOptions, LogReader, Position, Recovered, Run, Storage,
};
use parking_lot::Mutex;

use crate::error::StartError;
use crate::identity::{Root, RunNote, foreign_manifest};
use crate::state::Cell;
use crate::topology::Refusal;

use super::batch::{Batch, Item, NO_DEPOT, Verdict, kind};
use super::budget::Budget;
use super::core::{Core, ItemAnswers, Lane, Limits, Stop, place};
use super::crumbs::{Crumbs, Past};
use super::fold::{FoldContext, fold_now};
use super::manifest::{
    Manifest, ManifestFault, ManifestFile, RunMeta, TopologyMeta, path as manifest_path, runs_dir,
};
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
    Reply(Vec<u8>),
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
    fn fail(&self, message: impl ToString) -> StartError {
        StartError::Partition {
            module: self.plan.name.to_owned(),
            partition: self.partition,
            message: message.to_string(),
        }
    }

    fn damaged(&self, damage: Damaged) -> StartError {
        let (module, partition) = (self.plan.name.to_owned(), self.partition);
        StartError::Damaged { module, partition, damage }
    }

    fn log_fault(&self, source: gridmill_persistence::LogError) -> StartError {
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

    fn manifest_fault(&self, fault: ManifestFault) -> StartError {
        StartError::of_manifest(self.plan.name, self.partition, fault)
    }
}

/// Opens the partition's folder, creating what is not there.
///
/// # Errors
/// [`StartError`]; files that exist are then as they were, but for a cut torn tail.
pub(crate) fn open(options: &OpenOptions) -> Result<Opened, StartError> {
    let storage = &options.storage;
    let made = storage.create_dir_all(&runs_dir(&options.dir));
    made.map_err(|source| StartError::Folder { folder: storage.display(&options.dir), source })?;
    let stored = ManifestFile::read(&**storage, &options.dir);
    let stored = stored.map_err(|fault| options.manifest_fault(fault))?;
    refuse_stored(options, stored.as_ref())?;
    let expected = stored.as_ref().and_then(|stored| stored.log);
    let log_options = LogOptions { partition: expected, ..options.log.clone() };
    let opened = Log::open(Arc::clone(storage), &options.dir, log_options);
    let (log, recovered) = opened.map_err(|source| options.log_fault(source))?;
    let (manifest, fresh) = match stored {
        Some(manifest) => (manifest, false),
        None => {
            let plan = &options.plan;
            let (partition, count) = (options.partition, options.partitions);
            (Manifest::new(plan.name, plan.version, partition, count), true)
        }
    };
    refuse_gap(options, &manifest, fresh, &recovered)?;
    refuse_other_version(options, &manifest, &log, &recovered)?;
    let reader = log.reader();
    let end = log.next_position();
    let facts = LogFacts { reader: &reader, end };
    let before = manifest.clone();
    let mut manifest = reconcile(&options.plan, manifest, &facts)?;
    manifest.version = options.plan.version;
    let registry = Registry::new(&options.plan, &manifest);
    let core = load(options, &manifest)?;
    adopt(options, &mut manifest, &core, log.partition());
    if manifest != before {
        manifest.end = manifest.end.max(end);
    }
    let (dir, id) = (options.dir.clone(), options.root.id());
    let file = ManifestFile::new(Arc::clone(storage), dir, manifest, end.epoch(), id);
    if fresh || *file.get() != before {
        file.write(file.get()).map_err(|fault| options.manifest_fault(fault))?;
    }
    remove_orphans(options, file.get(), !fresh && before.grid.is_none());
    let folds = FoldContext {
        storage: Arc::clone(storage),
        root: options.root.clone(),
        dir: options.dir.clone(),
        manifest: Arc::new(Mutex::new(file)),
        syncer: log.syncer(),
    };
    options.root.note_end(options.plan.name, options.partition, end.number());
    let next_offsets = next_offsets(&options.plan, &registry, &recovered);
    let Recovered { how, last_time, .. } = recovered;
    let (replayed, said) = (0, Vec::new());
    let mut opened =
        Opened { core, log, end, registry, folds, next_offsets, last_time, how, replayed, said };
    replay(options, &mut opened)?;
    Ok(opened)
}

/// Whether the partition's folder, where there is one, is that of this partition of so many. Changes
/// nothing.
pub(crate) fn check_folder(options: &OpenOptions) -> Result<(), StartError> {
    let stored = ManifestFile::read(&*options.storage, &options.dir);
    let stored = stored.map_err(|fault| options.manifest_fault(fault))?;
    refuse_stored(options, stored.as_ref())
}

/// Refuses a folder that is another's, and one that is gone.
fn refuse_stored(options: &OpenOptions, stored: Option<&Manifest>) -> Result<(), StartError> {
    match stored {
        Some(stored) => refuse_foreign(options, stored),
        None if options.root.holds(options.plan.name) => Err(StartError::Lost {
            module: options.plan.name.to_owned(),
            partition: options.partition,
            folder: options.storage.display(&options.dir),
        }),
        None => Ok(()),
    }
}

fn refuse_foreign(options: &OpenOptions, manifest: &Manifest) -> Result<(), StartError> {
    let (module, expected) = (options.plan.name, options.root.id());
    if let Some(got) = manifest.grid.filter(|&got| got != expected) {
        let (storage, partition) = (&*options.storage, options.partition);
        return Err(foreign_manifest(storage, module, partition, expected, got));
    }
    if manifest.module != options.plan.name || manifest.partition != options.partition {
        let of = |module: &str, partition| format!("the manifest of {module}/{partition}");
        return Err(StartError::Foreign {
            module: module.to_owned(),
            partition: options.partition,
            file: options.storage.display(&manifest_path(&options.dir)),
            expected: of(module, options.partition),
            got: of(&manifest.module, manifest.partition),
        });
    }
    if manifest.partitions != options.partitions {
        return Err(StartError::Partitions {
            module: manifest.module.clone(),
            expected: manifest.partitions,
            got: options.partitions,
        });
    }
    Ok(())
}

/// A snapshot that knows more than the log: the log has lost something.
fn refuse_gap(
    options: &OpenOptions,
    manifest: &Manifest,
    fresh: bool,
    recovered: &Recovered,
) -> Result<(), StartError> {
    let end = recovered.end.number();
    let problem = |expected: String| {
        let file = options.storage.display(&options.dir).display().to_string();
        let message = format!(
            "expected {expected}, the log ends at record {end}; restore the log's files from a backup"
        );
        Err(options.damaged(Damaged::new(file, 0, message)))
    };
    let known = options.root.known_end(options.plan.name, options.partition);
    let known = known.max(manifest.known_end());
    if known > end {
        return problem(format!("a log of at least {known} records"));
    }
    if fresh && end > 0 {
        return problem("a manifest beside the log".to_owned());
    }
    Ok(())
}

fn refuse_other_version(
    options: &OpenOptions,
    manifest: &Manifest,
    log: &Log,
    recovered: &Recovered,
) -> Result<(), StartError> {
    let plan = &options.plan;
    if manifest.version == plan.version || options.accept_new_code {
        return Ok(());
    }
    let end = recovered.end.number();
    let live = manifest.topologies.iter().filter(|topology| topology.live);
    let covered = live.map(|topology| topology.next.number()).min().unwrap_or(end);
    if covered >= end || log.next_position() == Position::START {
        return Ok(());
    }
    Err(StartError::OtherVersion {
        module: plan.name.to_owned(),
        partition: options.partition,
        records: end - covered,
        expected: manifest.version,
        got: plan.version,
    })
}

fn next_offsets(plan: &Plan, registry: &Registry, recovered: &Recovered) -> Vec<u64> {
    let next = |depot| recovered.next_offsets.get(&registry.source(depot)).copied().unwrap_or(0);
    (0..plan.depots.len()).map(next).collect()
}

/// The core over the snapshot's runs.
fn load(options: &OpenOptions, manifest: &Manifest) -> Result<Core, StartError> {
    let plan = &options.plan;
    let mut cells = Vec::new();
    for pstate in 0..plan.pstates.len() {
        cells.push(load_cell(options, manifest, pstate)?);
    }
    let lanes = plan
        .topologies
        .iter()
        .map(|topology| manifest.topology(topology.name).map(lane_of).unwrap_or_default());
    let numbers = (options.partition, options.partitions);
    Ok(Core::new(Arc::clone(plan), numbers, cells, lanes.collect(), options.limits))
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

/// A PState's cell as the manifest has it.
fn load_cell(
    options: &OpenOptions,
    manifest: &Manifest,
    pstate: usize,
) -> Result<Box<dyn Cell>, StartError> {
    let def = &options.plan.pstates[pstate];
    let topology = options.plan.topologies[def.topology].name;
    let meta = manifest.topology(topology);
    let known = meta.and_then(|meta| meta.pstates.iter().find(|known| known.name == def.name));
    let (len, metas) = known.map_or((0, &[][..]), |known| (known.len, &known.runs));
    let mut runs = Vec::new();
    for meta in metas {
        runs.push(open_run(options, meta, def.name, def.schema.fingerprint())?);
    }
    let numbers = (options.partition, options.partitions);
    let place = place(&options.plan, pstate, numbers, options.limits.cache_bytes);
    def.codec.cell(place, runs, len).map_err(|damage| options.damaged(damage))
}

/// Opens a run that belongs to a PState, and no other.
fn open_run(
    options: &OpenOptions,
    meta: &RunMeta,
    pstate: &str,
    schema: u64,
) -> Result<Run, StartError> {
    let path = runs_dir(&options.dir).join(&meta.file);
    let (module, partition) = (options.plan.name.to_owned(), options.partition);
    let run = Run::open(&*options.storage, &path).map_err(|source| StartError::Run {
        module,
        partition,
        source,
    })?;
    if let Some((expected, got)) = meta.mismatch(&run, pstate) {
        let (module, partition) = (options.plan.name.to_owned(), options.partition);
        let file = run.file().to_path_buf();
        return Err(StartError::Foreign { module, partition, file, expected, got });
    }
    if run.schema() != schema {
        let file = options.storage.display(&path).display().to_string();
        let got = run.schema();
        let message = format!("expected schema {schema:#018x}, got {got:#018x}; restore the file");
        return Err(options.damaged(Damaged::new(file, 0, message)));
    }
    Ok(run)
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
/// partition wrote stays; of version 1 (`old`) it is not known who wrote it.
fn remove_orphans(options: &OpenOptions, manifest: &Manifest, old: bool) {
    let dir = runs_dir(&options.dir);
    let Ok(names) = options.storage.list(&dir) else { return };
    for name in names.iter().filter(|name| !manifest.runs().any(|run| run == name.as_str())) {
        if !old && is_foreign(options, &dir.join(name)) {
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

/// Applies the log's tail to the topologies of the live flow.
fn replay(options: &OpenOptions, opened: &mut Opened) -> Result<(), StartError> {
    let plan = Arc::clone(&options.plan);
    let live: Vec<usize> =
        (0..plan.topologies.len()).filter(|&topology| opened.core.lanes[topology].live).collect();
    let end = opened.log.next_position();
    let Some(from) = live.iter().map(|&topology| opened.core.lanes[topology].next).min() else {
        return Ok(());
    };
    if from.number() >= end.number() {
        return Ok(());
    }
    let reader = opened.log.reader();
    let mut skip = verdicts(&reader, from).map_err(|e| options.replay_fault(e))?;
    for &position in &options.quarantine_at {
        let names = live.iter().map(|&topology| plan.topologies[topology].name.to_owned());
        skip.extend(names.map(|name| (name, position)));
    }
    set_skips(&mut opened.core, &skip);
    let registry = opened.registry.clone();
    let replay = Replay::new(&plan, &registry, reader, from, live.iter().copied());
    let mut replay = replay.map_err(|e| options.replay_fault(e))?;
    let crumbs = begin_replay(options)?;
    if crumbs.is_wary() {
        replay.one_by_one();
    }
    let mut changes = options.changes.account();
    let mut found = Vec::new();
    while let Some(mut batch) = replay.next_batch().map_err(|e| options.replay_fault(e))? {
        if let Some(position) = batch.first_event() {
            crumbs.drop_at(position).map_err(|e| options.log_fault(e))?;
        }
        let applied = opened.core.apply(&mut batch).map_err(|e| options.stopped(e))?;
        if let Some(from) = options.waiting_from {
            note_verdicts(&batch, &opened.core, from, &mut opened.said);
            note_said(&batch, applied.answers, from, &mut opened.said);
        }
        found.extend(applied.verdicts);
        opened.replayed = replay.position().number() - from.number();
        for &topology in &live {
            changes.set(live.iter().map(|&topology| opened.core.weight(topology)).sum());
            if changes.is_over(1, opened.core.weight(topology)) {
                fold_now(&mut opened.core, topology, &opened.folds).map_err(|e| options.fail(e))?;
            }
        }
    }
    crumbs.end();
    found.extend(asked_for(options, opened, &live)?);
    log_verdicts(&mut opened.log, opened.last_time, &found).map_err(|e| options.log_fault(e))?;
    for &topology in &live {
        let lane = &mut opened.core.lanes[topology];
        lane.skip.clear();
        lane.next = opened.log.next_position();
    }
    Ok(())
}

/// Notes that the replay begins; refuses where the starts before ended in one record.
fn begin_replay(options: &OpenOptions) -> Result<Crumbs<'_>, StartError> {
    let begun = Crumbs::begin(&*options.storage, &options.dir, &options.quarantine_at);
    match begun.map_err(|source| options.log_fault(source))? {
        Past::Fine(crumbs) => Ok(crumbs),
        Past::EndedAt(position) => Err(StartError::Aborting {
            module: options.plan.name.to_owned(),
            partition: options.partition,
            position,
        }),
    }
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
            for (index, bytes) in answers.replies {
                note(index, topology, What::Reply(bytes));
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
        let topology = core.topology(&verdict.topology);
        if let Some(topology) = topology.filter(|_| verdict.position >= from) {
            let (position, message) = (verdict.position, verdict.message.clone());
            said.push(Said { position, topology, what: What::Quarantined(message) });
        }
    }
}

fn set_skips(core: &mut Core, skip: &std::collections::HashSet<(String, Position)>) {
    for (topology, lane) in core.lanes.iter_mut().enumerate() {
        let name = core.plan.topologies[topology].name;
        let mine = skip.iter().filter(|(topology, _)| topology == name);
        lane.skip = mine.map(|&(_, position)| position).collect();
    }
}

/// Verdicts for the records that the builder was told to set aside.
fn asked_for(
    options: &OpenOptions,
    opened: &mut Opened,
    live: &[usize],
) -> Result<Vec<Verdict>, StartError> {
    let mut found = Vec::new();
    let reader = opened.log.reader();
    for &position in &options.quarantine_at {
        let Some((depot, offset, time)) = event_at(options, opened, &reader, position)? else {
            continue;
        };
        for &topology in live {
            let reads = options.plan.topologies[topology].source(depot).is_some();
            let lane = &mut opened.core.lanes[topology];
            if !reads || lane.quarantine.contains_key(&position) {
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
    verdicts: &[Verdict],
) -> Result<(), gridmill_persistence::LogError> {
    if verdicts.is_empty() {
        return Ok(());
    }
    for verdict in verdicts {
        push_control(log, kind::VERDICT, time, verdict)?;
    }
    log.write()?;
    log.syncer().sync()?;
    Ok(())
}

/// Puts a control record into the log's batch.
pub(crate) fn push_control<T: serde::Serialize>(
    log: &mut Log,
    kind: u8,
    time: i64,
    record: &T,
) -> Result<Position, gridmill_persistence::LogError> {
    // Control records hold strings and integers: postcard always encodes them.
    let payload = postcard::to_stdvec(record).unwrap_or_default();
    let meta = gridmill_persistence::RecordMeta {
        time,
        depot_offset: 0,
        type_id: 0,
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
