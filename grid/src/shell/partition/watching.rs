//! Watches of a partition: entered by its actor between batches, evaluated off it.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use gridmill_client::engine::{Newest, Timer, WatchGuard, WatchOrder};
use gridmill_client::{ReadError, WatchError};
use gridmill_persistence::planted::{Bug, is_planted};
use parking_lot::Mutex;

use crate::shell::host::{Job, Step, Work};
use crate::state::marks::{Mark, ScopeId};
use crate::watch::{Figures, Hub, Key, Next, Spot, evaluate_due, evaluate_next};

use super::shared::Shared;
use super::{Msg, Partition};

/// Where paths are evaluated in a grid.
pub(crate) trait Evaluators: fmt::Debug + Send + Sync {
    /// Does the job on another thread; false where there are none any more.
    fn run(&self, job: Box<dyn FnOnce() + Send>) -> bool;
    /// Calls `wake` when `wait` has passed, unless the timer is dropped before.
    fn after(&self, wait: Duration, wake: Box<dyn FnOnce() + Send>) -> Option<Timer>;
}

/// What is watched on a partition, and who sees to it.
pub(crate) struct Watching {
    hub: Hub,
    /// Without them, the partition's host has jobs done.
    evaluators: OnceLock<Box<dyn Evaluators>>,
    me: OnceLock<Weak<Shared>>,
    began: Instant,
    /// For what is due later.
    timer: Mutex<Option<Timer>>,
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching").field("hub", &self.hub).finish_non_exhaustive()
    }
}

impl Watching {
    pub(crate) fn new(watches_max: usize) -> Self {
        Self {
            hub: Hub::new(watches_max),
            evaluators: OnceLock::new(),
            me: OnceLock::new(),
            began: Instant::now(),
            timer: Mutex::new(None),
        }
    }

    pub(crate) fn evaluated_by(&self, evaluators: Box<dyn Evaluators>) {
        let _ = self.evaluators.set(evaluators);
    }

    /// Where it is, for those who work for it.
    pub(crate) fn belongs_to(&self, shared: &Arc<Shared>) {
        let _ = self.me.set(Arc::downgrade(shared));
    }

    pub(crate) fn figures(&self) -> Figures {
        self.hub.figures()
    }

    /// There will be no more values.
    pub(crate) fn end(&self, partition: u32, reason: &str) {
        let reason = reason.to_owned();
        self.hub.end(&WatchError::Read(ReadError::Stopped { partition, reason }));
    }

    /// The view that is shown touches these.
    pub(crate) fn touched(&self, scopes: &[ScopeId]) {
        if !is_planted(Bug::ForgetHits) {
            self.hub.touched(scopes);
        }
    }

    /// Whatever the view that is shown lacks will touch these.
    pub(crate) fn watched(&self, scopes: &[ScopeId]) {
        self.hub.begun(scopes);
    }
}

/// Ends a watch when it is dropped.
struct Guard {
    shared: Arc<Shared>,
    key: Key,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shared.watching.hub.leave(self.key);
        self.shared.tell_orders();
    }
}

impl Shared {
    /// Enters a watch of a PState, whose number in its module and whose topology are `of`.
    pub(crate) fn watch(
        self: &Arc<Self>,
        order: WatchOrder,
        of: (usize, usize),
    ) -> Result<WatchGuard, WatchError> {
        let key = self.watching.hub.watch(order, self.partition, of)?;
        self.tell_orders();
        self.evaluate();
        Ok(Box::new(Guard { shared: Arc::clone(self), key }))
    }

    fn tell_orders(&self) {
        if self.watching.hub.tell() {
            self.send(Msg::Watch);
        }
    }

    /// Has what is due evaluated, off this thread. Not to be called under the lock of the commits.
    pub(crate) fn evaluate(&self) {
        let Watching { hub, evaluators, me, began, .. } = &self.watching;
        if !hub.is_due() {
            return;
        }
        let Some(me) = me.get().and_then(Weak::upgrade) else { return };
        let Some(evaluators) = evaluators.get() else {
            if hub.begin_work(Duration::MAX) && !self.life.run(Work::Watch, Box::new(AtOnce(me))) {
                hub.put_off();
            }
            return;
        };
        if !hub.begin_work(began.elapsed()) {
            return self.evaluate_later();
        }
        let work = move || {
            evaluate_due(&me.watching.hub, &*me);
            me.evaluate_later();
        };
        if !evaluators.run(Box::new(work)) {
            hub.put_off();
        }
    }

    /// Has what is due later evaluated then.
    fn evaluate_later(&self) {
        let Watching { hub, evaluators, me, began, timer } = &self.watching;
        let (Some(evaluators), Some(me)) = (evaluators.get(), me.get()) else { return };
        let mut timer = timer.lock();
        let Some(wait) = hub.set_alarm(began.elapsed()) else { return };
        let me = Weak::clone(me);
        let wake = move || {
            if let Some(me) = me.upgrade() {
                me.watching.hub.rang();
                me.evaluate();
            }
        };
        // The one before, if there is one, was for later than this, or has rung.
        *timer = evaluators.after(wait, Box::new(wake));
    }
}

impl Spot for Shared {
    fn look(&self, pstate: usize, topology: usize, see: &mut dyn FnMut(Newest<'_>)) {
        let view = self.published.view_full();
        if let Some(root) = view.roots.get(pstate).filter(|_| view.is_live(topology)) {
            see(Newest { root: &**root, at: view.end.to_bits() });
        }
    }

    fn now(&self) -> Duration {
        self.watching.began.elapsed()
    }
}

/// Evaluates all that is due or will be, path by path: where time is not what it seems.
struct AtOnce(Arc<Shared>);

impl Job for AtOnce {
    fn step(&mut self) -> Step {
        let Self(shared) = self;
        match evaluate_next(&shared.watching.hub, &**shared, Duration::MAX) {
            Next::Evaluate(_) => Step::Again,
            Next::Nothing => Step::Done,
        }
    }
}

impl Partition {
    /// Enters all that is watched, at the beginning of a life; returns what that is.
    pub(crate) fn watch_all(&mut self) -> Vec<ScopeId> {
        let all = self.shared.watching.hub.all();
        if is_planted(Bug::ForgetMarks) {
            return all.iter().map(|mark| mark.scope).collect();
        }
        self.mark(all)
    }

    /// Enters what is to be watched, and forgets what is not any more. Every batch from now on tells of what it touches;
    /// those before are shown when the newest that is under way is.
    pub(crate) fn watch(&mut self) {
        let orders = self.shared.watching.hub.take_orders();
        let entered = self.mark(orders);
        if !entered.is_empty() {
            self.shared.watched(entered);
        }
    }

    /// Enters what is watched of PStates that have joined, when the view shows them.
    pub(crate) fn watch_joined(&mut self, pstates: &[usize]) {
        let all = self.shared.watching.hub.all_of(pstates);
        let entered = self.mark(all);
        self.shared.watching.watched(&entered);
        self.shared.evaluate();
    }

    fn mark(&mut self, marks: Vec<Mark>) -> Vec<ScopeId> {
        let mut entered = Vec::new();
        for mark in marks {
            self.core.mark(&mark);
            if mark.enters {
                entered.push(mark.scope);
            }
        }
        entered
    }
}
