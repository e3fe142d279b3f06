//! The first few: by an order, or as they came.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

use super::{Aggregate, AggregateError, Combine};
use crate::{List, State};

/// The `n` values that rank highest, the highest first; of those that rank alike, the ones that came first.
///
/// The state holds up to `2n` values, in no particular order: what is stored is sorted and cut by
/// [`finish`](Aggregate::finish).
///
/// ```
/// use gridmill_model::aggregate::{Aggregate, Top};
///
/// let rows = [("a", 1), ("b", 4), ("a", 6), ("c", 2)].map(|(id, n)| (id.to_owned(), n));
/// let top = Top::new(2, |row: &(String, u64)| row.1);
/// assert_eq!(top.clone().over(rows.clone())?, [("a".into(), 6), ("b".into(), 4)]);
/// assert_eq!(top.clone().reversed().over(rows.clone())?, [("a".into(), 1), ("c".into(), 2)]);
/// // Of each id the one that ranks highest.
/// let distinct = Top::new(3, |row: &(String, u64)| row.1).distinct(|row| row.0.clone());
/// assert_eq!(distinct.over(rows.clone())?, [("a".into(), 6), ("b".into(), 4), ("c".into(), 2)]);
/// assert_eq!(top.indexed().over(rows)?, [(0, ("a".into(), 6)), (1, ("b".into(), 4))]);
/// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
/// ```
pub type Top<T, F> = TopBy<T, F, fn(&T)>;

/// A [`Top`] in which each identity comes once; see [`Top::distinct`](TopBy::distinct).
pub struct TopBy<T, F, I> {
    n: usize,
    by: F,
    /// What tells values apart, where each may come once.
    id: Option<I>,
    ascending: bool,
    of: PhantomData<fn(T)>,
}

impl<T, F> Top<T, F> {
    /// The `n` that rank highest by what `by` makes of a value. (Floats have no order of their own; use
    /// `total_cmp` in a type of yours, or scale them to integers.)
    pub fn new<O: Ord>(n: u32, by: F) -> Self
    where
        F: Fn(&T) -> O,
    {
        Self { n: n as usize, by, id: None, ascending: false, of: PhantomData }
    }

    /// The same, in which values of one identity count as one: the one that ranks highest.
    pub fn distinct<I, D: Eq + Hash>(self, id: I) -> TopBy<T, F, I>
    where
        I: Fn(&T) -> D,
    {
        let Self { n, by, ascending, .. } = self;
        TopBy { n, by, id: Some(id), ascending, of: PhantomData }
    }
}

impl<T, F, I> TopBy<T, F, I> {
    /// The other end of the order: those that rank lowest, the lowest first.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { ascending: !self.ascending, ..self }
    }

    /// The same with the place of each: 0 for the first.
    pub fn indexed(self) -> Indexed<Self> {
        Indexed(self)
    }

    /// Sorts, and drops what cannot be among the first `n`.
    fn trim<O: Ord, D: Eq + Hash>(&self, values: &mut List<T>)
    where
        T: State,
        F: Fn(&T) -> O,
        I: Fn(&T) -> D,
    {
        let order = |one: &T, other: &T| {
            let order = (self.by)(one).cmp(&(self.by)(other));
            if self.ascending { order } else { order.reverse() }
        };
        values.sort_by(order);
        if let Some(id) = &self.id {
            let mut seen = HashSet::new();
            values.retain(|value| seen.insert(id(value)));
        }
        values.truncate(self.n);
    }
}

impl<T, F, I, O, D> Aggregate for TopBy<T, F, I>
where
    T: State,
    F: Fn(&T) -> O + Clone + Send + Sync + 'static,
    I: Fn(&T) -> D + Clone + Send + Sync + 'static,
    O: Ord,
    D: Eq + Hash,
{
    type In = T;
    type State = List<T>;
    type Out = List<T>;

    fn zero(&self) -> List<T> {
        List::new()
    }

    fn add(&self, to: &mut List<T>, value: T) -> Result<(), AggregateError> {
        to.push_back(value);
        if to.len() >= 2 * self.n.max(1) {
            self.trim(to);
        }
        Ok(())
    }

    fn finish(&self, mut state: List<T>) -> List<T> {
        self.trim(&mut state);
        state
    }
}

