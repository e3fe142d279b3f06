//! A call to the outside on its way: a future that can be dropped from elsewhere, and that tells how it ended.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::panics::{let_go, text_of};
use crate::shell::host::Host;
use crate::topology::{CallResult, Calling};

use super::Msg;
use super::calls::CallId;

/// Dropping it ends a call that is under way.
pub(crate) struct Cancel(Arc<Inside>);

struct Inside {
    cancelled: AtomicBool,
    driven: Mutex<Driven>,
}

#[derive(Default)]
struct Driven {
    /// Empty once it has ended.
    calling: Option<Calling>,
    waker: Option<Waker>,
}

impl Inside {
    /// Drops what is left of a call that is to end, unless it is just being polled: who polls it does that then.
    fn let_go(&self) {
        let Some(mut driven) = self.driven.try_lock() else { return };
        let Driven { calling, waker } = std::mem::take(&mut *driven);
        drop(driven);
        // It is the user's, and may panic.
        let_go(Box::new(AssertUnwindSafe(calling)));
        waker.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cancel")
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        self.0.let_go();
    }
}

/// The future that a host drives.
pub(crate) struct Outside {
    inside: Arc<Inside>,
    host: Arc<dyn Host>,
    id: CallId,
}

impl Outside {
    /// A call whose end `host` is told, and what ends it before.
    pub(crate) fn new(calling: Calling, host: Arc<dyn Host>, id: CallId) -> (Self, Cancel) {
        let driven = Mutex::new(Driven { calling: Some(calling), waker: None });
        let inside = Arc::new(Inside { cancelled: AtomicBool::new(false), driven });
        (Self { inside: Arc::clone(&inside), host, id }, Cancel(inside))
    }
}

impl Future for Outside {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut driven = self.inside.driven.lock();
        let Some(calling) = &mut driven.calling else { return Poll::Ready(()) };
        let result = match poll_guarded(calling, context) {
            Poll::Pending => {
                driven.waker = Some(context.waker().clone());
                drop(driven);
                if self.inside.cancelled.load(Ordering::SeqCst) {
                    self.inside.let_go();
                    return Poll::Ready(());
                }
                return Poll::Pending;
            }
            Poll::Ready(result) => result,
        };
        let ended = driven.calling.take();
        drop(driven);
        let_go(Box::new(AssertUnwindSafe(ended)));
        self.host.tell(Msg::Called(self.id, result));
        Poll::Ready(())
    }
}

/// Polls a call; a panic is an error of it.
pub(crate) fn poll_guarded(calling: &mut Calling, context: &mut Context<'_>) -> Poll<CallResult> {
    catch_unwind(AssertUnwindSafe(|| calling.as_mut().poll(context))).unwrap_or_else(|panic| {
        let text = text_of(&*panic).unwrap_or("without a message");
        let message = format!("the call panicked: {text}");
        let_go(panic);
        Poll::Ready(Err(message))
    })
}
