//! Appends that wait for room towards another partition when that one stops for good.

use std::sync::Arc;

use futures::future::join_all;
use gridmill::client::AppendErrorKind;
use gridmill::persistence::SimStorage;
use gridmill::prelude::*;

use crate::faults::damage_values;
use crate::latch::Latch;

type Test = Result<(), Box<dyn std::error::Error>>;

/// From a key, to a key.
const LETTERS: Depot<(u64, u64)> = Depot::hash_by("stalled/letters", |(from, _)| from.into());
const INBOXES: PState<Map<u64, u64>> = PState::new("stalled/inboxes");
const DELIVER: Stage<(u64, u64)> = Stage::hash_by("deliver", |(_, to)| to.into());

const FLOW_BYTES: u64 = 16 << 10;

static DELIVERY: Latch = Latch::new();

struct Post;

impl Module for Post {
    const NAME: &'static str = "stalled";

    fn define(module: &mut Setup) {
        module.depot(LETTERS);
        module
            .stream("post", INBOXES)
            .source(LETTERS)
            .over(())
            .each_with(|letter: (u64, u64), (): (), flow: &mut Context<'_>| {
                flow.send(DELIVER, letter);
            })
            .stage(DELIVER)
            .each(|(from, to): (u64, u64), inboxes: &mut Map<u64, u64>| {
                // The letters of key 0 are those before the damage.
                if from > 0 {
                    DELIVERY.pass();
                }
                *inboxes.entry(to).or_default() += 1;
            });
    }
}

fn lives_on(partition: u32) -> impl Iterator<Item = u64> {
    (0..).filter(move |key: &u64| RouteKey::from(*key).partition(2) == partition)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_partition_that_stops_for_good_is_told() -> Test {
    let disk = SimStorage::new();
    let home = RouteKey::from(0_u64).partition(2);
    let there = 1 - home;
    let to = lives_on(there).next().expect("keys are spread");
    let from = lives_on(home).find(|key| *key > 0).expect("keys are spread");
    let builder = || {
        let builder = Grid::builder("sim").storage(Arc::new(disk.clone())).partitions(2).threads(2);
        builder.flow_bytes_max(FLOW_BYTES as usize).module::<Post>()
    };
    let grid = builder().start().await?;
    grid.client().append(LETTERS, (0, to)).await?;
    grid.shutdown().await?;
    damage_values(&disk, &format!("stalled/{there}"));

    let grid = builder().start().await?;
    let client = grid.client();
    let letters = (0..20_000).map(|_| client.append(LETTERS, (from, to)));
    let letters = tokio::spawn(join_all(letters.collect::<Vec<_>>()));
    // The other partition stands at the first of them. What may be kept for it is full, and the rest waits.
    let held = DELIVERY.reached().await;
    while grid.stats().total(|partition| partition.outbox_bytes) < FLOW_BYTES {
        tokio::task::yield_now().await;
    }
    // It goes on, and finds the damage. Nothing is appended any more that would wake those who wait.
    held.open();
    let (mut stalled, mut unknown) = (0, 0);
    for answer in letters.await? {
        match answer.expect_err("nothing arrives there").kind {
            AppendErrorKind::Stalled { target, .. } if target == there => stalled += 1,
            AppendErrorKind::Unknown { .. } => unknown += 1,
            other => panic!("{other}"),
        }
    }
    assert!(stalled > 0 && unknown > 0, "{stalled} have waited, {unknown} were under way");
    grid.halt().await;
    Ok(())
}
