//! How a diff is collected: where the comparison stands, and what it has found.

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use smallvec::{SmallVec, smallvec};

use super::{Diff, Edit, Op};
use crate::State;
use crate::path::{MAX_STEPS, Step, Steps};

/// More edits than that are one value in place of another: nobody wants to look at them.
const EDITS_MAX: usize = 1 << 16;

/// Edits of so few bytes are not compared with the size of the value.
const SMALL: usize = 64;

/// Collects the edits of a comparison. For [`State::diff`], which is generated.
#[derive(Debug, Default)]
pub struct DiffOut {
    /// The steps from the value as a whole to what is being compared.
    at: Steps,
    edits: SmallVec<[Edit; 1]>,
    bytes: usize,
    /// Whether only simple edits are made.
    simple: bool,
    /// There are too many edits.
    full: bool,
}

impl DiffOut {
    /// One that makes only simple edits.
    pub(super) fn simple() -> Self {
        Self { simple: true, ..Self::default() }
    }

    pub(super) fn is_simple(&self) -> bool {
        self.simple
    }

    pub(super) fn between<T: State>(mut self, old: Option<&T>, new: Option<&T>) -> Diff {
        let one = |op| Diff(smallvec![Edit { steps: Steps::new(), op }]);
        match (old, new) {
            (None, None) => Diff::default(),
            (Some(_), None) => one(Op::Remove),
            (None, Some(new)) => one(Op::Set(encoded(new))),
            (Some(old), Some(new)) => {
                new.diff(old, &mut self);
                let is_small = self.bytes <= SMALL || takes(new, self.bytes);
                if is_small && !self.full { Diff(self.edits) } else { one(Op::Set(encoded(new))) }
            }
        }
    }

    /// The value here is another one.
    pub fn set<T: State>(&mut self, new: &T) {
        self.push(None, || Op::Set(encoded(new)));
    }

    /// The value that a further step leads to came, or is another one.
    pub fn set_at<T: State>(&mut self, step: Step, new: &T) {
        self.push(Some(step), || Op::Set(encoded(new)));
    }

    /// The value that a further step leads to went.
    pub fn remove_at(&mut self, step: Step) {
        self.push(Some(step), || Op::Remove);
    }

    /// What `op` makes happens where a further step leads to.
    pub(super) fn op_at(&mut self, step: Step, op: impl FnOnce() -> Op) {
        self.push(Some(step), op);
    }

    /// Compares what a further step leads to.
    pub fn inside<T: State>(&mut self, step: Step, old: &T, new: &T) {
        if !new.is_same(old) {
            self.behind(step, |out| new.diff(old, out));
        }
    }

    /// Has parts compared behind a further step.
    pub fn behind(&mut self, step: Step, compare: impl FnOnce(&mut Self)) {
        if !self.full {
            self.at.push(step);
            compare(self);
            self.at.pop();
        }
    }

    fn push(&mut self, step: Option<Step>, op: impl FnOnce() -> Op) {
        let length = self.at.len() + usize::from(step.is_some());
        self.full |= self.edits.len() == EDITS_MAX || length > MAX_STEPS;
        if self.full {
            return;
        }
        let mut steps = self.at.clone();
        steps.extend(step);
        let edit = Edit { steps, op: op() };
        self.bytes += edit.bytes();
        self.edits.push(edit);
    }
}

impl Edit {
    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let keys = self.steps.iter().map(|step| match step {
            Step::Key(key) | Step::Must(key) | Step::MapKey(key) | Step::Elem(key) => 2 + key.len(),
            _ => 3,
        });
        let op = match &self.op {
            Op::Set(bytes) | Op::Insert(bytes) | Op::Rename(bytes) | Op::Splice(bytes) => {
                2 + bytes.len()
            }
            Op::Remove | Op::Move(_) => 3,
        };
        1 + keys.sum::<usize>() + op
    }
}

/// Encoding fails only if a hand-written `Serialize` does; reading the empty bytes back is then the typed error.
pub(super) fn encoded<T: Serialize + ?Sized>(value: &T) -> Box<[u8]> {
    postcard::to_allocvec(value).unwrap_or_default().into_boxed_slice()
}

/// Whether the encoded value takes at least `bytes` bytes. It is looked at as far as that takes.
fn takes<T: Serialize>(value: &T, bytes: usize) -> bool {
    postcard::serialize_with_flavor(value, Room(bytes)).is_err()
}

/// Counts bytes down, and refuses what is more.
struct Room(usize);

impl Flavor for Room {
    type Output = ();

    fn try_push(&mut self, _: u8) -> postcard::Result<()> {
        self.try_extend(&[0])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        let left = self.0.checked_sub(bytes.len()).filter(|left| *left > 0);
        self.0 = left.ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Whether two values differ to who watches. For [`State::diff`], which is generated.
#[doc(hidden)]
pub fn differ<T: State>(old: &T, new: &T) -> bool {
    !unchanged(old, new)
}

/// Whether two values are the same to who watches: equal, or of the same bits.
pub(crate) fn unchanged<T: State>(old: &T, new: &T) -> bool {
    std::ptr::eq(old, new) || new.is_same(old) || (T::REFLEXIVE && new == old)
}
