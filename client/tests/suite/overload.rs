//! A mailbox that is full: who waits, who is refused, who is next.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use gridmill_client::{Ack, AppendErrorKind};

use crate::appends::{BY_NAME, Visit, visit};
use crate::engine::{Fixture, events};

/// One partition with room for three of the tests' events, which have two bytes each.
fn fixture() -> Fixture {
    Fixture::new(|fake| fake.depot(BY_NAME, 1, 6))
}

fn is_pending<F: Future>(future: std::pin::Pin<&mut F>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[tokio::test]
async fn try_append_is_refused_at_once_and_works_when_there_is_room() {
    let mut fixture = fixture();
    let client = fixture.client.clone();
    let pending: Vec<_> =
        (0..3).map(|n| client.try_append(BY_NAME, visit("", n)).expect("room")).collect();
    let error = client.try_append(BY_NAME, visit("", 3)).expect_err("the mailbox is full");
    assert!(matches!(error.kind, AppendErrorKind::Overloaded { partition: 0, .. }));
    assert_eq!(error.events, Some(visit("", 3)));

    drop(fixture.next().await);
    drop(client.try_append(BY_NAME, visit("", 4)).expect("room again"));
    // Nobody waits for the answers, and yet the events are there.
    drop(pending);
    for expected in [1, 2, 4] {
        assert_eq!(events::<Visit>(&fixture.next().await), [visit("", expected)]);
    }
}

#[tokio::test]
async fn who_waits_is_let_in_in_the_order_of_arrival() {
    let mut fixture = fixture();
    let client = fixture.client.clone();
    let append = |n| client.append_with(BY_NAME, visit("", n), Ack::None);
    for n in 0..3 {
        append(n).await.expect("there is room");
    }
    let (mut first, mut second) = (pin!(append(3)), pin!(append(4)));
    assert!(is_pending(first.as_mut()) && is_pending(second.as_mut()));

    drop(fixture.next().await);
    // The room is promised to the first; neither the second nor somebody new overtakes it.
    assert!(is_pending(second.as_mut()));
    assert!(client.try_append(BY_NAME, visit("", 5)).is_err());
    first.await.expect("its turn has come");
    drop(fixture.next().await);
    second.await.expect("its turn has come");
    for expected in [2, 3, 4] {
        assert_eq!(events::<Visit>(&fixture.next().await), [visit("", expected)]);
    }
}

#[tokio::test]
async fn who_gives_up_while_waiting_leaves_nothing_behind() {
    let mut fixture = fixture();
    let client = fixture.client.clone();
    let append = |n| client.append_with(BY_NAME, visit("", n), Ack::None);
    for n in 0..3 {
        append(n).await.expect("there is room");
    }
    {
        let mut waiting = pin!(append(3));
        assert!(is_pending(waiting.as_mut()));
    }
    let mut next = pin!(append(4));
    assert!(is_pending(next.as_mut()));
    drop(fixture.next().await);
    next.await.expect("the one before it has gone");
    for expected in [1, 2, 4] {
        assert_eq!(events::<Visit>(&fixture.next().await), [visit("", expected)]);
    }
}

#[tokio::test]
async fn a_batch_larger_than_the_mailbox_gets_in_when_it_is_empty() {
    let mut fixture = fixture();
    let client = fixture.client.clone();
    client.append_with(BY_NAME, visit("", 0), Ack::None).await.expect("there is room");
    let batch = (1..100).map(|n| visit("", n));
    let mut large = pin!(client.append_many_with(BY_NAME, batch, Ack::None));
    assert!(is_pending(large.as_mut()));
    drop(fixture.next().await);
    assert_eq!(large.await.expect("the mailbox is empty").count, 99);
    assert_eq!(events::<Visit>(&fixture.next().await).len(), 99);
}
