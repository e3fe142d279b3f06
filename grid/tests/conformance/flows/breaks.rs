//! Ways in which work that goes over partitions could break, one test for each. What needs time and crashes at any
//! moment is the simulator's.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use gridmill::GridBuilder;
use gridmill::client::AppendErrorKind;
use gridmill::folder::Folder;
use gridmill::model::Damaged;
use gridmill::persistence::SimStorage;
use gridmill::prelude::*;

use crate::bad_input::{refusal, says};
use crate::disk::Disk;
use crate::faults::damage_values;
use crate::identity::copy;
use crate::lives::stop;

type Test = Result<(), Box<dyn std::error::Error>>;

const PARTITIONS: u32 = 4;

/// Goes from where `from` lives to where `to` lives.
#[record]
pub(super) struct Job {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) number: u64,
    padding: Str,
}

pub(super) const JOBS: Depot<Job> = Depot::hash_by("relay/jobs", |job| job.from.into());
const SENT: PState<Map<u64, u64>> = PState::new("relay/sent");
/// What came, by where it was to go, in order: number of the job, and which record of it.
const CAME: PState<Map<u64, List<(u64, u32)>>> = PState::new("relay/came");
const ARRIVE: Stage<(Job, u32)> = Stage::hash_by("arrive", |(job, _)| job.to.into());

type Sent = Map<u64, u64>;
type Came = Map<u64, List<(u64, u32)>>;

/// The job at whose arrival the process ends.
pub(super) static ABORT_AT: AtomicU64 = AtomicU64::new(u64::MAX);

/// Sends `COPIES` records for each job.
fn leave<const COPIES: u32>(job: Job, sent: &mut Sent, flow: &mut Context<'_>) {
    *sent.entry(job.from).or_default() += 1;
    for copy in 0..COPIES {
        flow.send(ARRIVE, (job.clone(), copy));
    }
}

fn arrive((job, copy): (Job, u32), came: &mut Came) {
    if ABORT_AT.load(Ordering::SeqCst) == job.number {
        std::process::abort();
    }
    came.entry(job.to).or_default().push_back((job.number, copy));
}

/// The relay, with a topology that sends so many records for each job; with none, the topology is gone.
pub(super) struct Relay<const COPIES: u32>;

impl<const COPIES: u32> Module for Relay<COPIES> {
    const NAME: &'static str = "relay";
    const VERSION: u32 = COPIES;

    fn define(module: &mut Setup) {
        module.depot(JOBS);
        if COPIES == 0 {
            module.remove("relay").remove(SENT.name()).remove(CAME.name());
            return;
        }
        module
            .stream("relay", (SENT, CAME))
            .source(JOBS)
            .start_from(StartFrom::End)
            .over(SENT)
            .each_with(leave::<COPIES>)
            .stage(ARRIVE)
            .over(CAME)
            .each(arrive);
    }
}

pub(super) fn job(number: u64) -> Job {
    Job { from: number % 11, to: number % 7, number, padding: Str::default() }
}

fn on(folder: &Path) -> GridBuilder {
    Grid::builder(folder).partitions(PARTITIONS).threads(2)
}

pub(super) async fn came(
    client: &Client,
) -> Result<BTreeMap<u64, Vec<u32>>, Box<dyn std::error::Error>> {
    let mut came = BTreeMap::<u64, Vec<u32>>::new();
    for to in 0..7 {
        let list = client.select_one(CAME.key(to)).await?;
        for (number, copy) in list.iter().flat_map(|list| list.iter()) {
            came.entry(*number).or_default().push(*copy);
        }
    }
    Ok(came)
}

/// Appends jobs that are only known to be logged.
async fn append(client: &Client, numbers: std::ops::Range<u64>) -> Test {
    let appends: Vec<_> =
        numbers.map(|number| client.append_with(JOBS, job(number), Ack::Appended)).collect();
    for append in appends {
        append.await?;
    }
    Ok(())
}

#[tokio::test]
async fn full_disk_keeps_hops() -> Test {
    const JOB: u64 = 64 << 10;
    let disk = Disk::new(SimStorage::new());
    let storage = Arc::new(disk.clone());
    let builder = Grid::builder("sim").storage(storage).partitions(PARTITIONS).threads(1);
    let grid = builder.module::<Relay<1>>().start().await?;
    let client = grid.client();
    let padding: Str = "x".repeat(JOB as usize).as_str().into();
    let (mut acked, mut waited) = (0, 0);
    for round in 0..16 {
        // Of one job and a half there is room for the job, and none for what it sends.
        disk.sim.set_space_left(Some(round * JOB / 4));
        let refused = loop {
            let job = Job { padding: padding.clone(), ..job(acked) };
            match client.append_with(JOBS, job, Ack::Appended).await {
                Ok(_) => acked += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(refused.kind, AppendErrorKind::StorageFull { .. }), "{refused}");
        let under_way = grid.stats().total(|partition| partition.outbox_bytes);
        waited += u64::from(under_way > 0);
        disk.sim.set_space_left(None);
        grid.processed().await;
    }
    assert!(acked > 0 && waited > 0, "{acked} jobs, and {waited} times some waited for room");
    let came = came(&client).await?;
    assert_eq!(came.len() as u64, acked);
    assert!(came.values().all(|copies| copies == &[0]), "{came:?}");
    Ok(())
}

struct Random;

impl Module for Random {
    const NAME: &'static str = "relay";

    fn define(module: &mut Setup) {
        module.depot(JOBS);
        module
            .stream("relay", CAME)
            .source(JOBS)
            .over(())
            .each_with(|job: Job, (): (), flow: &mut Context<'_>| {
                static CALLS: AtomicU32 = AtomicU32::new(0);
                let target = CALLS.fetch_add(1, Ordering::SeqCst) % flow.partitions();
                flow.send_to(target, ARRIVE, (job, 0));
            })
            .stage(ARRIVE)
            .each(arrive);
    }
}

