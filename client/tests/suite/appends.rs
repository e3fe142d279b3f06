//! Where an event goes and what its appender gets.

use gridmill_client::engine::Submission;
use gridmill_client::{Ack, AppendErrorKind, BatchReceipt, Encoded, Reply, ReplyError};
use gridmill_model::{Depot, RouteKey, Str};

use crate::engine::{Fixture, TOPOLOGIES, answer, events, logged};

pub(crate) type Visit = (Str, u64);

pub(crate) const BY_NAME: Depot<Visit> = Depot::hash_by("by-name", |visit| visit.0.as_str().into());
const ANYWHERE: Depot<Visit> = Depot::random("anywhere");
const CHOSEN: Depot<Visit> = Depot::custom("chosen", |visit, _| visit.1 as u32);
const SHUT: Depot<Visit> = Depot::disallow("shut");
const GLOBAL: Depot<Visit> = Depot::custom("global", |_, _| 7).global();

pub(crate) fn visit(name: &str, count: u64) -> Visit {
    (name.into(), count)
}

fn fixture() -> Fixture {
    Fixture::new(|fake| {
        for depot in [BY_NAME, ANYWHERE, CHOSEN, SHUT] {
            fake.depot(depot, 8, 1 << 20);
        }
        fake.depot(GLOBAL, 1, 1 << 20);
    })
}

#[tokio::test]
async fn an_event_goes_to_the_partition_of_its_key() {
    let mut fixture = fixture();
    for name in ["alice", "bob", "carol", ""] {
        let append = fixture.client.append_with(BY_NAME, visit(name, 1), Ack::None).await;
        let partition = RouteKey::from(name).partition(8);
        assert_eq!(append.expect("it is queued").partition, partition);
        let submission = fixture.next().await;
        assert_eq!(submission.partition, partition);
        assert_eq!(events::<Visit>(&submission), [visit(name, 1)]);
        let typed = submission.events.downcast::<Vec<Option<Visit>>>().expect("its type");
        assert_eq!(*typed, [Some(visit(name, 1))]);
    }
}

#[tokio::test]
async fn random_events_spread_evenly() {
    let mut fixture = fixture();
    let mut counts = [0_u32; 8];
    for count in 0..10_000 {
        let event = visit("", count);
        fixture.client.append_with(ANYWHERE, event, Ack::None).await.expect("it is queued");
        counts[fixture.next().await.partition as usize] += 1;
    }
    assert!(counts.iter().all(|count| (1125..=1375).contains(count)), "{counts:?}");
}

#[tokio::test]
async fn a_custom_partitioner_chooses_within_the_count() {
    let mut fixture = fixture();
    fixture.client.append_with(CHOSEN, visit("", 7), Ack::None).await.expect("it is queued");
    assert_eq!(fixture.next().await.partition, 7);

    let error = fixture.client.append(CHOSEN, visit("", 8)).await.expect_err("there is no 8");
    assert!(matches!(error.kind, AppendErrorKind::BadPartition { expected: 8, got: 8, .. }));
    assert_eq!(error.events, Some(visit("", 8)));
    assert!(fixture.try_next().is_none());
}

#[tokio::test]
async fn a_global_depot_has_partition_0() {
    let mut fixture = fixture();
    fixture.client.append_with(GLOBAL, visit("", 1), Ack::None).await.expect("it is queued");
    assert_eq!(fixture.next().await.partition, 0);
}

#[tokio::test]
async fn a_disallowed_depot_takes_nothing_from_clients() {
    let mut fixture = fixture();
    let error = fixture.client.append(SHUT, visit("", 1)).await.expect_err("it is disallowed");
    assert!(matches!(error.kind, AppendErrorKind::Disallowed { .. }));
    assert_eq!(error.events, Some(visit("", 1)));
    assert!(fixture.try_next().is_none());
}

#[tokio::test]
async fn the_receipt_says_where_and_what_was_replied() {
    let mut fixture = fixture();
    let client = fixture.client.clone();
    let append = tokio::spawn(async move { client.append(BY_NAME, visit("alice", 1)).await });
    let submission = fixture.next().await;
    assert_eq!(submission.ack, Ack::Processed);
    let replied = with_reply(&submission);
    answer(submission, Ok(replied));

    let receipt = append.await.expect("no panic").expect("it was logged");
    assert_eq!((receipt.offset, receipt.position), (100, 2000));
    assert_eq!(receipt.reply::<(u64, u8)>("greeter"), Ok(Some((300, 7))));
    assert_eq!(receipt.reply::<u64>("silent"), Ok(None));
}

