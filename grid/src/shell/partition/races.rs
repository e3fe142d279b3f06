//! Callers, the actor and a thread that syncs, in any order: what the mailbox and the commits promise to each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use gridmill_client::Gate;
use gridmill_client::engine::{Ack, EncodedEvents, Submission, once};
use gridmill_persistence::Position;
use shuttle::sync::Mutex;
use shuttle::thread;

use super::commit::{PendingCommand, StepDone};
use super::commits::{Commits, Completed, Publish, ReceivedMark};
use super::delivery::Delivery;
use super::mailbox::{Dequeued, Intake, Mailbox};
use super::published::PartitionView;
use super::queued::QueuedEvents;
use super::tree::Token;
use crate::machine::flow::fixtures::plan;
use crate::module::Plan;
use crate::shell::load::{LastAnswer, Load};
use crate::state::marks::ScopeId;

/// Orders of threads that each test tries.
const ORDERS: usize = 2000;

fn check(test: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(test, ORDERS);
}

/// A mailbox, and an actor that looks into it when it is woken.
struct Partition {
    mailbox: Mailbox,
    gate: Gate,
    load: Load,
    wakes: Mutex<usize>,
    dequeued: Mutex<Vec<u8>>,
}

impl Partition {
    fn new() -> Arc<Self> {
        let (load, gate) = (Load::new(LastAnswer::new()), Gate::new(1 << 20));
        let (wakes, dequeued) = (Mutex::new(0), Mutex::default());
        Arc::new(Self { mailbox: Mailbox::new(load.clone()), gate, load, wakes, dequeued })
    }

    fn wake(&self) {
        *self.wakes.lock().expect("nothing fails") += 1;
    }

    /// Puts an event of one byte into the mailbox.
    fn push(&self, event: u8) {
        let mut encoded = EncodedEvents::default();
        encoded.push(0, &[event]);
        let admission = self.gate.try_enter(1).expect("there is room");
        let events = QueuedEvents::from(Submission {
            depot: 0,
            partition: 0,
            events: Box::new(()),
            encoded,
            id: None,
            ack: Ack::None,
            admission,
            done: None,
        });
        self.mailbox.push(events, || self.wake());
    }

    /// Handles one message, as the actor does: one batch, and the rest with the next message. False where
    /// there is none.
    fn turn(&self) -> bool {
        {
            let mut wakes = self.wakes.lock().expect("nothing fails");
            if *wakes == 0 {
                return false;
            }
            *wakes -= 1;
        }
        let mut batch = Dequeued::default();
        self.mailbox.dequeue(1, Intake { deliveries: true, events: true }, &mut batch);
        let bytes = batch.events.iter().flat_map(|events| events.encoded().bytes.iter().copied());
        self.dequeued.lock().expect("nothing fails").extend(bytes);
        self.mailbox.put_down();
        if !self.mailbox.is_idle() {
            self.wake();
        }
        self.mailbox.settle();
        true
    }

    /// Looks so often for a message.
    fn turns(&self, times: usize) {
        for _ in 0..times {
            let _ = self.turn();
        }
    }

    fn dequeued(&self) -> Vec<u8> {
        self.dequeued.lock().expect("nothing fails").clone()
    }
}

#[test]
fn no_event_waits_without_a_wake() {
    check(|| {
        let partition = Partition::new();
        let push = |[first, second]: [u8; 2]| {
            let partition = Arc::clone(&partition);
            thread::spawn(move || {
                partition.push(first);
                // Long enough for the actor to find the mailbox empty meanwhile.
                (0..12).for_each(|_| thread::yield_now());
                partition.push(second);
            })
        };
        let pushing = [push([1, 2]), push([11, 12])];
        let actor = Arc::clone(&partition);
        let turns = thread::spawn(move || actor.turns(6));
        pushing.into_iter().for_each(|thread| thread.join().expect("it pushes"));
        turns.join().expect("it dequeues");
        while partition.turn() {}
        let dequeued = partition.dequeued();
        let of = |caller: u8| dequeued.iter().copied().filter(move |event| event / 10 == caller);
        assert!(of(0).eq([1, 2]) && of(1).eq([11, 12]), "{dequeued:?}");
        assert!(partition.mailbox.is_idle());
    });
}

