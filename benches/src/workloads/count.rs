//! A counter for each key.

use gridmill::prelude::*;

use crate::args::Options;
use crate::error::{Result, check, failed};
use crate::measure::Subject;
use crate::modules::count::{COUNTS, CountModule, HITS};
use crate::peers::fjall::FjallPeer;
use crate::peers::hashmap::HashMapPeer;
use crate::report::Report;

use super::appends::{Appends, Pace, Running};
use super::events::Hits;
use super::{compare, log, with_peers};

pub(super) fn run(options: &Options) -> Result<Report> {
    let (hits, pace) = (|| Hits::new(options), Pace::new(options));
    let subjects = with_peers(gridmill(options)?, options, |name| match name {
        "hashmap" => Ok(Some(Box::new(HashMapPeer::new(hits(), pace.batch)))),
        "fjall" => Ok(Some(Box::new(FjallPeer::new(hits(), pace.batch)?))),
        "file" => Ok(Some(log::file(&mut hits(), pace, options)?)),
        _ => Ok(None),
    })?;
    compare(subjects, options)
}

/// The counter, and how its result is checked.
pub(super) fn gridmill(options: &Options) -> Result<impl Subject + use<>> {
    let keys = options.keys;
    let running = Running::start::<CountModule>(options)?;
    Ok(Appends::new(
        running,
        HITS,
        Hits::new(options),
        Pace::new(options),
        move |running, _, hits| check("gridmill", "sum of the counters", hits, sum(running, keys)?),
    ))
}

/// What all counters add up to.
pub(super) fn sum(running: &Running, keys: usize) -> Result<u64> {
    let client = running.client()?.with_limit(keys + 1);
    let counts = running.runtime.block_on(client.select_all(COUNTS.map_vals()));
    Ok(counts.map_err(failed("reading all counters"))?.into_iter().sum())
}
