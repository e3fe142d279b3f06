//! What a grid at rest holds, read through its clients and its log.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use gridmill_persistence::{LogReader, Position, SimStorage};

use crate::folder::{Target, verify_all};
use crate::machine::control::{Retry, Verdict, kind};
use crate::model::path::Navigate;

use super::clients::KEYS;
use super::grid::SimGrid;
use super::later;
use super::ledger::{COPIES, COUNTS, Entry, LATE, LISTS, NAME, OPS, Views, views_of};
use super::oracle::Oracle;
use super::passing;
use super::ticking::{self, TICKS};

/// Runs a future that never waits.
pub(super) fn now<F: Future>(future: F) -> Result<F::Output, String> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => Err("a read waits".to_owned()),
    }
}

/// Holds everything against everything.
pub(super) fn look(
    grid: &SimGrid,
    oracle: &mut Oracle,
    late: Option<&[Position]>,
    now_micros: i64,
) -> Result<(), String> {
    look_at_ticks(grid, now_micros)?;
    let mut expected = Views::default();
    let (mut quarantine, mut logs, mut timed) = (BTreeSet::new(), Vec::new(), Vec::new());
    for shared in grid.shared() {
        let partition = shared.partition;
        let info = now(grid.client.depot_info(OPS))?.map_err(|error| error.to_string())?;
        let range = info.ranges[partition as usize];
        let records = grid.client.depot_read(OPS, partition, range.start..range.end);
        let records = now(records)?.map_err(|error| error.to_string())?;
        oracle.check_depot(partition, &records);
        logs.push(records.iter().map(|record| record.event.id).collect::<Vec<u64>>());
        let reader = shared.published.reader().ok_or("a partition has no log")?;
        let mut times = clocks(&reader)?;
        times.extend(records.iter().map(|record| {
            let position = Position::from_bits(record.position);
            (position, record.time, later::Entry::Op(record.event.clone()))
        }));
        times.sort_by_key(|(position, ..)| *position);
        timed.push(times);
        let events = records
            .into_iter()
            .map(|record| (Position::from_bits(record.position), Entry::Op(record.event)));
        let mut log: Vec<(Position, Entry)> = events.collect();
        log.extend(controls(&reader)?);
        log.sort_by_key(|(position, _)| *position);
        let from = late.map(|late| late[partition as usize]);
        let views = views_of(&log, from);
        expected.lists.extend(views.lists);
        expected.copies.extend(views.copies);
        if late.is_some() {
            expected.late.extend(views.late);
        }
        let known = |(topology, _): &(String, Position)| topology != "late" || late.is_some();
        expected.quarantine.extend(views.quarantine.into_iter().filter(known));
        let held = Arc::clone(&shared.published.view().quarantine);
        quarantine.extend(held.iter().map(|held| (held.topology.clone(), held.position)));
    }
    let got = Views { quarantine, ..views(grid, late.is_some())? };
    oracle.check_views(&expected, &got);
    let (may_miss, may_be_more) = (oracle.may_miss_sent, oracle.may_have_more_sent);
    if !may_miss && !may_be_more {
        later::check(&timed, &gone(grid)?, now_micros)?;
    }
    passing::check(&logs, &arrived(grid)?, may_miss, may_be_more)
}

fn look_at_ticks(grid: &SimGrid, now_micros: i64) -> Result<(), String> {
    let failed = |error: gridmill_client::DepotError| error.to_string();
    let info = now(grid.client.depot_info(TICKS))?.map_err(failed)?;
    let range = info.ranges[0];
    let ticks = grid.client.depot_read(TICKS, 0, range.start..range.end);
    ticking::check(&now(ticks)?.map_err(failed)?, now_micros)
}

/// The records of a log that say what time it is.
fn clocks(reader: &LogReader) -> Result<Vec<(Position, i64, later::Entry)>, String> {
    let mut found = Vec::new();
    let mut scan = reader.scan(Position::START).map_err(|error| error.to_string())?;
    while let Some(record) = scan.next().map_err(|error| error.to_string())? {
        if record.kind == kind::CLOCK {
            found.push((record.position, record.time, later::Entry::Clock));
        }
    }
    Ok(found)
}

