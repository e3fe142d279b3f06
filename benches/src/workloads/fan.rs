//! Posts that reach all followers of their authors: one record a partition, handled under thousands of keys.
//!
//! A call appends one post, and is answered when it lies on every follower's timeline, where readers see it.

use gridmill::prelude::*;

use crate::args::Options;
use crate::error::{Result, check, failed};
use crate::measure::Subject;
use crate::modules::timelines::{FOLLOWED, POSTS, TIMELINES, TimelineModule};
use crate::report::Report;

use super::appends::{Appends, Pace, Running};
use super::compare;
use super::events::Posts;

/// Authors whom everybody follows: so many that posts begin on all partitions.
pub(super) const AUTHORS: u64 = 64;

/// Followers that are told of an author by one call.
const FOLLOWED_A_CALL: u64 = 4096;

pub(super) fn run(options: &Options) -> Result<Report> {
    let mut report = compare(vec![Box::new(gridmill(options)?)], options)?;
    let [line] = report.lines.as_slice() else { return Ok(report) };
    let (posts, followers) = (line.seen.ops as f64, options.keys as f64);
    let cores = line.seen.usage.cpu.as_secs_f64().max(1e-9);
    let deliveries = line.seen.rate() * followers;
    report.figure("deliveries_per_s", deliveries, "posts on timelines, processed and visible");
    let a_core = posts * followers / cores;
    report.figure("deliveries_per_core", a_core, "of them a second of CPU time, callers included");
    Ok(report)
}

/// The timelines, and how they are checked.
fn gridmill(options: &Options) -> Result<impl Subject + use<>> {
    let followers = options.keys as u64;
    let running = Running::start::<TimelineModule>(options)?;
    follow(&running, followers)?;
    let pace = Pace::new(options);
    Ok(Appends::new(running, POSTS, Posts::default(), pace, move |running, _, posts| {
        let client = running.client()?.with_limit(usize::MAX);
        let lens = running.runtime.block_on(client.select_all(TIMELINES.map_vals().len()));
        let lens: u64 = lens.map_err(failed("reading all timelines"))?.into_iter().sum();
        check("gridmill", "posts on timelines", posts * followers, lens)
    }))
}

/// Everybody follows all authors.
fn follow(running: &Running, followers: u64) -> Result<()> {
    let client = running.client()?;
    for author in 0..AUTHORS {
        for first in (0..followers).step_by(FOLLOWED_A_CALL as usize) {
            let some = first..followers.min(first + FOLLOWED_A_CALL);
            let followed = client.append_many(FOLLOWED, some.map(|follower| (author, follower)));
            running.runtime.block_on(followed).map_err(failed("following"))?;
        }
    }
    Ok(())
}
