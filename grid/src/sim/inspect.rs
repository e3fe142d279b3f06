//! What a grid at rest holds, read through its clients and its log.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use gridmill_client::Recorded;
use gridmill_persistence::{LogReader, Position, SimStorage};

use crate::folder::{Target, verify_all};
use crate::machine::control::{Retry, Verdict, call_of, kind};
use crate::model::path::Navigate;
use crate::model::{Depot, Event, List, Map, PState, State};

use super::asking::{self, ASK, ASKS, Asked};
use super::clients::KEYS;
use super::grid::SimGrid;
use super::later;
use super::ledger::{COPIES, COUNTS, Entry, LATE, LISTS, NAME, OPS, Op, Views, views_of};
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
        let records = records_of(grid, OPS, partition)?;
        oracle.check_depot(partition, &records);
        logs.push(records.iter().map(|record| record.event.id).collect::<Vec<u64>>());
        let reader = shared.published.reader().ok_or("a partition has no log")?;
        let Scanned { decided, clocks: mut times, .. } = scan(&reader)?;
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
        log.extend(decided);
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
        let held = held.iter().filter(|held| held.topology != ASK);
        quarantine.extend(held.map(|held| (held.topology.clone(), held.position)));
    }
    let got = Views { quarantine, ..views(grid, late.is_some())? };
    oracle.check_views(&expected, &got);
    let (may_miss, may_be_more) = (oracle.may_miss_sent, oracle.may_have_more_sent);
    if !may_miss && !may_be_more {
        later::check(&timed, &lists(grid, later::GONE, later::buckets())?, now_micros)?;
    }
    passing::check(&logs, &arrived(grid)?, may_miss, may_be_more)
}

fn look_at_ticks(grid: &SimGrid, now_micros: i64) -> Result<(), String> {
    ticking::check(&records_of(grid, TICKS, 0)?, now_micros)
}

/// All that a partition of a depot holds.
fn records_of<E: Event>(
    grid: &SimGrid,
    depot: Depot<E>,
    partition: u32,
) -> Result<Vec<Recorded<E>>, String> {
    let failed = |error: gridmill_client::DepotError| error.to_string();
    let info = now(grid.client.depot_info(depot))?.map_err(failed)?;
    let range = info.ranges[partition as usize];
    let records = grid.client.depot_read(depot, partition, range.start..range.end);
    now(records)?.map_err(failed)
}

/// Holds what the outside was asked, and has answered, against the logs.
pub(super) fn look_at_asks(grid: &SimGrid, oracle: &mut Oracle) -> Result<(), String> {
    let (mut expected, mut logs) = (BTreeMap::new(), Vec::new());
    for shared in grid.shared() {
        let partition = shared.partition;
        let records = records_of(grid, ASKS, partition)?;
        oracle.check_depot(partition, &records);
        logs.push(records.iter().map(|record| record.event.id).collect::<Vec<u64>>());
        let reader = shared.published.reader().ok_or("a partition has no log")?;
        let Asked { answered, quarantine, .. } = asked_of(&reader, &records)?;
        expected.extend(answered);
        let view = shared.published.view();
        let held = view.quarantine.iter().filter(|held| held.topology == ASK);
        let held: BTreeSet<Position> = held.map(|held| held.position).collect();
        if held != quarantine {
            let text = format!("{held:?} stand in quarantine, and the log says {quarantine:?}");
            return Err(format!("of partition {partition}'s calls {text}"));
        }
    }
    let got = lists(grid, asking::ANSWERED, 0..KEYS)?;
    if got != expected {
        return Err(format!("answers are {got:x?}, the log has {expected:x?}"));
    }
    if !oracle.may_have_more_sent {
        asking::check_called(&logs)?;
    }
    Ok(())
}

/// What the log of a partition says of calls; there is an end to each.
fn asked_of(reader: &LogReader, records: &[Recorded<Op>]) -> Result<Asked, String> {
    let ops = records.iter().map(|record| {
        (Position::from_bits(record.position), asking::Entry::Op(record.event.clone()))
    });
    let mut log: Vec<_> = ops.collect();
    let Scanned { decided, answers, .. } = scan(reader)?;
    log.extend(answers);
    for (position, entry) in decided {
        log.extend(match entry {
            Entry::SetAside(of, at) if of == ASK => Some((position, asking::Entry::SetAside(at))),
            Entry::Retried(of, at) if of == ASK => Some((position, asking::Entry::Retried(at))),
            Entry::Discarded(of, at) if of == ASK => Some((position, asking::Entry::Discarded(at))),
            _ => None,
        });
    }
    log.sort_by_key(|(position, _)| *position);
    let asked = asking::asked(&log)?;
    asked.check_ends()?;
    Ok(asked)
}

/// The lists of a PState that are not empty, for keys from 0 on.
fn lists<T: State>(
    grid: &SimGrid,
    pstate: PState<Map<u64, List<T>>>,
    keys: std::ops::Range<u64>,
) -> Result<BTreeMap<u64, Vec<T>>, String> {
    let mut found = BTreeMap::new();
    for key in keys {
        let list = now(grid.client.select_one(pstate.key(key)))?;
        let list = list.map_err(|error| error.to_string())?;
        if let Some(list) = list.filter(|list| !list.is_empty()) {
            found.insert(key, list.iter().cloned().collect());
        }
    }
    Ok(found)
}

/// Records of a log that are no events of clients.
#[derive(Default)]
struct Scanned {
    /// What was decided about records.
    decided: Vec<(Position, Entry)>,
    /// What says what time it is.
    clocks: Vec<(Position, i64, later::Entry)>,
    /// What calls gave.
    answers: Vec<(Position, asking::Entry)>,
}

fn scan(reader: &LogReader) -> Result<Scanned, String> {
    let mut found = Scanned::default();
    let mut scan = reader.scan(Position::START).map_err(|error| error.to_string())?;
    while let Some(record) = scan.next().map_err(|error| error.to_string())? {
        let bad = |error: postcard::Error| error.to_string();
        let position = record.position;
        let decided = match record.kind {
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
            kind::CLOCK => {
                found.clocks.push((position, record.time, later::Entry::Clock));
                continue;
            }
            kind::RESULT => {
                let (_, call) = call_of(record.id.unwrap_or_default());
                let answer = asking::Entry::Answer(Position::from_bits(call));
                found.answers.push((position, answer));
                continue;
            }
            _ => continue,
        };
        found.decided.push((position, decided));
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
