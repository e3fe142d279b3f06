//! Queries of a settled grid: over all entries, of one, over partitions that have nothing to say, of a range, and of
//! one field of a large record.

use std::future::IntoFuture;
use std::thread;
use std::time::Instant;

use futures_util::FutureExt;
use gridmill::client::Client;
use gridmill::prelude::*;
use hashbrown::HashMap;
use tokio::runtime::Runtime;

use crate::args::{Dist, Options};
use crate::draw::Draw;
use crate::error::{Result, check, failed};
use crate::measure::{Recorder, Subject};
use crate::modules::asking::{
    AskingModule, COUNT, DOCUMENTS, Document, EVERYWHERE, TOTAL, WRITTEN,
};
use crate::modules::count::{COUNTS, HITS};
use crate::report::Report;

use super::appends::{Running, touch};
use super::compare;
use super::events::{Feed, Hits};
use super::read::sample;

/// So many keys has the root of which ranges are read, for each of the others.
const WIDER: usize = 10;

/// Entries of a range.
const RANGE: u64 = 100;

/// Lines of a document, each of so many bytes: 16 KiB.
const LINES: usize = 256;
const LINE_BYTES: usize = 64;

/// Documents for each thousand keys.
const DOCUMENTS_SHARE: usize = 1;

pub(super) fn run(options: &Options) -> Result<Report> {
    let grid = settled(options, documents(options))?;
    // The wider root is one partition's: a range is read where its first key lives.
    let wider = Options { keys: options.keys * WIDER, partitions: 1, ..options.clone() };
    let wide = settled(&wider, 0)?;
    let client = grid.client()?;
    let report = compare(
        vec![
            Box::new(sum(options, client.clone())?),
            Box::new(SumOfMaps::new(options)),
            Box::new(point_query(options, client.clone())),
            Box::new(point_select(options, client.clone())),
            Box::new(everywhere(options, client.clone())?),
            Box::new(ranges(&wider, wide.client()?)),
            Box::new(one_field(options, client.clone())),
            Box::new(whole(options, client)),
        ],
        options,
    )?;
    Ok(told(report))
}

/// Adds what the lines of the table say together.
fn told(mut report: Report) -> Report {
    let [sum, maps, query, select, everywhere, range, field, whole] = report.lines.as_slice()
    else {
        return report;
    };
    let figures = [
        ("sum_ratio", sum.seen.rate() / maps.seen.rate(), "times the rate of hash maps"),
        ("point_ratio", select.seen.rate() / query.seen.rate(), "selects in the time of a query"),
        ("everywhere_us", everywhere.seen.micros(0.5), "us, p50: an empty part on each partition"),
        ("range_us", range.seen.micros(0.5), "us, p50: 100 entries in the order of their keys"),
        ("field_ratio", field.seen.rate() / whole.seen.rate(), "times the rate of whole records"),
    ];
    for (name, value, unit) in figures {
        report.figure(name, value, unit);
    }
    report.unlike = true;
    report
}

fn documents(options: &Options) -> usize {
    (options.keys * DOCUMENTS_SHARE / 1000).max(1)
}

/// A grid with all that is asked about, which has been stopped and opened since it was written.
fn settled(options: &Options, documents: usize) -> Result<Running> {
    let mut running = Running::start::<AskingModule>(options)?;
    touch(&running, HITS, &Hits::new(options))?;
    touch(&running, WRITTEN, &Written { documents: documents as u64 })?;
    running.stop()?;
    running.open::<AskingModule>(options)?;
    Ok(running)
}

/// One document a key.
struct Written {
    documents: u64,
}

impl Feed for Written {
    type Event = (u64, Document);

    fn next(&mut self) -> Self::Event {
        (0, document(0))
    }

    fn every_key(&self) -> impl Iterator<Item = Self::Event> {
        (0..self.documents).map(|key| (key, document(key)))
    }
}

fn document(number: u64) -> Document {
    let lines = (0..LINES).map(|line| Str::from(format!("{line:0LINE_BYTES$}"))).collect();
    Document { number, lines }
}

/// Something that is asked again and again, and is right or not.
struct Asked<F> {
    name: &'static str,
    /// Of so many, one is timed: the clock takes long where a read is short.
    sample: u64,
    ask: F,
    wrong: u64,
}

impl<F: FnMut() -> Result<bool>> Asked<F> {
    fn each(name: &'static str, ask: F) -> Self {
        Self { name, sample: 1, ask, wrong: 0 }
    }

    fn sampled(name: &'static str, ask: F) -> Self {
        Self { sample: super::read::SAMPLE, ..Self::each(name, ask) }
    }
}

