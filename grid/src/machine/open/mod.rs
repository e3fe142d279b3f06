//! Opening a partition: its folder, its log, its snapshot, and the tail that has to be replayed.

mod load;
mod prescan;
mod sent;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gridmill_model::engine::Damaged;
use gridmill_persistence::planted::{Bug, is_planted};
use gridmill_persistence::{HowStopped, Log, LogError, LogOptions, Position, Recovered, Storage};
use parking_lot::Mutex;

use crate::error::StartError;
use crate::identity::Root;
use crate::module::Plan;

use super::answers::RecoveredAnswer;
use super::budget::Budget;
use super::check::{Checked, check, survey};
use super::control::{Verdict, log_verdicts};
use super::core::{Consumer, Core, Limits, Stop};
use super::flow::confirmed::Confirmed;
use super::flow::marks::Marks;
use super::flow::outbox_file::OutboxRecord;
use super::flush::FlushContext;
use super::manifest::{Manifest, ManifestFault, ManifestFile, runs_dir};
use super::once::{self, LoggedId, OnceAnswer};
use super::reconcile::{LogFacts, reconcile};
use super::registry::Registry;
use super::replay::ReplayError;

pub(crate) use prescan::Prescan;

use load::{adopt, core_over, remove_orphans};
use sent::Sent;
use tail::replay;

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
    /// For unflushed changes.
    pub(crate) changes: Budget,
    pub(crate) accept_new_code: bool,
    /// Records to set aside before they are replayed.
    pub(crate) quarantine_at: Vec<Position>,
    /// Appenders of records from here on still wait for what handlers say.
    pub(crate) waiting_from: Option<Position>,
    /// What partitions of the module have of what others sent them.
    pub(crate) confirmed: Arc<Confirmed>,
    /// Whether nobody hears of a record before it is synced.
    pub(crate) synced: bool,
    /// How long ids of appends are kept, in microseconds.
    pub(crate) once_window: i64,
}

/// A partition, ready to run.
pub(crate) struct Opened {
    pub(crate) core: Core,
    pub(crate) log: Log,
    /// What handlers said to appenders that wait, in the replay.
    pub(crate) said: Vec<RecoveredAnswer>,
    /// Where the log ended before anything was added to it.
    pub(crate) end: Position,
    pub(crate) registry: Arc<Registry>,
    pub(crate) flushes: FlushContext,
    /// The next offset of each depot of the plan.
    pub(crate) next_offsets: Vec<u64>,
    pub(crate) last_time: i64,
    pub(crate) how: HowStopped,
    /// Records that were replayed.
    pub(crate) replayed: u64,
    /// How far it is with what partitions sent it: all that its log has.
    pub(crate) marks: Marks,
    /// By topology of the plan: what it had sent that its targets did not have, for each target in the order of
    /// causes.
    pub(crate) sent: Vec<Vec<OutboxRecord>>,
    /// The ids of appends that are kept; nothing where the log has never had one.
    pub(crate) ids: Option<Vec<LoggedId>>,
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

    pub(super) fn log_fault(&self, source: LogError) -> StartError {
        let (module, partition) = (self.plan.name.to_owned(), self.partition);
        StartError::Log { module, partition, source }
    }

    pub(super) fn replay_fault(&self, error: ReplayError) -> StartError {
        match error {
            ReplayError::Log(source) => self.log_fault(source),
            other => self.fail(other),
        }
    }

