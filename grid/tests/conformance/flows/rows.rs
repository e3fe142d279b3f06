//! What flows are made of: splitting, merging, stages from a library, replies that add up, reading what others own.

use std::collections::BTreeSet;

use gridmill::client::{AppendErrorKind, ReadError};
use gridmill::prelude::*;
use gridmill::{Call, Calls, Local, OnFailure, Stream};

use crate::bad_input::says;
use crate::rejections::rejection;

type Test = Result<(), Box<dyn std::error::Error>>;

const TEXTS: Depot<Str> = Depot::random("rows/texts");
const NOTES: Depot<(u64, Str)> = Depot::hash_by("rows/notes", |(key, _)| (*key).into());
const WORDS: PState<Map<Str, u64>> = PState::new("rows/words");
const LENGTHS: PState<Map<u64, u64>> = PState::new("rows/lengths");
const WORD: Stage<Str> = Stage::hash_by("word", |word| word.as_str().into());
const LENGTH: Stage<u64> = Stage::hash_by("length", |length| (*length).into());

/// A split into two stages, from two sources.
fn split(text: &str, flow: &mut Context<'_>) {
    for word in text.split_whitespace() {
        flow.send(WORD, word.into());
        flow.send(LENGTH, word.len() as u64);
    }
}

/// What a library would give: a stage with its handler, for any topology that owns such counts.
fn counting<'m, S: gridmill::StateSet>(
    stream: Stream<'m, S>,
    counts: PState<Map<u64, u64>>,
) -> Stream<'m, S> {
    stream.stage(LENGTH).over(counts).each(|length: u64, counts: &mut Map<u64, u64>| {
        *counts.entry(length).or_default() += 1;
    })
}

struct Rows;

impl Module for Rows {
    const NAME: &'static str = "rows";

    fn define(module: &mut Setup) {
        module.depot(TEXTS).depot(NOTES);
        let stream = module
            .stream("count", (WORDS, LENGTHS))
            .replies(|one: u64, other: u64| one + other)
            .source(TEXTS)
            .over(())
            .each_with(|text: Str, (): (), flow: &mut Context<'_>| split(&text, flow))
            .source(NOTES)
            .over(())
            .each_with(|(_, text): (u64, Str), (): (), flow: &mut Context<'_>| {
                flow.reply(&1_000u64);
                flow.reply(&1_000u64);
                split(&text, flow);
            })
            .stage(WORD)
            .over(WORDS)
            .each_with(|word: Str, words: &mut Map<Str, u64>, flow: &mut Context<'_>| {
                if word == "text" {
                    flow.reply(&"not a number");
                }
                flow.reply(&1u64);
                *words.entry(word).or_default() += 1;
            });
        counting(stream, LENGTHS);
    }
}

async fn word(client: &Client, word: &str) -> Result<Option<u64>, ReadError> {
    client.select_one(WORDS.key(word)).await
}

#[tokio::test]
async fn r117_one_record_becomes_many_in_two_streams() -> Test {
    let grid = Grid::in_memory().partitions(3).module::<Rows>().start().await?;
    let client = grid.client();
    client.append(TEXTS, "one two three".into()).await?;
    for (text, length) in [("one", 3), ("two", 3), ("three", 5)] {
        assert_eq!(word(&client, text).await?, Some(1));
        let expected = if length == 3 { 2 } else { 1 };
        assert_eq!(client.select_one(LENGTHS.key(length)).await?, Some(expected));
    }
    Ok(())
}

#[tokio::test]
async fn r121_two_sources_are_merged_and_one_feeds_two_stages() -> Test {
    let grid = Grid::in_memory().partitions(3).module::<Rows>().start().await?;
    let client = grid.client();
    client.append(TEXTS, "a bb".into()).await?;
    client.append(NOTES, (7, "bb ccc".into())).await?;
    assert_eq!(word(&client, "bb").await?, Some(2));
    assert_eq!(client.select_one(LENGTHS.key(2)).await?, Some(2));
    Ok(())
}

#[tokio::test]
async fn r127_a_function_takes_a_stream_and_adds_a_stage() -> Test {
    let rows = Local::<Rows>::new(2)?;
    rows.append(TEXTS, "four four".into())?;
    assert_eq!(rows.select_one(LENGTHS.key(4))?, Some(2));
    Ok(())
}

