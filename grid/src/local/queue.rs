//! What an append leads to, beside what it does itself: records of stages, and calls.

use std::collections::VecDeque;

use gridmill_client::AppendErrorKind;
use gridmill_persistence::Position;
use parking_lot::MutexGuard;

use crate::machine::answers::{LaterAnswers, later};
use crate::machine::core::ItemAnswers;
use crate::module::Plan;
use crate::topology::{CallResult, Effects, Emit, OpenedCall};

use super::machine::Machine;

/// How many records of stages one append may lead to.
const STEPS_MAX: usize = 1_000_000;

/// A record that was sent, with the number of the event that led to it.
pub(super) struct Sent {
    pub(super) emit: Emit,
    pub(super) bytes: Vec<u8>,
    pub(super) event: u32,
}

/// All partitions, behind their lock.
pub(super) type Machines<'a> = MutexGuard<'a, Vec<Machine>>;

/// A call that was opened and not made yet.
pub(super) struct PendingCall {
    pub(super) machine: usize,
    pub(super) call: OpenedCall,
    /// The number of the event that led to it.
    pub(super) event: u32,
}

/// What a call came to.
pub(super) struct CallEnd<'a> {
    pub(super) pending: &'a PendingCall,
    pub(super) result: CallResult,
    pub(super) attempts: u32,
}

/// The number of no event: nobody waits for what timers lead to.
pub(super) const NO_EVENT: u32 = u32::MAX;

/// Records that were sent and are not handled yet.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) sent: VecDeque<Sent>,
    pub(super) calls: Vec<PendingCall>,
    /// How many there have been.
    pub(super) steps: usize,
}

impl Queue {
    /// Adds what a step on a machine sent and opened.
    pub(super) fn extend(
        &mut self,
        machine: usize,
        effects: &Effects,
        event_of: impl Fn(Position) -> u32,
    ) {
        self.calls.extend(effects.opened_calls().iter().map(|&call| PendingCall {
            machine,
            call,
            event: event_of(call.position),
        }));
        self.sent.extend(effects.iter().map(|(emit, bytes)| {
            let (emit, bytes, event) = (*emit, bytes.to_vec(), event_of(emit.cause));
            Sent { emit, bytes, event }
        }));
    }

    /// Handles all of them, and what they lead to, in the order in which they were sent.
    pub(super) fn run(
        &mut self,
        plan: &Plan,
        machines: &mut [Machine],
        time: i64,
        said: &mut LaterAnswers,
    ) -> Result<(), AppendErrorKind> {
        while let Some(Sent { emit, bytes, event }) = self.sent.pop_front() {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                let reason = format!(
                    "an append, or a timer, led to more than {STEPS_MAX} records in stages: a stage that sends to itself \
                     has to come to an end"
                );
                return Err(AppendErrorKind::Unknown { reason });
            }
            let target = emit.target as usize;
            let record = (emit.variant, &bytes[..]);
            let received = machines[target].receive(plan, emit.depot, record, None, time)?;
            let (answers, effects) = received;
            self.extend(target, &effects, |_| event);
            answers.into_iter().for_each(|one| self.say(plan, (emit.depot, event), one, said));
        }
        Ok(())
    }

    /// Keeps what handlers said about a record of a depot, to the event that led to it.
    pub(super) fn say(
        &self,
        plan: &Plan,
        (depot, event): (usize, u32),
        answers: ItemAnswers,
        said: &mut LaterAnswers,
    ) {
        if event != NO_EVENT {
            later(plan, depot, answers).for_each(|(_, answer)| said.add(plan, event, answer));
        }
    }

    /// Lets timers go that are due at `time`.
    pub(super) fn fire(
        &mut self,
        machines: &mut [Machine],
        time: i64,
    ) -> Result<(), AppendErrorKind> {
        for (number, machine) in machines.iter_mut().enumerate() {
            while let Some(effects) = machine.fire(time)? {
                self.extend(number, &effects, |_| NO_EVENT);
            }
        }
        Ok(())
    }
}
