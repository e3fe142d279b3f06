//! Where a record stands in its partition's log.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The place of one record in a partition's log, never given to two records.
///
/// The high 16 bits are the epoch, which grows by one at each start after an unclean stop; the low
/// 48 bits are a record number that goes on across epochs. So positions order records as they were
/// written, and a record that a power loss tore away shares its number, but not its position, with
/// the one that came in its place.
///
/// ```
/// use gridmill_persistence::Position;
///
/// let position = Position::new(2, 1043);
/// assert_eq!(position.to_string(), "2:1043");
/// assert!(position < position.next());
/// assert!(Position::new(1, 9000) < position);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(u64);

const NUMBER_BITS: u32 = 48;
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;

impl Position {
    /// Before every record: the position of the first record of a new log.
    pub const START: Self = Self(0);
    /// Not before any record.
    pub const MAX: Self = Self(u64::MAX);

    /// The position of record `number` in `epoch`. Bits of `number` above the 48th are dropped.
    pub const fn new(epoch: u16, number: u64) -> Self {
        Self((epoch as u64) << NUMBER_BITS | number & NUMBER_MASK)
    }

    /// The position with these 64 bits, as [`Position::to_bits`] gave them.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Epoch and number as one integer that orders as the position does.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// How many unclean stops lie before this record.
    pub const fn epoch(self) -> u16 {
        (self.0 >> NUMBER_BITS) as u16
    }

    /// How many records lie before this one, over all epochs.
    pub const fn number(self) -> u64 {
        self.0 & NUMBER_MASK
    }

    /// The position after this one in the same epoch.
    pub const fn next(self) -> Self {
        self.forward(1)
    }

    /// The position `records` further on in the same epoch. Record numbers have 48 bits.
    pub const fn forward(self, records: u64) -> Self {
        Self::new(self.epoch(), self.number().wrapping_add(records))
    }

    /// Whether record numbers go that far.
    pub(crate) const fn has_room_for(self, records: u64) -> bool {
        records <= NUMBER_MASK - self.number()
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch(), self.number())
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
