//! Starts of a module whose topologies send, on a simulated disk.

use std::sync::Arc;

use gridmill_persistence::{LogOptions, Position, RecordMeta, SimStorage, Storage};

use crate::error::StartError;
use crate::identity::Root;
use crate::machine::budget::Budget;
use crate::machine::check::{Checked, check, meet, settle_generations, survey};
use crate::machine::control::kind;
use crate::machine::core::Limits;
use crate::machine::flow::confirmed::Confirmed;
use crate::machine::flow::fixtures::{FIRST, Flows, PLAIN, WithoutFirst, WithoutPlain, plan_of};
use crate::machine::flow::marks::Watermark;
use crate::machine::flow::outbox_file::OutboxRecord;
use crate::machine::flow::stamp::Stamp;
use crate::machine::flush::{FlowsAtFlush, flush_now};
use crate::machine::manifest::{Intake, Manifest, runs_dir};
use crate::module::{Module, Plan};
use crate::topology::{HOP_BYTES_MAX, SendLimits};

use super::{OpenOptions, Opened, Replayed, begin, enter, partition_dir, settle};

const PARTITIONS: u32 = 2;

/// The depots of the plan, and the PState of `first`.
const NUMBERS: usize = 0;
const ECHO: usize = 2;
const SEEN: usize = 0;

/// One start of a module, partition by partition.
struct Start {
    options: Vec<OpenOptions>,
}

impl Start {
    fn of<M: Module>(disk: &SimStorage) -> Self {
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        let root = Root::open(&storage).expect("the disk has no faults");
        let plan: Arc<Plan> = plan_of::<M>();
        let confirmed = Arc::new(Confirmed::new(&plan, PARTITIONS));
        let changes = Budget::new(1 << 20, 1);
        let options = |partition| OpenOptions {
            storage: Arc::clone(&storage),
            root: root.clone(),
            dir: partition_dir(plan.name, partition),
            plan: Arc::clone(&plan),
            partition,
            partitions: PARTITIONS,
            limits: Limits {
                value_bytes_max: 1 << 20,
                cache_bytes: 1 << 20,
                step_bytes: 1 << 20,
                sends: SendLimits { event_bytes_max: 1 << 20, hop_bytes_max: HOP_BYTES_MAX },
                attempts: 1,
                check_twice: false,
            },
            log: LogOptions::default(),
            changes: changes.clone(),
            accept_new_code: false,
            quarantine_at: Vec::new(),
            waiting_from: None,
            confirmed: Arc::clone(&confirmed),
            synced: true,
            once_window: 0,
        };
        Self { options: (0..PARTITIONS).map(options).collect() }
    }

    fn with(mut self, change: impl Fn(&mut OpenOptions)) -> Self {
        self.options.iter_mut().for_each(change);
        self
    }

    fn checked(&self) -> Result<Vec<Checked>, StartError> {
        let surveyed: Vec<_> = self.options.iter().map(survey).collect::<Result<_, _>>()?;
        let generations = settle_generations(&self.options[0].plan, &surveyed);
        let checked = self.options.iter().zip(surveyed);
        let checked = checked.map(|(options, surveyed)| {
            Ok((options, check(options, (surveyed, Some(Arc::clone(&generations))))?))
        });
        let mut checked = checked.collect::<Result<Vec<_>, StartError>>()?;
        meet(&mut checked)?;
        Ok(checked.into_iter().map(|(_, checked)| checked).collect())
    }

    fn replayed(&self) -> Result<Vec<Replayed>, StartError> {
        let checked = self.options.iter().zip(self.checked()?);
        checked.map(|(options, checked)| begin(options, checked)).collect()
    }

    fn run(&self) -> Result<Vec<Opened>, StartError> {
        let replayed = self.options.iter().zip(self.replayed()?);
        let entered = replayed.map(|(options, replayed)| enter(options, replayed));
        let entered: Vec<_> = entered.collect::<Result<_, _>>()?;
        Ok(self.options.iter().zip(entered).map(|(options, one)| settle(options, one)).collect())
    }
}

fn start(disk: &SimStorage) -> Vec<Opened> {
    Start::of::<Flows>(disk).run().unwrap_or_else(|error| panic!("it fits the folder: {error}"))
}

