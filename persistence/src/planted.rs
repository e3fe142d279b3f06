//! Faults that Gridmill's own tests plant on purpose, to see that the simulator finds them. Without the
//! feature `simulate` there are none, and the questions for them cost nothing.

#[cfg(feature = "simulate")]
use std::cell::Cell;

/// A fault that can be planted. Those that name a number were found by people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// An append is answered, and shown, when it is written, not when it is synced.
    AckBeforeSync,
    /// Recovery believes bytes whose checksum is wrong.
    SkipCrc,
    /// Readers see some PStates of a batch before the others.
    PublishHalfBatch,
    /// Topologies that see each other are flushed apart.
    FoldAlone,
    /// A snapshot is entered before the log that it covers is synced.
    ManifestBeforeLog,
    /// That a record was set aside is not logged.
    ForgetVerdict,
    /// That a record was handled again is not logged.
    LoseRetry,
    /// A start opens one partition after the other to the end: one that is refused late has changed some.
    RefusedStartWrites,
    /// After a restart whoever waits is answered that all went well.
    AnswerAtRestart,
    /// After a failed sync, segments are numbered in another order than they are written in.
    TwoOrdersOfSegments,
    /// A sync also claims what was written while it ran.
    ClaimUnsynced,
    /// What others sent is logged again, although it is there.
    DropStamp,
    /// What partitions send waits like appends do where too much is under way.
    GateHops,
    /// What was sent is let go of before its target has it.
    ForgetOutbox,
    /// What a batch sends is handed over before the batch is durable.
    ReleaseEarly,
    /// A handler that refuses a record still sends what it had sent.
    KeepHalfFan,
    /// Marks are those of the snapshot, and not brought up to date from the log.
    MarksOfSnapshot,
    /// An append is answered before what it led to is done.
    AckEarly,
    /// A start does not look for ids of appends in the log.
    ForgetIds,
    /// A start does not look which tick was the last.
    ForgetTicks,
    /// Timers go, and the log does not say so.
    TimerOutsideLog,
    /// That a record is skipped and not set aside is not logged.
    ForgetSkip,
    /// The outside is called for a record before it is durable.
    CallEarly,
    /// The answer to a call is taken although it has one.
    AcceptClosedResult,
    /// A handler that refuses a record has cancelled and scheduled all the same.
    KeepTimers,
    /// What is touched of what is watched is not told.
    ForgetHits,
    /// A watch begins with what is shown, although batches are under way that do not tell of it.
    WatchEarly,
    /// A new life does not know what is watched.
    ForgetMarks,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::AckBeforeSync,
        Self::SkipCrc,
        Self::PublishHalfBatch,
        Self::FoldAlone,
        Self::ManifestBeforeLog,
        Self::ForgetVerdict,
        Self::LoseRetry,
        Self::RefusedStartWrites,
        Self::AnswerAtRestart,
        Self::TwoOrdersOfSegments,
        Self::ClaimUnsynced,
        Self::DropStamp,
        Self::GateHops,
        Self::ForgetOutbox,
        Self::ReleaseEarly,
        Self::KeepHalfFan,
        Self::MarksOfSnapshot,
        Self::AckEarly,
        Self::ForgetIds,
        Self::ForgetTicks,
        Self::TimerOutsideLog,
        Self::KeepTimers,
        Self::ForgetSkip,
        Self::CallEarly,
        Self::AcceptClosedResult,
        Self::ForgetHits,
        Self::WatchEarly,
        Self::ForgetMarks,
    ];

    /// The name on the command line of `simulate`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AckBeforeSync => "ack_before_sync",
            Self::SkipCrc => "skip_crc",
            Self::PublishHalfBatch => "publish_half_batch",
            Self::FoldAlone => "fold_alone",
            Self::ManifestBeforeLog => "manifest_before_log",
            Self::ForgetVerdict => "forget_verdict",
            Self::LoseRetry => "lose_retry",
            Self::RefusedStartWrites => "refused_start_writes",
            Self::AnswerAtRestart => "answer_at_restart",
            Self::TwoOrdersOfSegments => "two_orders_of_segments",
            Self::ClaimUnsynced => "claim_unsynced",
            Self::DropStamp => "drop_stamp",
            Self::GateHops => "gate_hops",
            Self::ForgetOutbox => "forget_outbox",
            Self::ReleaseEarly => "release_early",
            Self::KeepHalfFan => "keep_half_fan",
            Self::MarksOfSnapshot => "marks_of_snapshot",
            Self::AckEarly => "ack_early",
            Self::ForgetIds => "forget_ids",
            Self::ForgetTicks => "forget_ticks",
            Self::TimerOutsideLog => "timer_outside_log",
            Self::KeepTimers => "keep_timers",
            Self::ForgetSkip => "forget_skip",
            Self::CallEarly => "call_early",
            Self::AcceptClosedResult => "accept_closed_result",
            Self::ForgetHits => "forget_hits",
            Self::WatchEarly => "watch_early",
            Self::ForgetMarks => "forget_marks",
        }
    }
}

#[cfg(feature = "simulate")]
thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants a fault for this thread, in the place of the one before, or none.
#[cfg(feature = "simulate")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether a fault is planted.
#[cfg(feature = "simulate")]
pub fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether a fault is planted: never, without the feature `simulate`.
#[cfg(not(feature = "simulate"))]
pub const fn is_planted(_: Bug) -> bool {
    false
}
