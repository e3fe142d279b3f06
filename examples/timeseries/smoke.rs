//! Asks about many ranges, in two lives of the grid, and compares each answer with a sum over all renders.

use std::ops::Range;

use gridmill::prelude::Client;
use gridmill_examples::Failed;

use crate::module::{CHART, Render, SUMMARY, Stats};
use crate::renders::{PAGES, Past, page};
use crate::{open, report};

/// No answer needs more entries, whatever its range.
const ENTRIES_MAX: u64 = 100;

pub(crate) async fn run() -> Result<(), Failed> {
    let data = tempfile::tempdir()?;
    let past = Past::new(60, 7);
    let renders: Vec<Render> = past.renders().collect();
    let grid = open(data.path()).await?;
    past.append(&grid.client()).await?;
    compare(&grid.client(), past, &renders).await?;
    grid.shutdown().await?;
    let grid = open(data.path()).await?;
    compare(&grid.client(), past, &renders).await?;
    gridmill_examples::print(&report(&grid.client(), past).await?)?;
    grid.shutdown().await?;
    gridmill_examples::print("\nevery answer is what a sum over all renders says\n")
}

async fn compare(client: &Client, past: Past, renders: &[Render]) -> Result<(), Failed> {
    let Past { from, to, .. } = past;
    let ranges = [
        from..to,
        from - 1000..to + 1000,
        from + 61..from + 64,
        from + 1..from + 100_000 / 3,
        to - 1500..to - 7,
        to..to + 60,
        from..from,
    ];
    for (number, range) in ranges.into_iter().enumerate() {
        let name = page(number % PAGES.len());
        let asked = (name.clone(), range.start, range.end);
        let summary = client.query(SUMMARY, asked.clone()).await?;
        let expected = summed(renders, &name, &range);
        if summary.stats != expected || summary.entries > ENTRIES_MAX {
            return Err(format!("{name} {range:?}: expected {expected:?}, got {summary:?}").into());
        }
        let chart = client.query(CHART, (asked, 13)).await?;
        let renders: u64 = chart.iter().map(|part| part.stats.renders).sum();
        if chart.len() != 13 || renders != expected.renders {
            return Err(format!("the parts of {range:?} have {renders} renders").into());
        }
    }
    Ok(())
}

/// What an answer has to be, from all renders.
fn summed(renders: &[Render], page: &str, minutes: &Range<i64>) -> Stats {
    let millis: Vec<u32> = renders
        .iter()
        .filter(|render| render.page == page && minutes.contains(&render.minute))
        .map(|render| render.millis)
        .collect();
    Stats {
        renders: millis.len() as u64,
        millis: millis.iter().copied().map(u64::from).sum(),
        fastest: millis.iter().copied().min().unwrap_or_default(),
        slowest: millis.iter().copied().max().unwrap_or_default(),
    }
}
