//! `Option` as a state.

use crate::{Schema, State};

impl<T: State> State for Option<T> {
    fn schema() -> Schema {
        Schema::Option(Box::new(T::schema()))
    }

    fn weight(&self) -> usize {
        self.as_ref().map_or(0, T::weight)
    }
}

crate::__blob_root!([T: State] Option<T>);
