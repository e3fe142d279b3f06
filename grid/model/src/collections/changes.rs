//! What changed in collections: of one that changed, only what it does not share is looked at.

use super::list::Repr;
use super::{List, Set};
use crate::diff::{self, DiffOut};
use crate::{Key, State};

pub(super) fn list<T: State>(old: &List<T>, new: &List<T>, out: &mut DiffOut) {
    match (&old.0, &new.0) {
        (Repr::Flat(was), Repr::Flat(now)) if now.shares_memory(was) => {
            let places = now.patched_since(was).collect();
            let (old, new) = (|at| was.get(at), |at| now.get(at));
            diff::blocks(old, new, (was.len(), now.len()), places, out);
        }
        (Repr::Tree(was), Repr::Tree(now)) => diff::pieces(was.pieces(), now.pieces(), out),
        _ => diff::elements(old, new, out),
    }
}

pub(super) fn set<T: Key>(old: &Set<T>, new: &Set<T>, out: &mut DiffOut) {
    diff::sets(old.plain(), new.plain(), out);
}
