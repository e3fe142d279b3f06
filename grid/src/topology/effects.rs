//! What handlers send: records for stages and depots, on this partition or on others.

use std::any::TypeId;

use gridmill_model::{Bytes, Event};
use gridmill_persistence::Position;
use gridmill_persistence::planted::{Bug, is_planted};

use super::handler::RecordInfo;
use super::timers::{EVERYWHERE, Later, TimerKey};

/// A call of a topology for the record of a depot, by the plan's numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenedCall {
    pub(crate) topology: usize,
    pub(crate) depot: usize,
    pub(crate) position: Position,
}

/// Where a topology's handlers may send records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// The name of the handle.
    pub(crate) name: &'static str,
    pub(crate) event: TypeId,
    /// The depot, or the hidden one of the stage, by its number in the plan.
    pub(crate) depot: usize,
    pub(crate) kind: OutputKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputKind {
    Stage,
    Depot,
}

/// Limits of what handlers send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendLimits {
    /// The most bytes of one record.
    pub(crate) event_bytes_max: usize,
    /// The most bytes that one record may cause on one partition.
    pub(crate) hop_bytes_max: usize,
}

/// The default of [`SendLimits::hop_bytes_max`].
pub(crate) const HOP_BYTES_MAX: usize = 16 << 20;

/// A record that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Emit {
    /// The position of the record whose handler sent it.
    pub(crate) cause: Position,
    pub(crate) topology: usize,
    /// By the plan's numbers.
    pub(crate) depot: usize,
    pub(crate) variant: u16,
    /// The partition that it goes to.
    pub(crate) target: u32,
    start: usize,
    end: usize,
}

/// What a step of a batch sends, in order. It is cut back where what sent it is undone.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    emits: Vec<Emit>,
    bytes: Vec<u8>,
    /// What was left for later, until that is entered into the state of its topology.
    later: Vec<Later>,
    /// Records for which calls were opened.
    opened: Vec<OpenedCall>,
    /// Why the record that was handled last must not send what it did.
    fault: Option<String>,
    /// By partition.
    sums: Vec<Sum>,
    /// How often it was cut back.
    cuts: u64,
}

/// How much has been sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    emits: usize,
    bytes: usize,
    later: usize,
    opened: usize,
}

impl Effects {
    pub(crate) fn is_empty(&self) -> bool {
        self.emits.is_empty()
    }

    pub(crate) fn mark(&self) -> Mark {
        let (later, opened) = (self.later.len(), self.opened.len());
        Mark { emits: self.emits.len(), bytes: self.bytes.len(), later, opened }
    }

    /// Forgets what was sent after `mark`, and what was wrong with it.
    pub(crate) fn truncate(&mut self, mark: Mark) {
        self.emits.truncate(mark.emits);
        self.bytes.truncate(mark.bytes);
        if !is_planted(Bug::KeepTimers) {
            self.later.truncate(mark.later);
        }
        self.opened.truncate(mark.opened);
        self.fault = None;
        self.cuts += 1;
    }

    /// The topology of the first record that is not the same as in `other`.
    pub(crate) fn difference(&self, other: &Self) -> Option<usize> {
        let (mut mine, mut others) = (self.iter(), other.iter());
        loop {
            match (mine.next(), others.next()) {
                (None, None) => return None,
                (Some(one), Some(other)) if one == other => {}
                (Some((emit, _)), _) | (None, Some((emit, _))) => return Some(emit.topology),
            }
        }
    }

    /// What was wrong with what was sent.
    pub(crate) fn take_fault(&mut self) -> Option<String> {
        self.fault.take()
    }

    pub(super) fn fail(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }

    /// What was sent, with its bytes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Emit, &[u8])> {
        self.emits.iter().map(|emit| (emit, &self.bytes[emit.start..emit.end]))
    }

    /// Whether something was left for later.
    pub(crate) fn has_later(&self) -> bool {
        !self.later.is_empty()
    }

    /// What was left for later, in order.
    pub(crate) fn take_later(&mut self) -> Vec<Later> {
        std::mem::take(&mut self.later)
    }

    /// A call is open.
    pub(crate) fn opened(&mut self, call: OpenedCall) {
        self.opened.push(call);
    }

    /// The calls that were opened.
    pub(crate) fn opened_calls(&self) -> &[OpenedCall] {
        &self.opened
    }

    /// Opens a call for a record.
    pub(super) fn open_call<E: Event>(&mut self, info: RecordInfo, record: &E) {
        let mut bytes = Vec::new();
        // It was decoded from as many bytes, or encoded into them.
        let encoded = record.encode_fields(&mut bytes).map_err(|error| error.to_string());
        match (encoded, u16::try_from(record.variant())) {
            (Ok(()), Ok(variant)) => {
                let bytes = Bytes::from(&bytes[..]);
                self.later.push(Later::Call { info, variant, bytes });
            }
            _ => self.fail("the record cannot be kept for a call".to_owned()),
        }
    }

    /// Adds a record for each of `targets`.
    pub(super) fn push<E: Event>(
        &mut self,
        (cause, topology, output): (Position, usize, &Output),
        targets: impl Iterator<Item = u32>,
        record: &E,
        limits: SendLimits,
    ) {
        let start = self.bytes.len();
        let Some(variant) = self.encode(output, record, limits) else { return };
        let (depot, end) = (output.depot, self.bytes.len());
        for target in targets {
            let emit = Emit { cause, topology, depot, variant, target, start, end };
            self.emits.push(emit);
            self.count(emit, limits.hop_bytes_max);
        }
    }

    /// Adds what a timer held.
    pub(crate) fn push_timer(
        &mut self,
        (cause, topology): (Position, usize),
        (depot, variant): (usize, u16),
        target: u32,
        bytes: &[u8],
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let end = self.bytes.len();
        self.emits.push(Emit { cause, topology, depot, variant, target, start, end });
    }

    /// Schedules a record.
    pub(super) fn schedule<E: Event>(
        &mut self,
        (cause, topology, output): (Position, usize, &Output),
        (key, target): (TimerKey, u32),
        record: &E,
        limits: SendLimits,
    ) {
        let start = self.bytes.len();
        let Some(variant) = self.encode(output, record, limits) else { return };
        let (depot, end) = (output.depot, self.bytes.len());
        // It will be sent; and what one record asks to be kept is to have a bound too.
        let counted = if target == EVERYWHERE { 0 } else { target };
        let emit = Emit { cause, topology, depot, variant, target: counted, start, end };
        self.count(emit, limits.hop_bytes_max);
        let bytes = Bytes::from(&self.bytes[start..]);
        self.bytes.truncate(start);
        self.later.push(Later::Schedule { key, depot, variant, target, bytes });
    }

    pub(super) fn cancel(&mut self, key: TimerKey) {
        self.later.push(Later::Cancel(key));
    }

    /// Puts a record's bytes behind the others; returns its variant, or nothing where it cannot be sent.
    fn encode<E: Event>(&mut self, output: &Output, record: &E, limits: SendLimits) -> Option<u16> {
        let start = self.bytes.len();
        let encoded = record.encode_fields(&mut self.bytes).map_err(|error| error.to_string());
        let variant = encoded.and_then(|()| {
            let (max, got) = (limits.event_bytes_max, self.bytes.len() - start);
            if got > max {
                return Err(format!(
                    "it has {got} bytes, and at most {max} are allowed (`event_bytes_max`)"
                ));
            }
            u16::try_from(record.variant()).map_err(|_| "it has more than 65,536 variants".into())
        });
        match variant {
            Ok(variant) => Some(variant),
            Err(problem) => {
                self.bytes.truncate(start);
                self.fail(format!("the record for `{}` cannot be sent: {problem}", output.name));
                None
            }
        }
    }

    /// Counts what one record sends to one partition, and refuses what is too much.
    fn count(&mut self, emit: Emit, max: usize) {
        let target = emit.target as usize;
        if self.sums.len() <= target {
            self.sums.resize(target + 1, Sum::default());
        }
        let of = (emit.cause, emit.topology, self.cuts);
        let sum = &mut self.sums[target];
        if sum.of != Some(of) {
            *sum = Sum { of: Some(of), bytes: 0 };
        }
        sum.bytes += emit.end - emit.start + HOP_OVERHEAD;
        if sum.bytes > max {
            self.fail(format!(
                "one record sends more than {max} bytes to partition {target} (`hop_bytes_max`); send less, or \
                 split the work over several records"
            ));
        }
    }
}

/// How much one record has sent to a partition.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    /// The record, the topology, and how often was cut back before.
    of: Option<(Position, usize, u64)>,
    bytes: usize,
}

/// What a record takes in the log of its target beside its bytes, about: header, stamp, padding.
pub(crate) const HOP_OVERHEAD: usize = 64;