impl<F: FnMut() -> Result<bool>> Subject for Asked<F> {
    fn name(&self) -> &str {
        self.name
    }

    fn run(&mut self, until: Instant, seen: &mut Recorder) -> Result<()> {
        sample(until, seen, self.sample, || {
            self.wrong += u64::from(!(self.ask)()?);
            Ok(())
        })
    }

    fn check(&mut self) -> Result<()> {
        check(self.name, "wrong answers", 0, self.wrong)
    }
}

fn keys(options: &Options, count: usize) -> Draw {
    Draw::new(7, count, options.dist)
}

/// One caller, who waits for each answer.
fn caller() -> Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().build().map_err(failed("a runtime"))
}

fn sum(options: &Options, client: Client) -> Result<impl Subject + use<>> {
    let (caller, keys) = (caller()?, options.keys as u64);
    Ok(Asked::each("sum of all", move || {
        let total = caller.block_on(client.query(TOTAL, ()).into_future());
        Ok(total.map_err(failed("the sum"))? == keys)
    }))
}

fn point_query(options: &Options, client: Client) -> impl Subject + use<> {
    let mut keys = keys(options, options.keys);
    Asked::sampled("point query", move || {
        let count = client.query(COUNT, keys.key()).into_future().now_or_never();
        Ok(count.transpose().map_err(failed("a query"))?.flatten() == Some(1))
    })
}

fn point_select(options: &Options, client: Client) -> impl Subject + use<> {
    let mut keys = keys(options, options.keys);
    Asked::sampled("its select alone", move || {
        let count = client.select_one(COUNTS.key(keys.key())).now_or_never();
        Ok(count.transpose().map_err(failed("a read"))?.flatten() == Some(1))
    })
}

fn everywhere(options: &Options, client: Client) -> Result<impl Subject + use<>> {
    let (caller, partitions) = (caller()?, u64::from(options.partitions));
    Ok(Asked::each("empty parts", move || {
        let answered = caller.block_on(client.query(EVERYWHERE, ()).into_future());
        Ok(answered.map_err(failed("a query"))? == partitions)
    }))
}

fn ranges(options: &Options, client: Client) -> impl Subject + use<> {
    let (all, mut keys) = (options.keys as u64, keys(options, options.keys));
    Asked::each("range of 100", move || {
        let first = keys.key().min(all.saturating_sub(RANGE));
        let range = COUNTS.key_range(first..first + RANGE).all();
        let read = client.select(range).now_or_never();
        let read = read.transpose().map_err(failed("a range"))?.unwrap_or_default();
        Ok(read.len() as u64 == RANGE.min(all))
    })
}

fn one_field(options: &Options, client: Client) -> impl Subject + use<> {
    let mut keys = Draw::new(7, documents(options), Dist::Uniform);
    Asked::sampled("one field of 16 KiB", move || {
        let key = keys.key();
        let number = client.select_one(DOCUMENTS.key(key).field(Document::NUMBER)).now_or_never();
        Ok(number.transpose().map_err(failed("a field"))?.flatten() == Some(key))
    })
}

fn whole(options: &Options, client: Client) -> impl Subject + use<> {
    let mut keys = Draw::new(7, documents(options), Dist::Uniform);
    Asked::each("all of it", move || {
        let key = keys.key();
        let document = client.select_one(DOCUMENTS.key(key)).now_or_never();
        let document = document.transpose().map_err(failed("a record"))?.flatten();
        Ok(document.is_some_and(|document| document.number == key))
    })
}

/// The sum of the same counters in hash maps, on as many threads.
struct SumOfMaps {
    maps: Vec<HashMap<u64, u64>>,
    keys: u64,
    wrong: u64,
}

impl SumOfMaps {
    fn new(options: &Options) -> Self {
        let (keys, threads) = (options.keys as u64, options.threads as u64);
        let map = |thread| (thread..keys).step_by(threads as usize).map(|key| (key, 1)).collect();
        Self { maps: (0..threads).map(map).collect(), keys, wrong: 0 }
    }

    fn sum(&self) -> u64 {
        thread::scope(|scope| {
            let sums: Vec<_> =
                self.maps.iter().map(|map| scope.spawn(|| map.values().sum())).collect();
            sums.into_iter().map(|sum| sum.join().unwrap_or(0)).sum()
        })
    }
}

impl Subject for SumOfMaps {
    fn name(&self) -> &str {
        "hash maps"
    }

    fn run(&mut self, until: Instant, seen: &mut Recorder) -> Result<()> {
        sample(until, seen, 1, || {
            self.wrong += u64::from(self.sum() != self.keys);
            Ok(())
        })
    }

    fn check(&mut self) -> Result<()> {
        check("hash maps", "wrong sums", 0, self.wrong)
    }
}
