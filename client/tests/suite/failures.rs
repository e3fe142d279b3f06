//! What an appender is told when things go wrong, and what it gets back.

use gridmill_client::{AppendErrorKind, BatchReceipt, Encoded, Rejection, Reply};
use gridmill_model::{Depot, Str};

use crate::appends::{BY_NAME, Visit, visit};
use crate::engine::{EVENT_BYTES_MAX, Fixture, answer, logged, refuse};

fn fixture() -> Fixture {
    Fixture::new(|fake| fake.depot(BY_NAME, 4, 1 << 20))
}

#[tokio::test]
async fn a_depot_that_is_not_there_is_named_with_those_that_are() {
    const MISSING: Depot<Visit> = Depot::random("missing");
    let error = fixture().client.append(MISSING, visit("", 1)).await.expect_err("it is missing");
    assert_eq!(error.events, Some(visit("", 1)));
    let message = error.to_string();
    assert!(message.contains("`missing`") && message.contains("by-name"), "{message}");
}

#[tokio::test]
async fn a_handle_of_another_type_is_refused() {
    const OTHER: Depot<Str> = Depot::random("by-name");
    let error = fixture().client.append(OTHER, "x".into()).await.expect_err("another type");
    assert!(matches!(error.kind, AppendErrorKind::WrongEvent { .. }), "{error}");
}

#[tokio::test]
async fn an_event_that_is_too_large_is_never_queued() {
    let mut fixture = fixture();
    let event = visit(&"x".repeat(EVENT_BYTES_MAX), 1);
    let error = fixture.client.append(BY_NAME, event.clone()).await.expect_err("too large");
    assert!(matches!(error.kind, AppendErrorKind::TooLarge { expected: EVENT_BYTES_MAX, .. }));
    assert_eq!(error.events, Some(event));
    assert!(fixture.try_next().is_none());
}

#[tokio::test]
async fn a_submission_without_an_answer_has_an_unknown_fate() {
    let mut fixture = fixture();
    let client = fixture.client.clone();
    let append = tokio::spawn(async move { client.append(BY_NAME, visit("", 1)).await });
    drop(fixture.next().await);
    let error = append.await.expect("no panic").expect_err("nobody answered");
    assert!(matches!(error.kind, AppendErrorKind::Unknown { .. }));
    assert_eq!(error.events, None);
}

#[tokio::test]
async fn an_event_that_was_not_logged_comes_back() {
    let mut fixture = fixture();
    let client = fixture.client.clone();
    let append = tokio::spawn(async move { client.append(BY_NAME, visit("alice", 1)).await });
    let full = AppendErrorKind::StorageFull { partition: 0, message: "no space left".into() };
    refuse(fixture.next().await, full);
    let error = append.await.expect("no panic").expect_err("the disk is full");
    assert!(matches!(error.kind, AppendErrorKind::StorageFull { .. }));
    assert_eq!(error.events, Some(visit("alice", 1)));
}

#[tokio::test]
async fn a_rejection_is_typed_and_gives_nothing_back() {
    let mut fixture = fixture();
    let append = tokio::spawn(fixture.client.append(BY_NAME, visit("", 1)));
    let submission = fixture.next().await;
    let rejection = |topology: &str, message: &str, error, quarantined| {
        let (topology, message) = (topology.into(), message.into());
        (0, Rejection { topology, stage: None, message, error, quarantined })
    };
    let rejections = vec![
        rejection("greeter", "too many", Encoded::new(&5_u32), false),
        rejection("counter", "overflow", None, true),
    ];
    let value = Encoded::new(&true).expect("it encodes");
    let replies = vec![(0, Reply { topology: "silent".into(), value })];
    let receipt = BatchReceipt { replies, rejections, ..logged(&submission) };
    answer(submission, Ok(receipt));

    let error = append.await.expect("no panic").expect_err("it was rejected");
    let said =
        "rejected by topology `greeter`: too many; quarantined by topology `counter`: overflow";
    assert_eq!(error.to_string(), said);
    assert_eq!(error.events, None);
    let AppendErrorKind::Rejected(rejected) = error.kind else { panic!("{:?}", error.kind) };
    let by = |topology| rejected.by(topology).expect("it reads the depot");
    assert_eq!(by("greeter").expect("it refused").decode::<u32>(), Ok(Some(5)));
    assert!(by("greeter").expect("it refused").decode::<(u32, ())>().is_err(), "another type");
    assert_eq!(by("counter").expect("it refused").decode::<u32>(), Ok(None));
    assert_eq!(by("silent"), None);
    assert!(rejected.by("greter").is_err());
    // Where it is, and what the others said, is not lost.
    assert_eq!((rejected.receipt.offset, rejected.receipt.position), (100, 2000));
    assert_eq!(rejected.receipt.reply::<bool>("silent"), Ok(Some(true)));
}

#[tokio::test]
async fn a_grid_that_shuts_down_gives_the_event_back() {
    let mut fixture = fixture();
    (0..4).for_each(|partition| fixture.engine.gate("by-name", partition).close());
    let error = fixture.client.append(BY_NAME, visit("", 1)).await.expect_err("it is closed");
    assert!(matches!(error.kind, AppendErrorKind::ShuttingDown));
    assert_eq!(error.events, Some(visit("", 1)));
    let error = fixture.client.try_append(BY_NAME, visit("", 1)).expect_err("it is closed");
    assert!(matches!(error.kind, AppendErrorKind::ShuttingDown));
    assert!(fixture.try_next().is_none());
}