#[tokio::test]
async fn random_target_is_found() -> Test {
    let builder = Grid::in_memory().partitions(PARTITIONS).check_handlers(true);
    let grid = builder.module::<Random>().start().await?;
    let error = grid.client().append(JOBS, job(1)).await.expect_err("it goes elsewhere each time");
    says(&error, &["relay", "not deterministic"]);
    assert!(came(&grid.client()).await?.is_empty(), "nothing was sent");
    Ok(())
}

#[tokio::test]
async fn new_code_never_halves_a_cause() -> Test {
    for round in 0..4 {
        let folder = tempfile::tempdir()?;
        let grid = on(folder.path()).module::<Relay<2>>().start().await?;
        append(&grid.client(), 0..300).await?;
        grid.halt().await;
        let refused = refusal(on(folder.path()).module::<Relay<3>>()).await;
        says(&refused, &["version 2", "version 3", "accept_replay_with_new_code"]);
        let builder = on(folder.path()).module::<Relay<3>>().accept_replay_with_new_code();
        let grid = builder.start().await?;
        grid.processed().await;
        let came = came(&grid.client()).await?;
        assert_eq!(came.len(), 300, "round {round}");
        // What the old code sent and the target has, or what the new one sends: whole in any case.
        let whole = |copies: &Vec<u32>| copies == &[0, 1] || copies == &[0, 1, 2];
        assert!(came.values().all(whole), "round {round}: {came:?}");
        grid.halt().await;
    }
    Ok(())
}

#[tokio::test]
async fn power_loss_then_new_causes_pass() -> Test {
    let mut storage = SimStorage::new();
    for life in 0..4 {
        let builder = Grid::builder("sim").storage(Arc::new(storage.clone()));
        let builder = builder.partitions(PARTITIONS).threads(1).durability(Durability::Os);
        let grid = builder.module::<Relay<1>>().start().await?;
        grid.processed().await;
        let client = grid.client();
        let mine = life * 1_000..life * 1_000 + 100;
        client.append_many(JOBS, mine.clone().map(job)).await?;
        let came = came(&client).await?;
        // Of the lives before, a power loss has taken what it took.
        for number in mine {
            assert_eq!(came.get(&number), Some(&vec![0]), "job {number}");
        }
        grid.halt().await;
        storage = storage.crash();
    }
    Ok(())
}

#[tokio::test]
async fn one_folder_restored() -> Test {
    for cleanly in [true, false] {
        let folder = tempfile::tempdir()?;
        let earlier = tempfile::tempdir()?;
        let grid = on(folder.path()).module::<Relay<1>>().start().await?;
        append(&grid.client(), 0..50).await?;
        stop(grid, cleanly).await?;
        let mine = folder.path().join("relay/0");
        copy(&mine, &earlier.path().join("0"))?;
        let grid = on(folder.path()).module::<Relay<1>>().start().await?;
        append(&grid.client(), 50..100).await?;
        grid.processed().await;
        stop(grid, cleanly).await?;
        std::fs::remove_dir_all(&mine)?;
        copy(&earlier.path().join("0"), &mine)?;
        let refused = refusal(on(folder.path()).module::<Relay<1>>()).await;
        says(&refused, &["relay", "partition 0"]);
        // The folder by itself says it too: others have more of the partition than it has itself.
        let found = Folder::open(folder.path())?.verify();
        let of_log =
            |damage: &Damaged| damage.message.contains("has what this one sent for its record");
        let damage = found.problems.iter().find(|damage| of_log(damage)).expect("it is behind");
        assert!(damage.file.ends_with("relay/0/log"), "{damage}");
    }
    Ok(())
}

