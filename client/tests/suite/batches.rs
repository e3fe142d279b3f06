//! Many events in one call: how they are split, and what becomes of each.

use gridmill_client::engine::Submission;
use gridmill_client::{Ack, AppendErrorKind, BatchReceipt, Encoded, PartReceipt, Rejection, Reply};
use gridmill_model::{Depot, Str};

use crate::appends::{BY_NAME, Visit, visit};
use crate::engine::{EVENT_BYTES_MAX, Fixture, answer, events, logged, refuse};

/// Events go to the partition of their number.
const NUMBERED: Depot<Visit> = Depot::custom("numbered", |visit, count| visit.1 as u32 % count);

fn fixture() -> Fixture {
    Fixture::new(|fake| {
        fake.depot(NUMBERED, 3, 1 << 20);
        fake.depot(BY_NAME, 3, 1 << 20);
    })
}

fn numbered(numbers: impl IntoIterator<Item = u64>) -> Vec<Visit> {
    numbers.into_iter().map(|n| visit("", n)).collect()
}

#[tokio::test]
async fn each_partition_gets_one_submission_in_the_order_of_the_call() {
    let mut fixture = fixture();
    let receipt = fixture.client.append_many_with(NUMBERED, numbered([5, 0, 2, 3, 9]), Ack::None);
    let receipt = receipt.await.expect("it is queued");
    assert_eq!(receipt.count, 5);
    let parts: Vec<_> = receipt.parts.iter().map(|part| &part.indexes[..]).collect();
    assert_eq!(parts, [&[1, 3, 4][..], &[0, 2]]);

    let (first, second) = (fixture.next().await, fixture.next().await);
    assert_eq!((first.partition, events::<Visit>(&first)), (0, numbered([0, 3, 9])));
    assert_eq!((second.partition, events::<Visit>(&second)), (2, numbered([5, 2])));
    assert!(fixture.try_next().is_none());
}

#[tokio::test]
async fn nothing_is_submitted_for_nothing() {
    let mut fixture = fixture();
    let receipt = fixture.client.append_many(NUMBERED, []).await.expect("nothing to do");
    assert_eq!((receipt.count, receipt.parts.len()), (0, 0));
    assert!(fixture.try_next().is_none());
}

#[tokio::test]
async fn replies_and_rejections_are_listed_by_index_of_the_call() {
    let mut fixture = fixture();
    let append = tokio::spawn(fixture.client.append_many(NUMBERED, numbered([2, 0, 5, 3])));
    for _ in 0..2 {
        let submission = fixture.next().await;
        let receipt = with_remarks(&submission);
        answer(submission, Ok(receipt));
    }
    let receipt = append.await.expect("no panic").expect("a rejection is no error of the call");
    assert_eq!(receipt.count, 4);
    let part = |partition, indexes| PartReceipt {
        partition,
        first_offset: 100,
        first_position: 2000,
        indexes,
    };
    assert_eq!(receipt.parts, [part(0, vec![1, 3]), part(2, vec![0, 2])]);
    let replied: Vec<_> = receipt.replies.iter().map(|(index, _)| *index).collect();
    let rejected: Vec<_> = receipt.rejections.iter().map(|(index, _)| *index).collect();
    assert_eq!((replied, rejected), (vec![0, 1], vec![2, 3]));
    assert_eq!(receipt.reply::<u32>(0, "greeter"), Ok(Some(2)));
    assert_eq!(receipt.reply::<u32>(1, "greeter"), Ok(Some(0)));
    assert_eq!(receipt.reply::<u32>(2, "greeter"), Ok(None));
    assert!(
        receipt.reply::<u32>(2, "greter").is_err() && receipt.reply::<u8>(0, "greeter").is_err()
    );
    assert_eq!(receipt.rejections[0].1.decode::<u8>(), Ok(Some(1)));
    assert!(receipt.rejections[0].1.decode::<bool>().is_err());
}

