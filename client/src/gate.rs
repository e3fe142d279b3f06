//! Admission: a mailbox is bounded by bytes, and fair to those who wait.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// The entrance to one partition's mailbox. Bytes that wait are counted; who finds it full waits in
/// the order of arrival.
#[derive(Clone, Debug)]
pub struct Gate {
    room: Arc<Semaphore>,
    bytes_max: u32,
}

/// Bytes that were let in. Dropping it gives the room back.
#[derive(Debug)]
pub struct Admission {
    permit: OwnedSemaphorePermit,
}

impl Admission {
    /// Adds the bytes of `other`, which the same gate has let in. Both are given back together.
    pub fn merge(&mut self, other: Self) {
        self.permit.merge(other.permit);
    }
}

/// Why a gate did not let bytes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The mailbox is full.
    Full,
    /// The partition takes nothing any more.
    Closed,
}

impl Gate {
    /// A gate that lets in `bytes_max` bytes at a time.
    pub fn new(bytes_max: u32) -> Self {
        Self { room: Arc::new(Semaphore::new(bytes_max as usize)), bytes_max }
    }

    /// Waits for room for `bytes`. More than the whole mailbox holds counts as all of it, so that a
    /// large batch gets in when the mailbox is empty.
    ///
    /// # Errors
    /// [`Refused::Closed`] once the gate is closed.
    pub async fn enter(&self, bytes: usize) -> Result<Admission, Refused> {
        // Room at once is the common case. This does not overtake who waits: room that is given
        // back goes to them first.
        match self.try_enter(bytes) {
            Err(Refused::Full) => {}
            settled => return settled,
        }
        let room = Arc::clone(&self.room);
        match room.acquire_many_owned(self.charge(bytes)).await {
            Ok(permit) => Ok(Admission { permit }),
            Err(_) => Err(Refused::Closed),
        }
    }

    /// Like [`Gate::enter`], but refuses instead of waiting.
    ///
    /// # Errors
    /// [`Refused::Full`] or [`Refused::Closed`].
    pub fn try_enter(&self, bytes: usize) -> Result<Admission, Refused> {
        match Arc::clone(&self.room).try_acquire_many_owned(self.charge(bytes)) {
            Ok(permit) => Ok(Admission { permit }),
            Err(TryAcquireError::NoPermits) => Err(Refused::Full),
            Err(TryAcquireError::Closed) => Err(Refused::Closed),
        }
    }

    /// Lets nobody in any more.
    pub fn close(&self) {
        self.room.close();
    }

    fn charge(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.bytes_max)
    }
}
