//! Ids that callers gave to their appends, as the log has them.

mod answer;

use std::collections::HashMap;
use std::path::Path;

use gridmill_persistence::{LogError, LogReader, Storage, manifest};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::control::kind;
use super::registry::Registry;
use crate::module::Plan;

pub(crate) use answer::OnceAnswer;

/// The file of a partition whose log has had a record with an id: without it, no start looks for one.
const MARKER: &str = "IDS";

/// An id, and the number in the plan of the depot whose partition it belongs to.
pub(crate) type IdKey = (u16, [u8; 16]);

/// How long ids are kept, and how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnceLimits {
    /// In microseconds.
    pub(crate) window: i64,
    /// On one partition.
    pub(crate) ids_max: usize,
}

/// A logged append with an id.
#[derive(Clone, Debug)]
pub(crate) struct LoggedId {
    pub(crate) key: IdKey,
    /// Tells its event from others.
    pub(crate) hash: u64,
    pub(crate) offset: u64,
    /// As bits.
    pub(crate) position: u64,
    pub(crate) time: i64,
    /// What it was answered with, as far as it is known.
    pub(crate) answer: Option<OnceAnswer>,
    /// The log has the answer.
    pub(crate) is_answer_logged: bool,
}

/// Tells one event from another, by type and encoded fields.
pub(crate) fn hash(type_id: u32, bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, u64::from(type_id))
}

/// From here on the log may have records with ids. Durable when this returns.
///
/// # Errors
/// [`LogError::Io`].
pub(crate) fn mark(storage: &dyn Storage, dir: &Path) -> Result<(), LogError> {
    manifest::write_atomic(storage, dir, MARKER, &[])
}

/// Whether the log may have records with ids.
///
/// # Errors
/// [`LogError::Damaged`], [`LogError::Io`].
pub(crate) fn is_marked(storage: &dyn Storage, dir: &Path) -> Result<bool, LogError> {
    Ok(manifest::read_checked(storage, dir, MARKER)?.is_some())
}

/// The ids of all events that are no older than `since`, in the order of the log, with what they were answered with.
///
/// # Errors
/// [`LogError::Damaged`], [`LogError::Io`].
pub(crate) fn read(
    reader: &LogReader,
    registry: &Registry,
    plan: &Plan,
    since: i64,
) -> Result<Vec<LoggedId>, LogError> {
    let depot_of = |source| (0..plan.depots.len()).find(|&depot| registry.source(depot) == source);
    let (mut found, mut last) = (Vec::<LoggedId>::new(), HashMap::new());
    let mut scan = reader.scan(reader.position_at_time(since)?)?;
    while let Some(record) = scan.next()? {
        if let Some(id) = record.id.filter(|_| record.kind == kind::OUTCOME) {
            let answer = OnceAnswer::of_payload(record.payload, plan.version);
            let of = answer.and_then(|(source, answer)| Some((depot_of(source)? as u16, answer)));
            if let Some((depot, answer)) = of
                && let Some(&index) = last.get(&(depot, id))
            {
                let logged: &mut LoggedId = &mut found[index];
                (logged.answer, logged.is_answer_logged) = (Some(answer), true);
            }
        }
        // Of records that partitions sent, the id is a stamp.
        let Some(id) = record.id.filter(|_| record.kind == kind::EVENT) else { continue };
        // Nobody appends to a depot that is gone.
        let Some(depot) = depot_of(record.source) else { continue };
        // Each depot has a number of 16 bits in the log.
        let key = (depot as u16, id);
        last.insert(key, found.len());
        found.push(LoggedId {
            key,
            answer: None,
            is_answer_logged: false,
            hash: hash(record.type_id, record.payload),
            offset: record.depot_offset,
            position: record.position.to_bits(),
            time: record.time,
        });
    }
    Ok(found)
}
