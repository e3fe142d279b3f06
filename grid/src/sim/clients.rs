//! What clients do: send, read, and look after the quarantine.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use gridmill_client::engine::once;
use gridmill_client::{Ack, AppendErrorKind, Client, ReadError};

use crate::machine::control::Retry;
use crate::model::path::Navigate;
use crate::shell::partition::shared::Shared;
use crate::shell::partition::{Msg, QuarantineCommand};

use super::asking;
use super::choices::Choices;
use super::ledger::{COUNTS, LISTS, OPS, Op};
use super::oracle::Oracle;
use super::passing;
use super::tasks::pause;
use super::watching::Observers;

/// Keys that events are about.
pub(super) const KEYS: u64 = 12;

/// What all clients of a run share.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) client: Client,
    pub(super) oracle: Rc<RefCell<Oracle>>,
    /// What is known of events about which the outside is asked.
    pub(super) asks: Rc<RefCell<Oracle>>,
    /// What watches.
    pub(super) observers: Observers,
}

/// Appends `count` events, each after the answer to the one before.
pub(super) async fn send(common: Common, mut choices: Choices, sender: u64, count: u64) {
    for number in 0..count {
        let op = Op::new(choices.below(KEYS as usize) as u64, sender << 32 | number);
        let ack = if choices.once_in(4) { Ack::Appended } else { Ack::Processed };
        if choices.once_in(8) {
            asking::send(&common, &op, ack).await;
            continue;
        }
        common.oracle.borrow_mut().sends(op.id);
        let answer = common.client.append_with(OPS, op.clone(), ack).await;
        let logged = common.oracle.borrow_mut().answered(&op, &answer);
        if let Err(error) = &answer
            && let AppendErrorKind::Rejected(_) = error.kind
            && ack == Ack::Appended
        {
            let text = format!("event {:x} was rejected, and only its log was waited for", op.id);
            common.oracle.borrow_mut().wrong(text);
        }
        if ack == Ack::Processed
            && let Ok(receipt) = &answer
        {
            common.oracle.borrow_mut().processed(&op, receipt);
        }
        if logged && ack == Ack::Processed {
            read_own(&common, &op).await;
            read_sent(&common, &op).await;
        }
        if choices.once_in(3) {
            pause().await;
        }
    }
}

/// What was processed is visible, once.
pub(super) async fn read_own(common: &Common, op: &Op) {
    let Ok(list) = read(common, op.key).await else { return };
    let times = list.iter().filter(|&&id| id == op.id).count();
    if times != 1 {
        let text = format!("event {:x} was processed and is {times} times in its view", op.id);
        common.oracle.borrow_mut().wrong(text);
    }
}

/// All that it led to is visible, once.
pub(super) async fn read_sent(common: &Common, op: &Op) {
    let mut arrived = BTreeMap::new();
    for bucket in 0..passing::BUCKETS {
        let Ok(list) = common.client.select_one(passing::ARRIVED.key(bucket)).await else { return };
        arrived.insert(bucket, list.iter().flat_map(|list| list.iter().copied()).collect());
    }
    let may_be_more = common.oracle.borrow().may_have_more_sent;
    if let Err(wrong) = passing::is_complete(op.id, &arrived, may_be_more) {
        common.oracle.borrow_mut().wrong(format!("after its append was processed, {wrong}"));
    }
}

async fn read(common: &Common, key: u64) -> Result<Vec<u64>, ReadError> {
    let list = common.client.select_one(LISTS.key(key)).await?;
    let list: Vec<u64> = list.map(|list| list.iter().copied().collect()).unwrap_or_default();
    common.oracle.borrow_mut().sees(key, &list);
    Ok(list)
}

/// Appends several events at once, again and again.
pub(super) async fn send_many(common: Common, mut choices: Choices, sender: u64, count: u64) {
    let mut number = 0;
    while number < count {
        let many = 1 + choices.below(6) as u64;
        let ops: Vec<Op> = (number..number + many)
            .map(|number| Op::new(choices.below(KEYS as usize) as u64, sender << 32 | number))
            .collect();
        number += many;
        let (depot, oracle) = match choices.once_in(2) {
            true => (asking::ASKS, &common.asks),
            false => (OPS, &common.oracle),
        };
        ops.iter().for_each(|op| oracle.borrow_mut().sends(op.id));
        // Whatever it answers, each of them is in the log once or not at all.
        let _ = common.client.append_many(depot, ops).await;
        pause().await;
    }
}

/// Appends several events, each before the answers to those before it: they are logged in this order.
pub(super) async fn send_at_once(common: Common, mut choices: Choices, sender: u64, count: u64) {
    let mut number = 0;
    while number < count {
        let many = 2 + choices.below(5) as u64;
        let key = choices.below(KEYS as usize) as u64;
        let ops: Vec<Op> =
            (number..number + many).map(|number| Op::new(key, sender << 32 | number)).collect();
        number += many;
        ops.iter().for_each(|op| common.oracle.borrow_mut().sends(op.id));
        let append = |op: &Op| common.client.append_with(OPS, op.clone(), Ack::Appended);
        let mut open: Vec<_> = ops.iter().map(|op| (op, Box::pin(append(op)))).collect();
        // The first poll of each sends it.
        poll_fn(|context| {
            open.retain_mut(|(op, answer)| match answer.as_mut().poll(context) {
                Poll::Ready(answer) => {
                    common.oracle.borrow_mut().answered(op, &answer);
                    false
                }
                Poll::Pending => true,
            });
            if open.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        pause().await;
    }
}

/// Reads one key after the other.
pub(super) async fn watch(common: Common, mut choices: Choices, times: u64) {
    for _ in 0..times {
        let key = choices.below(KEYS as usize) as u64;
        let before = common.client.select_one(COUNTS.key(key)).await;
        let list = read(&common, key).await;
        // The list was read after the count, and both only grow.
        if let (Ok(count), Ok(list)) = (before, list)
            && count.unwrap_or(0) > list.len() as u64
        {
            let text =
                format!("key {key} has {count:?} in its count and {} in its list", list.len());
            common.oracle.borrow_mut().wrong(text);
        }
        pause().await;
    }
}

/// Handles records in quarantine again, or forgets them.
pub(super) async fn mend(partitions: Vec<Arc<Shared>>, mut choices: Choices, times: u64) {
    for _ in 0..times {
        let shared = &partitions[choices.below(partitions.len())];
        let held = Arc::clone(&shared.published.view().quarantine);
        if !held.is_empty() {
            let verdict = &held[choices.below(held.len())];
            let retry = Retry {
                topology: verdict.topology.clone(),
                position: verdict.position,
                depot: verdict.depot.clone(),
                offset: verdict.offset,
            };
            let (done, answer) = once::channel();
            let discard = choices.once_in(4);
            shared.send(Msg::Quarantined(QuarantineCommand { retry, discard, done: Some(done) }));
            // Whatever it says, the log tells what became of it.
            let _ = answer.await;
        }
        pause().await;
    }
}
