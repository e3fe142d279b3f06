//! One value out of many: by its size, or by when it came.

use std::cmp::Ordering;

use super::{Aggregate, AggregateError, Combine, plain};
use crate::State;

/// Declares an aggregator that keeps one value.
macro_rules! keeps_one {
    ($name:ident, $($bound:path)?, $takes:expr) => {
        impl<T: State $(+ $bound)?> Aggregate for $name<T> {
            type In = T;
            type State = Option<T>;
            type Out = Option<T>;

            fn zero(&self) -> Option<T> {
                None
            }

            fn add(&self, to: &mut Option<T>, value: T) -> Result<(), AggregateError> {
                let takes: fn(Option<&T>, &T) -> bool = $takes;
                if takes(to.as_ref(), &value) {
                    *to = Some(value);
                }
                Ok(())
            }

            fn finish(&self, state: Option<T>) -> Option<T> {
                state
            }
        }

        impl<T: State $(+ $bound)?> Combine for $name<T> {
            fn combine(&self, to: &mut Option<T>, from: Option<T>) -> Result<(), AggregateError> {
                from.map_or(Ok(()), |value| self.add(to, value))
            }
        }
    };
}

/// Whether a value takes the place of the one that is kept; a `NaN` never does.
fn is_before<T: PartialOrd>(value: &T, kept: Option<&T>, order: Ordering) -> bool {
    match kept {
        Some(kept) => value.partial_cmp(kept) == Some(order),
        None => value.partial_cmp(value).is_some(),
    }
}

plain! {
    /// The least value; of equal ones the first. A `NaN` is none.
    ///
    /// ```
    /// use gridmill_model::aggregate::{Aggregate, Min};
    ///
    /// assert_eq!(Min::new().over([2.5, f64::NAN, 1.5])?, Some(1.5));
    /// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
    /// ```
    Min<T>
}

keeps_one!(Min, PartialOrd, |kept, value| is_before(value, kept, Ordering::Less));

plain! {
    /// The greatest value; of equal ones the first. A `NaN` is none.
    ///
    /// ```
    /// use gridmill_model::aggregate::{Aggregate, Max};
    ///
    /// assert_eq!(Max::new().over([2, 7, 1])?, Some(7));
    /// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
    /// ```
    Max<T>
}

keeps_one!(Max, PartialOrd, |kept, value| is_before(value, kept, Ordering::Greater));

plain! {
    /// The value that came first.
    ///
    /// ```
    /// use gridmill_model::aggregate::{Aggregate, First};
    ///
    /// assert_eq!(First::new().over([2, 7, 1])?, Some(2));
    /// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
    /// ```
    First<T>
}

keeps_one!(First,, |kept, _| kept.is_none());

plain! {
    /// The value that came last.
    ///
    /// ```
    /// use gridmill_model::aggregate::{Aggregate, Last};
    ///
    /// assert_eq!(Last::new().over([2, 7, 1])?, Some(1));
    /// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
    /// ```
    Last<T>
}

keeps_one!(Last,, |_, _| true);
