//! What is wrong with a query is an error that says in which, and where.

use std::time::Duration;

use gridmill::StartError;
use gridmill::client::{AskErrorKind, ReadError};
use gridmill::model::aggregate::Sum;
use gridmill::prelude::*;

use super::Result;
use super::social::*;

const NUMBERS: Depot<(u64, u64)> = Depot::hash_by("asked/numbers", |number| number.0.into());
const BY_KEY: PState<Map<u64, u64>> = PState::new("asked/by-key");
const FAILS: Query<Str, u64> = Query::new("asked/fails");
const FORWARDS: Query<Str, u64> = Query::new("asked/forwards");
const FAILS_AT: Part<(Str, u32), u64> = Part::new("asked/fails-at");
const SNOOPS: Query<u64, u64> = Query::new("asked/snoops");

struct Asked;

impl Module for Asked {
    const NAME: &'static str = "asked";

    fn define(module: &mut Setup) {
        module.depot(NUMBERS);
        module.stream("keep", BY_KEY).source(NUMBERS).each(
            |(key, value): (u64, u64), by_key: &mut Map<u64, u64>| {
                by_key.insert(key, value);
            },
        );
        module
            .query(FAILS, fails)
            .query(FORWARDS, |ask: Ask, how: Str| async move { ask.query(FAILS, how).await })
            .part(FAILS_AT, BY_KEY.read(), fails_at)
            .query(SNOOPS, |ask: Ask, who: u64| async move {
                Ok(ask.select_one(WHISPERS.key(who)).await?.unwrap_or_default())
            });
    }
}

async fn fails(ask: Ask, how: Str) -> std::result::Result<u64, AskError> {
    match how.as_str() {
        "says so" => Err(AskError::failed("there is no such thing")),
        "panics" => panic!("an index is out of bounds"),
        "overflows" => ask.all(BY_KEY.map_vals()).fold(Sum::new()).await,
        "path" => ask.select_one(BY_KEY.map_vals()).await.map(Option::unwrap_or_default),
        _ => {
            let all = ask.part(FAILS_AT).everywhere((how, 2));
            Ok(all.list().await?.into_iter().sum())
        }
    }
}

fn fails_at(
    _: &Map<u64, u64>,
    (how, at): (Str, u32),
    span: &Span,
) -> std::result::Result<u64, AskError> {
    match how.as_str() {
        _ if span.partition() != at => Ok(1),
        "part panics" => panic!("the part is broken"),
        "part says so" => Err(AskError::failed("not on this partition")),
        _ => Ok(1),
    }
}

async fn asked() -> Result<(Grid, Client)> {
    let builder = Grid::in_memory().partitions(4).module::<Asked>().module::<Social>();
    let grid = builder.start().await?;
    let client = grid.client();
    Ok((grid, client))
}

async fn error_of(client: &Client, how: &str) -> AskError {
    client.query(FAILS, how.into()).await.expect_err("it fails")
}

#[tokio::test]
async fn r163_what_a_query_says_comes_to_the_client() -> Result {
    let (_grid, client) = asked().await?;
    assert_eq!(client.query(FAILS, "not at all".into()).await?, 4);
    let error = error_of(&client, "says so").await;
    assert!(matches!(error.kind(), AskErrorKind::Failed(_)));
    assert_eq!(error.to_string(), "query `asked/fails`: there is no such thing");
    let error = error_of(&client, "part says so").await;
    let place = (error.query(), error.part(), error.partition());
    assert_eq!(place, ("asked/fails", Some("asked/fails-at"), Some(2)));
    assert_eq!(
        error.to_string(),
        "query `asked/fails`: part `asked/fails-at`: partition 2: not on this partition"
    );
    let error = client.query(FORWARDS, "says so".into()).await.expect_err("what it asks fails");
    assert_eq!(error.queries().collect::<Vec<_>>(), ["asked/forwards", "asked/fails"]);
    assert!(error.to_string().starts_with("query `asked/forwards`: query `asked/fails`: "));
    Ok(())
}

