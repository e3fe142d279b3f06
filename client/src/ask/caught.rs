//! Code of the user's: what it panics with is an error of its query.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use gridmill_model::Damaged;

use crate::engine::{QueryEntry, Running};
use crate::error::{AskError, AskErrorKind, ReadError};

use super::guard::Interrupt;

/// A query at work, whose panics are errors that name it.
pub(super) struct Caught<R> {
    running: Option<Running<R>>,
    entry: Arc<QueryEntry>,
}

impl<R> Caught<R> {
    pub(super) fn new(entry: Arc<QueryEntry>, begin: impl FnOnce() -> Running<R>) -> Self {
        // What it panics with before its first await comes with the first poll: an async function has none.
        Self { running: Some(begin()), entry }
    }
}

impl<R> Future for Caught<R> {
    type Output = Result<R, AskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(running) = &mut self.running else {
            return Poll::Ready(Err(AskErrorKind::Cancelled.into()));
        };
        let answered = match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(context))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(answered)) => answered,
            Err(panic) => Err(said(panic).into()),
        };
        // Also what it holds is code of the user's, and may panic when it is dropped.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(self.running.take())));
        let answered = dropped.map_or_else(|panic| Err(said(panic).into()), |()| answered);
        Poll::Ready(answered.map_err(|error| error.within(&self.entry.name)))
    }
}

/// What came out of user code instead of a result.
pub(super) fn said(panic: Box<dyn Any + Send>) -> AskErrorKind {
    let panic = match panic.downcast::<Interrupt>() {
        Ok(interrupt) => return interrupt.0,
        Err(panic) => panic,
    };
    let panic = match panic.downcast::<Damaged>() {
        Ok(damaged) => return ReadError::Damaged(*damaged).into(),
        Err(panic) => panic,
    };
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    // That may be a value whose own drop panics.
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(another);
    }
    AskErrorKind::Panicked(text.unwrap_or_else(|| "without a message".to_owned()))
}
