//! Where a logged record that was sent comes from.

use gridmill_persistence::Position;

/// Stands in the header of a record that was sent, where others have an idempotency id. The stamps of one
/// channel from one partition ascend along the log: by cause, then by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp {
    /// The position, in the log of the partition that sent it, of the record whose handler sent it.
    pub(crate) cause: Position,
    /// The partition that sent it.
    pub(crate) partition: u16,
    /// Of which topology it comes: by number in the target's manifest.
    pub(crate) channel: u16,
    /// Its place among all that one cause sent through the channel to this target.
    pub(crate) index: u32,
}

impl Stamp {
    pub(crate) const BYTES: usize = 16;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.cause.to_bits().to_le_bytes());
        bytes[8..10].copy_from_slice(&self.partition.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.channel.to_le_bytes());
        bytes[12..].copy_from_slice(&self.index.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let [c0, c1, c2, c3, c4, c5, c6, c7, p0, p1, n0, n1, i0, i1, i2, i3] = bytes;
        Self {
            cause: Position::from_bits(u64::from_le_bytes([c0, c1, c2, c3, c4, c5, c6, c7])),
            partition: u16::from_le_bytes([p0, p1]),
            channel: u16::from_le_bytes([n0, n1]),
            index: u32::from_le_bytes([i0, i1, i2, i3]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_the_sixteen_bytes_that_the_format_names() {
        let stamp = Stamp {
            cause: Position::new(0x0102, 0x0304_0506_0708),
            partition: 0x1112,
            channel: 0x2122,
            index: 0x3132_3334,
        };
        let bytes = [8, 7, 6, 5, 4, 3, 2, 1, 0x12, 0x11, 0x22, 0x21, 0x34, 0x33, 0x32, 0x31];
        assert_eq!(stamp.to_bytes(), bytes);
        assert_eq!(Stamp::from_bytes(bytes), stamp);
    }

    #[test]
    fn stamps_of_a_channel_order_by_cause_and_then_by_index() {
        let stamp = |epoch, number, index| Stamp {
            cause: Position::new(epoch, number),
            partition: 3,
            channel: 1,
            index,
        };
        let ascending = [stamp(0, 7, 0), stamp(0, 7, 1), stamp(0, 8, 0), stamp(1, 2, 0)];
        assert!(ascending.is_sorted_by(|one, next| one < next));
    }
}
