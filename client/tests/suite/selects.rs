//! Which partition is read, how much, and what is refused.

use gridmill_client::ReadError;
use gridmill_model::path::{Each as _, Navigate as _};
use gridmill_model::{List, Map, PState, RouteKey, Str};

use crate::engine::{DAMAGED, Fixture};

type Scores = Map<Str, u64>;

const SCORES: PState<Scores> = PState::new("scores");
const TOTAL: PState<u64> = PState::new("total").global();
const SECRET: PState<u64> = PState::new("secret").private();
const CHOSEN: PState<Map<u32, Str>> = PState::new("chosen").partition_by(|key, _| *key);
const LOCAL: PState<Scores> = PState::new("local").local();

/// Each partition has its number under `here`, and its own number under the names that it owns.
fn scores() -> Vec<Vec<(Str, u64)>> {
    let owned = |partition| {
        let names = ["alice", "bob", "carol", "dave", "eve"].into_iter();
        let names = names.filter(move |name| RouteKey::from(*name).partition(4) == partition);
        let owned = names.map(move |name| (Str::from(name), u64::from(partition)));
        owned.chain([(Str::from("here"), u64::from(partition))]).collect()
    };
    (0..4).map(owned).collect()
}

fn fixture() -> Fixture {
    Fixture::new(|fake| {
        fake.pstate(SCORES, scores());
        fake.pstate(LOCAL, scores());
        fake.pstate(TOTAL, vec![vec![((), 42)]]);
        fake.pstate(SECRET, vec![vec![((), 1)]]);
        let chosen = (0..2).map(|key| vec![(key, Str::from(key.to_string()))]);
        fake.pstate(CHOSEN, chosen.collect());
    })
}

#[tokio::test]
async fn a_key_is_read_where_it_lives() {
    let client = fixture().client;
    for name in ["alice", "bob", "carol", "dave", "eve"] {
        let partition = u64::from(RouteKey::from(name).partition(4));
        let one = client.select_one(SCORES.key(name)).await;
        assert_eq!(one.expect("it is there"), Some(partition));
        assert_eq!(client.select(SCORES.key(name)).await.expect("it is there"), [partition]);
    }
    assert_eq!(client.select_one(SCORES.key("nobody")).await.expect("nothing"), None);
    assert!(client.select(SCORES.key("nobody")).await.expect("nothing").is_empty());
}

#[tokio::test]
async fn a_path_without_a_key_needs_one_partition() {
    let client = fixture().client;
    assert_eq!(client.select_one(TOTAL).await.expect("it is global"), Some(42));
    let error = client.select(SCORES.map_keys()).await.expect_err("which partition?");
    assert!(matches!(error, ReadError::NoPartition { partitions: 4, .. }));
    let error = client.select_one(LOCAL.key("here")).await.expect_err("a local PState");
    assert!(matches!(error, ReadError::NoPartition { .. }));
}

#[tokio::test]
async fn the_partition_can_be_named() {
    let client = fixture().client;
    assert_eq!(client.select_on(3, LOCAL.key("here")).await.expect("it is there"), [3]);
    let error = client.select_on(4, LOCAL.key("here")).await.expect_err("there is no 4");
    assert!(matches!(error, ReadError::BadPartition { expected: 4, got: 4, .. }));

    let bobs = u64::from(RouteKey::from("bob").partition(4));
    let found = client.select_in("bob", SCORES.key("here")).await;
    assert_eq!(found.expect("it is there"), [bobs]);
}

#[tokio::test]
async fn a_pstate_may_choose_the_partition_of_a_key() {
    let client = fixture().client;
    assert_eq!(client.select(CHOSEN.key(1_u32)).await.expect("it is there"), ["1"]);
    let error = client.select(CHOSEN.key(2_u32)).await.expect_err("the partitioner is wrong");
    assert!(matches!(error, ReadError::BadPartition { expected: 2, got: 2, .. }));
}

#[tokio::test]
async fn all_partitions_answer_in_their_order() {
    let client = fixture().client;
    assert_eq!(client.select_all(SCORES.key("here")).await.expect("they run"), [0, 1, 2, 3]);
    let mut keys = client.select_all(SCORES.map_keys()).await.expect("they run");
    keys.sort();
    keys.dedup();
    assert_eq!(keys, ["alice", "bob", "carol", "dave", "eve", "here"]);
    assert_eq!(client.select_all(TOTAL).await.expect("it runs"), [42]);
}

#[tokio::test]
async fn more_than_the_limit_is_an_error() {
    let client = fixture().client;
    assert_eq!(client.with_limit(4).select_all(SCORES.key("here")).await.expect("4").len(), 4);
    let error = client.with_limit(3).select_all(SCORES.key("here")).await.expect_err("4 > 3");
    assert!(matches!(error, ReadError::Path(_)), "{error}");
    // One value is one value, whatever the limit.
    assert_eq!(client.with_limit(0).select_one(TOTAL).await.expect("one"), Some(42));
}

#[tokio::test]
async fn select_one_of_several_is_an_error() {
    const TAGS: PState<List<Str>> = PState::new("tags").global();
    let tags = List::from_iter(["a", "b", "c"].map(Str::from));
    let fixture = Fixture::new(|fake| fake.pstate(TAGS, vec![vec![((), tags)]]));
    let error = fixture.client.select_one(TAGS.all()).await.expect_err("there are three");
    assert!(matches!(&error, ReadError::NotOne { path, .. } if path.contains("tags")), "{error}");
    assert_eq!(fixture.client.select_one(TAGS.nth(1)).await.expect("one"), Some("b".into()));
    assert_eq!(fixture.client.select_one(TAGS.nth(3)).await.expect("none"), None);
}

#[tokio::test]
async fn a_pstate_that_catches_up_is_read_only_on_request() {
    let fixture = Fixture::new(|fake| {
        fake.pstate(TOTAL, vec![vec![((), 42)]]);
        fake.catching_up = true;
    });
    let error = fixture.client.select_one(TOTAL).await.expect_err("it catches up");
    assert!(matches!(error, ReadError::CatchingUp { done: 1, total: 2, .. }));
    let partial = fixture.client.partial().select_one(TOTAL).await;
    assert_eq!(partial.expect("a partial answer"), Some(42));
}

#[tokio::test]
async fn what_clients_may_not_read_is_refused() {
    const MISSING: PState<u64> = PState::new("missing");
    const OTHER: PState<Str> = PState::new("total");
    let client = fixture().client;
    let error = client.select_one(SECRET).await.expect_err("it is private");
    assert!(matches!(error, ReadError::Private { .. }));
    let error = client.select_one(MISSING).await.expect_err("it is missing");
    assert!(matches!(&error, ReadError::UnknownPState { known, .. } if known.len() == 5));
    let error = client.select_one(OTHER).await.expect_err("another shape");
    assert!(matches!(error, ReadError::WrongRoot { .. }));
}

#[tokio::test]
async fn damage_is_named_as_what_it_is() {
    let error = fixture().client.select_one(SCORES.key(DAMAGED)).await.expect_err("damaged");
    assert!(matches!(error, ReadError::Damaged(_)), "{error}");
}

#[tokio::test]
async fn json_selects_are_checked_for_their_pstate() {
    let client = fixture().client;
    assert_eq!(client.select_json("scores", "[]").await.expect("it is passed on"), "[]");
    let error = client.select_json("secret", "[]").await;
    assert!(matches!(error, Err(ReadError::Private { .. })));
    let error = client.select_json("missing", "[]").await;
    assert!(matches!(error, Err(ReadError::UnknownPState { .. })));
}
