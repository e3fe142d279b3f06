//! A path with an end: a transform that waits to be applied.

use std::fmt;

use super::carry::Carry;
use super::fits::{IntoLeaf, Numeric, ToIndex};
use super::one::Navigate;
use super::path::Path;
use crate::Root;
use crate::aggregate::Aggregate;
use crate::path::data::filter::Index;
use crate::path::data::term::{Add, Agg, Remove, Replace, Update};
use crate::path::walk::Walk;
use crate::path::walk::change::Terminal;

/// A path with what to do at its end. It does nothing until it is applied.
#[must_use = "a transform does nothing until it is applied: call `.apply(&mut root)`"]
pub struct Transform<R: Root, L, T, C: Carry = ()> {
    pub(in crate::path) path: Path<R, L, C>,
    pub(in crate::path) terminal: T,
}

impl<R: Root, L: Walk, T, C: Carry> fmt::Debug for Transform<R, L, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transform").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<R: Root, L: Walk, T: Terminal, C: Carry> Transform<R, L, T, C> {
    fn new(path: Path<R, L, C>, terminal: T) -> Self {
        Self { path, terminal }
    }
}

/// Ends of a path: what a transform does at every place that the path reaches.
///
/// ```
/// use gridmill_model::prelude::*;
///
/// const STOCK: PState<Map<Str, u64>> = PState::new("shop/stock");
/// let mut stock = Map::new();
/// STOCK.key("pear").set(5).apply(&mut stock);
/// STOCK.key("pear").update(|n| *n *= 2).apply(&mut stock);
/// STOCK.key("plum").add(3).apply(&mut stock);
/// assert_eq!(stock, [("pear".into(), 10), ("plum".into(), 3)].into());
/// STOCK.map_vals().filter_lt(5).remove().apply(&mut stock);
/// assert_eq!(STOCK.map_keys().select(&stock)?, ["pear"]);
/// # Ok::<(), gridmill_model::path::PathError>(())
/// ```
pub trait Terms: Navigate {
    /// Ends the path: writes `value` at every place that it reaches.
    fn set(
        self,
        value: impl IntoLeaf<Self::Leaf>,
    ) -> Transform<Self::Root, Self::Leaf, Replace<Self::Leaf>, Self::Carried> {
        Transform::new(self.into_path(), Replace(value.into_leaf()))
    }

    /// Ends the path: changes every value that it reaches.
    ///
    /// A missing value has nothing to change: put [`Navigate::or`] before it.
    #[expect(clippy::type_complexity, reason = "a transform is its path and its end")]
    fn update<F>(
        self,
        update: F,
    ) -> Transform<Self::Root, Self::Leaf, Update<Self::Leaf, F>, Self::Carried>
    where
        F: FnMut(&mut Self::Leaf),
    {
        Transform::new(self.into_path(), Update::new(update))
    }

    /// Ends the path: adds `number` to every number that it reaches; where nothing is, it is what was added. A
    /// sum that its type cannot hold is refused.
    fn add(
        self,
        number: impl IntoLeaf<Self::Leaf>,
    ) -> Transform<Self::Root, Self::Leaf, Add<Self::Leaf>, Self::Carried>
    where
        Self::Leaf: Numeric,
    {
        Transform::new(self.into_path(), Add(number.into_leaf()))
    }

    /// Ends the path: adds `value` to the state of an [aggregator](crate::aggregate) at every place that the path
    /// reaches. Where nothing is, the aggregator begins. What it cannot take is refused.
    ///
    /// ```
    /// use gridmill_model::aggregate::{Collect, Max};
    /// use gridmill_model::prelude::*;
    ///
    /// const BEST: PState<Map<Str, Option<u64>>> = PState::new("game/best");
    /// const PLAYED: PState<Map<Str, Map<u32, List<Str>>>> = PState::new("game/played");
    ///
    /// let mut best = Map::new();
    /// BEST.key("ann").agg(Max::new(), 7).apply(&mut best);
    /// BEST.key("ann").agg(Max::new(), 3).apply(&mut best);
    /// assert_eq!(best, [("ann".into(), Some(7))].into());
    /// // Whatever is missing on the way is made.
    /// let mut played = Map::new();
    /// PLAYED.key("ann").key(2_u32).agg(Collect::new(), "chess".into()).apply(&mut played);
    /// assert_eq!(PLAYED.key("ann").key(2_u32).all().select(&played)?, ["chess"]);
    /// # Ok::<(), gridmill_model::path::PathError>(())
    /// ```
    fn agg<G>(
        self,
        aggregator: G,
        value: G::In,
    ) -> Transform<Self::Root, Self::Leaf, Agg<G, G::In>, Self::Carried>
    where
        G: Aggregate<State = Self::Leaf, In: Clone>,
    {
        Transform::new(self.into_path(), Agg { aggregator, value })
    }

    /// Ends the path: takes every value that it reaches out of its collection. What is absent stays absent,
    /// and is not counted: the only values that this can make are those of [`Navigate::or`].
    fn remove(self) -> Transform<Self::Root, Self::Leaf, Remove<Self::Leaf>, Self::Carried> {
        Transform::new(self.into_path(), Remove::new())
    }

    /// Ends the path: moves the element at the [`Navigate::index`] reached, so that it stands at
    /// position `to`; those between move up or down by one.
    fn move_to(
        self,
        to: impl ToIndex,
    ) -> Transform<Self::Root, Index, Replace<Index>, Self::Carried>
    where
        Self: Navigate<Leaf = Index>,
    {
        self.set(Index(to.to_index()))
    }
}

impl<N: Navigate> Terms for N {}
