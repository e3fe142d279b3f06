//! What depots of ticks hold.

/// A period has passed; see [`Depot::tick`](crate::Depot::tick).
#[gridmill_macros::record(crate = crate)]
pub struct Tick {
    /// The boundary that was reached, in microseconds since 1970 (UTC).
    pub at: i64,
    /// How many boundaries before it have passed without a tick, since the tick before or the first start: the grid
    /// did not run, or was busy.
    pub missed: u32,
}
