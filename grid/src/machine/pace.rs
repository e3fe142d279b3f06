//! How many records a partition applies at once: as many as touch no more memory than there is room for.
//!
//! What a record touches is decoded, changed and kept until it is written out. A batch of small records
//! may so touch many times its own bytes: it is applied in steps, and what one step has changed can be
//! written out before the next.

/// Bytes that a record is taken to touch before any was seen.
const FIRST_GUESS: usize = 4 << 10;

/// The fewest records of a step: what is written out between steps is worth some.
const RECORDS_MIN: usize = 8;

/// What records have touched lately, against what one step may.
#[derive(Debug)]
pub(crate) struct Pace {
    room: usize,
    each: usize,
}

impl Pace {
    /// Steps that touch about `room` bytes.
    pub(crate) fn new(room: usize) -> Self {
        Self { room, each: FIRST_GUESS }
    }

    /// How many records the next step may have.
    pub(crate) fn records(&self) -> usize {
        (self.room / self.each.max(1)).max(RECORDS_MIN)
    }

    /// A step of so many records made the unflushed changes so many bytes larger, beside the largest value
    /// that changed: many records of one large value touch no more than one of them. The most counts, and
    /// is forgotten by half with each step.
    pub(crate) fn note(&mut self, records: usize, bytes: usize) {
        if let Some(each) = bytes.checked_div(records) {
            self.each = each.max(self.each / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pace, RECORDS_MIN};

    #[test]
    fn steps_follow_what_records_touch() {
        let mut pace = Pace::new(1 << 20);
        assert_eq!(pace.records(), 256);
        pace.note(100, 100 << 15);
        assert_eq!(pace.records(), 32, "they touch more than was thought");
        pace.note(32, 0);
        assert_eq!(pace.records(), 64, "the next might again");
        pace.note(0, 0);
        pace.note(1, usize::MAX);
        assert_eq!(pace.records(), RECORDS_MIN, "a step goes on, however large its records");
        (0..64).for_each(|_| pace.note(1, 0));
        assert_eq!(pace.records(), 1 << 20);
    }
}