#[test]
fn a_partition_with_nothing_to_do_is_not_counted_as_busy() {
    check(|| {
        let partition = Partition::new();
        // Another partition of the thread.
        partition.load.begin();
        let actor = Arc::clone(&partition);
        let turns = thread::spawn(move || actor.turns(3));
        (1..=2).for_each(|event| partition.push(event));
        turns.join().expect("it dequeues");
        assert!(partition.mailbox.is_idle() || partition.load.is_shared());
        while partition.turn() {}
        assert!(!partition.load.is_shared());
    });
}

#[test]
fn nothing_stays_in_a_mailbox_that_is_closed() {
    check(|| {
        let partition = Partition::new();
        let (caller, actor) = (Arc::clone(&partition), Arc::clone(&partition));
        let pushing = thread::spawn(move || (1..=3).for_each(|event| caller.push(event)));
        let turns = thread::spawn(move || actor.turns(2));
        partition.mailbox.close("it ends");
        pushing.join().expect("it pushes");
        turns.join().expect("it dequeues");
        assert!(!partition.mailbox.has_waiting(1) && partition.mailbox.is_closed());
        assert!(partition.gate.try_enter(1 << 20).is_ok(), "all room is given back");
        assert!(partition.dequeued().is_sorted());
    });
}

#[test]
fn a_restart_finds_what_waits() {
    check(|| {
        let partition = Partition::new();
        let caller = Arc::clone(&partition);
        let pushing = thread::spawn(move || (1..=2).for_each(|event| caller.push(event)));
        // Messages to the life that ends are lost.
        *partition.wakes.lock().expect("nothing fails") = 0;
        partition.mailbox.begin();
        partition.wake();
        while partition.turn() {}
        pushing.join().expect("it pushes");
        while partition.turn() {}
        assert_eq!(partition.dequeued(), [1, 2]);
    });
}

/// Notes which views are shown. A view is told by how many topologies it has.
#[derive(Default)]
struct Shown(Mutex<Vec<usize>>);

impl Shown {
    fn last(&self) -> Option<usize> {
        self.0.lock().expect("nothing fails").last().copied()
    }

    fn all(&self) -> Vec<usize> {
        self.0.lock().expect("nothing fails").clone()
    }
}

impl Publish for Shown {
    fn keep_call(&self, _: usize, _: Position, _: Token) {}

    fn touched(&self, scopes: &[ScopeId]) {
        panic!("nothing is watched: {scopes:?}");
    }

    fn watched(&self, scopes: &[ScopeId]) {
        assert!(scopes.is_empty(), "nothing is watched: {scopes:?}");
    }

    fn show(&self, view: Arc<PartitionView>) {
        self.0.lock().expect("nothing fails").push(view.live.len());
    }

    fn deliver(&self, target: u32, _: Delivery) {
        panic!("these batches send nothing to partition {target}");
    }

    fn confirm(&self, mark: &ReceivedMark) {
        panic!("these batches were not sent: {mark:?}");
    }
}

/// Batches of one record each, told by the position after them.
struct Batches {
    plan: Arc<Plan>,
    commits: Commits,
    shown: Shown,
    answered: AtomicUsize,
}

fn end(number: usize) -> Position {
    Position::START.forward(number as u64)
}

fn view(number: usize) -> Arc<PartitionView> {
    Arc::new(PartitionView { live: vec![true; number], ..PartitionView::default() })
}

impl Default for Batches {
    fn default() -> Self {
        let (commits, shown) = (Commits::default(), Shown::default());
        Self { plan: plan(), commits, shown, answered: AtomicUsize::new(0) }
    }
}

type Answered = once::Receiver<Result<(), String>>;

impl Batches {
    /// Writes a batch and applies it, in so many steps; returns where it is answered.
    fn batch(&self, number: usize, steps: usize) -> Answered {
        let answered = self.write(number);
        (1..=steps).for_each(|step| self.apply(number, step == steps, end(number)));
        answered
    }

