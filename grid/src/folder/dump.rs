//! The records of a depot, with their events as JSON.

use std::vec::IntoIter;

use gridmill_model::Schema;
use gridmill_model::engine::Damaged;
use gridmill_persistence::{DepotScan, LogReader, Position};
use serde::Serialize;

use super::inspect::as_text;
use super::{Fault, Folder, FolderError, of_log};
use crate::machine::control::kind;
use crate::machine::manifest::{Manifest, VariantMeta};

/// One record of a depot.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Record {
    /// Its partition.
    pub partition: u32,
    /// Its offset in the depot's partition.
    pub offset: u64,
    /// Its position in the partition's log.
    #[serde(serialize_with = "as_text")]
    pub position: Position,
    /// When it was logged, in microseconds since 1970 (UTC).
    pub time: i64,
    /// `event` where a client appended it, `hop` where a topology sent it to one of its stages, `sent` where a
    /// topology appended it to a depot.
    pub kind: &'static str,
    /// The name of the event's variant; of a type with one variant, the type's.
    pub variant: String,
    /// The fields of the variant.
    pub event: serde_json::Value,
}

/// The records of a depot, one after another; ends after the first error.
#[derive(Debug)]
pub struct Records {
    waiting: IntoIter<Source>,
    current: Option<(Source, DepotScan)>,
    from: u64,
}

/// The depot on one partition.
#[derive(Debug)]
struct Source {
    partition: u32,
    reader: LogReader,
    /// The depot's number in record headers.
    number: u16,
    variants: Vec<VariantMeta>,
}

pub(super) fn records(
    folder: &Folder,
    depot: &str,
    partition: Option<u32>,
    from: u64,
) -> Result<Records, FolderError> {
    let mut sources = Vec::new();
    let mut known = Vec::new();
    let mut expected = 0;
    for module in &folder.modules {
        for &number in &module.partitions {
            let opened = folder.partition(&module.name, number)?;
            known.extend(opened.manifest.depots.iter().map(|depot| depot.name.clone()));
            let Some(index) = depot_number(&opened.manifest, depot) else { continue };
            let meta = &opened.manifest.depots[usize::from(index)];
            expected = if meta.global { 1 } else { opened.manifest.partitions };
            if number < expected && partition.is_none_or(|wanted| wanted == number) {
                let (reader, variants) = (opened.reader, meta.variants.clone());
                sources.push(Source { partition: number, reader, number: index, variants });
            }
        }
    }
    let depot = depot.to_owned();
    if expected == 0 {
        known.sort_unstable();
        known.dedup();
        return Err(FolderError::UnknownDepot { depot, known });
    }
    if let Some(got) = partition.filter(|_| sources.is_empty()) {
        return Err(FolderError::NoPartition { depot, expected, got });
    }
    Ok(Records { waiting: sources.into_iter(), current: None, from })
}

/// The number of a depot; of one that was removed where no other has its name.
fn depot_number(manifest: &Manifest, depot: &str) -> Option<u16> {
    let named = |removed: bool| {
        manifest.depots.iter().rposition(|known| known.name == depot && known.removed == removed)
    };
    named(false).or_else(|| named(true)).and_then(|index| u16::try_from(index).ok())
}

impl Records {
    fn advance(&mut self) -> Result<Option<Record>, Fault> {
        loop {
            if let Some((source, scan)) = &mut self.current
                && let Some(record) = read(source, scan)?
            {
                return Ok(Some(record));
            }
            let Some(source) = self.waiting.next() else { return Ok(None) };
            let scan = source.reader.depot_range(source.number, self.from, u64::MAX);
            self.current = Some((source, scan.map_err(of_log)?));
        }
    }
}

impl Iterator for Records {
    type Item = Result<Record, FolderError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance();
        if next.is_err() {
            (self.waiting, self.current) = (Vec::new().into_iter(), None);
        }
        next.map_err(FolderError::from).transpose()
    }
}

fn read(source: &Source, scan: &mut DepotScan) -> Result<Option<Record>, Fault> {
    let Some(record) = scan.next().map_err(of_log)? else { return Ok(None) };
    let variant = source.variants.iter().find(|known| known.type_id == record.type_id);
    let event = match variant {
        Some(variant) => event(&variant.schema, record.payload),
        None => Err(format!("the manifest has no event type {}", record.type_id)),
    };
    let (offset, position, time) = (record.depot_offset, record.position, record.time);
    let kind = kind::word(record.kind);
    let variant = variant.map(|variant| variant.name.clone()).unwrap_or_default();
    let partition = source.partition;
    match event {
        Ok(event) => Ok(Some(Record { partition, offset, position, time, kind, variant, event })),
        Err(message) => {
            let place = scan.place().map(|(file, byte)| (file.display().to_string(), byte));
            let (file, byte) = place.unwrap_or_default();
            let message = format!("the record at {position} (offset {offset}): {message}");
            Err(Damaged::new(file, byte, message).into())
        }
    }
}

fn event(schema: &Schema, payload: &[u8]) -> Result<serde_json::Value, String> {
    schema.to_json(payload).map_err(|error| error.to_string())
}
