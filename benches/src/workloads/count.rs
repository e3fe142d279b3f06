//! A counter for each key.

use gridmill::prelude::*;

use crate::args::Options;
use crate::error::{Result, check, failed};
use crate::modules::count::{COUNTS, CountModule, HITS};
use crate::peers::fjall::FjallPeer;
use crate::peers::hashmap::HashMapPeer;
use crate::report::Report;

use super::appends::{Appends, Pace, Running};
use super::events::Hits;
use super::{compare, log, with_peers};

pub(super) fn run(options: &Options) -> Result<Report> {
    let (keys, pace) = (options.keys, Pace::new(options));
    let hits = || Hits::new(options);
    let running = Running::start::<CountModule>(options)?;
    let gridmill = Appends::new(running, HITS, hits(), pace, move |running, _, hits| {
        check("gridmill", "sum of the counters", hits, sum(running, keys)?)
    });
    let subjects = with_peers(gridmill, options, |name| match name {
        "hashmap" => Ok(Some(Box::new(HashMapPeer::new(hits(), pace.batch)))),
        "fjall" => Ok(Some(Box::new(FjallPeer::new(hits(), pace.batch)?))),
        "file" => Ok(Some(log::file(&mut hits(), pace, options)?)),
        _ => Ok(None),
    })?;
    compare(subjects, options)
}

/// What all counters add up to.
pub(super) fn sum(running: &Running, keys: usize) -> Result<u64> {
    let client = running.client()?.with_limit(keys + 1);
    let counts = running.runtime.block_on(client.select_all(COUNTS.map_vals()));
    Ok(counts.map_err(failed("reading all counters"))?.into_iter().sum())
}
