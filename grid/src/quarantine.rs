//! Records that handlers could not process: visible, and to be handled again or forgotten.

use gridmill_client::engine::once;
use gridmill_persistence::Position;
use serde::Serialize;

use crate::folder::as_text;
use crate::grid::Grid;
use crate::machine::control::{Retry, Verdict};
use crate::shell::partition::{Msg, QuarantineCommand};

/// A record that a topology set aside, because it panicked each time that it was tried, or made a
/// value that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Quarantined {
    /// The module.
    pub module: String,
    /// The partition that holds the record.
    pub partition: u32,
    /// The topology that set it aside.
    pub topology: String,
    /// The record's position in the partition's log.
    #[serde(serialize_with = "as_text")]
    pub position: Position,
    /// The record's depot.
    pub depot: String,
    /// Its offset there, to read it with `depot_read`.
    pub offset: u64,
    /// When it was logged, in microseconds since 1970 (UTC).
    pub time: i64,
    /// How often it was tried, all retries counted.
    pub attempts: u32,
    /// What the handler's panic said.
    pub message: String,
}

impl Quarantined {
    /// What a partition decided.
    pub(crate) fn of(module: &str, partition: u32, verdict: &Verdict) -> Self {
        Self {
            module: module.to_owned(),
            partition,
            topology: verdict.topology.clone(),
            position: verdict.position,
            depot: verdict.depot.clone(),
            offset: verdict.offset,
            time: verdict.time,
            attempts: verdict.attempts,
            message: verdict.message.clone(),
        }
    }
}

/// Why a quarantined record could not be handled again or forgotten.
#[derive(Clone, thiserror::Error)]
#[error("record {position} of topology `{topology}`: {message}")]
pub struct QuarantineError {
    /// The topology.
    pub topology: String,
    /// The record's position.
    pub position: Position,
    /// What is wrong.
    pub message: String,
}

gridmill_client::debug_as_it_reads!(QuarantineError);

impl Grid {
    /// All records in quarantine, by module and partition.
    pub fn quarantine(&self) -> Vec<Quarantined> {
        let mut found = Vec::new();
        for module in &self.engine().modules {
            for shared in &module.partitions {
                let (name, partition) = (module.plan.name, shared.partition);
                let verdicts = &shared.published.view().quarantine;
                let quarantined = |verdict| Quarantined::of(name, partition, verdict);
                found.extend(verdicts.iter().map(quarantined));
            }
        }
        found
    }

    /// Handles a quarantined record again, after all that came since. Where it fails again it goes
    /// back into quarantine, under its new position.
    ///
    /// # Errors
    /// [`QuarantineError`] where it is not in quarantine, or has failed again.
    pub async fn retry_quarantined(&self, record: &Quarantined) -> Result<(), QuarantineError> {
        self.order(record, false).await
    }

    /// Forgets a quarantined record. It stays in its depot; the topology never handles it.
    ///
    /// # Errors
    /// [`QuarantineError`] where it is not in quarantine.
    pub async fn discard_quarantined(&self, record: &Quarantined) -> Result<(), QuarantineError> {
        self.order(record, true).await
    }

    async fn order(&self, record: &Quarantined, discard: bool) -> Result<(), QuarantineError> {
        let failed = |message: String| QuarantineError {
            topology: record.topology.clone(),
            position: record.position,
            message,
        };
        let mut modules = self.engine().modules.iter();
        let module = modules.find(|module| module.plan.name == record.module);
        let partition = record.partition as usize;
        let shared = module.and_then(|module| module.partitions.get(partition));
        let shared = shared.ok_or_else(|| failed("there is no such partition".to_owned()))?;
        let (done, answer) = once::channel();
        let retry = Retry {
            topology: record.topology.clone(),
            position: record.position,
            depot: record.depot.clone(),
            offset: record.offset,
        };
        shared.send(Msg::Quarantined(QuarantineCommand { retry, discard, done: Some(done) }));
        let answer = answer.await;
        answer.unwrap_or_else(|_| Err("the partition has stopped".to_owned())).map_err(failed)
    }
}
