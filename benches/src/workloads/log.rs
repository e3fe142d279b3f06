//! Durable appends, no topology.

use crate::args::Options;
use crate::error::{Result, check, failed};
use crate::measure::Subject;
use crate::modules::count::{HITS, HitsOnly};
use crate::peers::file::FilePeer;
use crate::report::Report;

use super::appends::{Appends, Pace, Running};
use super::events::{Feed, Hits};
use super::{compare, with_peers};

pub(super) fn run(options: &Options) -> Result<Report> {
    let (hits, pace) = (|| Hits::new(options), Pace::new(options));
    let running = Running::start::<HitsOnly>(options)?;
    let gridmill = Appends::new(running, HITS, hits(), pace, |running, _, appended| {
        let info = running.runtime.block_on(running.client()?.depot_info(HITS));
        let records = info.map_err(failed("the depot"))?.records();
        check("gridmill", "records in the depot", appended, records)
    });
    let subjects = with_peers(gridmill, options, |name| match name {
        "file" => Ok(Some(file(&mut hits(), pace, options)?)),
        _ => Ok(None),
    })?;
    compare(subjects, options)
}

/// Writes and syncs what so many calls in flight add up to.
pub(super) fn file<F: Feed>(
    feed: &mut F,
    pace: Pace,
    options: &Options,
) -> Result<Box<dyn Subject>> {
    let records = pace.batch * pace.in_flight;
    let peer = FilePeer::new(feed, records, options.durability == gridmill::Durability::Sync)?;
    Ok(Box::new(peer))
}
