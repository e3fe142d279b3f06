//! Stages in a running grid: many partitions and callers, and stops of every kind.

use gridmill::client::AppendErrorKind;
use gridmill::prelude::*;

use super::modules::{bank, timelines, walk, words};

type Test = Result<(), Box<dyn std::error::Error>>;

const ACCOUNTS: u64 = 50;

async fn opened(grid: &Grid) -> Test {
    for account in 0..ACCOUNTS {
        grid.client().append(bank::OPENED, (account, 1_000)).await?;
    }
    Ok(())
}

async fn total(client: &Client) -> Result<u64, Box<dyn std::error::Error>> {
    let mut total = 0;
    for account in 0..ACCOUNTS {
        total += client.select_one(bank::FUNDS.key(account)).await?.unwrap_or(0);
    }
    Ok(total)
}

fn transfer(number: u64) -> bank::Transfer {
    let (from, to) = (number * 7 % ACCOUNTS, number * 13 % (ACCOUNTS + 2));
    bank::Transfer { from, to, cents: number % 90 }
}

#[tokio::test(flavor = "multi_thread")]
async fn r028_money_is_conserved_over_partitions_and_what_is_answered_is_seen() -> Test {
    let grid = Grid::in_memory().partitions(8).threads(2).module::<bank::Bank>().start().await?;
    opened(&grid).await?;
    let mut tasks = Vec::new();
    for task in 0..8 {
        let client = grid.client();
        tasks.push(tokio::spawn(async move {
            let mut refused = 0;
            for number in 0..200 {
                match client.append(bank::TRANSFERS, transfer(task * 1_000 + number)).await {
                    Ok(_) => {}
                    Err(error) if matches!(error.kind, AppendErrorKind::Rejected(_)) => {
                        refused += 1
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            refused
        }));
    }
    let mut refused = 0;
    for task in tasks {
        refused += task.await?;
    }
    assert!(refused > 0, "some go to accounts that do not exist");
    // Refused ones are answered when all that they led to is done: the refunds too.
    assert_eq!(total(&grid.client()).await?, ACCOUNTS * 1_000);
    let stats = grid.stats();
    let sent = stats.total(|partition| partition.sent);
    assert!(sent > 800, "{sent} records were sent");
    assert_eq!(stats.total(|partition| partition.received), sent);
    grid.shutdown().await?;
    Ok(())
}

#[tokio::test]
async fn r038_processed_waits_for_what_an_append_led_to() -> Test {
    let grid = Grid::in_memory().partitions(4).module::<walk::Walks>().start().await?;
    let client = grid.client();
    for at in 0..200 {
        client.append_with(walk::LINKS, (at, at + 1), Ack::None).await?;
    }
    grid.processed().await;
    let receipt = client.append(walk::WALKS, walk::Walk { at: 0, steps: 0 }).await?;
    let end = receipt.reply::<walk::Walk>("walk")?;
    assert_eq!(end, Some(walk::Walk { at: 200, steps: 200 }));
    Ok(())
}

#[tokio::test]
async fn r033_many_appends_of_one_call_are_answered_each_with_what_it_led_to() -> Test {
    let grid = Grid::in_memory().partitions(4).module::<bank::Bank>().start().await?;
    opened(&grid).await?;
    let transfers: Vec<_> = (0..500).map(transfer).collect();
    let unknown = |transfer: &bank::Transfer| transfer.to >= ACCOUNTS;
    let expected: Vec<usize> =
        (0..transfers.len()).filter(|&index| unknown(&transfers[index])).collect();
    let receipt = grid.client().append_many(bank::TRANSFERS, transfers).await?;
    let refused: Vec<usize> = receipt.rejections.iter().map(|(index, _)| *index).collect();
    assert_eq!(refused, expected);
    assert_eq!(total(&grid.client()).await?, ACCOUNTS * 1_000);
    Ok(())
}

#[tokio::test]
async fn r004_words_of_many_pages_are_counted_once_each() -> Test {
    let grid = Grid::in_memory().partitions(5).module::<words::Words>().start().await?;
    let client = grid.client();
    let pages = (0..300u64).map(|page| format!("w{} w{} all", page % 7, page % 11).as_str().into());
    client.append_many(words::PAGES, pages.collect::<Vec<Str>>()).await?;
    assert_eq!(client.select_one(words::COUNTS.key("all")).await?, Some(300));
    let mut sum = 0;
    for word in 0..11 {
        sum +=
            client.select_one(words::COUNTS.key(format!("w{word}").as_str())).await?.unwrap_or(0);
    }
    assert_eq!(sum, 600);
    Ok(())
}

#[tokio::test]
async fn r005_a_post_reaches_every_follower_once_and_in_order() -> Test {
    use timelines::{FOLLOWS, POSTS, Post, Social, TIMELINES};
    let grid = Grid::in_memory().partitions(4).module::<Social>().start().await?;
    let client = grid.client();
    client.append_many(FOLLOWS, (0..500u64).map(|who| (who, 7)).collect::<Vec<_>>()).await?;
    for id in 0..5 {
        client.append(POSTS, Post { author: 7, id }).await?;
    }
    client.append(POSTS, Post { author: 8, id: 99 }).await?;
    for who in 0..500 {
        let timeline = client.select_one(TIMELINES.key(who)).await?;
        let posts: Vec<u64> = timeline.iter().flat_map(|list| list.iter().copied()).collect();
        assert_eq!(posts, [0, 1, 2, 3, 4], "follower {who}");
    }
    Ok(())
}

async fn started(folder: &std::path::Path) -> Result<Grid, gridmill::StartError> {
    Grid::builder(folder).partitions(4).threads(2).module::<bank::Bank>().start().await
}

#[tokio::test]
async fn r230_money_is_conserved_over_stops_and_halts() -> Test {
    let folder = tempfile::tempdir()?;
    let mut grid = started(folder.path()).await?;
    opened(&grid).await?;
    for round in 0..6u64 {
        let client = grid.client();
        let sent: Vec<_> = (0..300)
            .map(|number| {
                client.append_with(bank::TRANSFERS, transfer(round * 977 + number), Ack::Appended)
            })
            .collect();
        for answer in sent {
            answer.await?;
        }
        // What is acknowledged as appended is under way: some of it on its way to another partition.
        match round % 2 {
            0 => grid.halt().await,
            _ => grid.shutdown().await?,
        }
        grid = started(folder.path()).await?;
        grid.processed().await;
        assert_eq!(total(&grid.client()).await?, ACCOUNTS * 1_000, "round {round}");
        if round % 2 == 1 {
            let stats = grid.stats();
            assert_eq!(stats.total(|partition| partition.sent_again), 0, "all had arrived before");
        }
    }
    Ok(())
}
