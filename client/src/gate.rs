//! Admission: a mailbox is bounded by bytes, and fair to those who wait.
//!
//! The semaphore behind it belongs to no runtime: one that takes part in a runtime's budget for a
//! task, as tokio's does, is polled again and again where one task waits for many appends.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use parking_lot::{Mutex, MutexGuard};

use crate::engine::once;

/// The entrance to one partition's mailbox. Bytes that wait are counted; who finds it full waits in
/// the order of arrival.
#[derive(Clone, Debug)]
pub struct Gate {
    room: Arc<Room>,
    bytes_max: u32,
}

/// Bytes that were let in. Dropping it gives the room back.
#[derive(Debug)]
pub struct Admission {
    room: Arc<Room>,
    bytes: u32,
}

impl Admission {
    /// Adds the bytes of `other`, which the same gate has let in. Both are given back together.
    ///
    /// # Panics
    /// Where another gate has let `other` in.
    pub fn merge(&mut self, mut other: Self) {
        assert!(Arc::ptr_eq(&self.room, &other.room), "both have passed the same gate");
        // All that a gate lets in at a time fits into 32 bits.
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.room.give_back(self.bytes);
        }
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
        let free = AtomicU64::new(u64::from(bytes_max) * BYTE);
        Self { room: Arc::new(Room { free, queue: Mutex::default() }), bytes_max }
    }

    /// Waits for room for `bytes`. More than the whole mailbox holds counts as all of it, so that a
    /// large batch gets in when the mailbox is empty.
    ///
    /// # Errors
    /// [`Refused::Closed`] once the gate is closed.
    ///
    /// # Cancellation
    /// Dropping the future leaves the queue; those behind move up.
    pub async fn enter(&self, bytes: usize) -> Result<Admission, Refused> {
        // Room at once is the common case. This does not overtake who waits.
        match self.try_enter(bytes) {
            Err(Refused::Full) => Room::queue_up(&self.room, self.charge(bytes))?.await,
            settled => settled,
        }
    }

    /// Like [`Gate::enter`], but refuses instead of waiting.
    ///
    /// # Errors
    /// [`Refused::Full`], also while others wait for room, or [`Refused::Closed`].
    pub fn try_enter(&self, bytes: usize) -> Result<Admission, Refused> {
        let bytes = self.charge(bytes);
        self.room.take(bytes, false)?;
        Ok(Admission { room: Arc::clone(&self.room), bytes })
    }

    /// Lets nobody in any more. Who waits is refused.
    pub fn close(&self) {
        self.room.close();
    }

    /// Whether nobody is let in any more.
    pub fn is_closed(&self) -> bool {
        self.room.free.load(Ordering::Acquire) & CLOSED != 0
    }

    fn charge(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.bytes_max)
    }
}

/// Set in [`Room::free`] while somebody waits: nobody is let in beside the queue.
const QUEUED: u64 = 1;

/// Set in [`Room::free`] once nobody is let in any more.
const CLOSED: u64 = 2;

/// What a byte counts in [`Room::free`].
const BYTE: u64 = 4;

/// What is free, and who waits for it.
#[derive(Debug)]
struct Room {
    /// Free bytes times [`BYTE`], with the flags. They are one number, so that who gives bytes back
    /// either is seen by whoever queues up, or sees that there is a queue.
    free: AtomicU64,
    /// Flags change under its lock only, but for [`CLOSED`].
    queue: Mutex<Queue>,
}

/// Who waits, by number in the order of arrival.
#[derive(Debug, Default)]
struct Queue {
    waiting: BTreeMap<u64, Waiting>,
    arrived: u64,
}

#[derive(Debug)]
struct Waiting {
    bytes: u32,
    admit: once::Sender<Admission>,
}

impl Room {
    /// Takes bytes if they are free; for the queue itself, or where nobody waits.
    fn take(&self, bytes: u32, for_queue: bool) -> Result<(), Refused> {
        let wanted = u64::from(bytes) * BYTE;
        let mut free = self.free.load(Ordering::Acquire);
        loop {
            if free & CLOSED != 0 {
                return Err(Refused::Closed);
            }
            if free < wanted || (free & QUEUED != 0 && !for_queue) {
                return Err(Refused::Full);
            }
            let taken = self.free.compare_exchange_weak(
                free,
                free - wanted,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match taken {
                Ok(_) => return Ok(()),
                Err(now) => free = now,
            }
        }
    }

    fn give_back(self: &Arc<Self>, bytes: u32) {
        let before = self.free.fetch_add(u64::from(bytes) * BYTE, Ordering::AcqRel);
        if before & QUEUED != 0 {
            self.admit(self.queue.lock());
        }
    }

    fn queue_up(self: &Arc<Self>, bytes: u32) -> Result<Turn, Refused> {
        let (admit, admitted) = once::channel();
        let mut queue = self.queue.lock();
        if self.free.fetch_or(QUEUED, Ordering::AcqRel) & CLOSED != 0 {
            return Err(Refused::Closed);
        }
        let number = queue.arrived;
        queue.arrived += 1;
        queue.waiting.insert(number, Waiting { bytes, admit });
        // Room may have been given back since it was found full.
        self.admit(queue);
        Ok(Turn { room: Arc::clone(self), number, admitted, over: false })
    }

    /// Lets in who is next, as far as there is room.
    fn admit(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>) {
        let mut next = Vec::new();
        while let Some(first) = queue.waiting.first_entry()
            && self.take(first.get().bytes, true).is_ok()
        {
            next.push(first.remove());
        }
        if queue.waiting.is_empty() {
            self.free.fetch_and(!QUEUED, Ordering::AcqRel);
        }
        // Wakers are code of others, and who has given up meanwhile gives the room back.
        drop(queue);
        for Waiting { bytes, admit } in next {
            let _ = admit.send(Admission { room: Arc::clone(self), bytes });
        }
    }

    fn leave(self: &Arc<Self>, number: u64) {
        let mut queue = self.queue.lock();
        let left = queue.waiting.remove(&number);
        // Those behind may need less.
        self.admit(queue);
        drop(left);
    }

    fn close(&self) {
        self.free.fetch_or(CLOSED, Ordering::AcqRel);
        let waiting = std::mem::take(&mut self.queue.lock().waiting);
        drop(waiting);
    }
}

/// A place in the queue. It resolves when its turn has come.
#[derive(Debug)]
struct Turn {
    room: Arc<Room>,
    number: u64,
    admitted: once::Receiver<Admission>,
    over: bool,
}

impl Future for Turn {
    type Output = Result<Admission, Refused>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let admitted = ready!(Pin::new(&mut self.admitted).poll(context));
        self.over = true;
        // Only a gate that closes lets go of who waits.
        Poll::Ready(admitted.map_err(|_| Refused::Closed))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.over {
            self.room.leave(self.number);
        }
    }
}
