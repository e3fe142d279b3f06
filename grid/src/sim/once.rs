//! Appends with ids of their own, tried again and again: also by later lives of the process.

use std::cell::RefCell;
use std::rc::Rc;

use gridmill_client::{AppendErrorKind, Repeated};

use crate::model::prelude::*;

use super::choices::Choices;
use super::clients::{Common, KEYS, read_own, read_sent};
use super::ledger::{OPS, Op};
use super::tasks::pause;

/// Marks the ids of events that are appended with an id of their own: they may be logged long after others of their
/// sender.
const ONCE: u64 = 1 << 31;

/// Events that were appended with an id, in this life or in one before.
pub(super) type Tried = Rc<RefCell<Vec<Op>>>;

/// Whether an event was appended with an id of its own.
pub(super) fn is_once(id: u64) -> bool {
    id & ONCE != 0
}

/// Appends new events and such that were tried before, each until it is known what became of it, or for so long.
pub(super) async fn send_once(
    common: Common,
    tried: Tried,
    mut choices: Choices,
    sender: u64,
    count: u64,
) {
    for number in 0..count {
        let known = tried.borrow().len();
        let op = if known > 0 && choices.once_in(2) {
            tried.borrow()[choices.below(known)].clone()
        } else {
            let op = Op::new(choices.below(KEYS as usize) as u64, sender << 32 | ONCE | number);
            common.oracle.borrow_mut().sends(op.id);
            tried.borrow_mut().push(op.clone());
            op
        };
        for _ in 0..3 {
            if append_once(&common, &op).await {
                break;
            }
            pause().await;
        }
        if choices.once_in(3) {
            pause().await;
        }
    }
}

/// Whether it is known to be in the log.
async fn append_once(common: &Common, op: &Op) -> bool {
    let id = Uuid::from_u128(u128::from(op.id));
    let answer = common.client.append_once(OPS, id, op.clone()).await;
    common.oracle.borrow_mut().answered_once(op, &answer);
    match answer {
        Ok(receipt) => {
            // What handlers said before a restart is not known: it may be that they refused.
            if receipt.repeated != Some(Repeated::BeforeRestart) {
                common.oracle.borrow_mut().processed(op, &receipt);
                read_own(common, op).await;
                read_sent(common, op).await;
            }
            true
        }
        Err(error) => matches!(error.kind, AppendErrorKind::Rejected(_)),
    }
}
