//! The module: how long pages took to be rendered, added up by spans of time of many lengths.

use gridmill::model::RouteKey;
use gridmill::prelude::*;

use crate::spans::{LEVELS, bucket, spans};

/// A page was rendered.
#[record]
pub(crate) struct Render {
    pub(crate) page: Str,
    /// The minute since 1970.
    pub(crate) minute: i64,
    pub(crate) millis: u32,
}

/// What is known of a page in a span of time.
#[record]
#[derive(Copy, Default)]
pub(crate) struct Stats {
    pub(crate) renders: u64,
    /// Of all renders together.
    pub(crate) millis: u64,
    pub(crate) fastest: u32,
    pub(crate) slowest: u32,
}

/// An answer: what is known, and how many entries were read for it.
#[record]
#[derive(Copy, Default)]
pub(crate) struct Summary {
    pub(crate) stats: Stats,
    pub(crate) entries: u64,
}

/// A page, a level, and the number of a span of that level.
type SpanKey = (Str, u8, i64);

/// A page, and minutes from the first to before the last.
type Asked = (Str, i64, i64);

pub(crate) const RENDERS: Depot<Render> =
    Depot::hash_by("timeseries/renders", |render| render.page.as_str().into());
/// All entries of a page are on the partition of the page.
pub(crate) const STATS: PState<Map<SpanKey, Stats>> =
    PState::new("timeseries/stats").partition_by(|(page, ..): &SpanKey, partitions| {
        RouteKey::from(page.as_str()).partition(partitions)
    });

/// What is known of a page in a range of minutes.
pub(crate) const SUMMARY: Query<Asked, Summary> = Query::new("timeseries/summary");
/// The same for each of so many equal parts of the range.
pub(crate) const CHART: Query<(Asked, u32), List<Summary>> = Query::new("timeseries/chart");
const SUMMARIES: Part<List<Asked>, List<Summary>> = Part::new("timeseries/summaries");

pub(crate) struct TimeSeries;

impl Module for TimeSeries {
    const NAME: &'static str = "timeseries";

    fn define(module: &mut Setup) {
        module.depot(RENDERS);
        module.stream("stats", STATS).source(RENDERS).each(on_render);
        module.query(SUMMARY, summary).query(CHART, chart);
        module.part(SUMMARIES, STATS.read(), summaries);
    }
}

impl Stats {
    fn add(&mut self, other: Self) {
        if other.renders == 0 {
            return;
        }
        let is_first = self.renders == 0;
        self.fastest = if is_first { other.fastest } else { self.fastest.min(other.fastest) };
        self.slowest = self.slowest.max(other.slowest);
        self.renders += other.renders;
        self.millis += other.millis;
    }

    /// Milliseconds a render; `None` where there was none.
    pub(crate) fn average(&self) -> Option<f64> {
        (self.renders > 0).then(|| self.millis as f64 / self.renders as f64)
    }
}

/// A render counts in one entry of each level.
fn on_render(Render { page, minute, millis }: Render, stats: &mut Map<SpanKey, Stats>) {
    let one = Stats { renders: 1, millis: millis.into(), fastest: millis, slowest: millis };
    for level in 0..LEVELS {
        stats.entry((page.clone(), level, bucket(level, minute))).or_default().add(one);
    }
}

async fn summary(ask: Ask, asked: Asked) -> Result<Summary, AskError> {
    let page = asked.0.clone();
    let found = ask.part(SUMMARIES).at(page.as_str(), [asked].into()).await?;
    found.front().copied().ok_or_else(|| AskError::failed("no range was asked for"))
}

async fn chart(
    ask: Ask,
    ((page, from, to), parts): (Asked, u32),
) -> Result<List<Summary>, AskError> {
    let (count, minutes) = (i64::from(parts.max(1)), (to - from).max(0));
    let edge = |part: i64| from + minutes * part / count;
    let asked = (0..count).map(|part| (page.clone(), edge(part), edge(part + 1))).collect();
    ask.part(SUMMARIES).at(page.as_str(), asked).await
}

/// Runs where the page is.
fn summaries(
    stats: &Map<SpanKey, Stats>,
    asked: List<Asked>,
    span: &Span,
) -> Result<List<Summary>, AskError> {
    let mut found = List::new();
    for (page, from, to) in &asked {
        span.check()?;
        found.push_back(summarize(stats, page, *from..*to));
    }
    Ok(found)
}

fn summarize(stats: &Map<SpanKey, Stats>, page: &Str, minutes: std::ops::Range<i64>) -> Summary {
    let mut summary = Summary::default();
    for (level, buckets) in spans(minutes) {
        let key = |bucket| (page.clone(), level, bucket);
        for (_, entry) in stats.range(key(buckets.start)..key(buckets.end)) {
            summary.stats.add(*entry);
            summary.entries += 1;
        }
    }
    summary
}
