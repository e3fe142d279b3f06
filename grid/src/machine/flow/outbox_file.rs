//! A file of what was sent and is not confirmed: a run beside those of PStates.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use gridmill_model::engine::Damaged;
use gridmill_persistence::{Position, Run, RunError, RunOptions, RunWriter, Storage};

use crate::machine::registry::Registry;
use crate::state::Stamp as RunStamp;

/// A record that was sent, and that its target has not confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutboxRecord {
    /// The partition that it goes to.
    pub(crate) target: u32,
    /// The position of the record whose handler sent it.
    pub(crate) cause: Position,
    /// Its place among all that the topology sent to this target for this cause.
    pub(crate) index: u32,
    /// [`HOP`](crate::machine::control::kind::HOP) or [`SENT`](crate::machine::control::kind::SENT).
    pub(crate) kind: u8,
    /// By the plan's numbers.
    pub(crate) depot: usize,
    pub(crate) variant: u16,
    pub(crate) bytes: Vec<u8>,
}

/// Why an outbox cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboxFault {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Damaged(#[from] Damaged),
}

const KEY_BYTES: usize = 16;

impl OutboxRecord {
    /// What records are sorted by.
    fn key(&self) -> [u8; KEY_BYTES] {
        let mut key = [0; KEY_BYTES];
        key[..4].copy_from_slice(&self.target.to_be_bytes());
        key[4..12].copy_from_slice(&self.cause.to_bits().to_be_bytes());
        key[12..].copy_from_slice(&self.index.to_be_bytes());
        key
    }
}

/// What a topology's outbox is called in the note of its run.
pub(crate) fn outbox_name(topology: &str) -> String {
    format!("{topology}#outbox")
}

/// Writes `records` as the run `path`.
pub(crate) fn write(
    storage: &Arc<dyn Storage>,
    path: &Path,
    stamp: RunStamp,
    registry: &Registry,
    records: &[OutboxRecord],
) -> Result<Run, RunError> {
    let mut sorted: Vec<_> = records.iter().map(|record| (record.key(), record)).collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    let options = RunOptions {
        schema: 0,
        value_align: 1,
        entries_hint: sorted.len() as u64,
        covers: stamp.covers,
        user: stamp.note,
    };
    let mut writer = RunWriter::create(Arc::clone(storage), path, options)?;
    for (key, record) in sorted {
        let type_id = registry.type_id(record.depot, record.variant);
        // Numbers and bytes: postcard always encodes them.
        let value = postcard::to_stdvec(&(type_id, record.kind, &record.bytes[..]));
        writer.add(&key, Some(&value.unwrap_or_default()))?;
    }
    writer.finish()?;
    Run::open(&**storage, path)
}

/// What a run of [`write`] holds, by target, cause and index; without what was sent to stages and depots that
/// the code has no more.
pub(crate) fn read(run: &Run, registry: &Registry) -> Result<Vec<OutboxRecord>, OutboxFault> {
    let mut records = Vec::new();
    for entry in run.range(Bound::Unbounded, Bound::Unbounded) {
        let (key, slot) = entry?;
        let value = slot.value().unwrap_or_default();
        let Some((record, type_id)) = decode(key, value) else {
            let message = "it holds an entry that is no record which was sent; restore the file from a backup";
            return Err(Damaged::new(run.file().display().to_string(), 0, message).into());
        };
        if let Some((depot, variant)) = registry.event(type_id) {
            records.push(OutboxRecord { depot, variant, ..record });
        }
    }
    Ok(records)
}

/// A record whose depot and variant are not known yet, and its type.
fn decode(key: &[u8], value: &[u8]) -> Option<(OutboxRecord, u32)> {
    let (target, rest) = key.split_first_chunk::<4>()?;
    let (cause, rest) = rest.split_first_chunk::<8>()?;
    let index = u32::from_be_bytes(rest.try_into().ok()?);
    let (type_id, kind, bytes) = postcard::from_bytes::<(u32, u8, &[u8])>(value).ok()?;
    let record = OutboxRecord {
        target: u32::from_be_bytes(*target),
        cause: Position::from_bits(u64::from_be_bytes(*cause)),
        index,
        kind,
        depot: 0,
        variant: 0,
        bytes: bytes.to_vec(),
    };
    Some((record, type_id))
}
