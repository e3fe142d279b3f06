//! The partitions that somebody reads, each as of one moment.

use parking_lot::Mutex;

use crate::engine::{Engine, Held};
use crate::error::ReadError;
use crate::handles::PStateRef;

/// Partitions of modules as of when they were first read.
#[derive(Debug, Default)]
pub(crate) struct ViewSet(Mutex<Vec<((usize, u32), Held)>>);

impl ViewSet {
    /// The partition of a PState's module as of the first time that it was asked for.
    pub(crate) fn get(
        &self,
        engine: &dyn Engine,
        pstate: PStateRef,
        partition: u32,
    ) -> Result<Held, ReadError> {
        let key = (pstate.module, partition);
        let mut views = self.0.lock();
        match views.binary_search_by_key(&key, |(known, _)| *known) {
            Ok(at) => Ok(views[at].1.clone()),
            Err(at) => {
                let held = engine.hold(pstate.id, partition)?;
                views.insert(at, (key, held.clone()));
                Ok(held)
            }
        }
    }
}
