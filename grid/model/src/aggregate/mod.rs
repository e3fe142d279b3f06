//! Aggregators: how many values become one.
//!
//! The state of an aggregator is a value of a PState, so the same aggregator works in a handler, at the end of a path
//! ([`Terms::agg`](crate::path::Terms::agg)), in a query, where parts are aggregated on their partitions and then
//! combined, and over nothing.
//!
//! | aggregator | takes | state | gives | over nothing |
//! |---|---|---|---|---|
//! | [`Count`] | anything | `u64` | how many there were | 0 |
//! | [`Sum`] | numbers | the same number | the sum | 0 |
//! | [`Avg`] | numbers | sum and count | `Option<f64>` | `None` |
//! | [`Min`], [`Max`] | what has an order | `Option` | the least, the greatest | `None` |
//! | [`First`], [`Last`] | anything | `Option` | the first, the last | `None` |
//! | [`Every`], [`Any`] | `bool` | `bool` | whether all are true, whether one is | true, false |
//! | [`Collect`] | values | `List` | all of them, in order | empty |
//! | [`Concat`] | lists | `List` | one list | empty |
//! | [`Distinct`] | values | `Set` | each once | empty |
//! | [`Union`] | sets | `Set` | one set | empty |
//! | [`Without`] | values | `Set` | the set without them | empty |
//! | [`Put`] | keys with values | `Map` | the last value of each key | empty |
//! | [`Bag`] | keys | `Map` to `u64` | how often each came | empty |
//! | [`MergeMap`] | maps | `Map` | one map, the values of a key combined | empty |
//! | [`Top`] | values | `List` | the first `n` of an order, each once where asked | empty |
//! | [`Limit`] | values | `List` | the first `n` that came | empty |
//! | [`Group`] | values | `Map` | an aggregate for each key | empty |
//! | a tuple of up to four | what all take | a tuple | a tuple | each its own |
//!
//! [`Aggregate::of`] takes the input out of something larger, [`Aggregate::over`] aggregates values at hand. What takes
//! a value away again at its place is [`Terms::remove`](crate::path::Terms::remove).
//!
//! ```
//! use gridmill_model::aggregate::{Aggregate, Avg, Count, Group, Sum, Top};
//! use gridmill_model::prelude::*;
//!
//! let sales = [("pear", 3_u64), ("plum", 5), ("pear", 4)].map(|(what, n)| (Str::from(what), n));
//! let number = |(_, n): (Str, u64)| n;
//! assert_eq!(Sum::new().of(number).over(sales.clone())?, 12);
//! let all = (Count::new(), Avg::new().of(number));
//! assert_eq!(all.over(sales.clone())?, (3, Some(4.0)));
//! let by_fruit = Group::by(|(what, _): &(Str, u64)| what.clone()).of(Sum::new().of(number));
//! assert_eq!(by_fruit.over(sales.clone())?, [("pear".into(), 7), ("plum".into(), 5)].into());
//! let best = Top::new(1, |(_, n): &(Str, u64)| *n).over(sales)?;
//! assert_eq!(best, [("plum".into(), 5)]);
//! # Ok::<(), gridmill_model::aggregate::AggregateError>(())
//! ```
//!
//! # Own ones
//!
//! One trait makes an aggregator; a second one lets its parts be made apart, as a query does on each partition.
//!
//! ```
//! use gridmill_model::aggregate::{Aggregate, AggregateError, Combine};
//!
//! /// The product of small numbers.
//! #[derive(Clone)]
//! struct Product;
//!
//! impl Aggregate for Product {
//!     type In = u64;
//!     type State = u64;
//!     type Out = u64;
//!
//!     fn zero(&self) -> u64 {
//!         1
//!     }
//!
//!     fn add(&self, to: &mut u64, value: u64) -> Result<(), AggregateError> {
//!         let product = to.checked_mul(value);
//!         *to = product.ok_or_else(|| AggregateError::new("a product of 64 bits", "more", "multiply fewer"))?;
//!         Ok(())
//!     }
//!
//!     fn finish(&self, state: u64) -> u64 {
//!         state
//!     }
//! }
//!
//! impl Combine for Product {
//!     fn combine(&self, to: &mut u64, from: u64) -> Result<(), AggregateError> {
//!         self.add(to, from)
//!     }
//! }
//!
//! assert_eq!(Product.over([2, 3, 4])?, 24);
//! assert_eq!(Product.over([])?, 1);
//! # Ok::<(), AggregateError>(())
//! ```

