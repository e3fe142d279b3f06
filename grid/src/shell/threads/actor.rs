//! The partition's actor: it carries messages to the partition, one at a time.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::machine::open::Opened;
use crate::shell::host::Host;
use crate::shell::partition::{Msg, Partition};

use super::Threads;
use super::busy_wait::busy_wait;
use super::supervisor::{Seat, Seats};

/// The actor itself; all it has is its state.
pub(crate) struct PartitionActor;

/// What an actor starts from.
pub(crate) struct Start {
    pub(crate) seat: Seat,
    /// Where it enters itself, so that its supervisor knows what to start again.
    pub(crate) seats: Seats,
    pub(crate) opened: Opened,
}

impl Actor for PartitionActor {
    type Msg = Msg;
    /// `None` once it has stopped cleanly.
    type State = Option<Partition>;
    type Arguments = Start;

    async fn pre_start(
        &self,
        me: ActorRef<Msg>,
        start: Start,
    ) -> Result<Option<Partition>, ActorProcessingErr> {
        let Start { seat, seats, opened } = start;
        let (shared, options) = (Arc::clone(&seat.slot.shared), seat.slot.options.clone());
        let host: Arc<dyn Host> = Arc::new(Threads::of(me.clone(), options.calls_on.clone()));
        let partition = Partition::begin(shared, options, opened, Arc::clone(&host));
        let partition = partition.map_err(|fatal| fatal.to_string())?;
        // Before the first message: from then on it may die, and nobody may find it missing.
        seats.insert(me.get_id(), seat);
        partition.shared().attach(host);
        Ok(Some(partition))
    }

    async fn handle(
        &self,
        me: ActorRef<Msg>,
        message: Msg,
        state: &mut Option<Partition>,
    ) -> Result<(), ActorProcessingErr> {
        let Some(partition) = state else { return Ok(()) };
        if let Err(fatal) = partition.handle(message) {
            let (module, number) = (partition.shared().module, partition.shared().partition);
            tracing::error!(module, partition = number, error = %fatal, "a partition stops");
            // Its threads must have let go of the folder before the supervisor opens it again.
            *state = None;
            return Err(fatal.to_string().into());
        }
        if partition.is_busy_wait_due() {
            busy_wait(partition.shared()).await;
        }
        if partition.may_stop()
            && let Some(partition) = state.take()
        {
            partition.stop_cleanly();
            me.stop(None);
        }
        Ok(())
    }
}