/// What was scheduled and has gone, where it arrived.
fn gone(grid: &SimGrid) -> Result<BTreeMap<u64, Vec<(u64, u64)>>, String> {
    let mut gone = BTreeMap::new();
    for bucket in later::buckets() {
        let list = now(grid.client.select_one(later::GONE.key(bucket)))?;
        let list = list.map_err(|error| error.to_string())?;
        gone.insert(bucket, list.iter().flat_map(|list| list.iter().copied()).collect());
    }
    Ok(gone)
}

/// The control records of a log.
fn controls(reader: &LogReader) -> Result<Vec<(Position, Entry)>, String> {
    let mut found = Vec::new();
    let mut scan = reader.scan(Position::START).map_err(|error| error.to_string())?;
    while let Some(record) = scan.next().map_err(|error| error.to_string())? {
        let bad = |error: postcard::Error| error.to_string();
        let entry = match record.kind {
            kind::VERDICT => {
                let verdict: Verdict = postcard::from_bytes(record.payload).map_err(bad)?;
                Entry::SetAside(verdict.topology, verdict.position)
            }
            kind::RETRY => {
                let retry: Retry = postcard::from_bytes(record.payload).map_err(bad)?;
                Entry::Retried(retry.topology, retry.position)
            }
            kind::DISCARD => {
                let retry: Retry = postcard::from_bytes(record.payload).map_err(bad)?;
                Entry::Discarded(retry.topology, retry.position)
            }
            _ => continue,
        };
        found.push((record.position, entry));
    }
    Ok(found)
}

/// All views, as a client reads them.
fn views(grid: &SimGrid, late: bool) -> Result<Views, String> {
    let mut views = Views::default();
    let client = &grid.client;
    let failed = |error: gridmill_client::ReadError| error.to_string();
    for key in 0..KEYS {
        let list = now(client.select_one(LISTS.key(key)))?.map_err(failed)?;
        let count = now(client.select_one(COUNTS.key(key)))?.map_err(failed)?;
        let len = list.as_ref().map_or(0, |list| list.len() as u64);
        if count.unwrap_or(0) != len {
            return Err(format!("key {key} has {count:?} in its count and {len} in its list"));
        }
        if let Some(list) = list.filter(|list| !list.is_empty()) {
            views.lists.insert(key, list.iter().copied().collect());
        }
        let copies = now(client.select_one(COPIES.key(key)))?.map_err(failed)?;
        if let Some(copies) = copies {
            let copies = copies.iter().map(|(id, count)| (id, *count));
            views.copies.insert(key, copies.collect::<BTreeMap<_, _>>());
        }
        if late && let Some(list) = now(client.select_one(LATE.key(key)))?.map_err(failed)? {
            views.late.insert(key, list.iter().copied().collect());
        }
    }
    Ok(views)
}

/// What was sent, where it arrived.
fn arrived(grid: &SimGrid) -> Result<BTreeMap<u64, Vec<(u64, u64)>>, String> {
    let mut arrived = BTreeMap::new();
    for bucket in 0..passing::BUCKETS {
        let list = now(grid.client.select_one(passing::ARRIVED.key(bucket)))?;
        let list = list.map_err(|error| error.to_string())?;
        arrived.insert(bucket, list.iter().flat_map(|list| list.iter().copied()).collect());
    }
    Ok(arrived)
}

/// The folder of a grid that has stopped.
pub(super) fn verify(storage: &SimStorage) -> Result<(), String> {
    let storage = Arc::new(storage.clone()) as Arc<dyn gridmill_persistence::Storage>;
    let partitions = storage.list(Path::new(NAME)).map_err(|error| error.to_string())?;
    let mut numbers: Vec<u32> = partitions.iter().filter_map(|name| name.parse().ok()).collect();
    numbers.sort_unstable();
    let partitions = numbers.into_iter().map(|number| (number, None)).collect();
    let found = verify_all(&storage, vec![Target { module: NAME.to_owned(), partitions }]);
    let problems = found.problems.iter().map(ToString::to_string);
    let mut problems = problems.chain(found.unread.iter().map(ToString::to_string));
    problems.next().map_or(Ok(()), |problem| Err(format!("verify finds: {problem}")))
}
