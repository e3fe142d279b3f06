//! Who waits for the records of one item of a batch.

use std::sync::Arc;

use gridmill_client::AppendErrorKind;
use gridmill_persistence::Position;

use crate::machine::answers::RecoveredAnswer;
use crate::machine::core::ItemAnswers;
use crate::module::Plan;

use super::callers::Callers;
use super::senders::Senders;
use super::tree::Token;

/// Clients that appended the records, or partitions that sent them.
#[derive(Debug)]
pub(crate) enum Waiting {
    Callers(Callers),
    Senders(Senders),
}

impl Waiting {
    /// The position of the first record.
    pub(crate) fn first_position(&self) -> Position {
        match self {
            Self::Callers(callers) => callers.first_position(),
            Self::Senders(senders) => senders.first_position(),
        }
    }

    /// Passes on what handlers said.
    pub(crate) fn say(&mut self, plan: &Plan, answers: ItemAnswers) {
        match self {
            Self::Callers(callers) => callers.say(plan, answers),
            Self::Senders(senders) => senders.say(plan, answers),
        }
    }

    /// For what the record at `cause`, which is one of these, leads to; `None` where nobody waits for it.
    pub(crate) fn token(&mut self, plan: &Arc<Plan>, cause: Position) -> Option<Token> {
        // An item has far less than 2^32 records.
        let index = cause.number().checked_sub(self.first_position().number())? as u32;
        match self {
            Self::Callers(callers) => callers.token(plan, index),
            Self::Senders(senders) => senders.token(index),
        }
    }

    /// The partition restarted: passes on what handlers said in the replay about records from `from` on. Of what
    /// records have led to, one does not know any more how far it is.
    pub(crate) fn recover(&mut self, plan: &Arc<Plan>, said: &[RecoveredAnswer], from: Position) {
        match self {
            Self::Callers(callers) => callers.recover(plan, said, from),
            Self::Senders(senders) => senders.lose(),
        }
    }

    /// Answers those who wait for nothing but the log.
    pub(crate) fn answer_appended(&mut self) {
        if let Self::Callers(callers) = self {
            callers.answer_appended();
        }
    }

    /// The records are handled, and readers see it.
    pub(crate) fn answer(&mut self) {
        match self {
            Self::Callers(callers) => callers.answer(),
            Self::Senders(senders) => senders.finish(),
        }
    }

    /// It went wrong.
    pub(crate) fn fail(&mut self, kind: &AppendErrorKind) {
        match self {
            Self::Callers(callers) => callers.fail(kind),
            Self::Senders(senders) => senders.lose(),
        }
    }
}
