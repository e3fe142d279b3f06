//! Restarting partitions: a partition whose actor died is opened again from its folder.

use std::sync::Arc;

use dashmap::DashMap;
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::runtime::Handle;

use crate::error::StartError;
use crate::machine::open::Opened;

use super::actor::{PartitionActor, Start};
use crate::shell::restarts::Restarts;
use crate::shell::slot::Slot;

/// A partition, and the thread that it is pinned to.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) slot: Slot,
    pub(crate) worker: Handle,
}

/// Which partition an actor runs, for the events that name actors.
pub(crate) type Seats = Arc<DashMap<ActorId, Seat>>;

/// The actor that is told when a partition's actor ends.
pub(crate) struct Supervisor {
    pub(crate) seats: Seats,
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
                if let Some((_, seat)) = self.seats.remove(&actor.get_id()) {
                    let seats = Arc::clone(&self.seats);
                    seat.slot.shared.detach(error.to_string());
                    tokio::spawn(restart(seat, seats, me.get_cell()));
                }
            }
            SupervisionEvent::ActorTerminated(actor, ..) => {
                if let Some((_, seat)) = self.seats.remove(&actor.get_id()) {
                    seat.slot.shared.detach("the grid has shut down".to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Opens the partition again, waiting longer each time it fails.
async fn restart(seat: Seat, seats: Seats, supervisor: ActorCell) {
    let mut restarts = Restarts::default();
    loop {
        tokio::time::sleep(restarts.delay()).await;
        let (is_final, reason) = match open_on_worker(&seat).await {
            Ok(opened) => match run(seat.clone(), opened, &seats, supervisor.clone()).await {
                Ok(()) => return,
                Err(error) => (false, error),
            },
            Err(error) => (error.is_final(), error.to_string()),
        };
        if !restarts.go_on(is_final) {
            return seat.slot.give_up(&reason);
        }
        let (module, partition) = (seat.slot.shared.module, seat.slot.shared.partition);
        tracing::error!(module, partition, %reason, "a partition could not be restarted");
        seat.slot.shared.detach(reason.clone());
    }
}

/// Opens a partition's folder, on a thread that may block.
async fn open_on_worker(seat: &Seat) -> Result<Opened, StartError> {
    let slot = seat.slot.clone();
    let (module, partition) = (slot.shared.module.to_owned(), slot.shared.partition);
    let opened = seat.worker.spawn_blocking(move || slot.open_again()).await;
    opened.unwrap_or_else(|error| {
        Err(StartError::Partition { module, partition, message: error.to_string() })
    })
}

/// Starts the actor of a partition that was opened.
pub(crate) async fn run(
    seat: Seat,
    opened: Opened,
    seats: &Seats,
    supervisor: ActorCell,
) -> Result<(), String> {
    seat.slot.note_opened(&opened);
    let worker = seat.worker.clone();
    let start = Start { seat, seats: Arc::clone(seats), opened };
    let spawned = worker.spawn(async move {
        PartitionActor::spawn_linked(None, PartitionActor, start, supervisor).await
    });
    let spawned = spawned.await.map_err(|error| error.to_string())?;
    spawned.map(|_| ()).map_err(|error| error.to_string())
}
