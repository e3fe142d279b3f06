//! What a watcher has not taken yet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use gridmill_model::diff::Diff;
use parking_lot::Mutex;

use crate::error::WatchError;

/// More changes are not kept for a watcher: it gets the value as it is then instead.
pub(super) const CHANGES_MAX: usize = 256;

/// Nor are changes of more bytes than that, about, where it is more than one.
pub(super) const BYTES_MAX: usize = 1 << 20;

/// A value as of a position. Those who watch it share it.
pub(super) type Seen<V> = Arc<Option<V>>;

/// Changes on their way to one watcher.
#[derive(Debug)]
pub(super) struct Inbox<V>(Mutex<Waiting<V>>);

#[derive(Debug)]
struct Waiting<V> {
    changes: VecDeque<(Arc<Diff>, u64)>,
    bytes: usize,
    /// The value behind all of them.
    newest: Option<(Seen<V>, u64)>,
    /// The watcher has no value that changes could go on from: it gets the newest.
    resync: bool,
    ended: Option<WatchError>,
    waker: Option<Waker>,
}

/// What a watcher takes out.
pub(super) enum Taken<V> {
    /// A change, with the value behind it where no other has come since.
    Change(Arc<Diff>, Option<Seen<V>>, u64),
    /// A value to go on from.
    Resync(Seen<V>, u64),
    Ended(WatchError),
}

impl<V> Default for Inbox<V> {
    fn default() -> Self {
        Self(Mutex::new(Waiting {
            changes: VecDeque::new(),
            bytes: 0,
            newest: None,
            resync: false,
            ended: None,
            waker: None,
        }))
    }
}

impl<V> Inbox<V> {
    /// There is a value to begin with.
    pub(super) fn begin(&self, value: Seen<V>, at: u64) {
        self.put(|waiting| {
            waiting.newest = Some((value, at));
            waiting.resync = true;
        });
    }

    /// The value has changed.
    pub(super) fn change(&self, diff: &Arc<Diff>, value: Seen<V>, at: u64) {
        self.put(|waiting| {
            waiting.newest = Some((value, at));
            if waiting.resync {
                return;
            }
            waiting.bytes += diff.bytes();
            waiting.changes.push_back((Arc::clone(diff), at));
            let many = waiting.changes.len() > CHANGES_MAX || waiting.bytes > BYTES_MAX;
            if many && waiting.changes.len() > 1 {
                waiting.changes = VecDeque::new();
                waiting.bytes = 0;
                waiting.resync = true;
            }
        });
    }

    /// There will be no more changes.
    pub(super) fn end(&self, error: &WatchError) {
        self.put(|waiting| waiting.ended = Some(error.clone()));
    }

    fn put(&self, put: impl FnOnce(&mut Waiting<V>)) {
        let mut waiting = self.0.lock();
        put(&mut waiting);
        let waker = waiting.waker.take();
        drop(waiting);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Takes the next out, or has the watcher woken when there is one.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Taken<V>> {
        let mut waiting = self.0.lock();
        if std::mem::take(&mut waiting.resync)
            && let Some((value, at)) = &waiting.newest
        {
            return Poll::Ready(Taken::Resync(Arc::clone(value), *at));
        }
        if let Some((diff, at)) = waiting.changes.pop_front() {
            waiting.bytes = waiting.bytes.saturating_sub(diff.bytes());
            let is_last = waiting.changes.is_empty();
            let newest = waiting.newest.as_ref().filter(|_| is_last);
            return Poll::Ready(Taken::Change(
                diff,
                newest.map(|(value, _)| Arc::clone(value)),
                at,
            ));
        }
        if let Some(error) = waiting.ended.take() {
            return Poll::Ready(Taken::Ended(error));
        }
        waiting.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// How many changes wait, and how many bytes they take, about.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> (usize, usize) {
        let waiting = self.0.lock();
        (waiting.changes.len(), waiting.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(inbox: &Inbox<u64>) -> Option<Taken<u64>> {
        match inbox.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(taken) => Some(taken),
            Poll::Pending => None,
        }
    }

    fn change(inbox: &Inbox<u64>, to: u64) {
        let diff = Diff::between(Some(&(to - 1)), Some(&to));
        inbox.change(&Arc::new(diff), Arc::new(Some(to)), to);
    }

    #[test]
    fn who_never_reads_keeps_a_bounded_number_of_changes() {
        let inbox = Inbox::default();
        inbox.begin(Arc::new(Some(0)), 0);
        assert!(matches!(taken(&inbox), Some(Taken::Resync(value, 0)) if *value == Some(0)));
        for to in 1..=100_000 {
            change(&inbox, to);
            let (changes, bytes) = inbox.waiting();
            assert!(changes <= CHANGES_MAX && bytes <= BYTES_MAX);
        }
        assert!(
            matches!(taken(&inbox), Some(Taken::Resync(value, 100_000)) if *value == Some(100_000))
        );
        assert!(taken(&inbox).is_none());
        change(&inbox, 100_001);
        assert!(matches!(taken(&inbox), Some(Taken::Change(_, Some(_), 100_001))));
    }

    #[test]
    fn large_changes_are_bounded_by_their_bytes() {
        let inbox = Inbox::default();
        inbox.begin(Arc::new(Some(String::new())), 0);
        let context = &mut Context::from_waker(Waker::noop());
        assert!(inbox.poll(context).is_ready());
        let large = |n: u64| Some("x".repeat(600_000 + n as usize));
        for n in 1..10 {
            let diff = Diff::between(large(n - 1).as_ref(), large(n).as_ref());
            inbox.change(&Arc::new(diff), Arc::new(large(n)), n);
            assert!(inbox.waiting().1 <= BYTES_MAX);
        }
        assert!(matches!(inbox.poll(context), Poll::Ready(Taken::Resync(_, 9))));
        // One that is larger by itself is kept: the value would be no smaller.
        let huge = Some("y".repeat(2 * BYTES_MAX));
        let diff = Diff::between(large(9).as_ref(), huge.as_ref());
        inbox.change(&Arc::new(diff), Arc::new(huge), 10);
        assert!(matches!(inbox.poll(context), Poll::Ready(Taken::Change(_, Some(_), 10))));
    }
}
