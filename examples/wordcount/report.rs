//! Prints what was counted.

use std::fmt::Write;
use std::time::Duration;

use gridmill::prelude::*;
use gridmill_examples::{Failed, counted};

use crate::module::COUNTS;

/// The `top` words that there are most of, and how fast all were counted.
pub(crate) async fn table(client: &Client, top: usize, took: Duration) -> Result<String, Failed> {
    let mut counts = counts(client).await?;
    counts.sort_by(|(one, fewer), (other, more)| more.cmp(fewer).then_with(|| one.cmp(other)));
    let all: u64 = counts.iter().map(|(_, times)| times).sum();
    let mut out = format!(
        "{}, {} different, in {:.0} ms: {:.0} words a second\n\n",
        counted(all, "word"),
        counts.len(),
        took.as_secs_f64() * 1e3,
        all as f64 / took.as_secs_f64().max(1e-9),
    );
    for (word, times) in counts.iter().take(top) {
        writeln!(out, "{times:>8} {word}")?;
    }
    Ok(out)
}

/// All words with their counts, from all partitions.
pub(crate) async fn counts(client: &Client) -> Result<Vec<(Str, u64)>, Failed> {
    Ok(client.with_limit(usize::MAX).select_all(COUNTS.all()).await?)
}
