//! Ids that a handler asks for: no two are equal, and a replay gives the same.

use std::collections::BTreeSet;

use gridmill::Context;
use gridmill::prelude::*;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;
type Ids = Map<u64, List<u128>>;

const EVENTS: Depot<u64> = Depot::hash_by("ids/events", |event| event.into());
const FIRST: PState<Ids> = PState::new("ids/first");
const SECOND: PState<Ids> = PState::new("ids/second");
const THIRD: PState<Ids> = PState::new("ids/third");

fn note(event: u64, ids: &mut Ids, context: &mut Context<'_>) {
    let ids = ids.entry(event).or_default();
    ids.extend([context.unique_id(), context.unique_id(), context.unique_id()]);
}

struct Two;

impl Module for Two {
    const NAME: &'static str = "ids";

    fn define(module: &mut Setup) {
        module.depot(EVENTS);
        module.stream("first", FIRST).source(EVENTS).each_with(note);
        module.stream("second", SECOND).source(EVENTS).each_with(note);
    }
}

/// The same topologies, in another order, beside another one.
struct Three;

impl Module for Three {
    const NAME: &'static str = "ids";

    fn define(module: &mut Setup) {
        module.depot(EVENTS);
        module.stream("third", THIRD).source(EVENTS).each_with(note);
        module.stream("second", SECOND).source(EVENTS).each_with(note);
        module.stream("first", FIRST).source(EVENTS).each_with(note);
    }
}

async fn ids(grid: &Grid, pstate: PState<Ids>) -> Result<Vec<u128>> {
    Ok(grid.client().select_all(pstate.map_vals().all()).await?)
}

fn assert_distinct(ids: &[u128], count: usize) {
    assert_eq!(ids.len(), count);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), count, "{ids:x?}");
}

// Row 203: ids are unique over partitions, records, topologies and calls; the same after a crash, in whatever
// order the topologies are declared, and also beside a topology that reads the same records later.
#[tokio::test]
async fn r203_unique_ids_of_several_topologies() -> Result {
    let folder = tempfile::tempdir()?;
    let builder = || Grid::builder(folder.path()).partitions(3);
    let grid = builder().module::<Two>().start().await?;
    grid.client().append_many(EVENTS, (0..40).chain(0..10)).await?;
    let before = (ids(&grid, FIRST).await?, ids(&grid, SECOND).await?);
    assert_distinct(&[&before.0[..], &before.1[..]].concat(), 2 * 150);
    for per_record in before.0.chunks(3) {
        assert!(per_record.is_sorted(), "the calls of one record count up");
    }
    grid.halt().await;

    let grid = builder().module::<Three>().start().await?;
    grid.client().append(EVENTS, 100).await?;
    grid.caught_up("third").await;
    let mut all = Vec::new();
    for (pstate, before) in [(FIRST, before.0), (SECOND, before.1)] {
        let now = ids(&grid, pstate).await?;
        assert!(before.iter().all(|id| now.contains(id)), "a replay gives the same ids");
        all.extend(now);
    }
    all.extend(ids(&grid, THIRD).await?);
    assert_distinct(&all, 3 * 153);
    Ok(())
}
