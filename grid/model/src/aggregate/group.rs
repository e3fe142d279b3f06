//! An aggregate for each key, several of one input, and one of a part of it.

use std::fmt;
use std::marker::PhantomData;

use super::{Aggregate, AggregateError, Combine};
use crate::{Key, Map, State};

/// An aggregate for each key.
///
/// ```
/// use gridmill_model::aggregate::{Aggregate, Count, Group, Sum};
///
/// let rows = [("a", 1_u64), ("b", 5), ("a", 3)].map(|(key, n)| (key.to_owned(), n));
/// let each = (Count::new(), Sum::new().of(|row: (String, u64)| row.1));
/// let groups = Group::by(|row: &(String, u64)| row.0.clone()).of(each).over(rows)?;
/// assert_eq!(groups, [("a".into(), (2, 4)), ("b".into(), (1, 5))].into());
/// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Group<F, G> {
    key: F,
    each: G,
}

/// A [`Group`] that is not said yet what of.
#[derive(Clone, Debug)]
#[must_use = "say what of: `Group::by(key).of(aggregator)`"]
pub struct GroupBy<F>(F);

impl Group<(), ()> {
    /// Groups by what `key` makes of a value.
    pub const fn by<F>(key: F) -> GroupBy<F> {
        GroupBy(key)
    }
}

impl<F> GroupBy<F> {
    /// What is to be aggregated of each group.
    pub fn of<G>(self, each: G) -> Group<F, G> {
        Group { key: self.0, each }
    }
}

impl<K, F, G> Aggregate for Group<F, G>
where
    K: Key,
    G: Aggregate<Out: State>,
    F: Fn(&G::In) -> K + Clone + Send + Sync + 'static,
{
    type In = G::In;
    type State = Map<K, G::State>;
    type Out = Map<K, G::Out>;

    fn zero(&self) -> Self::State {
        Map::new()
    }

    fn add(&self, to: &mut Self::State, value: G::In) -> Result<(), AggregateError> {
        let key = (self.key)(&value);
        self.each.add(to.entry(key).or_insert_with(|| self.each.zero()), value)
    }

    fn finish(&self, state: Self::State) -> Self::Out {
        state.into_iter().map(|(key, state)| (key, self.each.finish(state))).collect()
    }
}

impl<K, F, G> Combine for Group<F, G>
where
    K: Key,
    G: Combine<Out: State>,
    F: Fn(&G::In) -> K + Clone + Send + Sync + 'static,
{
    fn combine(&self, to: &mut Self::State, from: Self::State) -> Result<(), AggregateError> {
        for (key, state) in from {
            self.each.combine(to.entry(key).or_insert_with(|| self.each.zero()), state)?;
        }
        Ok(())
    }
}

/// An aggregator over what a function takes out of each value; see [`Aggregate::of`].
pub struct Of<I, F, G> {
    part: F,
    whole: G,
    of: PhantomData<fn(I)>,
}

impl<I, F, G> Of<I, F, G> {
    pub(super) fn new(part: F, whole: G) -> Self {
        Self { part, whole, of: PhantomData }
    }
}

impl<I, F: Clone, G: Clone> Clone for Of<I, F, G> {
    fn clone(&self) -> Self {
        Self::new(self.part.clone(), self.whole.clone())
    }
}

impl<I, F, G: fmt::Debug> fmt::Debug for Of<I, F, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Of").field(&self.whole).finish()
    }
}

impl<I, F, G> Aggregate for Of<I, F, G>
where
    I: 'static,
    G: Aggregate,
    F: Fn(I) -> G::In + Clone + Send + Sync + 'static,
{
    type In = I;
    type State = G::State;
    type Out = G::Out;

    fn zero(&self) -> G::State {
        self.whole.zero()
    }

    fn add(&self, to: &mut G::State, value: I) -> Result<(), AggregateError> {
        self.whole.add(to, (self.part)(value))
    }

    fn finish(&self, state: G::State) -> G::Out {
        self.whole.finish(state)
    }
}

impl<I, F, G> Combine for Of<I, F, G>
where
    I: 'static,
    G: Combine,
    F: Fn(I) -> G::In + Clone + Send + Sync + 'static,
{
    fn combine(&self, to: &mut G::State, from: G::State) -> Result<(), AggregateError> {
        self.whole.combine(to, from)
    }
}

/// Several aggregators over one input.
macro_rules! tuple_of_aggregators {
    ($($name:ident $index:tt),+) => {
        impl<In: Clone, $($name: Aggregate<In = In>),+> Aggregate for ($($name,)+)
        where
            ($($name::State,)+): State,
        {
            type In = In;
            type State = ($($name::State,)+);
            type Out = ($($name::Out,)+);

            fn zero(&self) -> Self::State {
                ($(self.$index.zero(),)+)
            }

            fn add(&self, to: &mut Self::State, value: In) -> Result<(), AggregateError> {
                // Either all of them have it, or none.
                let mut next = to.clone();
                $(self.$index.add(&mut next.$index, value.clone())?;)+
                *to = next;
                Ok(())
            }

            fn finish(&self, state: Self::State) -> Self::Out {
                ($(self.$index.finish(state.$index),)+)
            }
        }

        impl<In: Clone, $($name: Combine<In = In>),+> Combine for ($($name,)+)
        where
            ($($name::State,)+): State,
        {
            fn combine(&self, to: &mut Self::State, from: Self::State) -> Result<(), AggregateError> {
                $(self.$index.combine(&mut to.$index, from.$index)?;)+
                Ok(())
            }
        }
    };
}

tuple_of_aggregators!(A 0);
tuple_of_aggregators!(A 0, B 1);
tuple_of_aggregators!(A 0, B 1, C 2);
tuple_of_aggregators!(A 0, B 1, C 2, D 3);
