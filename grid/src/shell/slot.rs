//! One partition, from the start of its grid to its end: what it takes to open it, as often as it has to be.

use std::sync::Arc;

use gridmill_persistence::HowStopped;

use crate::error::StartError;
use crate::machine::open::{OpenOptions, Opened, open};

use super::partition::ActorOptions;
use super::partition::counters::Counters;
use super::partition::shared::Shared;

/// All that it takes to open and run a partition.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) shared: Arc<Shared>,
    pub(crate) open: OpenOptions,
    pub(crate) options: ActorOptions,
}

impl Slot {
    /// Opens the folder once more, after the life before has ended. May block.
    pub(crate) fn open_again(&self) -> Result<Opened, StartError> {
        Counters::add(&self.shared.counters.restarts, 1);
        let waiting_from = self.shared.commits.waiting_from();
        open(&OpenOptions { waiting_from, ..self.open.clone() })
    }

    /// Notes what opening it has found.
    pub(crate) fn note_opened(&self, opened: &Opened) {
        Counters::add(&self.shared.counters.replayed, opened.replayed);
        self.shared.life.note_recovery(self.report(&opened.how));
    }

    /// Says how the log had been stopped; a cut tail is worth a warning although nothing acknowledged
    /// was in it.
    fn report(&self, how: &HowStopped) -> String {
        let (module, partition) = (self.shared.module, self.shared.partition);
        match how {
            HowStopped::New => "new".to_owned(),
            HowStopped::Clean => "clean".to_owned(),
            HowStopped::Unclean => "unclean".to_owned(),
            HowStopped::TornTail { file, offset, bytes_lost } => {
                let file = file.display().to_string();
                tracing::warn!(module, partition, %file, offset, bytes_lost, "a torn tail was cut");
                format!("a torn tail of {bytes_lost} bytes was cut from {file} at byte {offset}")
            }
        }
    }

    /// The partition is given up: nothing of what waits is known, and nothing more is taken.
    pub(crate) fn give_up(&self, reason: &str) {
        self.shared.give_up(reason);
    }
}