    pub(super) fn stopped(&self, stop: Stop) -> StartError {
        match stop {
            Stop::Damaged(damage) => self.damaged(damage),
            Stop::NotDeterministic { .. } => {
                let (module, partition) = (self.plan.name.to_owned(), self.partition);
                let message = stop.to_string();
                StartError::NotDeterministic { module, partition, message }
            }
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
    let checked = check(options, (survey(options)?, None))?;
    let opened = settle(options, enter(options, begin(options, checked)?)?);
    // The log that they were read from is durable now.
    for (channel, source, mark) in opened.marks.iter() {
        if let Some(topology) = opened.registry.topology_of_channel(channel) {
            options.confirmed.confirm(options.partition, topology, u32::from(source), mark);
        }
    }
    Ok(opened)
}

/// The step after checking: recovers the log and replays its tail. All that the folder gets is what recovery
/// may always do: a torn tail is cut, a new epoch begins. Dropping what this returns takes back the
/// rest.
pub(crate) fn begin(options: &OpenOptions, checked: Checked) -> Result<Replayed, StartError> {
    let storage = &options.storage;
    let Checked { stored, generations, cells, outboxes, known, synced, .. } = checked;
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
    let facts = LogFacts { reader: &reader, end };
    let mut manifest = reconcile(&options.plan, before, &facts, generations.as_deref())?;
    manifest.version = options.plan.version;
    let registry = Arc::new(Registry::new(&options.plan, &manifest));
    manifest.synced = synced && registry.has_channels();
    let core = core_over(options, &manifest, Arc::clone(&registry), cells);
    adopt(options, &mut manifest, &core, log.partition());
    if stored.as_ref() != Some(&manifest) {
        manifest.end = manifest.end.max(end);
    }
    let (dir, id) = (options.dir.clone(), options.root.id());
    let file = ManifestFile::held(Arc::clone(storage), dir.clone(), stored, manifest, id);
    let flushes = FlushContext {
        storage: Arc::clone(storage),
        root: options.root.clone(),
        dir,
        manifest: Arc::new(Mutex::new(file)),
        syncer: log.syncer(),
    };
    let next_offsets = next_offsets(&options.plan, &registry, &recovered);
    let Recovered { how, last_time, .. } = recovered;
    let Prescan { verdicts, marks } = known;
    let mut opened = Opened {
        core,
        log,
        said: Vec::new(),
        end,
        registry,
        flushes,
        next_offsets,
        last_time,
        how,
        replayed: 0,
        marks,
        sent: Vec::new(),
        ids: None,
    };
    let mut sent = Sent::of(options, outboxes);
    opened.ids = read_ids(options, &opened)?;
    let snapshots: Vec<_> = opened.core.consumers.iter().map(Snapshot::of).collect();
    let found = replay(options, &mut opened, verdicts, &mut sent)?;
    answer_ids(&options.plan, &mut opened, &snapshots);
    opened.sent = sent.into_topologies();
    Ok(Replayed { opened, found })
}

/// The next step: the folder says what the code declares. Dropping what this returns takes it back.
pub(crate) fn enter(options: &OpenOptions, replayed: Replayed) -> Result<Opened, StartError> {
    let Replayed { mut opened, found } = replayed;
    let entered = opened.flushes.manifest.lock().enter();
    entered.map_err(|fault| options.manifest_fault(fault))?;
    let Opened { log, last_time, core, .. } = &mut opened;
    let logged = log_verdicts(log, *last_time, core, &found);
    logged.map_err(|source| options.log_fault(source))?;
    if !found.is_empty() {
        opened.core.forget_logged(&found);
        let next = opened.log.next_position();
        for consumer in opened.core.consumers.iter_mut().filter(|consumer| consumer.live) {
            consumer.next = next;
        }
    }
    let end = opened.log.next_position().number();
    options.root.note_end(options.plan.name, options.partition, end);
    Ok(opened)
}

/// The last step: nothing is taken back any more, and what nothing names is removed.
pub(crate) fn settle(options: &OpenOptions, opened: Opened) -> Opened {
    let mut manifest = opened.flushes.manifest.lock();
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

/// Reads the ids of the window before the log's last record: those of any later moment are among them.
fn read_ids(options: &OpenOptions, opened: &Opened) -> Result<Option<Vec<LoggedId>>, StartError> {
    let read = || {
        if is_planted(Bug::ForgetIds) || !once::is_marked(&*options.storage, &options.dir)? {
            return Ok(None);
        }
        let since = opened.last_time.saturating_sub(options.once_window);
        once::read(&opened.log.reader(), &opened.registry, &options.plan, since).map(Some)
    };
    read().map_err(|source| options.log_fault(source))
}

/// What a topology had before the tail was replayed.
#[derive(Clone, Copy)]
struct Snapshot {
    live: bool,
    next: Position,
}

impl Snapshot {
    fn of(consumer: &Consumer) -> Self {
        Self { live: consumer.live, next: consumer.next }
    }
}

/// Appends with an id that were handled again, by all topologies that they concern and without leading to anything
/// else, are answered as the replay has it, where the log has no answer.
fn answer_ids(plan: &Plan, opened: &mut Opened, snapshots: &[Snapshot]) {
    let Opened { ids: Some(ids), said, .. } = opened else { return };
    let mut by_position = HashMap::<u64, OnceAnswer>::new();
    for said in said.iter() {
        let answer = by_position.entry(said.position.to_bits()).or_default();
        match said.answer(plan) {
            Ok(reply) => answer.replies.push(reply),
            Err(rejection) => answer.rejections.push(*rejection),
        }
    }
    for id in ids.iter_mut().filter(|id| id.answer.is_none()) {
        let position = Position::from_bits(id.position);
        let mut readers = plan.topologies.iter().zip(snapshots);
        let is_known = readers.all(|(topology, snapshot)| {
            let again = snapshot.live && snapshot.next <= position && !topology.sends();
            again || topology.source(usize::from(id.key.0)).is_none()
        });
        if is_known {
            id.answer = Some(by_position.remove(&id.position).unwrap_or_default());
        }
    }
}

/// The partition's folder below the data folder.
pub(crate) fn partition_dir(module: &str, partition: u32) -> PathBuf {
    Path::new(module).join(partition.to_string())
}