#[tokio::test]
async fn r148_replies_of_one_append_add_up() -> Test {
    let grid = Grid::in_memory().partitions(4).threads(2).module::<Rows>().start().await?;
    let client = grid.client();
    let text = (0..500).map(|number| format!("w{number} ")).collect::<String>();
    let receipt = client.append(TEXTS, text.as_str().into()).await?;
    assert_eq!(receipt.reply::<u64>("count")?, Some(500));
    // Those of its own handler, and of one record, count too.
    let receipt = client.append(NOTES, (1, "a b c".into())).await?;
    assert_eq!(receipt.reply::<u64>("count")?, Some(2_003));
    // Each of many appends its own.
    let many = (0..50u64).map(|key| (key, "x ".repeat(key as usize).as_str().into()));
    let receipt = client.append_many(NOTES, many.collect::<Vec<(u64, Str)>>()).await?;
    for index in 0..50 {
        assert_eq!(receipt.reply::<u64>(index, "count")?, Some(2_000 + index as u64));
    }
    let rows = Local::<Rows>::new(2)?;
    let receipt = rows.append(NOTES, (1, "a b c".into()))?;
    assert_eq!(receipt.reply::<u64>("count")?, Some(2_003));
    Ok(())
}

#[tokio::test]
async fn r148_a_reply_that_does_not_add_up_is_set_aside() -> Test {
    let grid = Grid::in_memory().partitions(2).module::<Rows>().start().await?;
    let error = grid.client().append(TEXTS, "text".into()).await.expect_err("a reply is a text");
    let rejection = rejection(error.kind);
    assert!(rejection.quarantined);
    says(&rejection, &["a reply cannot be added up", "u64", "str"]);
    assert_eq!(word(&grid.client(), "text").await?, None, "nothing of the record stays");
    Ok(())
}

struct Panics;

impl Module for Panics {
    const NAME: &'static str = "rows";

    fn define(module: &mut Setup) {
        module.depot(TEXTS);
        module
            .stream("count", WORDS)
            .replies(|one: u64, other: u64| one.checked_sub(other + 1).expect("it is too small"))
            .source(TEXTS)
            .over(())
            .each_with(|text: Str, (): (), flow: &mut Context<'_>| {
                text.split_whitespace().for_each(|word| flow.send(WORD, word.into()));
            })
            .stage(WORD)
            .each_with(|word: Str, words: &mut Map<Str, u64>, flow: &mut Context<'_>| {
                flow.reply(&1u64);
                *words.entry(word).or_default() += 1;
            });
    }
}

#[tokio::test]
async fn r148_adding_up_that_panics_loses_the_answer_and_nothing_else() -> Test {
    let grid = Grid::in_memory().partitions(2).module::<Panics>().start().await?;
    let client = grid.client();
    let error = client.append(TEXTS, "a b".into()).await.expect_err("it cannot be added up");
    assert!(matches!(error.kind, AppendErrorKind::Unknown { .. }), "{error}");
    says(&error, &["`.replies(..)` of topology `count` panicked", "everything is processed"]);
    assert_eq!((word(&client, "a").await?, word(&client, "b").await?), (Some(1), Some(1)));
    client.append(TEXTS, "a".into()).await?;
    assert_eq!(word(&client, "a").await?, Some(2));
    assert!(grid.quarantine().is_empty());
    let error = Local::<Panics>::new(2)?.append(TEXTS, "a b".into()).expect_err("the same");
    says(&error, &["`.replies(..)` of topology `count` panicked"]);
    Ok(())
}

/// A post and its readers.
const POSTS: Depot<u64> = Depot::hash_by("fan/posts", |post| (*post).into());
const READ: PState<Map<u64, u64>> = PState::new("fan/read");
const IDS: PState<Map<u64, List<u128>>> = PState::new("fan/ids");
const READERS: Fan<u64, u64> = Fan::new("readers");
const ID: Stage<u64> = Stage::hash_by("id", |key| (*key).into());
const FOLLOWERS: u64 = 10_000;

struct FanOut;

impl Module for FanOut {
    const NAME: &'static str = "fan";

