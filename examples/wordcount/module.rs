//! The module: pages go anywhere, their words go home.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use gridmill::prelude::*;
use gridmill_examples::Failed;

/// Pages that travel in one append.
const BATCH: usize = 64;

pub(crate) const PAGES: Depot<Str> = Depot::random("words/pages");
pub(crate) const COUNTS: PState<Map<Str, u64>> = PState::new("words/counts");

const WORDS: Stage<(Str, u64)> = Stage::hash_by("words", |(word, _)| word.as_str().into());

pub(crate) struct Words;

impl Module for Words {
    const NAME: &'static str = "words";

    fn define(module: &mut Setup) {
        module.depot(PAGES);
        module
            .stream("count", COUNTS)
            .source(PAGES)
            .over(())
            .each_with(split)
            .stage(WORDS)
            .each(count_word);
    }
}

/// Runs where the page is. A word that stands on it often travels once.
fn split(page: Str, (): (), flow: &mut Context<'_>) {
    let mut times = BTreeMap::<String, u64>::new();
    for word in words(&page) {
        *times.entry(word).or_default() += 1;
    }
    for (word, times) in times {
        flow.send(WORDS, (word.into(), times));
    }
}

/// Runs where the word lives: all of its counts meet there.
fn count_word((word, times): (Str, u64), counts: &mut Map<Str, u64>) {
    *counts.entry(word).or_default() += times;
}

/// The words of a text, in lower case: letters and digits, also with an apostrophe inside.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '\'');
    let words = words.map(|word| word.trim_matches('\''));
    words.filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// Counts the words of `pages` in a grid in the folder `data`; how long it took until all were durable and counted.
pub(crate) async fn count(data: &Path, pages: Vec<Str>) -> Result<(Grid, Duration), Failed> {
    let grid = Grid::builder(data).partitions(4).module::<Words>().start().await?;
    let (client, start) = (grid.client(), Instant::now());
    for batch in pages.chunks(BATCH) {
        // Once it is answered the words are counted, wherever they live.
        client.append_many(PAGES, batch.iter().cloned()).await?;
    }
    Ok((grid, start.elapsed()))
}
