//! How many records a partition applies at once: as many as touch no more memory than there is room for.
//!
//! What a record touches is decoded, changed and kept until it is written out. A batch of small records
//! may so touch many times its own bytes: it is applied in steps, and what one step has changed can be
//! written out before the next.

/// Bytes that a record is taken to touch before any was seen.
const FIRST_GUESS: usize = 4 << 10;

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

    /// How many records the next step may have; at least one.
    pub(crate) fn records(&self) -> usize {
        (self.room / self.each.max(1)).max(1)
    }

    /// A step of so many records made the unfolded changes so many bytes larger. The most counts, and is
    /// forgotten by half with each step.
    pub(crate) fn note(&mut self, records: usize, bytes: usize) {
        if let Some(each) = bytes.checked_div(records) {
            self.each = each.max(self.each / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;

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
        assert_eq!(pace.records(), 1, "a step goes on, however large its record");
        (0..64).for_each(|_| pace.note(1, 0));
        assert_eq!(pace.records(), 1 << 20);
    }
}
