//! The mailbox of a partition: events that wait to be logged, in the order of their arrival.
//!
//! Callers put events in, the actor takes them out. A `Wake` tells the actor that there are some: one, however
//! many follow before it looks.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use gridmill_client::AppendErrorKind;
use gridmill_client::engine::{Single, Submission};

use super::delivery::Delivery;
use super::queued::QueuedEvents;
use crate::shell::load::Load;
use crate::sync::{AtomicBool, Mutex, MutexGuard};

/// What a partition has to log.
#[derive(Debug)]
pub(crate) struct Mailbox {
    queue: Mutex<Queue>,
    /// A `Wake` was sent since the actor looked last.
    told: AtomicBool,
    load: Load,
}

#[derive(Debug, Default)]
struct Queue {
    /// What partitions sent.
    deliveries: VecDeque<Delivery>,
    waiting: VecDeque<QueuedEvents>,
    /// The actor has been told, and has not looked yet.
    rung: bool,
    /// The actor has taken events that are in no commit yet.
    in_hand: bool,
    /// The partition is counted among those of its thread that have something to do.
    busy: bool,
    closed: Option<String>,
    /// The clock was set, and the actor has not looked yet what is due.
    time_passed: bool,
    /// How often something has come.
    arrivals: u64,
}

impl Queue {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.deliveries.is_empty() && !self.in_hand && !self.time_passed
    }

    /// Whether something waits that may be taken out.
    fn has(&self, intake: Intake) -> bool {
        intake.deliveries && !self.deliveries.is_empty()
            || intake.events && (!self.waiting.is_empty() || self.time_passed)
    }

    fn rest(&mut self, load: &Load) {
        if std::mem::take(&mut self.busy) {
            load.end();
        }
    }
}

/// What the actor may take out now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intake {
    /// What partitions sent.
    pub(crate) deliveries: bool,
    /// What clients appended.
    pub(crate) events: bool,
}

/// What was taken out, to be logged as one batch: deliveries first.
#[derive(Debug, Default)]
pub(crate) struct Dequeued {
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) events: Vec<QueuedEvents>,
    /// The clock was set: something else may be due.
    pub(crate) time_passed: bool,
}

impl Dequeued {
    pub(crate) fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.events.is_empty() && !self.time_passed
    }
}

/// What callers and partitions do.
impl Mailbox {
    /// An empty one, of a partition whose thread has this load.
    pub(crate) fn new(load: Load) -> Self {
        Self { queue: Mutex::default(), told: AtomicBool::new(false), load }
    }

    /// Puts events at the end. `wake` wakes the actor, where it was not woken since it looked last. Where the
    /// mailbox is closed, they are given back.
    pub(crate) fn push(&self, events: QueuedEvents, wake: impl FnOnce()) {
        let mut queue = self.queue.lock();
        if let Some(reason) = queue.closed.clone() {
            drop(queue);
            return events.fail(&AppendErrorKind::NotLogged { reason });
        }
        queue.waiting.push_back(events);
        self.ring(queue, wake);
    }

    /// Puts one event at the end, as [`push`](Self::push) does. It joins those before it, where these are of
    /// its depot.
    pub(crate) fn push_one(&self, single: Single<'_>, wake: impl FnOnce()) {
        let mut queue = self.queue.lock();
        let Queue { waiting, closed, .. } = &mut *queue;
        let joined = match waiting.back_mut().filter(|_| closed.is_none()) {
            Some(last) => last.join(single),
            None => Err(single),
        };
        let Err(single) = joined else { return self.ring(queue, wake) };
        drop(queue);
        self.push(Submission::from(single).into(), wake);
    }

    /// Puts a delivery at the end of what partitions sent. Where the mailbox is closed, nobody will ever take it out:
    /// it is dropped.
    pub(crate) fn deliver(&self, delivery: Delivery, wake: impl FnOnce()) {
        let mut queue = self.queue.lock();
        if queue.closed.is_some() {
            // What waits for it is told without the lock.
            drop(queue);
            return drop(delivery);
        }
        queue.deliveries.push_back(delivery);
        self.ring(queue, wake);
    }

    /// The clock was set: the actor is to look what is due. Until it has, the partition is not idle.
    pub(crate) fn time_passed(&self, wake: impl FnOnce()) {
        let mut queue = self.queue.lock();
        if queue.closed.is_none() {
            queue.time_passed = true;
            self.ring(queue, wake);
        }
    }