/// Logs a record and makes it durable; returns its position.
fn log(opened: &mut Opened, depot: usize, number: u64, stamp: Option<Stamp>) -> Position {
    let meta = RecordMeta {
        time: 0,
        depot_offset: opened.next_offsets[depot],
        type_id: opened.registry.type_id(depot, 0),
        source: opened.registry.source(depot),
        kind: if stamp.is_some() { kind::HOP } else { kind::EVENT },
        id: stamp.map(Stamp::to_bytes),
    };
    opened.next_offsets[depot] += 1;
    let payload = postcard::to_stdvec(&number).expect("it is a number");
    let position = opened.log.push(&meta, &payload).expect("it fits");
    opened.log.write().expect("the disk has no faults");
    opened.log.syncer().sync().expect("the disk has no faults");
    position
}

fn number(opened: &mut Opened, number: u64) -> Position {
    log(opened, NUMBERS, number, None)
}

/// Logs both records that partition 0 sent for a number.
fn hops(opened: &mut Opened, number: u64, cause: Position) {
    let channel = opened.registry.channel(FIRST).expect("it sends");
    for (index, number) in [(0, number), (1, number + 1_000)] {
        let stamp = Stamp { cause, partition: 0, channel, index };
        log(opened, ECHO, number, Some(stamp));
    }
}

/// Target, record number of the cause, index, and kind of each record.
fn sent(opened: &Opened) -> Vec<(u32, u64, u32, u8)> {
    let of =
        |record: &OutboxRecord| (record.target, record.cause.number(), record.index, record.kind);
    let mut sent: Vec<_> = opened.sent[FIRST].iter().map(of).collect();
    sent.sort_unstable();
    sent
}

/// What `first` sends on partition 0 for the record number `cause`.
fn all_of(cause: u64) -> Vec<(u32, u64, u32, u8)> {
    let here = [(0, kind::HOP), (1, kind::HOP), (2, kind::SENT)];
    let here = here.map(|(index, kind)| (0, cause, index, kind));
    let there = [0, 1].map(|index| (1, cause, index, kind::HOP));
    here.into_iter().chain(there).collect()
}

fn sorted(parts: &[Vec<(u32, u64, u32, u8)>]) -> Vec<(u32, u64, u32, u8)> {
    let mut all = parts.concat();
    all.sort_unstable();
    all
}

fn manifest(opened: &Opened) -> Manifest {
    opened.flushes.manifest.lock().get().clone()
}

#[test]
fn a_replay_gives_what_was_sent_and_not_confirmed() {
    let disk = SimStorage::new();
    let mut grid = start(&disk);
    assert!(grid.iter().all(|opened| opened.sent.iter().all(Vec::is_empty)), "a new folder");
    let cause = number(&mut grid[0], 7);
    assert_eq!(cause, Position::START, "the first record of a log is a cause like others");
    number(&mut grid[0], 8);
    drop(grid);
    let mut grid = start(&disk.kill());
    assert_eq!(sent(&grid[0]), sorted(&[all_of(0), all_of(1)]));
    assert_eq!(sent(&grid[1]), []);
    // The target logs what the first record sent: the rest is sent again.
    hops(&mut grid[1], 7, cause);
    let disk = disk.kill();
    drop(grid);
    let start = Start::of::<Flows>(&disk);
    let grid = start.run().unwrap_or_else(|error| panic!("it fits the folder: {error}"));
    let there = |sent: &(u32, u64, u32, u8)| (sent.0, sent.1) == (1, 0);
    let rest: Vec<_> =
        sorted(&[all_of(0), all_of(1)]).into_iter().filter(|one| !there(one)).collect();
    assert_eq!(sent(&grid[0]), rest);
    let channel = grid[1].registry.channel(FIRST).expect("it sends");
    assert_eq!(grid[1].marks.get(channel, 0), Watermark::after(cause));
    assert_eq!(start.options[0].confirmed.get(1, FIRST, 0), Watermark::after(cause));
    assert_eq!(start.options[0].confirmed.get(0, FIRST, 0), Watermark::NONE);
    assert_eq!(grid[1].core.cell(SEEN).len(), 2, "hops are handled as events are");
}

/// Writes out what a partition has, with what it has sent and what has come.
fn flush(opened: &mut Opened, outbox: Vec<OutboxRecord>) {
    let Opened { core, log, flushes, marks, .. } = opened;
    let intake = Intake { at: log.next_position(), marks: marks.snapshot() };
    let flows = FlowsAtFlush { intake: Some(intake), outboxes: vec![(FIRST, outbox)] };
    let all: Vec<usize> = (0..core.consumers.len()).collect();
    flush_now(core, &all, flushes, flows).expect("the disk has no faults");
}

