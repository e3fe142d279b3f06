//! `Option` as a state.

use crate::diff::DiffOut;
use crate::engine::{Cold, Damaged};
use crate::path::Step;
use crate::{Schema, Size, State};

impl<T: State> State for Option<T> {
    const FIXED: bool = T::FIXED;
    const QUICK: bool = T::QUICK;
    const REFLEXIVE: bool = T::REFLEXIVE;

    fn fetch(cold: Cold<'_>) -> Result<(), Damaged> {
        cold.bytes(size_of::<Self::Archived>())?;
        match cold.content::<T>()? {
            Some(content) if !T::FIXED => T::fetch(content),
            _ => Ok(()),
        }
    }

    fn schema() -> Schema {
        Schema::Option(Box::new(T::schema()))
    }

    fn size(&self) -> Size {
        Size::of_all(self)
    }

    fn resize(&self, was: &Self, size: &mut Size) {
        match (self, was) {
            (Some(now), Some(was)) => now.resize(was, size),
            _ => size.replace(was.size(), self.size()),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Some(own), Some(other)) => own.is_same(other),
            (own, other) => own.is_none() && other.is_none(),
        }
    }

    fn diff(&self, old: &Self, out: &mut DiffOut) {
        match (old, self) {
            (Some(old), Some(new)) => out.inside(Step::Some, old, new),
            (None, Some(new)) => out.set_at(Step::Some, new),
            (Some(_), None) => out.remove_at(Step::Some),
            (None, None) => {}
        }
    }
}

crate::__blob_root!([T: State] Option<T>);