mod collect;
mod count;
mod group;
mod maps;
mod order;
mod top;

use std::fmt;

use crate::State;
use crate::path::Misfit;

pub use collect::{Collect, Concat, Distinct, Union, Without};
pub use count::{Any, Avg, Count, Every, Sum};
pub use group::{Group, GroupBy, Of};
pub use maps::{Bag, MergeMap, Put};
pub use order::{First, Last, Max, Min};
pub use top::{Indexed, Limit, Top, TopBy};

/// How many values become one. Its state is a value of a PState: what [`zero`](Self::zero) makes and
/// [`add`](Self::add) changes may be stored.
///
/// The [module](self) shows all that there are, and how to write one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no aggregator",
    label = "expected one of `gridmill::model::aggregate`, or a type with `impl Aggregate`"
)]
pub trait Aggregate: Clone + Send + Sync + 'static {
    /// What is aggregated.
    type In;
    /// What is kept between two values.
    type State: State;
    /// What it comes to.
    type Out;

    /// The state before the first value.
    fn zero(&self) -> Self::State;

    /// Adds a value.
    ///
    /// # Errors
    /// [`AggregateError`] where the state cannot take it, as a sum that is too large for its type. The state is as
    /// it was.
    fn add(&self, to: &mut Self::State, value: Self::In) -> Result<(), AggregateError>;

    /// What the state comes to.
    fn finish(&self, state: Self::State) -> Self::Out;

    /// What these values come to.
    ///
    /// # Errors
    /// As with [`add`](Self::add).
    fn over(
        &self,
        values: impl IntoIterator<Item = Self::In>,
    ) -> Result<Self::Out, AggregateError> {
        let mut state = self.zero();
        values.into_iter().try_for_each(|value| self.add(&mut state, value))?;
        Ok(self.finish(state))
    }

    /// The same over what `part` takes out of each value.
    fn of<I, F>(self, part: F) -> Of<I, F, Self>
    where
        F: Fn(I) -> Self::In + Clone + Send + Sync + 'static,
    {
        Of::new(part, self)
    }
}

/// An aggregator whose parts may be made apart and then put together: the state before the first value is neutral, and
/// the way in which parts are taken together does not matter. Their order does not change: queries combine partition
/// after partition.
pub trait Combine: Aggregate {
    /// Adds what another state holds, whose values come after those of `to`.
    ///
    /// # Errors
    /// As with [`Aggregate::add`].
    fn combine(&self, to: &mut Self::State, from: Self::State) -> Result<(), AggregateError>;
}

/// An aggregator's state cannot take a value: a sum is too large for its type.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {}, got {}; {}", .0.expected, .0.got, .0.help)]
pub struct AggregateError(Misfit);

impl AggregateError {
    /// What would have been right, what was there instead, and what to do about it.
    pub fn new(
        expected: impl Into<String>,
        got: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self(Misfit::new(expected, got, help))
    }
}

/// As it reads.
impl fmt::Debug for AggregateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Misfit> for AggregateError {
    fn from(misfit: Misfit) -> Self {
        Self(misfit)
    }
}

impl From<AggregateError> for Misfit {
    fn from(error: AggregateError) -> Self {
        error.0
    }
}

/// An aggregator of these type parameters that holds nothing.
macro_rules! plain {
    ($(#[$doc:meta])* $name:ident<$($param:ident),*>) => {
        $(#[$doc])*
        pub struct $name<$($param),*>(std::marker::PhantomData<fn($($param),*)>);

        impl<$($param),*> $name<$($param),*> {
            /// The aggregator.
            pub const fn new() -> Self {
                Self(std::marker::PhantomData)
            }
        }

        impl<$($param),*> Default for $name<$($param),*> {
            fn default() -> Self {
                Self::new()
            }
        }

        impl<$($param),*> Clone for $name<$($param),*> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($param),*> Copy for $name<$($param),*> {}

        impl<$($param),*> std::fmt::Debug for $name<$($param),*> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

use plain;
