//! Many calls that one task waits for: what a call costs does not depend on how many there are, on
//! any runtime or none.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{FuturesUnordered, Stream, StreamExt};

use crate::appends::{BY_NAME, visit};
use crate::engine::{Fixture, answer, logged};

/// Calls at a time. Under a budget of 128 polls, as a task of tokio has it, each would be polled some
/// 400 times.
const CALLS: u64 = 100_000;

/// Counts how often a future is polled.
struct Counted<'a, F>(Pin<Box<F>>, &'a Cell<u64>);

impl<F: Future> Future for Counted<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.1.set(self.1.get() + 1);
        self.0.as_mut().poll(context)
    }
}

/// Polls whatever is due in `set` once.
async fn poll_once<S: Stream + Unpin>(set: &mut S) -> Poll<Option<S::Item>> {
    poll_fn(|context| Poll::Ready(set.poll_next_unpin(context))).await
}

/// Lets the runtime have its turn, as a future does that has to wait.
async fn next_turn() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Makes the calls over a mailbox with room for `room` bytes, and says how many polls they took.
async fn polls(room: u32) -> u64 {
    let mut fixture = Fixture::new(|fake| fake.depot(BY_NAME, 1, room));
    let (client, polls) = (fixture.client.clone(), Cell::new(0));
    let call = |n| Counted(Box::pin(client.append(BY_NAME, visit("", n))), &polls);
    let mut calls: FuturesUnordered<_> = (0..CALLS).map(call).collect();
    let mut answered = 0;
    while answered < CALLS {
        let mut polled = poll_once(&mut calls).await;
        while let Some(submission) = fixture.try_next() {
            let receipt = logged(&submission);
            answer(submission, Ok(receipt));
        }
        while let Poll::Ready(Some(answer)) = polled {
            answer.expect("it was logged");
            answered += 1;
            polled = poll_once(&mut calls).await;
        }
        assert!(polls.get() <= 10 * CALLS, "{} polls, {answered} answers", polls.get());
        next_turn().await;
    }
    polls.get()
}

/// What the calls take: one poll to queue the event and one for the answer, and one more to be let in
/// where the mailbox is full.
async fn check() {
    assert_eq!(polls(u32::MAX).await, 2 * CALLS);
    // A mailbox with room for 64 events.
    let polls = polls(128).await;
    assert!(polls <= 3 * CALLS, "{polls} polls");
}

#[test]
fn a_task_of_tokio_polls_each_call_a_few_times() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(check());
}

#[test]
fn without_a_runtime_each_call_is_polled_a_few_times() {
    futures::executor::block_on(check());
}
