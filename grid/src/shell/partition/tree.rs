//! An append and all that it led to: who waits for it is answered when the last of it is done.
//!
//! How much is left is not counted: whatever is still to be done owns a [`Token`], and the last one that goes
//! answers. So no way that the work may take, and no way that it may be lost, leaves a caller without an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gridmill_client::engine::Done;
use gridmill_client::{AppendErrorKind, BatchReceipt};
use parking_lot::Mutex;

use crate::machine::answers::{LaterAnswer, LaterAnswers};
use crate::module::Plan;

/// An append that has sent records.
pub(crate) struct Tree {
    plan: Arc<Plan>,
    answer: Mutex<Answer>,
    /// Something was not done to its end, as far as one knows.
    lost: AtomicBool,
}

#[derive(Default)]
struct Answer {
    /// Who waits, and what is known of the events themselves.
    root: Option<(Done, BatchReceipt)>,
    later: LaterAnswers,
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tree").field("lost", &self.lost).finish_non_exhaustive()
    }
}

impl Tree {
    pub(crate) fn new(plan: &Arc<Plan>) -> Arc<Self> {
        let (answer, lost) = (Mutex::default(), AtomicBool::new(false));
        Arc::new(Self { plan: Arc::clone(plan), answer, lost })
    }

    /// The events themselves are handled and shown; `done` is to be told what is in `receipt` and what came later.
    pub(crate) fn root_done(self: Arc<Self>, done: Done, receipt: BatchReceipt) {
        self.answer.lock().root = Some((done, receipt));
    }

    /// Something that was still to be done, for the event with this index in the append.
    pub(crate) fn token(self: &Arc<Self>, event: u32) -> Token {
        Token { tree: Some(Arc::clone(self)), event }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let Answer { root, later } = std::mem::take(self.answer.get_mut());
        // Without one the events were not answered well, and the caller was told so.
        let Some((done, mut receipt)) = root else { return };
        if self.lost.load(Ordering::Acquire) {
            let reason = "a partition ended before all that the append led to was done; what was acknowledged is \
                          done once, and it is not known what handlers said";
            return done.fail(AppendErrorKind::Unknown { reason: reason.to_owned() }, None);
        }
        match later.enter(&self.plan, &mut receipt) {
            Ok(()) => done.answer(receipt),
            Err(kind) => done.fail(kind, None),
        }
    }
}

/// Part of what an append led to, which is still to be done.
#[derive(Debug)]
pub(crate) struct Token {
    /// Empty once it is done.
    tree: Option<Arc<Tree>>,
    event: u32,
}

impl Token {
    /// For something more that the same event leads to.
    pub(crate) fn another(&self) -> Self {
        Self { tree: self.tree.clone(), event: self.event }
    }

    /// What a handler said on the way.
    pub(crate) fn say(&self, answer: LaterAnswer) {
        if let Some(tree) = &self.tree {
            tree.answer.lock().later.add(&tree.plan, self.event, answer);
        }
    }

    /// It is done, and readers see it.
    pub(crate) fn finish(mut self) {
        self.tree = None;
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if let Some(tree) = &self.tree {
            tree.lost.store(true, Ordering::Release);
        }
    }
}