    fn define(module: &mut Setup) {
        module.depot(POSTS);
        module
            .stream("fan", (READ, IDS))
            .replies(|one: u64, other: u64| one + other)
            .source(POSTS)
            .over(())
            .each_with(|post: u64, (): (), flow: &mut Context<'_>| {
                flow.fan(READERS, 0..FOLLOWERS, post);
                flow.send(ID, post);
            })
            .fan(READERS)
            .over(READ)
            .each_with(|reader: u64, _: &u64, read: &mut Map<u64, u64>, flow: &mut Context<'_>| {
                flow.reply(&1u64);
                *read.entry(reader).or_default() += 1;
            })
            .stage(ID)
            .over(IDS)
            .each_with(|key: u64, ids: &mut Map<u64, List<u128>>, flow: &mut Context<'_>| {
                let new = [flow.unique_id(), flow.unique_id()];
                ids.entry(key).or_default().extend(new);
            });
    }
}

#[tokio::test]
async fn r139_an_answer_waits_for_the_last_of_ten_thousand() -> Test {
    let grid = Grid::in_memory().partitions(8).threads(2).module::<FanOut>().start().await?;
    let client = grid.client();
    for round in 1..=3 {
        let receipt = client.append(POSTS, round).await?;
        assert_eq!(receipt.reply::<u64>("fan")?, Some(FOLLOWERS));
        let mut read = 0;
        for partition in 0..8 {
            let all = client.select_on(partition, READ.all()).await?;
            read += all.iter().filter(|(_, times)| *times == round).count() as u64;
        }
        assert_eq!(read, FOLLOWERS, "round {round}");
    }
    Ok(())
}

#[tokio::test]
async fn r204_ids_in_stages_are_unique_and_ordered_on_each_partition() -> Test {
    let folder = tempfile::tempdir()?;
    let mut all = BTreeSet::new();
    let mut last = [0; 8];
    for life in 0..3u64 {
        let builder = Grid::builder(folder.path()).partitions(8).threads(1);
        let grid = builder.module::<FanOut>().start().await?;
        for post in life * 50..life * 50 + 50 {
            grid.client().append(POSTS, post).await?;
            let ids = grid.client().select_one(IDS.key(post)).await?.unwrap_or_default();
            let at = RouteKey::from(post).partition(8) as usize;
            assert_eq!(ids.len(), 2);
            for &id in ids.iter() {
                assert!(id > last[at], "they ascend on a partition");
                last[at] = id;
                assert!(all.insert(id), "no other has it");
            }
        }
        grid.halt().await;
    }
    Ok(())
}

/// Limits that one topology keeps and a stage of another reads.
const LIMITS: Depot<(u64, u64)> = Depot::hash_by("read/limits", |(key, _)| (*key).into());
const WANTED: Depot<(u64, u64, u64)> = Depot::hash_by("read/wanted", |(from, ..)| (*from).into());
const LIMIT: PState<Map<u64, u64>> = PState::new("read/limit");
const GIVEN: PState<Map<u64, u64>> = PState::new("read/given");
const GIVE: Stage<(u64, u64)> = Stage::hash_by("give", |(to, _)| (*to).into());
const SEEN: Stage<u64> = Stage::here("seen");
const NEWS: Depot<u64> = Depot::hash_by("read/news", |key| (*key).into());
const LATE: PState<Map<u64, u64>> = PState::new("read/late").local();

async fn look(key: u64, call: Call) -> Result<u64, Str> {
    let given = call.client().select_one(GIVEN.key(key)).await;
    Ok(given.map_err(|error| Str::from(error.to_string().as_str()))?.unwrap_or(0))
}

struct Reads;

impl Module for Reads {
    const NAME: &'static str = "read";

    fn define(module: &mut Setup) {
        module.depot(LIMITS).depot(WANTED).depot(NEWS);
        module.stream("limits", LIMIT).source(LIMITS).each(
            |(key, limit): (u64, u64), limits: &mut Map<u64, u64>| {
                limits.insert(key, limit);
            },
        );
        module
            .stream("give", (GIVEN, LIMIT.read()))
            .appends(NEWS)
            .source(WANTED)
            .over(())
            .each_with(|(_, to, much): (u64, u64, u64), (): (), flow: &mut Context<'_>| {
                flow.send(GIVE, (to, much));
            })
            .stage(GIVE)
            .each_with(
                |(to, much): (u64, u64),
                 (given, limits): (&mut Map<u64, u64>, &Map<u64, u64>),
                 flow: &mut Context<'_>| {
                    let limit = limits.get(to).map_or(0, |limit| *limit);
                    let sum = given.entry(to).or_default();
                    *sum = (*sum + much).min(limit);
                    // To another partition than this one, as often as not.
                    flow.append(NEWS, to + 1);
                },
            );
        module
            .stream("late", LATE)
            .source(NEWS)
            .over(())
            .calls(Calls::default())
            .each_async(SEEN, |news: u64, call: Call| look(news - 1, call))
            .stage(SEEN)
            .on_failure(OnFailure::set_aside())
            .each(|given: u64, late: &mut Map<u64, u64>| *late.entry(0).or_default() += given);
    }
}

