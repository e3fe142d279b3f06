//! Topologies that read each other's PStates: a crash shows nobody another past than readers saw.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gridmill::GridBuilder;
use gridmill::persistence::{Faults, SimStorage, Storage};
use gridmill::prelude::*;

use crate::disk::Disk;

type Test = Result<(), Box<dyn std::error::Error>>;

/// An amount that is poison to the owner of the total; no number of an event.
const POISON: u64 = 1_000_000;

/// What an event adds to the total, and padding that the owner keeps, or else the reader.
#[record]
struct Added {
    number: u64,
    amount: u64,
    for_owner: bool,
    padding: Str,
}

const ADDED: Depot<Added> = Depot::random("coupled/added").global();
const TOTAL: PState<Map<Str, u64>> = PState::new("coupled/total").global();
const OWNED: PState<Map<u64, Str>> = PState::new("coupled/owned").global();
const SEEN: PState<Map<u64, u64>> = PState::new("coupled/seen").global();
const READ: PState<Map<u64, Str>> = PState::new("coupled/read").global();

fn add(
    event: Added,
    (total, owned): (&mut Map<Str, u64>, &mut Map<u64, Str>),
    poison: impl Fn(u64) -> bool,
) {
    *total.entry("sum".into()).or_default() += event.amount;
    assert!(!poison(event.amount), "this amount is poison");
    if event.for_owner {
        owned.insert(event.number, event.padding);
    }
}

type Reader<'a> = (&'a mut Map<u64, u64>, &'a mut Map<u64, Str>, &'a Map<Str, u64>);

fn look(event: Added, (seen, read, total): Reader<'_>) {
    seen.insert(event.number, total.get("sum").map_or(0, |total| *total));
    if !event.for_owner {
        read.insert(event.number, event.padding);
    }
}

/// One topology owns the total, another notes what it is at each event.
struct Pair;
/// The same after its handler was repaired.
struct Repaired;

impl Module for Pair {
    const NAME: &'static str = "coupled";

    fn define(module: &mut Setup) {
        module.depot(ADDED);
        let owner = module.stream("owner", (TOTAL, OWNED));
        owner.source(ADDED).each(|event, states| add(event, states, |amount| amount == POISON));
        module.stream("reader", (SEEN, READ, TOTAL.read())).source(ADDED).each(look);
    }
}

impl Module for Repaired {
    const NAME: &'static str = "coupled";
    const VERSION: u32 = 2;

    fn define(module: &mut Setup) {
        module.depot(ADDED);
        let owner = module.stream("owner", (TOTAL, OWNED));
        owner.source(ADDED).each(|event, states| add(event, states, |_| false));
        module.stream("reader", (SEEN, READ, TOTAL.read())).source(ADDED).each(look);
    }
}

fn on(disk: &Disk) -> GridBuilder {
    let storage = Arc::new(disk.clone());
    // So small that one of the two is due now and then, but not both at once.
    let builder = Grid::builder("sim").storage(storage).partitions(1).threads(1);
    builder.overlay_bytes_max(12 << 10)
}

/// Waits until the power is gone. A partition may then be tried again for long before anybody is answered.
async fn power_goes(disk: &Disk) {
    while disk.sim.list(Path::new("")).is_ok() {
        disk.failed().await;
    }
}

/// Appends until the power goes, or `events` times; what was seen of each that was answered.
async fn append(
    grid: &Grid,
    disk: &Disk,
    events: std::ops::Range<u64>,
    for_owner: bool,
) -> BTreeMap<u64, u64> {
    let (client, mut seen) = (grid.client(), BTreeMap::new());
    for number in events {
        let amount = if number % 7 == 3 { POISON } else { number };
        let padding = "x".repeat(300).into();
        let event = Added { number, amount, for_owner, padding };
        let appended = tokio::select! {
            appended = client.append(ADDED, event) => appended,
            () = power_goes(disk) => break,
        };
        let answered = match appended {
            Ok(_) => true,
            Err(error) => error.kind.to_string().contains("poison"),
        };
        let saw = client.select_one(SEEN.key(number)).await;
        let Some(saw) = saw.ok().flatten().filter(|_| answered) else { break };
        seen.insert(number, saw);
    }
    seen
}

async fn all_seen(grid: &Grid) -> Result<BTreeMap<u64, u64>, Box<dyn std::error::Error>> {
    let seen = grid.client().select_one(SEEN).await?.expect("a root is always there");
    Ok(seen.iter().map(|(number, total)| (number, *total)).collect())
}

/// Everything that was seen is seen again.
fn same(what: &str, before: &BTreeMap<u64, u64>, after: &BTreeMap<u64, u64>) {
    for (number, saw) in before {
        assert_eq!(after.get(number), Some(saw), "{what}: what event {number} saw");
    }
}

/// The total that each event sees where `POISON` is set aside.
fn expected(events: u64) -> BTreeMap<u64, u64> {
    let amount = |number: u64| if number % 7 == 3 { 0 } else { number };
    (0..events).map(|number| (number, (0..=number).map(amount).sum())).collect()
}

