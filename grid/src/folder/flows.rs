//! Records that partitions sent each other, held against each other.

use std::collections::{BTreeMap, HashMap};

use gridmill_persistence::LogRecord;

use crate::machine::control::kind;
use crate::machine::flow::marks::Watermark;
use crate::machine::flow::stamp::Stamp;
use crate::machine::manifest::Manifest;

/// The last stamp of each channel and partition that sent.
#[derive(Debug, Default)]
pub(super) struct Stamps(HashMap<(u16, u16), Stamp>);

impl Stamps {
    /// What a record's stamp says that cannot be: each counts once, in the order in which it was sent.
    pub(super) fn contradiction(
        &mut self,
        manifest: &Manifest,
        record: &LogRecord<'_>,
    ) -> Option<String> {
        if !kind::is_sent(record.kind) {
            return None;
        }
        let Some(id) = record.id else {
            return Some("it was sent, and has no stamp".to_owned());
        };
        let stamp = Stamp::from_bytes(id);
        let Stamp { cause, partition, channel, index } = stamp;
        let (partitions, channels) = (manifest.partitions, manifest.channels.len());
        if usize::from(channel) >= channels {
            return Some(format!(
                "it was sent through channel {channel}, the manifest has {channels}"
            ));
        }
        if u32::from(partition) >= partitions {
            return Some(format!(
                "it was sent by partition {partition}, and there are {partitions}"
            ));
        }
        let last = self.0.insert((channel, partition), stamp)?;
        (last >= stamp).then(|| {
            format!(
                "expected a record of channel {channel} that partition {partition} sent after {}.{}, got \
                 {cause}.{index}",
                last.cause, last.index
            )
        })
    }
}

/// How far a partition is with what others sent it, from its manifest and from the stamps in its log.
#[derive(Debug, Default)]
pub(super) struct Heard(BTreeMap<u16, Watermark>);

impl Heard {
    /// What the manifest says.
    pub(super) fn of(manifest: &Manifest) -> Self {
        let mut heard = Self::default();
        for &(_, partition, mark) in &manifest.intake.marks {
            heard.note(partition, mark);
        }
        heard
    }

    /// With what the log has.
    pub(super) fn add(&mut self, stamps: &Stamps) {
        for (&(_, partition), stamp) in &stamps.0 {
            self.note(partition, Watermark::after(stamp.cause));
        }
    }

    fn note(&mut self, partition: u16, mark: Watermark) {
        let known = self.0.entry(partition).or_default();
        *known = (*known).max(mark);
    }

    /// Each partition that was heard, and how many records its log must have.
    pub(super) fn ends(&self) -> impl Iterator<Item = (u32, u64)> {
        self.0.iter().map(|(&partition, mark)| (u32::from(partition), mark.position().number()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::manifest::ChannelMeta;
    use gridmill_persistence::Position;

    fn record(kind: u8, id: Option<[u8; 16]>) -> LogRecord<'static> {
        LogRecord {
            position: Position::START,
            time: 0,
            depot_offset: 0,
            type_id: 1,
            source: 0,
            kind,
            id,
            payload: &[],
        }
    }

    fn stamped(cause: u64, partition: u16, channel: u16, index: u32) -> LogRecord<'static> {
        let stamp = Stamp { cause: Position::new(0, cause), partition, channel, index };
        record(kind::HOP, Some(stamp.to_bytes()))
    }

    #[test]
    fn stamps_ascend_by_channel_and_partition() {
        let mut manifest = Manifest::new("test", 1, 0, 3);
        let channel = |generation| ChannelMeta { topology: "flow".to_owned(), generation };
        manifest.channels = vec![channel(1), channel(2)];
        let mut stamps = Stamps::default();
        let mut says = |record: LogRecord<'_>| stamps.contradiction(&manifest, &record);
        for whole in [
            stamped(5, 1, 0, 0),
            stamped(5, 1, 0, 1),
            stamped(4, 2, 0, 0),
            stamped(4, 1, 1, 0),
            record(kind::EVENT, None),
            stamped(6, 1, 0, 0),
        ] {
            assert_eq!(says(whole), None);
        }
        let twice = says(stamped(6, 1, 0, 0)).expect("it came twice");
        assert!(twice.contains("partition 1 sent after 0:6.0, got 0:6.0"), "{twice}");
        let foreign = says(stamped(9, 3, 0, 0)).expect("there is no partition 3");
        assert!(foreign.contains("there are 3"), "{foreign}");
        let unknown = says(stamped(9, 0, 2, 0)).expect("there is no channel 2");
        assert!(unknown.contains("the manifest has 2"), "{unknown}");
        assert!(says(record(kind::SENT, None)).is_some_and(|said| said.contains("no stamp")));
    }
}
