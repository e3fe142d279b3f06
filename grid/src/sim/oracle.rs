//! What clients know: of every event what they were told, and what a reader saw last.

use std::collections::{BTreeMap, HashMap, HashSet};

use gridmill_client::{AppendError, AppendErrorKind, Receipt, Recorded};

use crate::shell::partition::Durability;

use super::ledger::{Op, Views, must_reply};
use super::once::is_once;

/// What became of an event, as its sender was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing yet, or that nobody knows: it may be in the log, once.
    Unknown,
    /// It is in the log, at this offset of this partition.
    Logged(u32, u64),
    /// It is not in the log, and never will be.
    NotLogged,
}

/// Where a receipt says that an event is.
fn place(receipt: &Receipt) -> Told {
    Told::Logged(receipt.partition, receipt.offset)
}

/// The first thing that was wrong stays.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    told: HashMap<u64, Told>,
    /// Events with an id of their own whose first append was answered.
    firsts: HashSet<u64>,
    /// By key: the longest list that a reader saw.
    seen: BTreeMap<u64, Vec<u64>>,
    wrong: Option<String>,
    /// The power took what a partition had told another that it has.
    pub(super) may_miss_sent: bool,
    /// The power took events that had sent something.
    pub(super) may_have_more_sent: bool,
    pub(super) acknowledged: u64,
}

impl Oracle {
    pub(super) fn wrong(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.wrong.clone().map_or(Ok(()), Err)
    }

    /// A client is about to append `id`.
    pub(super) fn sends(&mut self, id: u64) {
        self.told.insert(id, Told::Unknown);
    }

    /// What the client was answered; false where the event is not to be found in the view.
    pub(super) fn answered(&mut self, op: &Op, answer: &Result<Receipt, AppendError<Op>>) -> bool {
        let told = match answer {
            Ok(receipt) => place(receipt),
            Err(error) => match &error.kind {
                AppendErrorKind::Rejected(rejected) => place(&rejected.receipt),
                AppendErrorKind::Unknown { .. } => Told::Unknown,
                _ => Told::NotLogged,
            },
        };
        if let Told::Logged(..) = told {
            self.acknowledged += 1;
        }
        self.told.insert(op.id, told);
        answer.is_ok()
    }

    /// What one of the appends with an event's id was answered: all that say where the event is say the same, and
    /// one of them that it was the first.
    pub(super) fn answered_once(&mut self, op: &Op, answer: &Result<Receipt, AppendError<Op>>) {
        let receipt = match answer {
            Ok(receipt) => receipt,
            Err(error) => match &error.kind {
                AppendErrorKind::Rejected(rejected) => &rejected.receipt,
                // Another append with this id may have logged it.
                _ => return,
            },
        };
        let (told, id) = (place(receipt), op.id);
        if receipt.repeated.is_none() && !self.firsts.insert(id) {
            self.wrong(format!("two appends of event {id:x} were told to be the first"));
        }
        match self.told.insert(id, told) {
            Some(before @ Told::Logged(..)) if before != told => {
                self.wrong(format!("event {id:x} was said to be at {before:?} and at {told:?}"));
            }
            _ => self.acknowledged += 1,
        }
    }

    /// The event was processed, as its sender was told: its handler's word has reached it.
    pub(super) fn processed(&mut self, op: &Op, receipt: &Receipt) {
        match receipt.reply::<u64>("keep") {
            Ok(Some(id)) if id == op.id => {}
            Ok(None) if !must_reply(op.id) => {}
            other => self.wrong(format!("event {:x} was processed with reply {other:x?}", op.id)),
        }
    }

    /// The power went where nothing was synced before it was answered: what was logged may be gone. It is
    /// in the log once or not at all, and views may be those of a shorter log.
    pub(super) fn forgives(&mut self, durability: Durability) {
        self.may_have_more_sent = true;
        self.may_miss_sent |= durability == Durability::Os;
        self.firsts.clear();
        let logged = |told: &&mut Told| matches!(told, Told::Logged(..));
        self.told.values_mut().filter(logged).for_each(|told| *told = Told::Unknown);
        self.seen.clear();
    }

    /// A reader sees the list of a key: none that was seen before may be gone or stand elsewhere.
    pub(super) fn sees(&mut self, key: u64, list: &[u64]) {
        let seen = self.seen.entry(key).or_default();
        if !list.starts_with(seen) {
            let (was, is) = (format!("{seen:x?}"), format!("{list:x?}"));
            return self.wrong(format!("the view of key {key} went back from {was} to {is}"));
        }
        *seen = list.to_vec();
    }

    /// The depot of one partition at rest: every event that was acknowledged is in it once, where its
    /// sender was told; none that was refused is; a sender's are in order; offsets have no gaps.
    pub(super) fn check_depot(&mut self, partition: u32, records: &[Recorded<Op>]) {
        let mut at = HashMap::new();
        let mut last = HashMap::new();
        for (expected, record) in records.iter().enumerate() {
            let id = record.event.id;
            if record.event != Op::new(record.event.key, id) {
                self.wrong(format!("event {id:x} has other bytes than it was appended with"));
            }
            if record.offset != expected as u64 {
                self.wrong(format!("offset {} stands where {expected} should", record.offset));
            }
            if at.insert(id, record.offset).is_some() {
                self.wrong(format!("event {id:x} is in the log of partition {partition} twice"));
            }
            match self.told.get(&id) {
                None => self.wrong(format!("event {id:x} was never appended")),
                Some(Told::NotLogged) => {
                    self.wrong(format!("event {id:x} was refused and is in the log"));
                }
                Some(Told::Logged(..) | Told::Unknown) => {}
            }
            if !is_once(id) && last.insert(id >> 32, id).is_some_and(|before| before > id) {
                self.wrong(format!("event {id:x} stands behind a later one of its sender"));
            }
        }
        let logged: Vec<(u64, u64)> = self
            .told
            .iter()
            .filter_map(|(&id, told)| match told {
                Told::Logged(of, offset) if *of == partition => Some((id, *offset)),
                _ => None,
            })
            .collect();
        for (id, offset) in logged {
            let is = at.get(&id);
            if is != Some(&offset) {
                self.wrong(format!(
                    "event {id:x} was acknowledged at offset {offset} of partition {partition}, \
                     the log has it at {is:?}"
                ));
            }
        }
    }

    /// The views at rest, held against what follows from the log.
    pub(super) fn check_views(&mut self, expected: &Views, got: &Views) {
        let mut differ = |what: &str, expected: String, got: String| {
            if expected != got {
                self.wrong(format!(
                    "{what} are not what the log says:\n  log  {expected}\n  view {got}"
                ));
            }
        };
        differ("lists", format!("{:x?}", expected.lists), format!("{:x?}", got.lists));
        differ("copies", format!("{:x?}", expected.copies), format!("{:x?}", got.copies));
        differ("late lists", format!("{:x?}", expected.late), format!("{:x?}", got.late));
        let (expected, got) = (&expected.quarantine, &got.quarantine);
        differ("records in quarantine", format!("{expected:?}"), format!("{got:?}"));
    }
}