// Row 024: whichever of the two is due for a flush, and wherever the power goes, the reader has seen
// what it saw.
#[tokio::test]
async fn r024_a_reader_sees_the_same_total_after_a_crash() -> Test {
    const EVENTS: u64 = 90;
    for for_owner in [true, false] {
        let mut flushed = 0;
        for life in 0.. {
            let sim = SimStorage::with_faults(life, Faults::default());
            let (disk, step) = (Disk::new(sim), 17);
            let grid = on(&disk).module::<Pair>().start().await?;
            disk.sim.set_faults(Faults { power_off: Some(1 + life * step), ..Faults::default() });
            let seen = append(&grid, &disk, 0..EVENTS, for_owner).await;
            flushed += grid.stats().total(|partition| partition.flushes);
            let whole = seen.len() as u64 == EVENTS;
            grid.halt().await;
            let disk = Disk::new(if life % 2 == 0 { disk.sim.crash() } else { disk.sim.kill() });
            let grid = on(&disk).module::<Pair>().start().await?;
            let again = all_seen(&grid).await?;
            same(&format!("life {life}, for the owner: {for_owner}"), &seen, &again);
            // What was logged and not answered is there too, and right.
            same(&format!("life {life}"), &again, &expected(EVENTS));
            // Once more, now that the replay has flushed what it flushed.
            grid.halt().await;
            let disk = Disk::new(disk.sim.kill());
            let grid = on(&disk).module::<Pair>().start().await?;
            same(&format!("life {life}, again"), &again, &all_seen(&grid).await?);
            let more = append(&grid, &disk, EVENTS..EVENTS + 20, !for_owner).await;
            grid.shutdown().await?;
            let grid = on(&disk).module::<Pair>().start().await?;
            same(&format!("life {life}, at last"), &more, &all_seen(&grid).await?);
            if whole {
                break;
            }
        }
        assert!(flushed > 0, "nothing was due");
    }
    Ok(())
}

// Rows 024 and 233: the total grows by a retry behind later events; that is replayed where it was.
#[tokio::test]
async fn r024_a_retry_between_two_topologies_keeps_its_place() -> Test {
    for life in 0..12 {
        let disk = Disk::new(SimStorage::with_faults(life, Faults::default()));
        let grid = on(&disk).module::<Pair>().start().await?;
        let mut seen = append(&grid, &disk, 0..40, life % 2 == 0).await;
        assert_eq!((seen.len(), grid.quarantine().len()), (40, 6));
        let aside = grid.quarantine();
        grid.discard_quarantined(&aside[0]).await?;
        grid.retry_quarantined(&aside[1]).await.expect_err("it is still poison");
        grid.shutdown().await?;

        let grid = on(&disk).module::<Repaired>().start().await?;
        disk.sim.set_faults(Faults { power_off: Some(40 + 25 * life), ..Faults::default() });
        let mut next = 40;
        for aside in grid.quarantine() {
            let retried = tokio::select! {
                retried = grid.retry_quarantined(&aside) => retried.is_ok(),
                () = power_goes(&disk) => false,
            };
            if !retried {
                break;
            }
            seen.extend(append(&grid, &disk, next..next + 3, life % 2 == 0).await);
            next += 4;
        }
        grid.halt().await;
        let disk = Disk::new(disk.sim.crash());
        let grid = on(&disk).module::<Repaired>().start().await?;
        same(&format!("life {life}"), &seen, &all_seen(&grid).await?);
    }
    Ok(())
}

const JOINED: PState<Map<Str, u64>> = PState::new("coupled/joined").global();
const WATCHED: PState<Map<u64, u64>> = PState::new("coupled/watched").global();

/// The depot with one topology.
struct Before;
/// Two more: one that is filled from the past, and one that watches it from the first day.
struct After;

impl Module for Before {
    const NAME: &'static str = "coupled";

    fn define(module: &mut Setup) {
        module.depot(ADDED);
        module.stream("kept", OWNED).source(ADDED).each(
            |event: Added, kept: &mut Map<u64, Str>| {
                kept.insert(event.number, event.padding);
            },
        );
    }
}

impl Module for After {
    const NAME: &'static str = "coupled";

    fn define(module: &mut Setup) {
        Before::define(module);
        module.stream("joined", JOINED).source(ADDED).each(
            |_: Added, joined: &mut Map<Str, u64>| *joined.entry("sum".into()).or_default() += 1,
        );
        module
            .stream("watcher", (WATCHED, JOINED.read()))
            .source(ADDED)
            .start_from(StartFrom::End)
            .each(|event: Added, (watched, joined): (&mut Map<u64, u64>, &Map<Str, u64>)| {
                watched.insert(event.number, joined.get("sum").map_or(0, |sum| *sum));
            });
    }
}

fn event(number: u64) -> Added {
    Added { number, amount: 1, for_owner: true, padding: "x".repeat(40).into() }
}

