//! Appends with an id that their caller chose: each is logged once, however often it comes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use gridmill_client::{AppendErrorKind, BatchReceipt, Repeated};
use gridmill_model::Uuid;

use crate::machine::once::{IdKey, LoggedId, OnceAnswer, OnceLimits, hash, mark};
use crate::machine::registry::Registry;
use crate::module::Plan;

use super::Partition;
use super::joint::{Joint, Outcome};
use super::queued::QueuedEvents;

/// The ids that came within the window.
pub(crate) struct Ids {
    known: HashMap<IdKey, Known>,
    /// Those that are logged, in the order of the log.
    by_time: VecDeque<IdKey>,
    /// Those that were not answered when one looked last, in the order of the log.
    unanswered: VecDeque<IdKey>,
    /// Those whose answers the log does not have yet.
    unlogged: VecDeque<IdKey>,
    limits: OnceLimits,
    /// The folder says that the log may have ids.
    marked: bool,
}

/// What is known of an append with an id.
struct Known {
    hash: u64,
    /// Its offset and position, and the time of its record; 0 until it is logged.
    offset: u64,
    position: u64,
    time: i64,
    answer: Answer,
}

enum Answer {
    /// It is under way, or was a moment ago.
    Joint(Arc<Joint>),
    /// Handlers said nothing.
    Silent,
    Said(Box<BatchReceipt>),
    /// A partition restarted before anybody took note of it.
    Unknown,
}

/// Answers that one batch brings to the log, at most.
const OUTCOMES_MAX: usize = 1024;

/// Answers to appends with ids, as records of the log.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    /// Of how many ids.
    count: usize,
    /// Id and payload of each that has a record.
    pub(crate) records: Vec<([u8; 16], Vec<u8>)>,
}

impl Outcomes {
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Where an append with an id was logged.
pub(crate) struct PlacedId {
    pub(crate) key: IdKey,
    pub(crate) offset: u64,
    pub(crate) position: u64,
}

impl Answer {
    fn of(said: BatchReceipt) -> Self {
        let silent = said.replies.is_empty() && said.rejections.is_empty();
        if silent { Self::Silent } else { Self::Said(Box::new(said)) }
    }
}

impl Known {
    /// An append that is not logged yet.
    fn new(hash: u64, joint: Arc<Joint>) -> Self {
        Self { hash, offset: 0, position: 0, time: 0, answer: Answer::Joint(joint) }
    }

    /// What a repeated append is told.
    fn receipt(&self, partition: u32, repeated: Repeated) -> BatchReceipt {
        BatchReceipt {
            partition,
            count: 1,
            first_offset: self.offset,
            first_position: self.position,
            repeated: Some(repeated),
            ..BatchReceipt::default()
        }
    }

    /// Answers a repeated append, now or with the first one.
    fn repeat(&self, partition: u32, repeat: QueuedEvents) {
        let unknown = |repeat: QueuedEvents| {
            repeat.answer(self.receipt(partition, Repeated::BeforeRestart));
        };
        match &self.answer {
            Answer::Joint(joint) => match joint.join(repeat) {
                None => {}
                Some((repeat, Outcome::Answered(receipt))) => repeat.answer(receipt),
                Some((repeat, Outcome::Failed)) => unknown(repeat),
            },
            Answer::Silent => repeat.answer(self.receipt(partition, Repeated::Known)),
            Answer::Said(receipt) => repeat.answer((**receipt).clone()),
            Answer::Unknown => unknown(repeat),
        }
    }

    /// Keeps no more of the answer than is needed; false while there is none.
    fn settle(&mut self) -> bool {
        let Answer::Joint(joint) = &self.answer else { return true };
        let Some(outcome) = joint.outcome() else { return false };
        self.answer = match outcome {
            Outcome::Answered(said) => Answer::of(said),
            Outcome::Failed => Answer::Unknown,
        };
        true
    }

    /// What it was answered with.
    fn answered(&self, partition: u32, answer: OnceAnswer) -> BatchReceipt {
        let OnceAnswer { replies, rejections } = answer;
        BatchReceipt {
            replies: replies.into_iter().map(|reply| (0, reply)).collect(),
            rejections: rejections.into_iter().map(|rejection| (0, rejection)).collect(),
            ..self.receipt(partition, Repeated::Known)
        }
    }

    /// What handlers said, as far as it is known.
    fn said(&self) -> Option<OnceAnswer> {
        match &self.answer {
            Answer::Joint(_) | Answer::Unknown => None,
            Answer::Silent => Some(OnceAnswer::default()),
            Answer::Said(said) => Some(OnceAnswer {
                replies: said.replies.iter().map(|(_, reply)| reply.clone()).collect(),
                rejections: said
                    .rejections
                    .iter()
                    .map(|(_, rejection)| rejection.clone())
                    .collect(),
            }),
        }
    }
}

impl Ids {
    /// With those that the log has; `None` where it has never had one.
    pub(crate) fn new(partition: u32, limits: OnceLimits, logged: Option<Vec<LoggedId>>) -> Self {
        let (known, by_time) = (HashMap::new(), VecDeque::new());
        let (unanswered, unlogged) = (VecDeque::new(), VecDeque::new());
        let marked = logged.is_some();
        let mut ids = Self { known, by_time, unanswered, unlogged, limits, marked };
        for logged in logged.into_iter().flatten() {
            let LoggedId { key, hash, offset, position, time, answer, is_answer_logged } = logged;
            let mut known = Known { hash, offset, position, time, answer: Answer::Unknown };
            if let Some(answer) = answer {
                known.answer = Answer::of(known.answered(partition, answer));
                ids.unlogged.extend((!is_answer_logged).then_some(key));
            }
            ids.known.insert(key, known);
            ids.by_time.push_back(key);
        }
        ids
    }