#[tokio::test]
async fn r163_a_panic_is_an_error_of_its_query() -> Result {
    let (_grid, client) = asked().await?;
    let error = error_of(&client, "panics").await;
    assert!(
        matches!(error.kind(), AskErrorKind::Panicked(said) if said == "an index is out of bounds")
    );
    let error = error_of(&client, "part panics").await;
    assert!(matches!(error.kind(), AskErrorKind::Panicked(said) if said == "the part is broken"));
    assert_eq!((error.part(), error.partition()), (Some("asked/fails-at"), Some(2)));
    // Nobody else is troubled.
    assert_eq!(client.query(FAILS, "not at all".into()).await?, 4);
    Ok(())
}

#[tokio::test]
async fn r163_what_does_not_fit_is_named() -> Result {
    let (_grid, client) = asked().await?;
    for value in [u64::MAX, 1] {
        client.append(NUMBERS, (value, value)).await?;
    }
    let error = error_of(&client, "overflows").await;
    assert!(matches!(error.kind(), AskErrorKind::Aggregate(_)), "{error}");
    let error = error_of(&client, "path").await;
    let kind = error.kind();
    assert!(matches!(kind, AskErrorKind::Read(ReadError::NoPartition { .. })), "{error}");
    Ok(())
}

#[tokio::test]
async fn r160_a_query_has_one_type_of_answer_and_one_name() -> Result {
    // There is one answer by its type, so what Rama refuses at run time cannot be written. What can be wrong is the
    // name, and the types of a handle that is not the declaration's.
    const MISSPELT: Query<Str, u64> = Query::new("asked/fail");
    const OTHER: Query<Str, u32> = Query::new("asked/fails");
    let (_grid, client) = asked().await?;
    let error = client.query(MISSPELT, "says so".into()).await.expect_err("it is not there");
    assert!(matches!(error.kind(), AskErrorKind::Unknown { what: "query", .. }));
    assert!(error.to_string().contains("asked/fails"), "{error}");
    let error = client.query(OTHER, "says so".into()).await.expect_err("it is another");
    assert!(matches!(error.kind(), AskErrorKind::WrongTypes { .. }), "{error}");
    assert!(error.to_string().contains("u32"), "{error}");
    Ok(())
}

#[tokio::test]
async fn r163_a_private_pstate_is_read_by_queries_of_its_module() -> Result {
    let (_grid, client) = asked().await?;
    client.append(DID, Did::Whisper { who: 3 }).await?;
    assert_eq!(client.query(WHISPERED, 3).await?, 1);
    let error = client.select_one(WHISPERS.key(3_u64)).await.expect_err("a client may not");
    assert!(matches!(error, ReadError::Private { .. }));
    let error = client.query(SNOOPS, 3).await.expect_err("another module's query may not");
    assert!(matches!(error.kind(), AskErrorKind::Read(ReadError::Private { .. })), "{error}");
    Ok(())
}

struct Twice;

impl Module for Twice {
    const NAME: &'static str = "twice";

    fn define(module: &mut Setup) {
        module
            .query(FAILS, |_: Ask, _: Str| async { Ok(1) })
            .query(FAILS, |_: Ask, _: Str| async { Ok(2) })
            .part(FAILS_AT, BY_KEY.read(), fails_at);
    }
}

#[tokio::test]
async fn r163_declarations_that_contradict_each_other_are_refused() -> Result {
    let error =
        Grid::in_memory().module::<Twice>().start().await.expect_err("it contradicts itself");
    let StartError::Declaration { problems, .. } = &error else { panic!("{error}") };
    assert!(problems.iter().any(|said| said.contains("two queries are called `asked/fails`")));
    assert!(problems.iter().any(|said| said.contains("reads PState `asked/by-key`")), "{error}");
    Ok(())
}

#[tokio::test]
async fn r163_a_time_out_is_told_with_its_query() -> Result {
    let (_grid, client) = asked().await?;
    let asked = client.query(FORWARDS, "not at all".into()).timeout(Duration::ZERO).await;
    let error = asked.expect_err("there is no time");
    assert!(matches!(error.kind(), AskErrorKind::TimedOut { .. }), "{error}");
    assert_eq!(error.query(), "asked/forwards");
    Ok(())
}
