//! Lists and sets of what came.

use super::{Aggregate, AggregateError, Combine, plain};
use crate::{Key, List, Set, State};

plain! {
    /// All values, in their order.
    ///
    /// ```
    /// use gridmill_model::aggregate::{Aggregate, Collect};
    ///
    /// assert_eq!(Collect::new().over([2, 7, 2])?, [2, 7, 2]);
    /// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
    /// ```
    Collect<T>
}

impl<T: State> Aggregate for Collect<T> {
    type In = T;
    type State = List<T>;
    type Out = List<T>;

    fn zero(&self) -> List<T> {
        List::new()
    }

    fn add(&self, to: &mut List<T>, value: T) -> Result<(), AggregateError> {
        to.push_back(value);
        Ok(())
    }

    fn finish(&self, state: List<T>) -> List<T> {
        state
    }
}

impl<T: State> Combine for Collect<T> {
    fn combine(&self, to: &mut List<T>, from: List<T>) -> Result<(), AggregateError> {
        to.append(from);
        Ok(())
    }
}

plain! {
    /// The values of all lists, in their order.
    ///
    /// ```
    /// use gridmill_model::aggregate::{Aggregate, Concat};
    /// use gridmill_model::prelude::*;
    ///
    /// assert_eq!(Concat::new().over([List::from([2, 7]), List::from([1])])?, [2, 7, 1]);
    /// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
    /// ```
    Concat<T>
}

impl<T: State> Aggregate for Concat<T> {
    type In = List<T>;
    type State = List<T>;
    type Out = List<T>;

    fn zero(&self) -> List<T> {
        List::new()
    }

    fn add(&self, to: &mut List<T>, values: List<T>) -> Result<(), AggregateError> {
        to.append(values);
        Ok(())
    }

    fn finish(&self, state: List<T>) -> List<T> {
        state
    }
}

impl<T: State> Combine for Concat<T> {
    fn combine(&self, to: &mut List<T>, from: List<T>) -> Result<(), AggregateError> {
        self.add(to, from)
    }
}

/// Declares an aggregator whose state is a set.
macro_rules! of_set {
    ($name:ident, $in:ty, $add:expr) => {
        impl<T: Key> Aggregate for $name<T> {
            type In = $in;
            type State = Set<T>;
            type Out = Set<T>;

            fn zero(&self) -> Set<T> {
                Set::new()
            }

            fn add(&self, to: &mut Set<T>, value: $in) -> Result<(), AggregateError> {
                let add: fn(&mut Set<T>, $in) = $add;
                add(to, value);
                Ok(())
            }

            fn finish(&self, state: Set<T>) -> Set<T> {
                state
            }
        }
    };
}

/// Puts all elements of the smaller set into the larger one.
fn unite<T: Key>(to: &mut Set<T>, mut from: Set<T>) {
    if from.len() > to.len() {
        std::mem::swap(to, &mut from);
    }
    to.extend(from);
}

plain! {
    /// Each value once.
    ///
    /// ```
    /// use gridmill_model::aggregate::{Aggregate, Distinct};
    ///
    /// assert_eq!(Distinct::new().over([2, 7, 2])?, [2, 7].into());
    /// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
    /// ```
    Distinct<T>
}

of_set!(Distinct, T, |set, value| {
    set.insert(value);
});

impl<T: Key> Combine for Distinct<T> {
    fn combine(&self, to: &mut Set<T>, from: Set<T>) -> Result<(), AggregateError> {
        unite(to, from);
        Ok(())
    }
}

plain! {
    /// What is in any of the sets.
    ///
    /// ```
    /// use gridmill_model::aggregate::{Aggregate, Union};
    /// use gridmill_model::prelude::*;
    ///
    /// assert_eq!(Union::new().over([Set::from([2, 7]), Set::from([7, 1])])?, [1, 2, 7].into());
    /// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
    /// ```
    Union<T>
}

of_set!(Union, Set<T>, unite);

impl<T: Key> Combine for Union<T> {
    fn combine(&self, to: &mut Set<T>, from: Set<T>) -> Result<(), AggregateError> {
        unite(to, from);
        Ok(())
    }
}

plain! {
    /// The set without these values.
    ///
    /// ```
    /// use gridmill_model::aggregate::{Aggregate, Without};
    /// use gridmill_model::prelude::*;
    ///
    /// let mut members: Set<u64> = [2, 7].into();
    /// Without::new().add(&mut members, 2)?;
    /// assert_eq!(members, [7].into());
    /// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
    /// ```
    Without<T>
}

of_set!(Without, T, |set, value| {
    set.remove(&value);
});
