//! Appends with an id that their caller chose: each is logged once, however often it comes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use gridmill_client::{AppendErrorKind, BatchReceipt, Repeated};
use gridmill_model::Uuid;

use crate::machine::once::{IdKey, LoggedId, OnceLimits, hash, mark};

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

/// Where an append with an id was logged.
pub(crate) struct PlacedId {
    pub(crate) key: IdKey,
    pub(crate) offset: u64,
    pub(crate) position: u64,
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
            Outcome::Answered(said) if said.replies.is_empty() && said.rejections.is_empty() => {
                Answer::Silent
            }
            Outcome::Answered(said) => Answer::Said(Box::new(said)),
            Outcome::Failed => Answer::Unknown,
        };
        true
    }
}

impl Ids {
    /// With those that the log has; `None` where it has never had one.
    pub(crate) fn new(limits: OnceLimits, logged: Option<Vec<LoggedId>>) -> Self {
        let (known, by_time, unanswered) = (HashMap::new(), VecDeque::new(), VecDeque::new());
        let mut ids = Self { known, by_time, unanswered, limits, marked: logged.is_some() };
        for LoggedId { key, hash, offset, position, time } in logged.into_iter().flatten() {
            let answer = Answer::Unknown;
            ids.known.insert(key, Known { hash, offset, position, time, answer });
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
            self.unanswered.pop_front();
        }
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