#[test]
fn what_was_sent_before_a_flush_lies_in_its_outbox_until_it_is_confirmed() {
    let disk = SimStorage::new();
    number(&mut start(&disk)[0], 7);
    let mut grid = start(&disk.kill());
    let outbox = grid[0].sent[FIRST].clone();
    flush(&mut grid[0], outbox.clone());
    let run = manifest(&grid[0]).topology("first").and_then(|first| first.outbox.clone());
    let run = run.expect("it is not empty").file;
    let next = number(&mut grid[0], 8);
    let disk = disk.kill();
    drop(grid);
    let mut grid = start(&disk);
    assert_eq!(grid[0].replayed, 1, "the first record is in the snapshot");
    assert_eq!(sent(&grid[0]), sorted(&[all_of(0), all_of(1)]));
    assert_eq!(grid[0].sent[FIRST][..outbox.len()], {
        let mut loaded = outbox.clone();
        loaded.sort_by_key(|record| (record.target, record.cause, record.index));
        loaded
    });
    // Everything is there on both: the next flush has nothing to keep, and the file goes.
    for opened in &mut grid {
        hops(opened, 7, Position::START);
        hops(opened, 8, next);
    }
    let disk = disk.kill();
    drop(grid);
    let mut grid = start(&disk);
    assert_eq!(sent(&grid[0]), [], "what the targets have is not sent again");
    flush(&mut grid[0], Vec::new());
    assert_eq!(manifest(&grid[0]).topology("first").and_then(|first| first.outbox.clone()), None);
    let runs = runs_dir(&partition_dir("flows", 0));
    assert!(!disk.list(&runs).expect("it is there").contains(&run), "it is used by nothing");
}

#[test]
fn marks_come_from_the_manifest_and_from_what_was_logged_since() {
    let disk = SimStorage::new();
    let mut grid = start(&disk);
    let causes = [7, 8, 9].map(|event| number(&mut grid[0], event));
    hops(&mut grid[1], 7, causes[0]);
    drop(grid);
    let mut grid = start(&disk.kill());
    flush(&mut grid[1], Vec::new());
    let channel = grid[1].registry.channel(FIRST).expect("it sends");
    let intake = manifest(&grid[1]).intake;
    assert_eq!(intake.marks, [(channel, 0, Watermark::after(causes[0]))]);
    assert_eq!(intake.at.number(), 2);
    hops(&mut grid[1], 8, causes[1]);
    drop(grid);
    let grid = start(&disk.kill());
    assert_eq!(grid[1].marks.get(channel, 0), Watermark::after(causes[1]));
    // A flush that has nothing to say of it, as that of a catch-up, leaves it as it was.
    assert_eq!(manifest(&grid[1]).intake, intake);
}

#[test]
fn flushes_of_a_replay_keep_what_it_sent() {
    let disk = SimStorage::new();
    let mut grid = start(&disk);
    for event in 0..3 {
        number(&mut grid[0], event);
    }
    drop(grid);
    let disk = disk.kill();
    let tight = Start::of::<Flows>(&disk).with(|options| options.changes = Budget::new(1, 64));
    let grid = tight.run().unwrap_or_else(|error| panic!("it fits the folder: {error}"));
    let all = sorted(&[all_of(0), all_of(1), all_of(2)]);
    assert_eq!(sent(&grid[0]), all);
    drop(grid);
    assert_eq!(sent(&start(&disk.kill())[0]), all, "also where it is killed at once");
}

#[test]
fn a_partition_that_lacks_what_it_sent_on_is_damaged_where_nothing_unsynced_is_told() {
    for synced in [true, false] {
        let disk = SimStorage::new();
        let promise = |options: &mut OpenOptions| options.synced = synced;
        let begun = Start::of::<Flows>(&disk).with(promise).run();
        let mut grid = begun.unwrap_or_else(|error| panic!("a new folder: {error}"));
        number(&mut grid[0], 7);
        hops(&mut grid[1], 8, Position::new(0, 5));
        drop(grid);
        let disk = disk.kill();
        // What the one who starts promises says nothing about what the folder has been through.
        let again = Start::of::<Flows>(&disk).with(|options| options.synced = true);
        match again.run() {
            Ok(grid) => {
                assert!(!synced, "it lacks records that were synced");
                assert!(!manifest(&grid[0]).synced, "others know more than it has");
                assert!(manifest(&grid[1]).synced);
            }
            Err(StartError::Behind { partition, witness, known, end, folder, .. }) => {
                assert_eq!((partition, witness, known, end), (0, 1, 6, 1));
                assert!(synced && folder.ends_with("flows/0"), "{}", folder.display());
            }
            Err(other) => panic!("synced {synced}: {other}"),
        }
    }
}