const PAST: u64 = 600;

/// A folder with a past that nobody watched.
async fn with_past(seed: u64) -> Result<SimStorage, Box<dyn std::error::Error>> {
    let disk = SimStorage::with_faults(seed, Faults::default());
    let grid = on(&Disk::new(disk.clone())).module::<Before>().start().await?;
    grid.client().append_many(ADDED, (0..PAST).map(event)).await?;
    grid.shutdown().await?;
    Ok(disk)
}

/// Appends one event; what the watcher saw of the topology that joins.
async fn watch(client: &Client, number: u64) -> Option<u64> {
    client.append(ADDED, event(number)).await.ok()?;
    client.select_one(WATCHED.key(number)).await.ok()?
}

// Rows 024 and 215: a topology that others read joins at one position for ever. Where the watcher saw
// it, it sees it after a crash, and where it did not, not.
#[tokio::test]
async fn r215_a_topology_that_others_read_joins_at_one_position() -> Test {
    let (mut before, mut after) = (0, 0);
    for life in 0.. {
        let disk = Disk::new(with_past(life).await?);
        let grid = on(&disk).module::<After>().start().await?;
        disk.sim.set_faults(Faults { power_off: Some(1 + 3 * life), ..Faults::default() });
        let (client, mut seen) = (grid.client(), BTreeMap::new());
        let mut number = PAST;
        loop {
            let saw = tokio::select! {
                saw = watch(&client, number) => saw,
                () = power_goes(&disk) => None,
            };
            let Some(saw) = saw else { break };
            seen.insert(number, saw);
            number += 1;
            if number > PAST + 30 && saw > 0 {
                break;
            }
        }
        let whole = seen.len() >= 30 && seen.values().next_back() > Some(&0);
        before += seen.values().filter(|saw| **saw == 0).count();
        after += seen.values().filter(|saw| **saw > 0).count();
        grid.halt().await;
        let disk = Disk::new(if life % 2 == 0 { disk.sim.crash() } else { disk.sim.kill() });
        let grid = on(&disk).module::<After>().start().await?;
        let again = watched(&grid).await?;
        same(&format!("life {life}"), &seen, &again);
        grid.caught_up("joined").await;
        let client = grid.client();
        let records = client.depot_info(ADDED).await?.records();
        assert_eq!(watch(&client, 10 * PAST).await, Some(records + 1), "life {life}");
        grid.halt().await;
        let disk = Disk::new(disk.sim.kill());
        let grid = on(&disk).module::<After>().start().await?;
        let last = watched(&grid).await?;
        same(&format!("life {life}, again"), &again, &last);
        assert_eq!(last.get(&(10 * PAST)), Some(&(records + 1)), "life {life}");
        if whole {
            break;
        }
    }
    assert!(after > 0 && before > 0, "{before} before it joined, {after} after");
    Ok(())
}

async fn watched(grid: &Grid) -> Result<BTreeMap<u64, u64>, Box<dyn std::error::Error>> {
    let seen = grid.client().select_one(WATCHED).await?.expect("a root is always there");
    Ok(seen.iter().map(|(number, saw)| (number, *saw)).collect())
}

// A join whose snapshot cannot be written is tried again, also where nothing else happens.
#[tokio::test]
async fn r215_a_join_that_cannot_be_written_comes_later() -> Test {
    let disk = Disk::new(with_past(0).await?);
    disk.forbid(Some("/runs/"));
    let builder = Grid::builder("sim").storage(Arc::new(disk.clone())).partitions(1).threads(1);
    let grid = builder.module::<After>().start().await?;
    for _ in 0..3 {
        disk.failed().await;
    }
    let client = grid.client();
    assert_eq!(watch(&client, PAST).await, Some(0), "it has not joined");
    disk.forbid(None);
    grid.caught_up("joined").await;
    assert_eq!(watch(&client, PAST + 1).await, Some(client.depot_info(ADDED).await?.records()));
    Ok(())
}

// Rows 024 and 215: it cannot join while its snapshot cannot be written; appends go on meanwhile.
#[tokio::test]
async fn r215_a_full_disk_puts_a_join_off() -> Test {
    let disk = Disk::new(with_past(0).await?);
    let builder = Grid::builder("sim").storage(Arc::new(disk.clone())).partitions(1).threads(1);
    let grid = builder.clone().module::<After>().start().await?;
    disk.sim.set_space_left(Some(0));
    let client = grid.client();
    if grid.progress("joined").is_some() {
        tokio::select! {
            () = disk.failed() => {
                assert_eq!(watch(&client, PAST).await, Some(0), "it has not joined");
            }
            // Its snapshot was written a moment before.
            () = grid.caught_up("joined") => {}
        }
    }
    disk.sim.set_space_left(None);
    watch(&client, PAST + 1).await;
    grid.caught_up("joined").await;
    assert_eq!(watch(&client, PAST + 2).await, Some(client.depot_info(ADDED).await?.records()));
    Ok(())
}
