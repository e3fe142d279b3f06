//! Appends of many, appends under overload, and two modules side by side: beside the rows.

use gridmill::client::AppendErrorKind;
use gridmill::prelude::*;

use crate::latch::Latch;
use crate::todo::{EVENTS, TODOS, TodoEvent, TodoModule};

type Test = Result<(), Box<dyn std::error::Error>>;

const WORDS: Depot<Str> = Depot::hash_by("words/seen", |word| word.as_str().into());
const LINES: PState<Map<Str, List<Str>>> = PState::new("words/lines").local();
static AT_WORDS: Latch = Latch::new();

/// Keeps the order of all words of a partition; waits at a latch with one of them.
struct Words;

impl Module for Words {
    const NAME: &'static str = "words";

    fn define(module: &mut Setup) {
        module.depot(WORDS);
        module.stream("lines", LINES).source(WORDS).each(
            |word: Str, lines: &mut Map<Str, List<Str>>| {
                if word == "hold" {
                    AT_WORDS.pass();
                }
                lines.entry("all".into()).or_default().push_back(word);
            },
        );
    }
}

#[tokio::test]
async fn append_many_keeps_the_order_of_each_partition() -> Test {
    let grid = Grid::in_memory().partitions(4).module::<Words>().start().await?;
    let client = grid.client();
    let words: Vec<Str> = (0..100).map(|number| Str::from(format!("word-{number}"))).collect();
    client.append(WORDS, words[0].clone()).await?;
    let receipt = client.append_many(WORDS, words.clone()).await?;
    assert_eq!((receipt.count, receipt.rejections.len()), (100, 0));
    let mut named: Vec<u32> = Vec::new();
    for part in &receipt.parts {
        let end = part.first_offset + part.indexes.len() as u64;
        let logged = client.depot_read(WORDS, part.partition, part.first_offset..end).await?;
        let expected = part.indexes.iter().map(|&index| words[index as usize].clone());
        assert!(logged.into_iter().map(|record| record.event).eq(expected));
        assert!(part.indexes.is_sorted(), "in the order of the call");
        named.extend(&part.indexes);
    }
    named.sort_unstable();
    assert!(named.into_iter().eq(0..100), "every event is named once");
    let first = RouteKey::from(&words[0]).partition(4);
    let mut seen: Vec<Str> = Vec::new();
    for partition in 0..4 {
        let lines = client.select_on(partition, LINES.key("all").all()).await?;
        seen.extend(lines.into_iter().skip(usize::from(partition == first)));
    }
    seen.sort_by_key(|word| words.iter().position(|known| known == word));
    assert_eq!(seen, words, "handlers had each of them once more");
    let none = client.append_many(WORDS, []).await?;
    assert_eq!((none.count, none.parts.len()), (0, 0));
    Ok(())
}

#[tokio::test]
async fn try_append_is_refused_while_the_mailbox_is_full() -> Test {
    let builder = Grid::in_memory().partitions(1).mailbox_bytes_max(64);
    let grid = builder.module::<Words>().start().await?;
    let client = grid.client();
    let held = client.try_append(WORDS, "hold".into())?;
    let latch = AT_WORDS.reached().await;
    let mut queued = Vec::new();
    let refused = loop {
        match client.try_append(WORDS, "ten bytes.".into()) {
            Ok(answer) => queued.push(answer),
            Err(refused) => break refused,
        }
    };
    assert!((1..=6).contains(&queued.len()), "64 bytes hold about five: {}", queued.len());
    assert!(matches!(refused.kind, AppendErrorKind::Overloaded { partition: 0, .. }));
    assert_eq!(refused.events.as_deref(), Some("ten bytes."), "the event comes back");
    // An append waits for room instead.
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.append(WORDS, "patient".into()).await }
    });
    latch.open();
    held.await?;
    let count = queued.len() as u64;
    for answer in queued {
        answer.await?;
    }
    waiting.await??;
    assert_eq!(client.depot_info(WORDS).await?.records(), count + 2);
    client.try_append(WORDS, "ten bytes.".into())?.await?;
    Ok(())
}

#[tokio::test]
async fn two_modules_live_in_one_grid() -> Test {
    let folder = tempfile::tempdir()?;
    let start = || {
        let builder = Grid::builder(folder.path()).partitions(2);
        builder.module::<TodoModule>().module::<Words>().start()
    };
    let grid = start().await?;
    let client = grid.client();
    client.append(EVENTS, TodoEvent::New { user: "ann".into(), text: "mill".into() }).await?;
    client.append(WORDS, "ann".into()).await?;
    grid.shutdown().await?;
    let grid = start().await?;
    let client = grid.client();
    assert_eq!(client.select_one(TODOS.key("ann").len()).await?, Some(1));
    assert_eq!(client.select_all(LINES.key("all").all()).await?, ["ann"]);
    let names: Vec<_> = grid.stats().modules.into_iter().map(|module| module.name).collect();
    assert_eq!(names, ["todo", "words"]);
    drop(grid);

    let twice = Grid::in_memory().module::<Words>().module::<Words>().start().await;
    let message = twice.expect_err("a name can be used once").to_string();
    assert!(message.contains("another module has this name"), "{message}");
    Ok(())
}
