//! Opening partitions, each on threads of its own that may block.

use std::io;

use crate::error::StartError;
use crate::shell::slot::Slot;
use crate::shell::start::{Opening, StartStep, Starting};

use super::supervisor::Seat;

/// Opens each partition on its thread's pool of threads that may block.
pub(crate) struct OnThreads<'a>(pub(crate) &'a [Seat]);

impl Opening for OnThreads<'_> {
    fn each<'a, I: Send + 'static, O: Send + 'static>(
        &'a mut self,
        slots: &'a [Slot],
        inputs: Vec<I>,
        step: StartStep<I, O>,
    ) -> Starting<'a, Result<Vec<O>, StartError>> {
        Box::pin(self.step(slots, inputs, step))
    }

    fn block<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Starting<'_, io::Result<T>> {
        Box::pin(async move {
            match self.0.first() {
                Some(seat) => seat.worker.spawn_blocking(work).await.map_err(io::Error::other),
                None => Ok(work()),
            }
        })
    }
}

impl OnThreads<'_> {
    async fn step<I: Send + 'static, O: Send + 'static>(
        &mut self,
        slots: &[Slot],
        inputs: Vec<I>,
        step: StartStep<I, O>,
    ) -> Result<Vec<O>, StartError> {
        let mut running = Vec::new();
        for ((slot, seat), input) in slots.iter().zip(self.0).zip(inputs) {
            let options = slot.open.clone();
            running.push(seat.worker.spawn_blocking(move || step(&options, input)));
        }
        let (mut done, mut failed) = (Vec::new(), None);
        for (slot, running) in slots.iter().zip(running) {
            let ended = running.await.unwrap_or_else(|error| {
                let (module, partition) = (slot.shared.module.to_owned(), slot.shared.partition);
                Err(StartError::Partition { module, partition, message: error.to_string() })
            });
            match ended {
                Ok(output) => done.push(output),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let Some(error) = failed else { return Ok(done) };
        // To take back what was done is work for a thread that may block.
        let _ = self.block(move || drop(done)).await;
        Err(error)
    }
}
