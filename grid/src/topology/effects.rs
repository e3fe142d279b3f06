//! What handlers send: records for stages and depots, on this partition or on others.

use std::any::TypeId;

use gridmill_model::Event;
use gridmill_persistence::Position;

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
}

impl Effects {
    pub(crate) fn is_empty(&self) -> bool {
        self.emits.is_empty()
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { emits: self.emits.len(), bytes: self.bytes.len() }
    }

    /// Forgets what was sent after `mark`, and what was wrong with it.
    pub(crate) fn truncate(&mut self, mark: Mark) {
        self.emits.truncate(mark.emits);
        self.bytes.truncate(mark.bytes);
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

    /// Adds a record for each of `targets`.
    pub(super) fn push<E: Event>(
        &mut self,
        (cause, topology, output): (Position, usize, &Output),
        targets: impl Iterator<Item = u32>,
        record: &E,
        limits: SendLimits,
    ) {
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
        let variant = match variant {
            Ok(variant) => variant,
            Err(problem) => {
                self.bytes.truncate(start);
                return self
                    .fail(format!("the record for `{}` cannot be sent: {problem}", output.name));
            }
        };
        let (depot, end) = (output.depot, self.bytes.len());
        for target in targets {
            let emit = Emit { cause, topology, depot, variant, target, start, end };
            self.emits.push(emit);
            self.count(emit, limits.hop_bytes_max);
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
