//! Records of the log that are no events: decisions about records that handlers could not handle.

use gridmill_persistence::planted::{Bug, is_planted};
use gridmill_persistence::{Log, LogError, Position, RecordMeta};
use serde::{Deserialize, Serialize};

use crate::topology::CallKey;

use super::core::Core;

/// What a record of the log is, in its header. Those that are no events name a topology; the type in
/// their header is its generation. `persistence/FORMAT.md` has the table.
pub(crate) mod kind {
    /// An event of a depot.
    pub(crate) const EVENT: u8 = 1;
    /// A [`Verdict`](super::Verdict): a record is in quarantine for a topology.
    pub(crate) const VERDICT: u8 = 2;
    /// A [`Retry`](super::Retry): a quarantined record is handled again, after all that came since.
    pub(crate) const RETRY: u8 = 3;
    /// A [`Retry`](super::Retry) given up: a quarantined record is forgotten.
    pub(crate) const DISCARD: u8 = 4;
    /// A record that a topology sent to one of its stages; it carries a
    /// [`Stamp`](crate::machine::flow::stamp::Stamp).
    pub(crate) const HOP: u8 = 5;
    /// An event of a depot that a topology appended; it carries a stamp too.
    pub(crate) const SENT: u8 = 6;
    /// What a call to the outside gave: a record for a stage; it carries a [`call_id`](super::call_id).
    pub(crate) const RESULT: u8 = 7;
    /// A [`ClockRecord`](super::ClockRecord): timers that are due at its time go.
    pub(crate) const CLOCK: u8 = 8;
    /// What an append with an id was answered with: a [`OnceAnswer`](crate::machine::once::OnceAnswer).
    pub(crate) const OUTCOME: u8 = 9;

    /// Whether a record is one that handlers get: its type and offset are those of a depot or stage.
    pub(crate) fn is_event(kind: u8) -> bool {
        matches!(kind, EVENT | HOP | SENT | RESULT)
    }

    /// Whether a record was sent by a topology, and carries a stamp.
    pub(crate) fn is_sent(kind: u8) -> bool {
        matches!(kind, HOP | SENT)
    }

    /// What to call a kind of event.
    pub(crate) fn word(kind: u8) -> &'static str {
        match kind {
            HOP => "hop",
            SENT => "sent",
            RESULT => "result",
            _ => "event",
        }
    }
}

/// The id of the answer to a call: the position of the record that was called for, what no stamp has there, and the
/// number of that record's depot.
pub(crate) fn call_id((depot, position): CallKey) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&position.to_le_bytes());
    id[8..10].copy_from_slice(&NO_DEPOT.to_le_bytes());
    id[10..12].copy_from_slice(&depot.to_le_bytes());
    id
}

/// The call that an answer is to.
pub(crate) fn call_of(id: [u8; 16]) -> CallKey {
    let [a, b, c, d, e, f, g, h, _, _, low, high, ..] = id;
    (u16::from_le_bytes([low, high]), u64::from_le_bytes([a, b, c, d, e, f, g, h]))
}

/// The depot number of records that belong to no depot.
pub(crate) const NO_DEPOT: u16 = u16::MAX;

/// A record that a topology does not handle, because it failed again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) topology: String,
    pub(crate) position: Position,
    pub(crate) depot: String,
    pub(crate) offset: u64,
    pub(crate) time: i64,
    pub(crate) attempts: u32,
    pub(crate) message: String,
}

/// A quarantined record to handle again, or to forget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retry {
    pub(crate) topology: String,
    /// The position that its verdict names.
    pub(crate) position: Position,
    pub(crate) depot: String,
    pub(crate) offset: u64,
}

impl Retry {
    /// About the record of a verdict.
    pub(crate) fn of(verdict: &Verdict) -> Self {
        Self {
            topology: verdict.topology.clone(),
            position: verdict.position,
            depot: verdict.depot.clone(),
            offset: verdict.offset,
        }
    }
}

/// It is as late as the record says: timers of all topologies go that are due by then. How many go stands in the log,
/// so that the same ones go in a replay, whatever a release thinks is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClockRecord {
    /// The most timers of one topology that go.
    pub(crate) timers_max: u32,
    /// The most bytes that what they hold may have; one goes always.
    pub(crate) bytes_max: u64,
}

/// Writes verdicts to the log and makes them durable.
pub(crate) fn log_verdicts(
    log: &mut Log,
    time: i64,
    core: &Core,
    verdicts: &[Verdict],
) -> Result<(), LogError> {
    if verdicts.is_empty() {
        return Ok(());
    }
    for verdict in verdicts {
        push_verdict(log, time, core, verdict)?;
    }
    log.write()?;
    log.syncer().sync()?;
    Ok(())
}

/// Puts a verdict into the log's batch; where nobody is to hear of it again, with what discards it.
pub(crate) fn push_verdict(
    log: &mut Log,
    time: i64,
    core: &Core,
    verdict: &Verdict,
) -> Result<(), LogError> {
    let generation = generation(core, &verdict.topology);
    push_control(log, (kind::VERDICT, generation), time, verdict)?;
    if core.plan.skips(&verdict.topology, &verdict.depot) && !is_planted(Bug::ForgetSkip) {
        push_control(log, (kind::DISCARD, generation), time, &Retry::of(verdict))?;
    }
    Ok(())
}

/// The generation of a topology that the code has.
pub(crate) fn generation(core: &Core, topology: &str) -> u32 {
    core.topology(topology).map_or(0, |topology| core.registry().generation(topology))
}

/// Puts a control record into the log's batch: of a kind, and for a generation of its topology.
pub(crate) fn push_control<T: Serialize>(
    log: &mut Log,
    (kind, generation): (u8, u32),
    time: i64,
    record: &T,
) -> Result<Position, LogError> {
    // Control records hold strings and integers: postcard always encodes them.
    let payload = postcard::to_stdvec(record).unwrap_or_default();
    let meta =
        RecordMeta { time, depot_offset: 0, type_id: generation, source: NO_DEPOT, kind, id: None };
    log.push(&meta, &payload)
}