    fn ring(&self, mut queue: MutexGuard<'_, Queue>, wake: impl FnOnce()) {
        queue.arrivals += 1;
        let ring = !std::mem::replace(&mut queue.rung, true);
        if !std::mem::replace(&mut queue.busy, true) {
            self.load.begin();
        }
        drop(queue);
        if ring {
            wake();
            self.told.store(true, Ordering::Release);
        }
    }

    /// Takes nothing any more; what waits is given back. Who pushes later is told the reason.
    pub(crate) fn close(&self, reason: &str) {
        let (waiting, deliveries) = {
            let mut queue = self.queue.lock();
            queue.closed = Some(reason.to_owned());
            queue.in_hand = false;
            queue.time_passed = false;
            queue.rest(&self.load);
            (std::mem::take(&mut queue.waiting), std::mem::take(&mut queue.deliveries))
        };
        // Their partitions keep them, and send them again after the next start.
        drop(deliveries);
        let kind = AppendErrorKind::NotLogged { reason: reason.to_owned() };
        waiting.into_iter().for_each(|events| events.fail(&kind));
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.queue.lock().closed.is_some()
    }

    /// Whether nothing waits to be logged.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.lock().is_idle()
    }

    /// How often something has come. Who finds all partitions at rest, and this the same before and after, knows that
    /// nothing was on its way from one to another meanwhile.
    pub(crate) fn arrivals(&self) -> u64 {
        self.queue.lock().arrivals
    }

    /// What the thread of the partition has to do.
    pub(crate) fn load(&self) -> &Load {
        &self.load
    }
}

/// What the actor does.
impl Mailbox {
    /// An actor begins its life. It is about to be woken, and has nothing in hand.
    pub(crate) fn begin(&self) {
        let mut queue = self.queue.lock();
        queue.rung = true;
        queue.in_hand = false;
    }

    /// Takes out what `intake` lets in, until it costs about `cost_max`. Where clients wait, a quarter is for them.
    pub(crate) fn dequeue(&self, cost_max: usize, intake: Intake, into: &mut Dequeued) {
        let mut queue = self.queue.lock();
        let clients_wait = intake.events && !queue.waiting.is_empty();
        let deliveries_max = if clients_wait { cost_max - cost_max / 4 } else { cost_max };
        let mut cost = 0;
        while intake.deliveries && cost < deliveries_max {
            let Some(next) = queue.deliveries.pop_front() else { break };
            cost += next.cost();
            into.deliveries.push(next);
        }
        while intake.events && cost < cost_max {
            let Some(next) = queue.waiting.pop_front() else { break };
            cost += next.cost();
            into.events.push(next);
        }
        into.time_passed = intake.events && std::mem::take(&mut queue.time_passed);
        queue.rung = queue.has(intake);
        queue.in_hand = !into.is_empty();
        self.told.store(false, Ordering::Relaxed);
    }

    /// What was dequeued is in a commit, or refused.
    pub(crate) fn put_down(&self) {
        self.queue.lock().in_hand = false;
    }

    /// Puts what could not be logged yet back to the front.
    pub(crate) fn put_back(&self, dequeued: Dequeued) {
        let mut queue = self.queue.lock();
        let Dequeued { deliveries, events, .. } = dequeued;
        deliveries.into_iter().rev().for_each(|delivery| queue.deliveries.push_front(delivery));
        events.into_iter().rev().for_each(|events| queue.waiting.push_front(events));
        queue.in_hand = false;
    }

    /// Whether something waits that the actor may take out.
    pub(crate) fn has(&self, intake: Intake) -> bool {
        self.queue.lock().has(intake)
    }

    /// Counts the partition as one that has nothing to do, where nothing waits. Nothing is under way.
    pub(crate) fn settle(&self) {
        let mut queue = self.queue.lock();
        if queue.is_idle() {
            queue.rest(&self.load);
        }
    }

    /// Whether events that cost at least `cost_min` wait, beside those that the actor has in hand.
    pub(crate) fn has_waiting(&self, cost_min: usize) -> bool {
        let queue = self.queue.lock();
        let mut cost = 0;
        let deliveries = queue.deliveries.iter().map(Delivery::cost);
        deliveries.chain(queue.waiting.iter().map(QueuedEvents::cost)).any(|more| {
            cost += more;
            cost >= cost_min
        })
    }

    /// Whether a `Wake` is there, or was there a moment ago.
    pub(crate) fn was_told(&self) -> bool {
        self.told.load(Ordering::Acquire)
    }
}
