//! What queries answer.

use futures::future::join_all;
use gridmill::Local;
use gridmill::prelude::*;

use super::Result;
use super::social::*;

async fn social(events: impl IntoIterator<Item = Did>) -> Result<(Grid, Client)> {
    let grid = Grid::in_memory().partitions(4).module::<Social>().start().await?;
    let client = grid.client();
    for event in events {
        client.append(DID, event).await?;
    }
    grid.processed().await;
    Ok((grid, client))
}

fn follows(pairs: &[(u64, u64)]) -> impl Iterator<Item = Did> {
    pairs.iter().map(|&(who, whom)| Did::Follow { who, whom })
}

#[tokio::test]
async fn r159_a_query_answers_from_several_partitions() -> Result {
    let shares = [1, 2, 3].map(|who| Did::Share { who, post: 77 });
    // Of nine followers of those who shared, three follow two of them, and one nobody.
    let pairs = [(10, 1), (11, 1), (12, 1), (10, 2), (11, 2), (13, 2), (12, 3), (14, 3), (15, 4)];
    let (_grid, client) = social(follows(&pairs).chain(shares)).await?;
    assert_eq!(client.query(REACH, 77).await?, 5);
    assert_eq!(client.query(REACH, 78).await?, 0, "nobody shared it");
    // The same without threads.
    let local = Local::<Social>::new(4)?;
    for event in follows(&pairs).chain([1, 2, 3].map(|who| Did::Share { who, post: 77 })) {
        local.append(DID, event)?;
    }
    assert_eq!(local.query(REACH, 77)?, 5);
    Ok(())
}

#[tokio::test]
async fn r159_whom_to_follow_by_what_others_follow() -> Result {
    let pairs = [(1, 2), (1, 3), (2, 3), (2, 4), (2, 5), (3, 4), (3, 1), (3, 6)];
    let (_grid, client) = social(follows(&pairs)).await?;
    // Both whom 1 follows follow 4; 5 and 6 come once, and 1 and 3 are known.
    let found = client.query(WHO_TO_FOLLOW, (1, 10)).await?;
    assert_eq!(found.front(), Some(&(4, 2)));
    let mut rest: Vec<_> = found.iter().skip(1).copied().collect();
    rest.sort_unstable();
    assert_eq!(rest, [(5, 1), (6, 1)]);
    assert_eq!(client.query(WHO_TO_FOLLOW, (1, 1)).await?, [(4, 2)]);
    assert!(client.query(WHO_TO_FOLLOW, (99, 3)).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn r161_all_partitions_add_up_to_the_total() -> Result {
    let scores = (0..500_u64).map(|n| Did::Score { who: format!("p{n}").into(), points: n });
    let (_grid, client) = social(scores).await?;
    assert_eq!(client.query(TOTAL, ()).await?, 500 * 499 / 2);
    // What a client adds up by itself is the same.
    let all = client.select_all(SCORES.map_vals()).await?;
    assert_eq!(all.iter().sum::<u64>(), 500 * 499 / 2);
    let top = client.query(TOP_PLAYERS, 3).await?;
    assert_eq!(top, [("p499".into(), 499), ("p498".into(), 498), ("p497".into(), 497)]);
    assert!(client.query(TOP_PLAYERS, 0).await?.is_empty());
    assert_eq!(client.query(TOP_PLAYERS, 1_000).await?.len(), 500);
    Ok(())
}

/// Item 1 has 2 and 3, 2 has 4, 4 has 5, and 5 has 1 again.
fn tree() -> impl Iterator<Item = Did> {
    let pairs = [(2, 1), (3, 1), (4, 2), (5, 4)];
    pairs.into_iter().map(|(item, under)| Did::Attach { item, under })
}

#[tokio::test]
async fn r162_a_graph_is_walked_with_what_was_seen() -> Result {
    let (_grid, client) = social(tree()).await?;
    assert_eq!(client.query(SUBTREE, 1).await?, Subtree { nodes: 5, depth: 3 });
    assert_eq!(client.query(SUBTREE, 3).await?, Subtree { nodes: 1, depth: 0 });
    client.append(DID, Did::Attach { item: 1, under: 5 }).await?;
    assert_eq!(client.query(SUBTREE, 1).await?, Subtree { nodes: 5, depth: 3 }, "a circle");
    Ok(())
}

#[tokio::test]
async fn r165_a_query_asks_itself() -> Result {
    let (_grid, client) = social(tree()).await?;
    assert_eq!(client.query(HEIGHT, 1).await?, 3);
    assert_eq!(client.query(HEIGHT, 5).await?, 0);
    assert_eq!(client.query(FACTORIAL, 10).await?, 3_628_800);
    Ok(())
}

#[tokio::test]
async fn r166_a_query_of_one_key_asks_one_partition() -> Result {
    let (grid, client) = social([Did::Score { who: "ann".into(), points: 7 }]).await?;
    let before = grid.stats();
    assert_eq!(client.query(WHISPERED, 5).await?, 0);
    // It took no thread, and of what is held nothing was there while nobody asked.
    assert_eq!(grid.stats().queries, before.queries);
    assert_eq!(grid.stats().total(|partition| partition.held_views), 0);
    Ok(())
}

#[tokio::test]
async fn r075_thousands_of_queries_at_once() -> Result {
    let scores = (0..50_u64).map(|n| Did::Score { who: format!("p{n}").into(), points: 1 });
    let (_grid, client) = social(scores.chain(tree())).await?;
    let totals = join_all((0..2_000).map(|_| client.query(TOTAL, ())));
    let heights = join_all((0..2_000).map(|_| client.query(HEIGHT, 1)));
    let (totals, heights) = futures::join!(totals, heights);
    for total in totals {
        assert_eq!(total?, 50);
    }
    for height in heights {
        assert_eq!(height?, 3);
    }
    Ok(())
}

#[tokio::test]
async fn r070_one_number_comes_back() -> Result {
    let pairs: Vec<_> = (0..200).map(|who| (who, 7)).collect();
    let (_grid, client) = social(follows(&pairs)).await?;
    // The set stays where it is: its length is what is sent, within a limit that the set is above.
    let small = client.with_bytes(64);
    assert_eq!(small.select_one(FOLLOWERS.key(7_u64).len()).await?, Some(200));
    assert!(small.select_one(FOLLOWERS.key(7_u64)).await.is_err());
    Ok(())
}
