//! How long the pages of a site took to be rendered, in any range of minutes up to years.
//!
//! ```text
//! cargo run --release --example timeseries            # then open the address that it prints
//! ```

mod module;
mod renders;
mod smoke;
mod spans;
mod web;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use gridmill::prelude::*;
use gridmill_examples::{Failed, Usage};

use module::{SUMMARY, TimeSeries};
use renders::{Past, page};
use web::Service;

const USAGE: &str = "\
Fills a grid with render times of pages, asks about ranges from an hour to all there is, and serves a page with a chart.

Usage: cargo run --release --example timeseries -- [options]
  --days N       how many days of renders there are (default: 730)
  --every N      minutes between two renders of a page (default: 10)
  --port N       the port to listen on (default: 8081; 0 takes any that is free)
  --smoke        a few weeks, each answer compared with a sum over all renders, and leave
  --help         show this";

struct Options {
    days: u32,
    every: u32,
    port: u16,
    smoke: bool,
}

fn main() -> ExitCode {
    gridmill_examples::run(USAGE, options(), |options| async move {
        if options.smoke { smoke::run().await } else { show(&options).await }
    })
}

fn options() -> Result<Options, Usage> {
    use lexopt::prelude::*;
    let mut options = Options { days: 730, every: 10, port: 8081, smoke: false };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("days") => options.days = arguments.value()?.parse()?,
            Long("every") => options.every = arguments.value()?.parse()?,
            Long("port") => options.port = arguments.value()?.parse()?,
            Long("smoke") => options.smoke = true,
            Long("help") | Short('h') => return Err(Usage::Help),
            _ => return Err(argument.unexpected().into()),
        }
    }
    if options.days == 0 || options.every == 0 {
        return Err(Usage::Wrong("--days and --every start at 1".to_owned()));
    }
    Ok(options)
}

async fn open(data: &Path) -> Result<Grid, Failed> {
    Ok(Grid::builder(data).partitions(4).module::<TimeSeries>().start().await?)
}

async fn show(options: &Options) -> Result<(), Failed> {
    let listener = web::listen(options.port).await?;
    let data = tempfile::tempdir()?;
    let grid = open(data.path()).await?;
    let (past, start) = (Past::new(options.days, options.every), Instant::now());
    let count = past.append(&grid.client()).await?;
    let seconds = start.elapsed().as_secs_f64();
    println!("{count} renders in {seconds:.1} s, each counted in {} entries\n", spans::LEVELS);
    gridmill_examples::print(&report(&grid.client(), past).await?)?;
    println!("\nChart: http://{}/", listener.local_addr()?);
    println!("Stop with Ctrl-C.");
    let router = web::router(Service { client: grid.client(), past });
    axum::serve(listener, router).with_graceful_shutdown(gridmill_examples::interrupted()).await?;
    Ok(grid.shutdown().await?)
}

/// What one page took in ranges of very different lengths, and what it took to find that out.
async fn report(client: &Client, past: Past) -> Result<String, Failed> {
    let mut text = format!(
        "{:<10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
        "the last", "renders", "average", "fastest", "slowest", "entries", "us"
    );
    let (hour, day) = (60, 24 * 60);
    let all = past.to - past.from;
    let ranges =
        [("hour", hour), ("day", day), ("30 days", 30 * day), ("year", 365 * day), ("all", all)];
    for (name, minutes) in ranges.into_iter().filter(|(_, minutes)| *minutes <= all) {
        let start = Instant::now();
        let summary = client.query(SUMMARY, (page(0), past.to - minutes, past.to)).await?;
        let micros = start.elapsed().as_micros();
        let stats = summary.stats;
        let average = stats.average().unwrap_or_default();
        text += &format!(
            "{name:<10} {:>9} {average:>9.1} {:>9} {:>9} {:>9} {micros:>9}\n",
            stats.renders, stats.fastest, stats.slowest, summary.entries
        );
    }
    Ok(text)
}