impl<T, F, I, O, D> Combine for TopBy<T, F, I>
where
    T: State,
    F: Fn(&T) -> O + Clone + Send + Sync + 'static,
    I: Fn(&T) -> D + Clone + Send + Sync + 'static,
    O: Ord,
    D: Eq + Hash,
{
    fn combine(&self, to: &mut List<T>, from: List<T>) -> Result<(), AggregateError> {
        to.append(from);
        if to.len() >= 2 * self.n.max(1) {
            self.trim(to);
        }
        Ok(())
    }
}

impl<T, F: Clone, I: Clone> Clone for TopBy<T, F, I> {
    fn clone(&self) -> Self {
        let Self { n, by, id, ascending, of } = self;
        Self { n: *n, by: by.clone(), id: id.clone(), ascending: *ascending, of: *of }
    }
}

impl<T, F, I> fmt::Debug for TopBy<T, F, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Top");
        shown.field("n", &self.n).field("ascending", &self.ascending).finish_non_exhaustive()
    }
}

/// The first `n` values that came.
///
/// ```
/// use gridmill_model::aggregate::{Aggregate, Limit};
///
/// assert_eq!(Limit::new(2).over([5, 1, 9])?, [5, 1]);
/// assert_eq!(Limit::new(2).sorted(|n: &u64| *n).over([5, 1, 9])?, [1, 5]);
/// assert_eq!(Limit::new(2).sorted(|n: &u64| *n).reversed().indexed().over([5, 1, 9])?, [(0, 9), (1, 5)]);
/// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
/// ```
pub struct Limit<T> {
    n: usize,
    of: PhantomData<fn(T)>,
}

impl<T> Limit<T> {
    /// The first `n`.
    pub const fn new(n: u32) -> Self {
        Self { n: n as usize, of: PhantomData }
    }

    /// The `n` that rank lowest, the lowest first; equal ones all stay.
    pub fn sorted<F, O: Ord>(self, by: F) -> Top<T, F>
    where
        F: Fn(&T) -> O,
    {
        let n = u32::try_from(self.n).unwrap_or(u32::MAX);
        Top::new(n, by).reversed()
    }

    /// The same with the place of each: 0 for the first.
    pub fn indexed(self) -> Indexed<Self> {
        Indexed(self)
    }
}

impl<T: State> Aggregate for Limit<T> {
    type In = T;
    type State = List<T>;
    type Out = List<T>;

    fn zero(&self) -> List<T> {
        List::new()
    }

    fn add(&self, to: &mut List<T>, value: T) -> Result<(), AggregateError> {
        if to.len() < self.n {
            to.push_back(value);
        }
        Ok(())
    }

    fn finish(&self, state: List<T>) -> List<T> {
        state
    }
}

impl<T: State> Combine for Limit<T> {
    fn combine(&self, to: &mut List<T>, mut from: List<T>) -> Result<(), AggregateError> {
        from.truncate(self.n.saturating_sub(to.len()));
        to.append(from);
        Ok(())
    }
}

impl<T> Clone for Limit<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Limit<T> {}

impl<T> fmt::Debug for Limit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit").field("n", &self.n).finish()
    }
}

/// A list with the place of each value; see [`Top::indexed`](TopBy::indexed) and [`Limit::indexed`].
#[derive(Clone, Debug)]
pub struct Indexed<G>(G);

impl<T: State, G: Aggregate<Out = List<T>>> Aggregate for Indexed<G> {
    type In = G::In;
    type State = G::State;
    type Out = List<(u64, T)>;

    fn zero(&self) -> G::State {
        self.0.zero()
    }

    fn add(&self, to: &mut G::State, value: G::In) -> Result<(), AggregateError> {
        self.0.add(to, value)
    }

    fn finish(&self, state: G::State) -> Self::Out {
        (0..).zip(self.0.finish(state)).collect()
    }
}

impl<T: State, G: Combine<Out = List<T>>> Combine for Indexed<G> {
    fn combine(&self, to: &mut G::State, from: G::State) -> Result<(), AggregateError> {
        self.0.combine(to, from)
    }
}
