//! Counters and records that queries are asked about.

use gridmill::client::{Ask, AskError, Span};
use gridmill::model::aggregate::Sum;
use gridmill::prelude::*;

use super::count::{COUNTS, HITS, Hit};

/// A record that takes long to decode as a whole.
#[record]
pub struct Document {
    /// What a path asks for.
    pub number: u64,
    /// The rest.
    pub lines: List<Str>,
}

/// Documents, with their numbers.
pub const WRITTEN: Depot<(u64, Document)> =
    Depot::hash_by("asking/written", |(key, _)| (*key).into());
/// The newest document of each key.
pub const DOCUMENTS: PState<Map<u64, Document>> = PState::new("asking/documents");

/// The sum of all counters.
pub const TOTAL: Query<(), u64> = Query::new("asking/total");
/// One counter.
pub const COUNT: Query<u64, Option<u64>> = Query::new("asking/count");
/// How many partitions answer.
pub const EVERYWHERE: Query<(), u64> = Query::new("asking/everywhere");
const NOTHING: Part<(), u64> = Part::new("asking/nothing");

/// Declares them.
#[derive(Debug)]
pub struct AskingModule;

impl Module for AskingModule {
    const NAME: &'static str = "asking";

    fn define(module: &mut Setup) {
        module.depot(HITS).depot(WRITTEN);
        module.stream("count", COUNTS).source(HITS).each(|hit: Hit, counts: &mut Map<u64, u64>| {
            *counts.entry(hit.key).or_default() += 1;
        });
        module.stream("documents", DOCUMENTS).source(WRITTEN).each(
            |(key, document): (u64, Document), documents: &mut Map<u64, Document>| {
                documents.insert(key, document);
            },
        );
        module.query(TOTAL, total);
        module.query(COUNT, |ask: Ask, key| async move { ask.select_one(COUNTS.key(key)).await });
        module.query(EVERYWHERE, everywhere).part(NOTHING, (), nothing);
    }
}

async fn total(ask: Ask, (): ()) -> Result<u64, AskError> {
    ask.all(COUNTS.map_vals()).fold(Sum::new()).await
}

async fn everywhere(ask: Ask, (): ()) -> Result<u64, AskError> {
    ask.part(NOTHING).everywhere(()).fold(Sum::new()).await
}

fn nothing((): (), (): (), _: &Span) -> Result<u64, AskError> {
    Ok(1)
}