#[tokio::test]
async fn r073_a_stage_reads_what_another_topology_has_on_its_partition() -> Test {
    let folder = tempfile::tempdir()?;
    let builder = || Grid::builder(folder.path()).partitions(4).threads(2).module::<Reads>();
    let grid = builder().start().await?;
    let client = grid.client();
    for key in 0..20 {
        client.append(LIMITS, (key, 10 * key)).await?;
        for from in 0..4 {
            client.append(WANTED, (from, key, 40)).await?;
        }
        client.append(LIMITS, (key, 1_000)).await?;
        client.append(WANTED, (1, key, 1)).await?;
    }
    let given = |client: Client| async move {
        let mut given = Vec::new();
        for key in 0..20 {
            given.push(client.select_one(GIVEN.key(key)).await?.unwrap_or(0));
        }
        Ok::<_, ReadError>(given)
    };
    let expected: Vec<u64> = (0..20).map(|key| (10 * key).min(160) + 1).collect();
    assert_eq!(given(client).await?, expected);
    // A replay sees each limit as it was between the same records.
    grid.halt().await;
    let grid = builder().start().await?;
    assert_eq!(given(grid.client()).await?, expected);
    Ok(())
}

#[tokio::test]
async fn append_sees_its_cause() -> Test {
    let grid = Grid::in_memory().partitions(4).threads(2).module::<Reads>().start().await?;
    let client = grid.client();
    for key in 1..60 {
        client.append(LIMITS, (key, 1)).await?;
        client.append(WANTED, (key + 1, key, 1)).await?;
    }
    grid.processed().await;
    // Each reader of the event that was appended saw what its appender had done.
    let mut late = 0;
    for partition in 0..4 {
        late +=
            client.select_on(partition, LATE.all()).await?.iter().map(|(_, sum)| sum).sum::<u64>();
    }
    assert_eq!(late, 59);
    Ok(())
}

/// A walk without an end, and something else.
const STEPS: Depot<u64> = Depot::hash_by("both/steps", |key| (*key).into());
const ADDS: Depot<u64> = Depot::hash_by("both/adds", |key| (*key).into());
const TAKEN: PState<Map<u64, u64>> = PState::new("both/taken");
const ADDED: PState<Map<u64, u64>> = PState::new("both/added");
const STEP: Stage<u64> = Stage::hash_by("step", |key| (*key).into());

struct Both;

impl Module for Both {
    const NAME: &'static str = "both";

    fn define(module: &mut Setup) {
        module.depot(STEPS).depot(ADDS);
        module
            .stream("walk", TAKEN)
            .source(STEPS)
            .over(())
            .each_with(|key: u64, (): (), flow: &mut Context<'_>| flow.send(STEP, key))
            .stage(STEP)
            .each_with(|key: u64, taken: &mut Map<u64, u64>, flow: &mut Context<'_>| {
                *taken.entry(key).or_default() += 1;
                flow.send(STEP, (key + 1) % 50);
            });
        module.stream("add", ADDED).source(ADDS).each(|key: u64, added: &mut Map<u64, u64>| {
            *added.entry(key).or_default() += 1;
        });
    }
}

#[tokio::test]
async fn both_progress() -> Test {
    let grid = Grid::in_memory().partitions(2).threads(1).module::<Both>().start().await?;
    let client = grid.client();
    for key in 0..50 {
        client.append_with(STEPS, key, Ack::Appended).await?;
    }
    let steps = |grid: &Grid| grid.stats().total(|partition| partition.received);
    let (mut before, mut rounds) = (steps(&grid), 0);
    // Clients are answered while the walks go on, and the walks go on while clients append.
    while rounds < 20 {
        client.append_many(ADDS, 0..100u64).await?;
        let now = steps(&grid);
        rounds += u32::from(now > before);
        before = now;
    }
    grid.halt().await;
    Ok(())
}
