//! What handlers say to appenders, on its way into receipts: from the live flow, and from a replay.

use gridmill_client::{BatchReceipt, Encoded, Rejection, Reply};
use gridmill_persistence::Position;

use crate::module::Plan;
use crate::topology::Refusal;

use super::core::ItemAnswers;

/// What a handler said in a replay to an appender that still waits.
pub(crate) struct RecoveredAnswer {
    /// The record's position.
    pub(crate) position: Position,
    pub(crate) topology: usize,
    pub(crate) what: AnswerBody,
}

pub(crate) enum AnswerBody {
    Reply(Encoded),
    Refusal(Refusal),
    Quarantined(String),
}

/// Enters what handlers said into the receipt of their events.
pub(crate) fn complete(plan: &Plan, receipt: &mut BatchReceipt, answers: ItemAnswers) {
    for (topology, answers) in answers.topologies {
        let name = plan.topologies[topology].name;
        for (index, value) in answers.replies {
            receipt.replies.push((index, Reply { topology: name.to_owned(), value }));
        }
        for (index, refusal) in answers.refusals {
            receipt.rejections.push((
                index,
                Rejection {
                    topology: name.to_owned(),
                    message: refusal.message,
                    error: refusal.error,
                    quarantined: false,
                },
            ));
        }
    }
    for (index, topology, message) in answers.quarantined {
        let topology = plan.topologies[topology].name.to_owned();
        let rejection = Rejection { topology, message, error: None, quarantined: true };
        receipt.rejections.push((index, rejection));
    }
}

/// Enters what handlers said in a replay about the events of a receipt, of those from `from` on.
pub(crate) fn hear(
    plan: &Plan,
    receipt: &mut BatchReceipt,
    said: &[RecoveredAnswer],
    from: Position,
) {
    let first = Position::from_bits(receipt.first_position).number();
    for RecoveredAnswer { position, topology, what } in
        said.iter().filter(|said| said.position >= from)
    {
        let index = position.number().wrapping_sub(first);
        if index >= receipt.count {
            continue;
        }
        // A submission has far less than 2^32 records.
        let index = index as u32;
        let topology = plan.topologies[*topology].name.to_owned();
        let rejection = |message: &str, error: Option<&Encoded>, quarantined| Rejection {
            topology: topology.clone(),
            message: message.to_owned(),
            error: error.cloned(),
            quarantined,
        };
        match what {
            AnswerBody::Reply(value) => {
                let value = value.clone();
                receipt.replies.push((index, Reply { topology, value }));
            }
            AnswerBody::Refusal(Refusal { message, error }) => {
                receipt.rejections.push((index, rejection(message, error.as_ref(), false)));
            }
            AnswerBody::Quarantined(message) => {
                receipt.rejections.push((index, rejection(message, None, true)));
            }
        }
    }
}
