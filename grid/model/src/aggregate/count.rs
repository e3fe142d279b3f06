//! Counting, adding up, and asking whether.

use super::{Aggregate, AggregateError, Combine, plain};
use crate::State;
use crate::path::{Number, Numeric};

plain! {
    /// How many values there were.
    ///
    /// ```
    /// use gridmill_model::aggregate::{Aggregate, Count};
    ///
    /// assert_eq!(Count::new().over(["a", "b"])?, 2);
    /// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
    /// ```
    Count<T>
}

impl<T: 'static> Aggregate for Count<T> {
    type In = T;
    type State = u64;
    type Out = u64;

    fn zero(&self) -> u64 {
        0
    }

    fn add(&self, to: &mut u64, _: T) -> Result<(), AggregateError> {
        *to += 1;
        Ok(())
    }

    fn finish(&self, state: u64) -> u64 {
        state
    }
}

impl<T: 'static> Combine for Count<T> {
    fn combine(&self, to: &mut u64, from: u64) -> Result<(), AggregateError> {
        *to += from;
        Ok(())
    }
}

plain! {
    /// The sum of numbers, in their type. One that the type cannot hold is an error.
    ///
    /// ```
    /// use gridmill_model::aggregate::{Aggregate, Sum};
    ///
    /// assert_eq!(Sum::new().over([1_u8, 2])?, 3);
    /// assert!(Sum::new().over([200_u8, 100]).is_err());
    /// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
    /// ```
    Sum<T>
}

impl<T: State + Numeric + Default> Aggregate for Sum<T> {
    type In = T;
    type State = T;
    type Out = T;

    fn zero(&self) -> T {
        T::default()
    }

    fn add(&self, to: &mut T, value: T) -> Result<(), AggregateError> {
        *to = to.plus(&value)?;
        Ok(())
    }

    fn finish(&self, state: T) -> T {
        state
    }
}

impl<T: State + Numeric + Default> Combine for Sum<T> {
    fn combine(&self, to: &mut T, from: T) -> Result<(), AggregateError> {
        self.add(to, from)
    }
}

plain! {
    /// The mean of numbers.
    ///
    /// ```
    /// use gridmill_model::aggregate::{Aggregate, Avg};
    ///
    /// assert_eq!(Avg::new().over([1_u64, 2])?, Some(1.5));
    /// assert_eq!(Avg::<u64>::new().over([])?, None);
    /// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
    /// ```
    Avg<T>
}

impl<T: Numeric> Aggregate for Avg<T> {
    type In = T;
    /// The sum, and how many there were.
    type State = (f64, u64);
    type Out = Option<f64>;

    fn zero(&self) -> (f64, u64) {
        (0.0, 0)
    }

    fn add(&self, to: &mut (f64, u64), value: T) -> Result<(), AggregateError> {
        let number = value.number().map_or(0.0, Number::to_f64);
        *to = (to.0 + number, to.1 + 1);
        Ok(())
    }

    fn finish(&self, (sum, count): (f64, u64)) -> Option<f64> {
        (count > 0).then(|| sum / count as f64)
    }
}

impl<T: Numeric> Combine for Avg<T> {
    fn combine(&self, to: &mut (f64, u64), from: (f64, u64)) -> Result<(), AggregateError> {
        *to = (to.0 + from.0, to.1 + from.1);
        Ok(())
    }
}

/// Declares an aggregator of `bool`s.
macro_rules! asks {
    ($(#[$doc:meta])* $name:ident, $zero:literal, $join:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name;

        impl Aggregate for $name {
            type In = bool;
            type State = bool;
            type Out = bool;

            fn zero(&self) -> bool {
                $zero
            }

            fn add(&self, to: &mut bool, value: bool) -> Result<(), AggregateError> {
                let join: fn(bool, bool) -> bool = $join;
                *to = join(*to, value);
                Ok(())
            }

            fn finish(&self, state: bool) -> bool {
                state
            }
        }

        impl Combine for $name {
            fn combine(&self, to: &mut bool, from: bool) -> Result<(), AggregateError> {
                self.add(to, from)
            }
        }
    };
}

asks! {
    /// Whether all are true.
    ///
    /// ```
    /// use gridmill_model::aggregate::{Aggregate, Every};
    ///
    /// assert!(!Every.over([true, false])?);
    /// assert!(Every.over([])?);
    /// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
    /// ```
    Every, true, |one, other| one && other
}

asks! {
    /// Whether one is true.
    ///
    /// ```
    /// use gridmill_model::aggregate::{Aggregate, Any};
    ///
    /// assert!(Any.over([true, false])?);
    /// assert!(!Any.over([])?);
    /// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
    /// ```
    Any, false, |one, other| one || other
}