#[tokio::test]
async fn restart_resends_only_unconfirmed() -> Test {
    let folder = tempfile::tempdir()?;
    let grid = on(folder.path()).module::<Relay<2>>().start().await?;
    append(&grid.client(), 0..500).await?;
    grid.processed().await;
    grid.halt().await;
    let grid = on(folder.path()).module::<Relay<2>>().start().await?;
    grid.processed().await;
    let stats = grid.stats();
    assert!(stats.total(|partition| partition.replayed) >= 500, "the tail was replayed");
    assert_eq!(stats.total(|partition| partition.sent_again), 0, "all of it had arrived");
    assert_eq!(stats.total(|partition| partition.outbox_bytes), 0);
    let came = came(&grid.client()).await?;
    assert_eq!(came.len(), 500);
    assert!(came.values().all(|copies| copies == &[0, 1]));
    Ok(())
}

#[tokio::test]
async fn re_added_topology_counts_once() -> Test {
    let folder = tempfile::tempdir()?;
    for (life, cleanly) in [(0, true), (1, false), (2, true)] {
        let grid = on(folder.path()).module::<Relay<2>>().start().await?;
        let mine = life * 100..life * 100 + 100;
        append(&grid.client(), mine.clone()).await?;
        grid.processed().await;
        let came = came(&grid.client()).await?;
        assert_eq!(came.keys().copied().collect::<Vec<_>>(), mine.collect::<Vec<_>>());
        assert!(came.values().all(|copies| copies == &[0, 1]), "life {life}: {came:?}");
        stop(grid, cleanly).await?;
        let without = on(folder.path()).module::<Relay<0>>();
        let grid = without.accept_replay_with_new_code().start().await?;
        stop(grid, true).await?;
    }
    Ok(())
}

#[tokio::test]
async fn remove_with_hops_in_flight() -> Test {
    let folder = tempfile::tempdir()?;
    for life in 0..3 {
        let grid = on(folder.path()).module::<Relay<2>>().start().await?;
        append(&grid.client(), life * 100..life * 100 + 100).await?;
        // Some of what was sent is on its way.
        grid.halt().await;
        let without = on(folder.path()).module::<Relay<0>>();
        let grid = without.accept_replay_with_new_code().start().await?;
        let left = grid.client().select_one(CAME.key(0)).await;
        left.expect_err("the topology is gone, with what it had and sent");
        grid.processed().await;
        assert_eq!(grid.stats().total(|partition| partition.outbox_bytes), 0);
        assert!(grid.verify().await.problems.is_empty());
        stop(grid, life % 2 == 0).await?;
    }
    let grid = on(folder.path()).module::<Relay<2>>().start().await?;
    grid.client().append_many(JOBS, (900..920).map(job)).await?;
    assert_eq!(came(&grid.client()).await?.len(), 20, "only what came since");
    Ok(())
}

/// A record from a key of one partition to one of another.
fn from_to(from: u32, to: u32, partitions: u32, number: u64) -> Job {
    let lives = |partition: u32| {
        (0..).find(|key: &u64| RouteKey::from(*key).partition(partitions) == partition)
    };
    let (from, to) = (lives(from).unwrap_or(0), lives(to).unwrap_or(0));
    Job { from, to, number, padding: Str::default() }
}

#[tokio::test]
async fn damaged_target() -> Test {
    let disk = SimStorage::new();
    let builder = || {
        let builder = Grid::builder("sim").storage(Arc::new(disk.clone())).partitions(2).threads(1);
        builder.flow_bytes_max(64 << 10).module::<Relay<1>>()
    };
    let grid = builder().start().await?;
    for number in 0..20 {
        grid.client().append(JOBS, from_to(0, 1, 2, number)).await?;
    }
    grid.shutdown().await?;
    damage_values(&disk, "relay/1");
    let grid = builder().start().await?;
    let client = grid.client();
    // Its partition stops at the first one; nobody knows of those how far they got.
    let stalled = loop {
        let error =
            client.append(JOBS, from_to(0, 1, 2, 100)).await.expect_err("it cannot be done");
        match error.kind {
            AppendErrorKind::Unknown { .. } => {}
            _ => break error,
        }
    };
    says(
        &stalled,
        &[
            "partition 0",
            "partition 1",
            "damaged data in",
            "nothing was logged",
            "mend partition 1",
        ],
    );
    assert!(stalled.events.is_some(), "it comes back");
    // What is not kept for others goes on, up to the same point.
    let here =
        client.append(JOBS, from_to(0, 0, 2, 101)).await.expect_err("partition 0 is full of it");
    assert!(
        matches!(here.kind, AppendErrorKind::Stalled { partition: 0, target: 1, .. }),
        "{here}"
    );
    let sent = client.select_one(SENT.key(from_to(0, 1, 2, 0).from)).await?.unwrap_or(0);
    grid.halt().await;

    // As it advises: mended, everything that was logged arrives, once.
    damage_values(&disk, "relay/1");
    let grid = builder().start().await?;
    grid.processed().await;
    let key = from_to(0, 1, 2, 0).to;
    let came = grid.client().select_one(CAME.key(key)).await?.map_or(0, |came| came.len());
    assert_eq!(came as u64, sent);
    grid.client().append(JOBS, from_to(0, 1, 2, 102)).await?;
    Ok(())
}
