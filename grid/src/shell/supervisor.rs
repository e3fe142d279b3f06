//! Restarting partitions: a partition whose actor died is opened again from its folder.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use gridmill_persistence::HowStopped;
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::runtime::Handle;

use crate::error::StartError;
use crate::partition::open::{OpenOptions, Opened, open};

use super::actor::{ActorOptions, PartitionActor, Start};
use super::shared::{Counters, Shared};

/// How long the first restart waits; each further one in a row waits twice as long.
const BACK_OFF: Duration = Duration::from_millis(20);

/// Restarts in a row before a partition is given up: about ten seconds of trying.
const RESTARTS_MAX: u32 = 10;

/// All that it takes to run a partition.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) shared: Arc<Shared>,
    pub(crate) open: OpenOptions,
    pub(crate) options: ActorOptions,
    pub(crate) worker: Handle,
}

/// Which partition an actor runs, for the events that name actors.
pub(crate) type Slots = Arc<DashMap<ActorId, Slot>>;

/// The actor that is told when a partition's actor ends.
pub(crate) struct Supervisor {
    pub(crate) slots: Slots,
}

impl Actor for Supervisor {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, _: ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<()>,
        event: SupervisionEvent,
        _: &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(actor, error) => {
                if let Some((_, slot)) = self.slots.remove(&actor.get_id()) {
                    let slots = Arc::clone(&self.slots);
                    slot.shared.detach(error.to_string());
                    tokio::spawn(restart(slot, slots, me.get_cell(), error.to_string()));
                }
            }
            SupervisionEvent::ActorTerminated(actor, ..) => {
                if let Some((_, slot)) = self.slots.remove(&actor.get_id()) {
                    slot.shared.detach("the grid has shut down".to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Opens the partition again, waiting longer each time it fails.
async fn restart(slot: Slot, slots: Slots, supervisor: ActorCell, reason: String) {
    let mut reason = reason;
    for attempt in 0..RESTARTS_MAX {
        tokio::time::sleep(BACK_OFF * 2u32.pow(attempt)).await;
        Counters::add(&slot.shared.counters.restarts, 1);
        match open_on_worker(&slot).await {
            Ok(opened) => match run(slot.clone(), opened, &slots, supervisor.clone()).await {
                Ok(()) => return,
                Err(error) => reason = error,
            },
            // Bytes that are not what was written stay so: trying again only keeps callers waiting.
            Err(error) if error.is_damage() => {
                reason = error.to_string();
                break;
            }
            Err(error) => reason = error.to_string(),
        }
        let (module, partition) = (slot.shared.module, slot.shared.partition);
        tracing::error!(module, partition, %reason, "a partition could not be restarted");
        slot.shared.detach(reason.clone());
    }
    slot.shared.detach(reason.clone());
    slot.shared.give_up(&reason);
    slot.shared.flights.abandon(&reason);
    slot.shared.touch();
}

/// Opens a partition's folder, on a thread that may block.
async fn open_on_worker(slot: &Slot) -> Result<Opened, StartError> {
    let waiting_from = slot.shared.flights.waiting_from();
    let options = OpenOptions { waiting_from, ..slot.open.clone() };
    let (module, partition) = (slot.shared.module.to_owned(), slot.shared.partition);
    let opened = slot.worker.spawn_blocking(move || open(&options)).await;
    opened.unwrap_or_else(|error| {
        Err(StartError::Partition { module, partition, message: error.to_string() })
    })
}

/// Starts the actor of a partition that was opened.
pub(crate) async fn run(
    slot: Slot,
    opened: Opened,
    slots: &Slots,
    supervisor: ActorCell,
) -> Result<(), String> {
    let start = Start { slot: slot.clone(), slots: Arc::clone(slots), opened };
    Counters::add(&slot.shared.counters.replayed, start.opened.replayed);
    report(&slot.shared, &start.opened.how);
    let spawned = slot.worker.spawn(async move {
        PartitionActor::spawn_linked(None, PartitionActor, start, supervisor).await
    });
    let spawned = spawned.await.map_err(|error| error.to_string())?;
    spawned.map(|_| ()).map_err(|error| error.to_string())
}

/// Says how the log had been stopped; a cut tail is worth a warning although nothing acknowledged
/// was in it.
fn report(shared: &Shared, how: &HowStopped) {
    let (module, partition) = (shared.module, shared.partition);
    let text = match how {
        HowStopped::New => "new".to_owned(),
        HowStopped::Clean => "clean".to_owned(),
        HowStopped::Unclean => "unclean".to_owned(),
        HowStopped::TornTail { file, offset, bytes_lost } => {
            let file = file.display().to_string();
            tracing::warn!(module, partition, %file, offset, bytes_lost, "a torn tail was cut");
            format!("a torn tail of {bytes_lost} bytes was cut from {file} at byte {offset}")
        }
    };
    *shared.recovery.lock() = text;
}
