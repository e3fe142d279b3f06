//! `Vec` as a state: copied whole with each change of what holds it.

use crate::{Schema, State};

impl<T: State> State for Vec<T> {
    fn schema() -> Schema {
        const { assert!(size_of::<T>() > 0, "a Vec of a type without content is only a count") };
        Schema::List(Box::new(T::schema()))
    }

    fn weight(&self) -> usize {
        self.capacity() * size_of::<T>()
    }
}

crate::__blob_root!([T: State] Vec<T>);
