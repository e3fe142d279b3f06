//! What cancels what was scheduled.

/// Names what a handler has scheduled, so that it can be cancelled: keep it in a PState of the topology. See
/// `Context::schedule`.
#[gridmill_macros::record(crate = crate)]
#[derive(Copy, Eq)]
pub struct Timer {
    /// When it is due, in microseconds since 1970 (UTC).
    pub at: i64,
    /// The position of the record whose handler scheduled it.
    pub position: u64,
    /// Which of those that the record scheduled, from 1 on.
    pub number: u32,
    /// The partition that keeps it.
    pub partition: u32,
    /// Tells the topologies of a module apart.
    pub topology: u32,
}