    /// Forgets what is older than the window.
    fn forget(&mut self, now: i64) {
        let since = now.saturating_sub(self.limits.window);
        while let Some(key) = self.by_time.front() {
            match self.known.get(key) {
                Some(known) if known.time >= since => break,
                _ => self.known.remove(key),
            };
            self.by_time.pop_front();
        }
    }

    /// Takes note of answers that have come.
    fn settle(&mut self) {
        while let Some(key) = self.unanswered.front() {
            if self.known.get_mut(key).is_some_and(|known| !known.settle()) {
                break;
            }
            self.unlogged.extend(self.unanswered.pop_front());
        }
    }

    /// Answers that are to be logged: so many ids, and the records of those of them that have one.
    pub(crate) fn outcomes(&self, plan: &Plan, registry: &Registry) -> Outcomes {
        let keys = self.unlogged.iter().take(OUTCOMES_MAX);
        let count = keys.len();
        let record = |key: &IdKey| {
            let said = self.known.get(key)?.said()?;
            let source = registry.source(usize::from(key.0));
            Some((key.1, said.to_payload(source, plan.version)?))
        };
        Outcomes { count, records: keys.filter_map(record).collect() }
    }

    /// The same, with answers that have come since.
    pub(crate) fn last_outcomes(&mut self, plan: &Plan, registry: &Registry) -> Outcomes {
        self.settle();
        self.outcomes(plan, registry)
    }

    /// They are in the log.
    pub(crate) fn outcomes_logged(&mut self, outcomes: &Outcomes) {
        self.unlogged.drain(..outcomes.count);
    }

    /// They were logged.
    pub(crate) fn logged(&mut self, placed: &[PlacedId], time: i64) {
        for &PlacedId { key, offset, position } in placed {
            if let Some(known) = self.known.get_mut(&key) {
                (known.offset, known.position, known.time) = (offset, position, time);
                self.by_time.push_back(key);
                self.unanswered.push_back(key);
            }
        }
    }

    /// They were not logged.
    pub(crate) fn take_back(&mut self, keys: impl Iterator<Item = IdKey>) {
        keys.for_each(|key| drop(self.known.remove(&key)));
    }
}

impl Partition {
    /// Leaves of `events` those that are to be logged; the others came with ids that are known, and are answered.
    pub(crate) fn let_in_once(&mut self, events: &mut Vec<QueuedEvents>) {
        self.ids.forget(self.writer.time());
        self.ids.settle();
        if events.iter().all(|events| events.id().is_none()) {
            return;
        }
        for queued in std::mem::take(events) {
            match queued.id_key() {
                Some(key) => events.extend(self.first_of(key, queued)),
                None => events.push(queued),
            }
        }
    }

    /// An append with an id, where it is the first one with it.
    fn first_of(&mut self, key: IdKey, mut queued: QueuedEvents) -> Option<QueuedEvents> {
        let hash = self.hash_of(&queued);
        let refused = match self.ids.known.get(&key) {
            Some(known) if known.hash == hash => {
                known.repeat(self.shared.partition, queued);
                return None;
            }
            Some(_) => Some(self.id_taken(key)),
            None => self.room_for(key).err(),
        };
        if let Some(kind) = refused {
            queued.fail(&kind);
            return None;
        }
        let joint = Joint::new();
        queued.relay(|done| joint.relay(done));
        self.ids.known.insert(key, Known::new(hash, joint));
        Some(queued)
    }

    fn hash_of(&self, queued: &QueuedEvents) -> u64 {
        let registry = self.writer.registry();
        let event = queued.encoded().iter().next();
        let of = |(variant, bytes)| hash(registry.type_id(queued.depot(), variant), bytes);
        event.map_or(0, of)
    }

    fn id_taken(&self, (depot, id): IdKey) -> AppendErrorKind {
        AppendErrorKind::IdTaken {
            depot: self.core.plan.depots[usize::from(depot)].name.to_owned(),
            partition: self.shared.partition,
            id: Uuid::from_bytes(id),
        }
    }

    /// Makes sure that one more id may be kept, and that a start will look for it.
    fn room_for(&mut self, (depot, _): IdKey) -> Result<(), AppendErrorKind> {
        let expected = self.ids.limits.ids_max;
        if self.ids.known.len() >= expected {
            let depot = self.core.plan.depots[usize::from(depot)].name.to_owned();
            let partition = self.shared.partition;
            return Err(AppendErrorKind::TooManyIds { depot, partition, expected });
        }
        if !self.ids.marked {
            let context = self.maintenance.flushes.context();
            mark(&*context.storage, &context.dir)
                .map_err(|error| AppendErrorKind::NotLogged { reason: error.to_string() })?;
            self.ids.marked = true;
        }
        Ok(())
    }
}
