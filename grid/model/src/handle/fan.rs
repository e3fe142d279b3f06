//! The name of a stage that one record reaches under many keys.

use std::fmt;
use std::marker::PhantomData;

use super::checked;

/// A stage to which one record is sent under many keys: each key is handled on its own partition, and the record
/// travels to each partition once.
///
/// It is a constant, as a [`Stage`](super::Stage) is: the topology declares it with `.fan(FAN)`.
///
/// ```
/// use gridmill_model::prelude::*;
///
/// // A post, delivered to the timelines of many users.
/// pub const DELIVER: Fan<u64, Str> = Fan::new("deliver");
///
/// assert_eq!(DELIVER.name(), "deliver");
/// ```
pub struct Fan<K, E> {
    name: &'static str,
    of: PhantomData<fn(K, E)>,
}

impl<K, E> Fan<K, E> {
    /// A fan of this name.
    ///
    /// # Panics
    /// When the name is empty: while compiling, where the fan is a constant.
    pub const fn new(name: &'static str) -> Self {
        Self { name: checked(name), of: PhantomData }
    }

    /// The name, unique among the stages of its topology.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<K, E> Clone for Fan<K, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, E> Copy for Fan<K, E> {}

impl<K, E> fmt::Debug for Fan<K, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fan").field("name", &self.name).finish()
    }
}
