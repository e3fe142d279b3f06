//! Stream topologies: several sources, exactly once, where to start.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use gridmill::client::AppendError;
use gridmill::persistence::SimStorage;
use gridmill::prelude::*;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const DEPOSITS: Depot<(Str, i64)> = Depot::hash_by("bank/deposits", |it| it.0.as_str().into());
const PAYMENTS: Depot<(Str, i64)> = Depot::hash_by("bank/payments", |it| it.0.as_str().into());
const BALANCES: PState<Map<Str, i64>> = PState::new("bank/balances");
const BOOKINGS: PState<Map<Str, List<i64>>> = PState::new("bank/bookings");

struct Bank;

impl Module for Bank {
    const NAME: &'static str = "bank";

    fn define(module: &mut Setup) {
        module.depot(DEPOSITS).depot(PAYMENTS);
        module
            .stream("book", (BALANCES, BOOKINGS))
            .source(DEPOSITS)
            .each(|(who, cents): (Str, i64), states: Books<'_>| book(who, cents, states))
            .source(PAYMENTS)
            .each(|(who, cents): (Str, i64), states: Books<'_>| book(who, -cents, states));
    }
}

type Books<'a> = (&'a mut Map<Str, i64>, &'a mut Map<Str, List<i64>>);

fn book(who: Str, cents: i64, (balances, bookings): Books<'_>) {
    *balances.entry(who.clone()).or_default() += cents;
    bookings.entry(who).or_default().push_back(cents);
}

#[tokio::test]
async fn r138_two_depots_update_the_same_pstates() -> Result {
    let grid = Grid::in_memory().module::<Bank>().start().await?;
    let client = grid.client();
    for (who, cents) in [("ann", 500), ("bob", 200), ("ann", 30)] {
        client.append(DEPOSITS, (who.into(), cents)).await?;
        client.append(PAYMENTS, (who.into(), cents / 10)).await?;
    }
    assert_eq!(client.select_one(BALANCES.key("ann")).await?, Some(477));
    assert_eq!(client.select_one(BALANCES.key("bob")).await?, Some(180));
    assert_eq!(client.select(BOOKINGS.key("ann").all()).await?, [500, -50, 30, -3]);
    assert_eq!(client.depot_info(DEPOSITS).await?.records(), 3);
    assert_eq!(client.depot_info(PAYMENTS).await?.records(), 3);
    Ok(())
}

/// Appends to one account after the other until the grid stops; the number of answered appends.
async fn deposit_until_it_stops(client: Client, worker: u64) -> u64 {
    for count in 0.. {
        let who = Str::from(format!("account{}", (worker + count) % 7));
        let appended: std::result::Result<_, AppendError<_>> =
            client.append(DEPOSITS, (who, 1)).await;
        if appended.is_err() {
            return count;
        }
    }
    unreachable!("the loop ends with the grid")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r143_a_record_counts_once_through_every_halt() -> Result {
    // Rama's streams promise at least once, Gridmill's exactly once. Halting a grid leaves its
    // folder as a killed process does; flushes run all the time, so that replays start anywhere.
    let storage = Arc::new(SimStorage::new());
    let builder = Grid::in_memory().partitions(2).storage(storage).module::<Bank>();
    let builder = builder.overlay_bytes_max(400).check_handlers(false);
    let (mut answered, mut replayed, mut flushes) = (0, 0, 0);
    for _ in 0..15 {
        let grid = builder.clone().start().await?;
        let client = grid.client();
        replayed += grid.stats().total(|partition| partition.replayed);
        once(&client, answered).await?;
        let workers: Vec<_> = (0..8)
            .map(|worker| tokio::spawn(deposit_until_it_stops(client.clone(), worker)))
            .collect();
        // Some appends are answered before the halt, others are under way.
        while client.depot_info(DEPOSITS).await?.records() < answered + 50 {
            tokio::task::yield_now().await;
        }
        flushes += grid.stats().total(|partition| partition.flushes);
        grid.halt().await;
        for worker in workers {
            answered += worker.await?;
        }
    }
    assert!(replayed > 0 && flushes > 0, "{replayed} replayed, {flushes} flushes");
    let grid = builder.start().await?;
    once(&grid.client(), answered).await
}

/// Every record of the depot changed both PStates once, and every answered one is in the depot.
async fn once(client: &Client, answered: u64) -> Result {
    let mut expected = BTreeMap::new();
    let info = client.depot_info(DEPOSITS).await?;
    for (partition, range) in info.ranges.iter().enumerate() {
        for record in client.depot_read(DEPOSITS, partition as u32, range.start..range.end).await? {
            *expected.entry(record.event.0).or_insert(0) += record.event.1;
        }
    }
    assert!(info.records() >= answered, "{} of {answered} answered records", info.records());
    let balances: BTreeMap<_, _> = client.select_all(BALANCES.all()).await?.into_iter().collect();
    assert_eq!(balances, expected);
    let bookings = client.select_all(BOOKINGS.all()).await?.into_iter();
    let bookings: BTreeMap<_, _> = bookings.map(|(who, list)| (who, list.len() as i64)).collect();
    assert_eq!(bookings, expected);
    Ok(())
}

const READINGS: Depot<u64> = Depot::random("start/readings").global();
const FIRST: PState<List<u64>> = PState::new("start/first").global();
const ALL: PState<List<u64>> = PState::new("start/all").global();
const LATER: PState<List<u64>> = PState::new("start/later").global();
const SINCE: PState<List<u64>> = PState::new("start/since").global();
const RECENT: PState<List<u64>> = PState::new("start/recent").global();
const EVERY: PState<List<u64>> = PState::new("start/every").global();

struct Start;

impl Module for Start {
    const NAME: &'static str = "start";

    fn define(module: &mut Setup) {
        module.depot(READINGS);
        module.stream("first", FIRST).source(READINGS).each(keep);
    }
}

fn keep(reading: u64, readings: &mut List<u64>) {
    readings.push_back(reading);
}

/// The next version: topologies that start at different points of the depot's past.
struct StartLater;

impl Module for StartLater {
    const NAME: &'static str = "start";

    fn define(module: &mut Setup) {
        Start::define(module);
        let noon = UNIX_EPOCH + Duration::from_micros(4_500);
        for (name, state, start) in [
            ("all", ALL, StartFrom::Beginning),
            ("later", LATER, StartFrom::End),
            ("since", SINCE, StartFrom::Time(noon)),
            ("recent", RECENT, StartFrom::RecordsAgo(3)),
            ("every", EVERY, StartFrom::RecordsAgo(1_000)),
        ] {
            module.stream(name, state).source(READINGS).start_from(start).each(keep);
        }
    }
}

#[tokio::test]
async fn r145_a_new_topology_starts_where_it_says() -> Result {
    let storage = Arc::new(SimStorage::new());
    let clock = Clock::manual(0);
    let builder = Grid::in_memory().partitions(1).storage(storage).clock(clock.clone());
    let grid = builder.clone().module::<Start>().start().await?;
    let client = grid.client();
    for reading in 1..=10 {
        clock.set(reading as i64 * 1_000);
        client.append(READINGS, reading).await?;
    }
    grid.shutdown().await?;

    // In a second round everything goes on where it was, whatever `start_from` says.
    for round in 0..2 {
        let grid = builder.clone().module::<StartLater>().start().await?;
        let client = grid.client();
        for topology in ["all", "later", "since", "recent", "every"] {
            grid.caught_up(topology).await;
            assert_eq!(grid.progress(topology), None);
        }
        let next = 11 + round;
        client.append(READINGS, next).await?;
        let readings = async |state: PState<List<u64>>| client.select(state.all()).await;
        let from = |first: u64| (first..=next).collect::<Vec<_>>();
        assert_eq!(readings(FIRST).await?, from(1));
        assert_eq!(readings(ALL).await?, from(1));
        assert_eq!(readings(LATER).await?, from(11));
        assert_eq!(readings(SINCE).await?, from(5));
        assert_eq!(readings(RECENT).await?, from(8));
        assert_eq!(readings(EVERY).await?, from(1));
        if round == 0 { grid.shutdown().await? } else { grid.halt().await }
    }
    Ok(())
}