/// Lets a start die when it has entered the first partitions only.
fn die_after_entering<M: Module>(disk: &SimStorage, entered: usize) -> SimStorage {
    let start = Start::of::<M>(disk);
    let replayed = start.replayed().unwrap_or_else(|error| panic!("it fits the folder: {error}"));
    for (number, (options, replayed)) in start.options.iter().zip(replayed).enumerate() {
        if number == entered {
            let left = disk.kill();
            return left;
        }
        let opened = enter(options, replayed);
        // A process that dies takes nothing back.
        std::mem::forget(opened.unwrap_or_else(|error| panic!("the disk has no faults: {error}")));
    }
    disk.kill()
}

/// Generation of `plain` on each partition, and how many entries its PState has.
fn plains(grid: &[Opened]) -> Vec<(u32, u64)> {
    let of = |opened: &Opened| {
        let generation = manifest(opened).topology("plain").map_or(0, |plain| plain.generation);
        let owned = &opened.core.plan.topologies[PLAIN].owned;
        (generation, opened.core.cell(owned[0]).len())
    };
    grid.iter().map(of).collect()
}

#[test]
fn a_topology_that_some_partitions_had_removed_begins_anew_on_all() {
    const COPIES: usize = 1;
    let disk = SimStorage::new();
    let mut grid = start(&disk);
    for opened in &mut grid {
        log(opened, COPIES, 4, None);
    }
    drop(grid);
    let disk = disk.kill();
    assert_eq!(plains(&start(&disk)), [(1, 1), (1, 1)]);
    let disk = die_after_entering::<WithoutPlain>(&disk.kill(), 1);
    let again = start(&disk);
    assert_eq!(plains(&again), [(2, 0), (2, 0)], "the second had it still");
    assert!(again.iter().all(|opened| !opened.core.consumers[PLAIN].live), "both read the past");
    drop(again);
    let grid = start(&disk.kill());
    assert_eq!(plains(&grid), [(2, 0), (2, 0)], "it is the same life at the next start");
}

#[test]
fn a_start_that_added_a_topology_to_some_partitions_is_gone_on_with() {
    let disk = SimStorage::new();
    let first = Start::of::<WithoutPlain>(&disk).run();
    drop(first.unwrap_or_else(|error| panic!("a new folder: {error}")));
    let disk = die_after_entering::<Flows>(&disk.kill(), 1);
    assert_eq!(plains(&start(&disk)), [(1, 0), (1, 0)]);
}

#[test]
fn a_new_life_of_what_sends_has_a_channel_and_inboxes_of_its_own() {
    let disk = SimStorage::new();
    let mut grid = start(&disk);
    let old = grid[1].registry.channel(FIRST).expect("it sends");
    let source = grid[1].registry.source(ECHO);
    let cause = number(&mut grid[0], 7);
    hops(&mut grid[1], 7, cause);
    drop(grid);
    let disk = disk.kill();
    let removed = Start::of::<WithoutFirst>(&disk).run();
    drop(removed.unwrap_or_else(|error| panic!("it fits the folder: {error}")));
    let again = Start::of::<Flows>(&disk.kill()).run();
    // It sends, and its depot has a past.
    let Err(error) = again else { panic!("it would send the past again") };
    assert!(matches!(error, StartError::Incompatible { .. }), "{error}");
    let Ok(grid) = Start::of::<WithoutFirst>(&disk.kill()).run() else { panic!("as it was") };
    assert_eq!(grid[1].registry.topology_of_channel(old), None, "it is another's life");
    assert!(grid[1].marks.snapshot().is_empty(), "what came for it is forgotten");
    let echo = &manifest(&grid[1]).depots[usize::from(source)];
    assert!(echo.removed && echo.inbox.as_deref() == Some("first"));
}

#[test]
fn a_topology_whose_events_are_on_their_way_is_not_removed() {
    let disk = SimStorage::new();
    number(&mut start(&disk)[0], 7);
    let mut grid = start(&disk.kill());
    let outbox = grid[0].sent[FIRST].clone();
    flush(&mut grid[0], outbox);
    drop(grid);
    let disk = disk.kill();
    let Err(error) = Start::of::<WithoutFirst>(&disk).run() else { panic!("an event is lost") };
    assert!(
        matches!(&error, StartError::InFlight { topology, events: 1, partition: 0, .. } if topology == "first"),
        "{error}"
    );
    // Hops are its own: they go with it.
    let mut grid = start(&disk);
    let hops = grid[0].sent[FIRST].iter().filter(|record| record.kind == kind::HOP);
    let hops = hops.cloned().collect();
    flush(&mut grid[0], hops);
    drop(grid);
    assert!(Start::of::<WithoutFirst>(&disk.kill()).run().is_ok());
}
