//! Maps of what came.

use super::{Aggregate, AggregateError, Combine, plain};
use crate::{AsKey, Key, Map, State};

plain! {
    /// The last value of each key.
    ///
    /// ```
    /// use gridmill_model::aggregate::{Aggregate, Put};
    ///
    /// assert_eq!(Put::new().over([(2, true), (7, true), (2, false)])?, [(2, false), (7, true)].into());
    /// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
    /// ```
    Put<K, V>
}

impl<K: Key, V: State> Aggregate for Put<K, V> {
    type In = (K, V);
    type State = Map<K, V>;
    type Out = Map<K, V>;

    fn zero(&self) -> Map<K, V> {
        Map::new()
    }

    fn add(&self, to: &mut Map<K, V>, (key, value): (K, V)) -> Result<(), AggregateError> {
        to.insert(key, value);
        Ok(())
    }

    fn finish(&self, state: Map<K, V>) -> Map<K, V> {
        state
    }
}

impl<K: Key, V: State> Combine for Put<K, V> {
    fn combine(&self, to: &mut Map<K, V>, from: Map<K, V>) -> Result<(), AggregateError> {
        to.extend(from);
        Ok(())
    }
}

plain! {
    /// How often each key came.
    ///
    /// ```
    /// use gridmill_model::aggregate::{Aggregate, Bag};
    ///
    /// let mut bag = Bag::new().over([2, 7, 2])?;
    /// assert_eq!(bag, [(2, 2), (7, 1)].into());
    /// assert!(Bag::new().take(&mut bag, 7) && !Bag::new().take(&mut bag, 7));
    /// assert_eq!(bag, [(2, 2)].into());
    /// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
    /// ```
    Bag<K>
}

impl<K: Key> Bag<K> {
    /// Counts a key down; at 0 it is gone. Whether it was there.
    pub fn take(&self, from: &mut Map<K, u64>, key: impl AsKey<K>) -> bool {
        let Some(count) = from.get_mut(&key) else { return false };
        *count = count.saturating_sub(1);
        if *count == 0 {
            from.remove(&key);
        }
        true
    }
}

impl<K: Key> Aggregate for Bag<K> {
    type In = K;
    type State = Map<K, u64>;
    type Out = Map<K, u64>;

    fn zero(&self) -> Map<K, u64> {
        Map::new()
    }

    fn add(&self, to: &mut Map<K, u64>, key: K) -> Result<(), AggregateError> {
        *to.entry(key).or_default() += 1;
        Ok(())
    }

    fn finish(&self, state: Map<K, u64>) -> Map<K, u64> {
        state
    }
}

impl<K: Key> Combine for Bag<K> {
    fn combine(&self, to: &mut Map<K, u64>, from: Map<K, u64>) -> Result<(), AggregateError> {
        from.into_iter().for_each(|(key, count)| *to.entry(key).or_default() += count);
        Ok(())
    }
}

/// Maps as one: the values of a key are states of the aggregator `G`, and combined.
///
/// ```
/// use gridmill_model::aggregate::{Aggregate, MergeMap, Sum};
/// use gridmill_model::prelude::*;
///
/// let maps = [Map::from([(2, 1), (7, 1)]), Map::from([(2, 5)])];
/// assert_eq!(MergeMap::new(Sum::new()).over(maps)?, [(2, 6), (7, 1)].into());
/// # Ok::<(), gridmill_model::aggregate::AggregateError>(())
/// ```
#[derive(Debug)]
pub struct MergeMap<K, G> {
    values: G,
    of: std::marker::PhantomData<fn(K)>,
}

impl<K, G> MergeMap<K, G> {
    /// Values of one key are combined by `values`.
    pub const fn new(values: G) -> Self {
        Self { values, of: std::marker::PhantomData }
    }
}

impl<K, G: Clone> Clone for MergeMap<K, G> {
    fn clone(&self) -> Self {
        Self::new(self.values.clone())
    }
}

impl<K: Key, G: Combine> Aggregate for MergeMap<K, G> {
    type In = Map<K, G::State>;
    type State = Map<K, G::State>;
    type Out = Map<K, G::State>;

    fn zero(&self) -> Self::State {
        Map::new()
    }

    fn add(&self, to: &mut Self::State, from: Self::In) -> Result<(), AggregateError> {
        for (key, value) in from {
            self.values.combine(to.entry(key).or_insert_with(|| self.values.zero()), value)?;
        }
        Ok(())
    }

    fn finish(&self, state: Self::State) -> Self::Out {
        state
    }
}

impl<K: Key, G: Combine> Combine for MergeMap<K, G> {
    fn combine(&self, to: &mut Self::State, from: Self::State) -> Result<(), AggregateError> {
        self.add(to, from)
    }
}
