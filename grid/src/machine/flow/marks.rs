//! Up to where a partition has what others sent it, so that what comes twice is known.

use gridmill_persistence::Position;
use serde::{Deserialize, Serialize};

/// How far a channel from one partition is: everything that causes before it sent has come.
///
/// It lies behind the last cause, and is not that cause itself: the first record of a log stands at
/// [`Position::START`], and may be a cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Watermark(Position);

impl Watermark {
    /// Nothing has come.
    pub(crate) const NONE: Self = Self(Position::START);

    /// Everything has come that `cause`, and causes before it, sent.
    pub(crate) fn after(cause: Position) -> Self {
        Self(cause.next())
    }

    /// Whether everything that `cause` sent has come.
    pub(crate) fn has(self, cause: Position) -> bool {
        cause < self.0
    }

    /// The position in the sender's log that it lies at: its log reaches at least so far.
    pub(crate) fn position(self) -> Position {
        self.0
    }

    pub(crate) const fn to_bits(self) -> u64 {
        self.0.to_bits()
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(Position::from_bits(bits))
    }
}

/// A mark as a manifest has it: channel, partition that sends, how far it is.
pub(crate) type StoredMark = (u16, u16, Watermark);

/// For each channel, and each partition that sends, how far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// By channel, then by partition; as long as what was noted.
    channels: Vec<Vec<Watermark>>,
}

impl Marks {
    pub(crate) fn restore(stored: &[StoredMark]) -> Self {
        let mut marks = Self::default();
        for &(channel, partition, mark) in stored {
            *marks.slot(channel, partition) = mark;
        }
        marks
    }

    /// All that has something, by channel and then by partition.
    pub(crate) fn snapshot(&self) -> Vec<StoredMark> {
        self.iter().collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = StoredMark> {
        let channels = (0u16..).zip(&self.channels);
        let all = channels.flat_map(|(channel, marks)| {
            (0u16..).zip(marks).map(move |(partition, &mark)| (channel, partition, mark))
        });
        all.filter(|&(.., mark)| mark != Watermark::NONE)
    }

    pub(crate) fn get(&self, channel: u16, partition: u16) -> Watermark {
        let marks = self.channels.get(usize::from(channel));
        let mark = marks.and_then(|marks| marks.get(usize::from(partition)));
        mark.copied().unwrap_or_default()
    }

    /// Everything that `cause` sent through the channel is logged here. Marks do not go back.
    pub(crate) fn note(&mut self, channel: u16, partition: u16, cause: Position) {
        let mark = self.slot(channel, partition);
        *mark = (*mark).max(Watermark::after(cause));
    }

    /// Puts back what was noted too early: the mark was `mark` before.
    pub(crate) fn put_back(&mut self, channel: u16, partition: u16, mark: Watermark) {
        *self.slot(channel, partition) = mark;
    }

    fn slot(&mut self, channel: u16, partition: u16) -> &mut Watermark {
        let (channel, partition) = (usize::from(channel), usize::from(partition));
        if self.channels.len() <= channel {
            self.channels.resize(channel + 1, Vec::new());
        }
        let marks = &mut self.channels[channel];
        if marks.len() <= partition {
            marks.resize(partition + 1, Watermark::NONE);
        }
        &mut marks[partition]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_of_a_log_is_a_cause_like_others() {
        let mut marks = Marks::default();
        assert!(!marks.get(0, 0).has(Position::START), "nothing has come");
        marks.note(0, 0, Position::START);
        assert!(marks.get(0, 0).has(Position::START));
        assert!(!marks.get(0, 0).has(Position::new(0, 1)), "the next one has not come");
    }

    #[test]
    fn a_mark_is_of_one_channel_and_one_partition_and_goes_forward() {
        let mut marks = Marks::default();
        marks.note(2, 5, Position::new(0, 900));
        marks.note(2, 5, Position::new(1, 40));
        marks.note(2, 5, Position::new(0, 901));
        for (channel, partition) in [(2, 4), (1, 5), (2, 6), (9, 9)] {
            assert_eq!(marks.get(channel, partition), Watermark::NONE, "{channel} {partition}");
        }
        let mark = marks.get(2, 5);
        assert!(mark.has(Position::new(0, 5_000)), "a later epoch has what earlier ones sent");
        assert!(mark.has(Position::new(1, 40)) && !mark.has(Position::new(1, 41)));
    }

    #[test]
    fn a_snapshot_is_sorted_and_restores() {
        let mut marks = Marks::default();
        for (channel, partition, cause) in [(3, 1, 7), (0, 2, 5), (3, 0, 9), (0, 0, 1)] {
            marks.note(channel, partition, Position::new(0, cause));
        }
        let stored = marks.snapshot();
        let places: Vec<_> =
            stored.iter().map(|&(channel, partition, _)| (channel, partition)).collect();
        assert_eq!(places, [(0, 0), (0, 2), (3, 0), (3, 1)]);
        let restored = Marks::restore(&stored);
        assert_eq!(restored.snapshot(), stored);
        assert!(restored.get(3, 0).has(Position::new(0, 9)));
    }
}
