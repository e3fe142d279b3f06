//! Steps to a part of a collection, as one collection.

use std::ops::{Bound, RangeBounds};

use super::args::{edge, key_bytes, span};
use super::fits::{Keyed, Listed, SetOf, Sorted};
use super::one::Navigate;
use super::path::Path;
use crate::path::data::filter::Edge;
use crate::path::data::step::{Side, Step, StepKey};
use crate::{AsKey, Root};

/// Steps to a part of a list, map or set, as one list, map or set.
///
/// A select has the part as one value, an empty one where there is nothing, also where the collection is missing.
/// A transform changes the part and puts the result in its place: what is no longer there is deleted. Where the
/// part was empty and stays so, no place is counted, and no missing entry is made.
///
/// ```
/// use gridmill_model::prelude::*;
/// use std::ops::Bound::{Excluded, Unbounded};
///
/// const STOCK: PState<Map<Str, u64>> = PState::new("shop/stock");
/// let stock: Map<Str, u64> =
///     [("apple".into(), 3), ("pear".into(), 5), ("plum".into(), 8)].into();
///
/// let from_pear = STOCK.key_range("pear"..).map_keys().select(&stock)?;
/// assert_eq!(from_pear, ["pear", "plum"]);
/// // Bounds that name no type of a key do not tell which is meant.
/// let after_pear = STOCK.key_range::<str>((Excluded("pear"), Unbounded)).map_keys();
/// assert_eq!(after_pear.select(&stock)?, ["plum"]);
/// assert_eq!(STOCK.key_range::<str>(..).len().select(&stock)?, [3]);
/// assert_eq!(STOCK.sub_map(["plum", "fig"]).map_vals().select(&stock)?, [8]);
///
/// const SCORES: PState<Map<Str, List<u64>>> = PState::new("game/scores");
/// let mut scores = Map::from([("ann".into(), List::from([4, 7, 2, 9]))]);
/// assert_eq!(SCORES.key("ann").range(1..3).select_one(&scores)?, Some([7, 2].into()));
/// let high = SCORES.key("ann").filtered(|score| score.filter_gt(5));
/// high.update(|high| *high = high.iter().rev().copied().collect()).apply(&mut scores);
/// assert_eq!(SCORES.key("ann").all().select(&scores)?, [4, 9, 2, 7]);
/// # Ok::<(), gridmill_model::path::PathError>(())
/// ```
pub trait Parts: Navigate {
    /// Goes to the part of a map or set whose keys lie in `range`.
    fn key_range<Q>(self, range: impl RangeBounds<Q>) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Sorted,
        Q: AsKey<<Self::Leaf as Sorted>::Key> + ?Sized,
    {
        let (from, to) = (edge(range.start_bound()), edge(range.end_bound()));
        self.into_path().step(span(from, to, None, false))
    }

    /// Goes to at most `limit` entries from `key` upwards, `key` included.
    fn key_range_from<Q>(self, key: Q, limit: u64) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Sorted,
        Q: AsKey<<Self::Leaf as Sorted>::Key>,
    {
        let from = Edge::Including(key_bytes(&key));
        self.into_path().step(span(from, Edge::Open, Some(limit), false))
    }

    /// Goes to at most `limit` entries above `key`: the page that follows one that ended with it.
    fn key_range_after<Q>(self, key: Q, limit: u64) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Sorted,
        Q: AsKey<<Self::Leaf as Sorted>::Key>,
    {
        let from = Edge::Excluding(key_bytes(&key));
        self.into_path().step(span(from, Edge::Open, Some(limit), false))
    }

    /// Goes to the at most `limit` entries closest below `key`: going backwards, the page that follows one that
    /// ended with it. As a collection they are in ascending order; [`Each::all_rev`](crate::path::Each::all_rev)
    /// and its like go through them from the end.
    fn key_range_to<Q>(self, key: Q, limit: u64) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Sorted,
        Q: AsKey<<Self::Leaf as Sorted>::Key>,
    {
        let to = Edge::Excluding(key_bytes(&key));
        self.into_path().step(span(Edge::Open, to, Some(limit), true))
    }

    /// Goes to the first `limit` entries.
    fn first_keys(self, limit: u64) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Sorted,
    {
        self.into_path().step(span(Edge::Open, Edge::Open, Some(limit), false))
    }

    /// Goes to the last `limit` entries, in ascending order.
    fn last_keys(self, limit: u64) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Sorted,
    {
        self.into_path().step(span(Edge::Open, Edge::Open, Some(limit), true))
    }

    /// Goes to the entries of a map under these keys. A transform removes them and puts in what it made of them.
    fn sub_map<Q>(
        self,
        keys: impl IntoIterator<Item = Q>,
    ) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Keyed,
        Q: AsKey<<Self::Leaf as Keyed>::Key>,
    {
        let keys = keys.into_iter().map(|key| StepKey(key_bytes(&key))).collect();
        self.into_path().step(Step::Keys(keys))
    }

    /// Goes to those of these elements that a set has. A transform removes them and puts in what it made of them.
    fn subset<Q>(
        self,
        elems: impl IntoIterator<Item = Q>,
    ) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: SetOf,
        Q: AsKey<<Self::Leaf as SetOf>::Elem>,
    {
        let keys = elems.into_iter().map(|elem| StepKey(key_bytes(&elem))).collect();
        self.into_path().step(Step::Keys(keys))
    }

    /// Goes to the elements of a list at these positions, as far as there are any.
    fn range(self, range: impl RangeBounds<u64>) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Listed,
    {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(from) => from.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(to) => to.saturating_add(1),
            Bound::Excluded(to) => *to,
            Bound::Unbounded => u64::MAX,
        };
        self.into_path().step(Step::Range(from, to))
    }

    /// Goes to the first `count` elements of a list.
    fn first_n(self, count: u64) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Listed,
    {
        self.into_path().step(Step::Take(count, Side::First))
    }

    /// Goes to the last `count` elements of a list, in the order of the list.
    fn last_n(self, count: u64) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Listed,
    {
        self.into_path().step(Step::Take(count, Side::Last))
    }

    /// Goes to the elements of a list for which the condition reaches anything. A transform gives each of their
    /// places the element that has come there; where they have become fewer, the last places go, and more than
    /// there were are refused.
    fn filtered<B>(
        self,
        condition: impl FnOnce(Path<<Self::Leaf as Listed>::Elem, <Self::Leaf as Listed>::Elem>) -> B,
    ) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Listed,
        <Self::Leaf as Listed>::Elem: Root,
        B: Navigate<Root = <Self::Leaf as Listed>::Elem, Carried = ()>,
    {
        let condition = condition(Path::here()).into_path().into_steps();
        self.into_path().branching([condition], |counts| Step::Filtered(counts[0]))
    }

    /// Goes to the empty list before the first element: what is set there is put in. A missing list is made.
    fn beginning(self) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Listed,
    {
        self.into_path().step(Step::Splice(Side::First))
    }

    /// Goes to the empty list after the last element: what is set there is put in. A missing list is made.
    fn end(self) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Listed,
    {
        self.into_path().step(Step::Splice(Side::Last))
    }
}

impl<N: Navigate> Parts for N {}
