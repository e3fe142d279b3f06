//! A channel for one value, of no runtime.
//!
//! It takes no part in a runtime's budget for a task, as tokio's channels do: with those, a task that
//! waits for n answers polls them some n * n / 128 times. The lock is hardly ever met by both sides.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// The two ends of a new channel.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let state = Arc::new(Mutex::new(State::Open(None)));
    (Sender(Some(Arc::clone(&state))), Receiver(Some(state)))
}

enum State<T> {
    /// Nothing was sent yet; who waits for it.
    Open(Option<Waker>),
    Sent(T),
    /// One end is gone.
    Over,
}

/// Sends the value. Dropping it tells the other end that none will come.
pub struct Sender<T>(Option<Arc<Mutex<State<T>>>>);

/// Resolves to the value, or to [`Gone`].
#[must_use = "it does nothing unless it is awaited"]
pub struct Receiver<T>(Option<Arc<Mutex<State<T>>>>);

/// The sender was dropped without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl<T> Sender<T> {
    /// Sends the value.
    ///
    /// # Errors
    /// The value, where nobody waits for it any more.
    pub fn send(mut self, value: T) -> Result<(), T> {
        let Some(state) = self.0.take() else { return Err(value) };
        match settle(&state, State::Sent(value)) {
            Err(State::Sent(value)) => Err(value),
            _ => Ok(()),
        }
    }
}

impl<T> Sender<T> {
    /// Whether nobody waits for the value any more.
    pub fn is_gone(&self) -> bool {
        self.0.as_ref().is_none_or(|state| matches!(*state.lock(), State::Over))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if let Some(state) = self.0.take() {
            let _ = settle(&state, State::Over);
        }
    }
}

/// Ends the wait, where nothing has yet, and wakes who waits.
fn settle<T>(state: &Mutex<State<T>>, settled: State<T>) -> Result<(), State<T>> {
    let mut state = state.lock();
    let State::Open(waiting) = &mut *state else { return Err(settled) };
    let waiting = waiting.take();
    *state = settled;
    drop(state);
    waiting.into_iter().for_each(Waker::wake);
    Ok(())
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, Gone>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(shared) = &self.0 else { return Poll::Ready(Err(Gone)) };
        let mut state = shared.lock();
        if let State::Open(waiting) = &mut *state {
            let known = waiting.as_ref().is_some_and(|known| known.will_wake(context.waker()));
            let before = if known { None } else { waiting.replace(context.waker().clone()) };
            drop(state);
            // The last waker of a task may take the other end with it.
            drop(before);
            return Poll::Pending;
        }
        let settled = std::mem::replace(&mut *state, State::Over);
        drop(state);
        self.0 = None;
        Poll::Ready(match settled {
            State::Sent(value) => Ok(value),
            _ => Err(Gone),
        })
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let Some(state) = self.0.take() else { return };
        let left = std::mem::replace(&mut *state.lock(), State::Over);
        drop(left);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}