    fn write(&self, number: usize) -> Answered {
        let (done, answered) = once::channel();
        let command = Some(PendingCommand::new(done));
        self.commits.written(end(number), Vec::new(), Vec::new(), command);
        answered
    }

    fn apply(&self, number: usize, all: bool, end: Position) {
        let step = StepDone {
            heard: end,
            end,
            all,
            view: view(number),
            sent: Vec::new(),
            called: Vec::new(),
            hits: Vec::new(),
        };
        self.complete(self.commits.applied(&self.plan, step, |_, _| {}, &self.shown));
    }

    fn durable(&self, number: usize) {
        self.complete(self.commits.durable(end(number), &self.shown));
    }

    fn complete(&self, completed: Completed) {
        self.answered.fetch_add(completed.len(), Relaxed);
        completed.answer();
    }
}

fn is_answered(mut answered: Answered) -> bool {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::Pin::new(&mut answered).poll(&mut context).is_ready()
}

#[test]
fn views_come_in_the_order_of_the_log_whoever_completes() {
    check(|| {
        let batches = Arc::new(Batches::default());
        let syncing = Arc::clone(&batches);
        // A sync covers what was written before it began, applied or not.
        let syncs = thread::spawn(move || [2, 3].into_iter().for_each(|n| syncing.durable(n)));
        let answered: VecDeque<_> = (1..=3).map(|number| batches.batch(number, 1)).collect();
        syncs.join().expect("it syncs");
        let shown = batches.shown.all();
        assert!(shown.is_sorted() && shown.last() == Some(&3), "{shown:?}");
        assert!(answered.into_iter().all(is_answered));
        assert_eq!(batches.answered.load(Relaxed), 3, "each is answered once");
        assert_eq!(batches.commits.len(), 0);
    });
}

#[test]
fn an_answer_comes_when_its_view_is_shown() {
    check(|| {
        let batches = Arc::new(Batches::default());
        let syncing = Arc::clone(&batches);
        let syncs = thread::spawn(move || syncing.durable(1));
        let answered = batches.batch(1, 2);
        let waiting = Arc::clone(&batches);
        let caller = thread::spawn(move || {
            if is_answered(answered) {
                assert_eq!(waiting.shown.last(), Some(1));
            }
        });
        syncs.join().expect("it syncs");
        caller.join().expect("it was shown");
        assert_eq!(batches.commits.len(), 0);
    });
}

#[test]
fn a_batch_waits_for_the_verdict_behind_it() {
    check(|| {
        let batches = Arc::new(Batches::default());
        let syncing = Arc::clone(&batches);
        let answered = batches.write(1);
        let syncs = thread::spawn(move || syncing.durable(1));
        // The verdict is the record behind it.
        batches.apply(1, true, end(2));
        syncs.join().expect("it syncs");
        assert_eq!(batches.shown.last(), None, "what the verdict decided is not durable");
        batches.durable(2);
        assert_eq!(batches.shown.last(), Some(1));
        assert!(is_answered(answered));
    });
}

#[test]
fn a_sync_that_ends_after_a_restart_shows_nothing_older() {
    check(|| {
        let batches = Arc::new(Batches::default());
        let answered = [batches.batch(1, 1), batches.batch(2, 1)];
        let syncing = Arc::clone(&batches);
        let late = thread::spawn(move || syncing.durable(2));
        batches.commits.recovered(end(2), view(9), &[], |_, _| {}, &batches.shown);
        let shown = batches.shown.last();
        late.join().expect("it syncs");
        assert_eq!((shown, batches.shown.last()), (Some(9), Some(9)));
        assert!(answered.into_iter().all(is_answered));
    });
}

#[test]
fn nobody_waits_for_a_partition_that_is_given_up() {
    check(|| {
        let batches = Arc::new(Batches::default());
        let (actor, syncing) = (Arc::clone(&batches), Arc::clone(&batches));
        let writing = thread::spawn(move || [actor.batch(1, 1), actor.batch(2, 1)]);
        let syncs = thread::spawn(move || syncing.durable(1));
        batches.commits.abandon("it was given up");
        syncs.join().expect("it syncs");
        assert!(writing.join().expect("it writes").into_iter().all(is_answered));
        assert_eq!(batches.commits.len(), 0);
    });
}