/// A reply to the first event, a rejection of the second.
fn with_remarks(submission: &Submission) -> BatchReceipt {
    let value = Encoded::new(&submission.partition).expect("it encodes");
    let reply = Reply { topology: "greeter".into(), value };
    let rejection = Rejection {
        stage: None,
        topology: "greeter".into(),
        message: "no".into(),
        error: Encoded::new(&1_u8),
        quarantined: false,
    };
    let (replies, rejections) = (vec![(0, reply)], vec![(1, rejection)]);
    BatchReceipt { replies, rejections, ..logged(submission) }
}

#[tokio::test]
async fn one_bad_event_gives_all_of_them_back_in_order() {
    let mut fixture = fixture();
    let mut batch = numbered([5, 0, 2, 3, 9]);
    batch[3].0 = Str::from("x".repeat(EVENT_BYTES_MAX));
    let error = fixture.client.append_many(NUMBERED, batch.clone()).await.expect_err("too large");
    assert!(matches!(error.kind, AppendErrorKind::TooLarge { index: 3, .. }));
    let expected: Vec<_> = batch.into_iter().enumerate().collect();
    assert_eq!(error.not_logged, expected);
    assert!(error.unknown.is_empty() && error.logged.count == 0);
    assert!(fixture.try_next().is_none());
}

#[tokio::test]
async fn an_unknown_depot_gives_all_of_them_back() {
    const MISSING: Depot<Visit> = Depot::random("missing");
    let error = fixture().client.append_many(MISSING, numbered([1, 2])).await;
    assert_eq!(error.expect_err("it is missing").not_logged.len(), 2);
}

#[tokio::test]
async fn the_fate_of_every_event_is_told_when_partitions_fail() {
    let mut fixture = fixture();
    let client = fixture.client.clone();
    let append = tokio::spawn(async move { client.append_many(NUMBERED, numbered(0..6)).await });
    let good = fixture.next().await;
    let receipt = logged(&good);
    answer(good, Ok(receipt));
    refuse(fixture.next().await, AppendErrorKind::NotLogged { reason: "it stopped".into() });
    drop(fixture.next().await);

    let error = append.await.expect("no panic").expect_err("two partitions failed");
    assert!(matches!(error.kind, AppendErrorKind::NotLogged { .. }));
    assert_eq!(error.logged.parts[0].indexes, [0, 3]);
    assert_eq!(error.not_logged, [(1, visit("", 1)), (4, visit("", 4))]);
    assert_eq!(error.unknown, [2, 5]);
    assert!(error.to_string().ends_with("(2 events logged, 2 not logged, 2 unknown)"));
}

#[tokio::test]
async fn events_that_the_engine_keeps_are_unknown_whatever_it_says() {
    let mut fixture = fixture();
    let client = fixture.client.clone();
    let append = tokio::spawn(async move { client.append_many(NUMBERED, numbered([1])).await });
    let reason = "it stopped".into();
    answer(fixture.next().await, Err(AppendErrorKind::NotLogged { reason }));
    let error = append.await.expect("no panic").expect_err("it failed");
    assert_eq!((error.not_logged.len(), error.unknown), (0, vec![0]));
}

#[tokio::test]
async fn a_closed_partition_fails_its_part_alone() {
    let mut fixture = fixture();
    fixture.engine.gate("numbered", 1).close();
    let client = fixture.client.clone();
    let append = tokio::spawn(async move { client.append_many(NUMBERED, numbered(0..2)).await });
    let good = fixture.next().await;
    let receipt = logged(&good);
    answer(good, Ok(receipt));
    let error = append.await.expect("no panic").expect_err("one partition is closed");
    assert!(matches!(error.kind, AppendErrorKind::ShuttingDown));
    assert_eq!(error.not_logged, [(1, visit("", 1))]);
    assert_eq!(error.logged.count, 1);
}
