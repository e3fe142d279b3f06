//! Transfers between accounts of two partitions: a debit, a hop, a credit.
//!
//! A transfer is two records, one in each partition's log. Beside it run the counters of `count`, whose event is one
//! record; one caller alone, who waits for two syncs; and a file that is written and synced for each record.

use gridmill::model::path::Each;

use crate::args::{Dist, Of, Options};
use crate::error::{Result, check, failed};
use crate::measure::Subject;
use crate::modules::transfers::{FUNDS, OPENED, TRANSFERS, TransferModule};
use crate::peers::file::FilePeer;
use crate::peers::postgres::PostgresTransfers;
use crate::report::Report;

use super::appends::{Appends, Pace, Running};
use super::events::{OPENING, Transfers, differing};
use super::{Defaults, compare, count, defaults, with_peers};

/// Records of a transfer: the event, and what its handler sends.
const RECORDS: f64 = 2.0;

/// Keys of the counters beside it.
const COUNTERS: usize = 10_000;

/// Accounts that are opened by one call.
const OPENED_A_CALL: usize = 4096;

/// How one caller alone makes transfers.
const ALONE: (usize, usize) = (1, 1);

pub(super) fn run(options: &Options) -> Result<Report> {
    let gridmill = transfers(options, Pace::new(options), "gridmill")?;
    let mut subjects = with_peers(gridmill, options, |name| match name {
        "postgres" => Ok(Some(Box::new(PostgresTransfers::new(options)?))),
        _ => Ok(None),
    })?;
    let peers = subjects.len();
    let (batch, in_flight) = ALONE;
    let alone = Pace { batch, in_flight, ..Pace::new(options) };
    let synced = options.durability == gridmill::Durability::Sync;
    subjects.push(Box::new(count::gridmill(&counters(options)?)?));
    subjects.push(Box::new(transfers(options, alone, "one caller alone")?));
    subjects.push(Box::new(FilePeer::new(&mut Transfers::new(options), 1, synced)?));
    let mut report = compare(subjects, options)?;
    tell(&mut report, peers);
    Ok(report)
}

/// Adds what the lines of the table say together: `peers` are those of the transfers.
fn tell(report: &mut Report, peers: usize) {
    let [hops, .., _, alone, file] = report.lines.as_slice() else { return };
    let records = hops.seen.rate() * RECORDS;
    let syncs = alone.seen.micros(0.5) / file.seen.micros(0.5).max(1e-9);
    let count = &mut report.lines[peers];
    "count".clone_into(&mut count.name);
    count.ratio = records / count.seen.rate().max(1e-9);
    let ratio = count.ratio;
    report.figure("records_per_s", records, "a transfer is two records");
    report.figure("record_ratio", ratio, "times what `count --keys 10000` does of its records");
    report.figure("alone_syncs", syncs, "syncs of `file`: p50 of a transfer by one caller alone");
}

/// A bank of its own, and how its result is checked.
fn transfers(options: &Options, pace: Pace, name: &'static str) -> Result<impl Subject + use<>> {
    let (fresh, accounts) = (Transfers::new(options), options.keys);
    let running = Running::start::<TransferModule>(options)?;
    open(&running, accounts)?;
    let feed = fresh.clone();
    let appends = Appends::new(running, TRANSFERS, feed, pace, move |running, _, made| {
        let mut expected = vec![OPENING; accounts];
        fresh.clone().settle(made, &mut expected);
        let differing = differing(&expected, &funds(running, accounts)?);
        check("gridmill", "accounts with wrong funds", 0, differing)
    });
    Ok(appends.named(name))
}

fn open(running: &Running, accounts: usize) -> Result<()> {
    let client = running.client()?;
    for first in (0..accounts).step_by(OPENED_A_CALL) {
        let some = first..accounts.min(first + OPENED_A_CALL);
        let opened = client.append_many(OPENED, some.map(|account| (account as u64, OPENING)));
        running.runtime.block_on(opened).map_err(failed("opening accounts"))?;
    }
    Ok(())
}

/// What all accounts have, by number.
fn funds(running: &Running, accounts: usize) -> Result<Vec<u64>> {
    let client = running.client()?.with_limit(accounts + 1);
    let funds = running.runtime.block_on(client.select_all(FUNDS.all()));
    let mut funds = funds.map_err(failed("reading all accounts"))?;
    funds.sort_unstable();
    Ok(funds.into_iter().map(|(_, cents)| cents).collect())
}

/// What `count --keys 10000` does, for as long.
fn counters(options: &Options) -> Result<Options> {
    let Defaults { batch, in_flight, event_bytes, .. } = defaults("count", Of::Count)?;
    let (keys, dist) = (COUNTERS, Dist::Uniform);
    Ok(Options { keys, batch, in_flight, event_bytes, dist, ..options.clone() })
}
