//! Queries over partitions that cannot answer: one of which a topology reads the past, one with a damaged file.

use std::sync::Arc;

use gridmill::client::{AskErrorKind, ReadError};
use gridmill::model::aggregate::Sum;
use gridmill::persistence::SimStorage;
use gridmill::prelude::*;

use super::Result;
use crate::faults::damage_values;
use crate::latch::Latch;

type Counts = Map<u64, u64>;

const HITS: Depot<u64> = Depot::hash_by("troubles/hits", |page| page.into());
const COUNTS: PState<Counts> = PState::new("troubles/counts");
/// The same once more, of a topology that comes later.
const LATER: PState<Counts> = PState::new("troubles/later");
const TOTAL: Query<(), u64> = Query::new("troubles/total");
const TOTAL_LATER: Query<(), u64> = Query::new("troubles/total-later");
/// By a part, of one page.
const HITS_OF: Query<u64, u64> = Query::new("troubles/hits-of");
const COUNT_OF: Part<u64, u64> = Part::new("troubles/count-of");

const PAGES: u64 = 40;
const PARTITIONS: u32 = 4;

static PAST: Latch = Latch::new();

fn count(page: u64, counts: &mut Counts) {
    *counts.entry(page).or_default() += 1;
}

struct Before;

impl Module for Before {
    const NAME: &'static str = "troubles";

    fn define(module: &mut Setup) {
        module.depot(HITS);
        module.stream("counts", COUNTS).source(HITS).each(count);
        module.query(TOTAL, |ask: Ask, ()| async move {
            ask.all(COUNTS.map_vals()).fold(Sum::new()).await
        });
        module
            .query(
                HITS_OF,
                |ask: Ask, page: u64| async move { ask.part(COUNT_OF).at(page, page).await },
            )
            .part(COUNT_OF, COUNTS.read(), |counts: &Counts, page: u64, _: &Span| {
                Ok(counts.get(page).map_or(0, |count| *count))
            });
    }
}

struct After;

impl Module for After {
    const NAME: &'static str = "troubles";

    fn define(module: &mut Setup) {
        Before::define(module);
        module.stream("later", LATER).source(HITS).each(|page: u64, counts: &mut Counts| {
            if page == 0 {
                PAST.pass();
            }
            count(page, counts);
        });
        module.query(TOTAL_LATER, |ask: Ask, ()| async move {
            ask.all(LATER.map_vals()).fold(Sum::new()).await
        });
    }
}

fn partition_of(page: u64) -> u32 {
    RouteKey::from(page).partition(PARTITIONS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r163_a_partition_that_catches_up_is_named_and_holds_up_nobody() -> Result {
    let storage = Arc::new(SimStorage::new());
    let builder = Grid::in_memory().partitions(PARTITIONS).storage(storage);
    let grid = builder.clone().module::<Before>().start().await?;
    grid.client().append_many(HITS, 0..PAGES).await?;
    grid.shutdown().await?;

    let grid = builder.module::<After>().start().await?;
    let client = grid.client();
    let held = PAST.reached().await;
    let error = client.query(TOTAL_LATER, ()).await.expect_err("one partition reads the past");
    let AskErrorKind::Read(ReadError::CatchingUp { pstate, .. }) = error.kind() else {
        panic!("{error}")
    };
    assert_eq!(pstate, LATER.name());
    assert!(error.to_string().contains("troubles/total-later"), "{error}");
    // Others are asked and answer, also on that partition, and also with what was appended since.
    client.append_many(HITS, 0..PAGES).await?;
    assert_eq!(client.query(TOTAL, ()).await?, 2 * PAGES);
    assert_eq!(client.query(HITS_OF, 0).await?, 2);
    held.open();
    grid.caught_up("later").await;
    assert_eq!(client.query(TOTAL_LATER, ()).await?, 2 * PAGES);
    Ok(())
}

#[tokio::test]
async fn r163_a_damaged_partition_is_named_and_holds_up_nobody() -> Result {
    let disk = SimStorage::new();
    let builder = Grid::builder("sim").storage(Arc::new(disk.clone())).partitions(PARTITIONS);
    let builder = builder.module::<Before>();
    let grid = builder.clone().start().await?;
    grid.client().append_many(HITS, 0..PAGES).await?;
    grid.shutdown().await?;
    damage_values(&disk, "troubles/2");

    let grid = builder.start().await?;
    let client = grid.client();
    let error = client.query(TOTAL, ()).await.expect_err("a file is damaged");
    assert!(matches!(error.kind(), AskErrorKind::Read(ReadError::Damaged { .. })), "{error:?}");
    assert_eq!((error.query(), error.partition()), ("troubles/total", Some(2)));
    assert!(error.to_string().contains("damaged data in"), "{error}");
    for page in 0..PAGES {
        let answer = client.query(HITS_OF, page).await;
        if partition_of(page) == 2 {
            let error = answer.expect_err("it is in the damaged file");
            assert_eq!((error.part(), error.partition()), (Some("troubles/count-of"), Some(2)));
        } else {
            assert_eq!(answer?, 1);
        }
    }
    // What writers do elsewhere goes on.
    let elsewhere = (0..PAGES).find(|page| partition_of(*page) != 2).expect("pages are spread");
    client.append(HITS, elsewhere).await?;
    assert_eq!(client.query(HITS_OF, elsewhere).await?, 2);
    grid.halt().await;
    Ok(())
}
