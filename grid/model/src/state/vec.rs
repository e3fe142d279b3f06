//! `Vec` as a state: copied whole with each change of what holds it.

use super::size::gap;
use crate::diff::{self, DiffOut};
use crate::{Schema, Size, State};

impl<T: State> State for Vec<T> {
    const QUICK: bool = T::FIXED;
    const REFLEXIVE: bool = T::REFLEXIVE;

    fn schema() -> Schema {
        const { assert!(size_of::<T>() > 0, "a Vec of a type without content is only a count") };
        Schema::List(Box::new(T::schema()))
    }

    fn size(&self) -> Size {
        let heap = self.len() * size_of::<T>();
        let archive = gap::<T::Archived>() + self.len() * size_of::<T::Archived>();
        Size { heap, archive } + Size::of_all(self)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().zip(other).all(|(own, other)| own.is_same(other))
    }

    fn diff(&self, old: &Self, out: &mut DiffOut) {
        diff::elements(old, self, out);
    }
}

crate::__blob_root!([T: State] Vec<T>);