#[tokio::test]
async fn a_reply_is_of_its_own_type_and_topology_or_an_error_says_what_is_there() {
    let mut fixture = fixture();
    let append = tokio::spawn(fixture.client.append(BY_NAME, visit("alice", 1)));
    let submission = fixture.next().await;
    let replied = with_reply(&submission);
    answer(submission, Ok(replied));
    let receipt = append.await.expect("no panic").expect("it was logged");
    // The bytes are those of a `u16` of 300, too.
    let wrong = receipt.reply::<u16>("greeter").expect_err("another type");
    assert_eq!(
        wrong.to_string(),
        "topology `greeter` gave a `(u64, u8)`, not a `u16`; ask for `(u64, u8)`"
    );
    assert!(matches!(wrong, ReplyError::WrongType { .. }));
    let misspelt = receipt.reply::<(u64, u8)>("greter").expect_err("no such topology");
    let known = TOPOLOGIES.map(str::to_owned).to_vec();
    assert_eq!(misspelt, ReplyError::UnknownTopology { topology: "greter".into(), known });
    // The same where nothing was replied.
    let receipt = fixture.client.append_with(BY_NAME, visit("", 1), Ack::None).await;
    assert!(receipt.expect("it is queued").reply::<u64>("greter").is_err());
}

fn with_reply(submission: &Submission) -> BatchReceipt {
    let value = Encoded::new(&(300_u64, 7_u8)).expect("it encodes");
    let reply = Reply { topology: "greeter".into(), value };
    BatchReceipt { replies: vec![(0, reply)], ..logged(submission) }
}

#[tokio::test]
async fn the_ack_level_is_passed_on() {
    let mut fixture = fixture();
    let client = fixture.client.clone();
    let append =
        tokio::spawn(async move { client.append_with(BY_NAME, visit("", 1), Ack::Appended).await });
    let submission = fixture.next().await;
    assert_eq!(submission.ack, Ack::Appended);
    let receipt = logged(&submission);
    answer(submission, Ok(receipt));
    assert_eq!(append.await.expect("no panic").expect("it was logged").offset, 100);

    // Where no answer is wanted, none is waited for and nobody waits for one.
    let receipt = fixture.client.append_with(BY_NAME, visit("", 1), Ack::None).await;
    assert_eq!(receipt.expect("it is queued").offset, 0);
    assert!(fixture.next().await.done.is_none());
}

#[tokio::test]
async fn nothing_happens_before_the_first_poll_and_all_after_it_counts() {
    let mut fixture = fixture();
    drop(fixture.client.append(BY_NAME, visit("unpolled", 1)));
    assert!(fixture.try_next().is_none());

    let client = fixture.client.clone();
    let append = tokio::spawn(async move { client.append(BY_NAME, visit("queued", 1)).await });
    let submission = fixture.next().await;
    append.abort();
    assert!(append.await.expect_err("it was cancelled").is_cancelled());
    assert_eq!(events::<Visit>(&submission), [visit("queued", 1)]);
    let receipt = logged(&submission);
    answer(submission, Ok(receipt));
}

#[tokio::test]
async fn json_is_appended_like_an_event() {
    let mut fixture = fixture();
    let client = fixture.client.clone();
    let append = tokio::spawn(client.append_json("by-name", r#"["alice", 3]"#));
    let submission = fixture.next().await;
    assert_eq!(events::<Visit>(&submission), [visit("alice", 3)]);
    let receipt = logged(&submission);
    answer(submission, Ok(receipt));
    assert_eq!(append.await.expect("no panic").expect("it was logged").offset, 100);

    let error = fixture.client.append_json("by-name", r#"["alice", "x"]"#).await;
    assert!(matches!(error, Err(AppendErrorKind::Json { .. })));
    let error = fixture.client.append_json("nowhere", "1").await;
    assert!(matches!(error, Err(AppendErrorKind::UnknownDepot { .. })));
}
