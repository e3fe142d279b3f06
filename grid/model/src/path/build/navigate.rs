//! The builder of paths: one step after the other, each checked by the compiler.

use std::ops::RangeBounds;

use super::args::{edge, encoded, filter, key_bytes, span};
use super::fits::{
    Elements, Ends, IntoLeaf, Keyed, Listed, Measured, Optional, Ordered, SetOf, Sorted, ToIndex,
};
use super::path::Path;
use super::terms::Transform;
use crate::path::data::filter::{Compare, Edge, Index};
use crate::path::data::step::Step;
use crate::path::data::term::{Remove, Replace, Update};
use crate::path::walk::Walk;
use crate::{AsKey, Field, PState, Root, State};

/// Builds a path, from a [`PState`] or from a path begun.
///
/// Which steps there are depends on the type that the path leads to so far: `key` needs a map,
/// `nth` a list, `field` the record of the field. Keys are taken in any form that
/// [`AsKey`] knows, such as `&str` for [`Str`](crate::Str).
///
/// # Examples
///
/// ```
/// use gridmill_model::prelude::*;
///
/// const SCORES: PState<Map<Str, List<u64>>> = PState::new("game/scores");
///
/// let mut scores = Map::new();
/// SCORES.key("ann").after_elem().set(7).apply(&mut scores);
/// SCORES.key("ann").after_elem().set(3).apply(&mut scores);
/// SCORES.key("ann").index(1).move_to(0).apply(&mut scores);
///
/// assert_eq!(SCORES.key("ann").nth(0).select_one(&scores)?, Some(3));
/// assert_eq!(SCORES.key("ann").all().filter_gt(5).select(&scores)?, [7]);
/// assert_eq!(SCORES.key("bob").select_one(&scores)?, None);
/// # Ok::<(), gridmill_model::path::PathError>(())
/// ```
#[allow(clippy::len_without_is_empty, reason = "`len` is a step of a path, not its length")]
pub trait Navigate: Sized {
    /// Where the path starts.
    type Root: Root;
    /// What the path leads to.
    type Leaf: Walk;

    /// The path so far.
    fn into_path(self) -> Path<Self::Root, Self::Leaf>;

    /// Goes to the value under `key`; a transform may create the entry.
    #[inline]
    fn key<Q>(self, key: Q) -> Path<Self::Root, <Self::Leaf as Keyed>::Value>
    where
        Self::Leaf: Keyed,
        Q: AsKey<<Self::Leaf as Keyed>::Key>,
    {
        self.into_path().routed(&key).step(Step::Key(key_bytes(&key)))
    }

    /// Goes to the value under `key` if the entry is there; nothing can create it.
    #[inline]
    fn must<Q>(self, key: Q) -> Path<Self::Root, <Self::Leaf as Keyed>::Value>
    where
        Self::Leaf: Keyed,
        Q: AsKey<<Self::Leaf as Keyed>::Key>,
    {
        self.into_path().routed(&key).step(Step::Must(key_bytes(&key)))
    }

    /// Goes to every value of a map, in key order.
    fn map_vals(self) -> Path<Self::Root, <Self::Leaf as Keyed>::Value>
    where
        Self::Leaf: Keyed,
    {
        self.into_path().step(Step::MapVals)
    }

    /// Goes to every key of a map, in order; setting one renames the entry, and of two entries
    /// with one name the later wins.
    fn map_keys(self) -> Path<Self::Root, <Self::Leaf as Keyed>::Key>
    where
        Self::Leaf: Keyed,
    {
        self.into_path().step(Step::MapKeys)
    }

    /// Goes to the element at position `at`, counted from 0; past the end it reaches nothing.
    fn nth(self, at: impl ToIndex) -> Path<Self::Root, <Self::Leaf as Listed>::Elem>
    where
        Self::Leaf: Listed,
    {
        self.into_path().step(Step::Nth(at.to_index()))
    }

    /// Goes to position `at` itself, if there is an element: for [`Navigate::move_to`].
    fn index(self, at: impl ToIndex) -> Path<Self::Root, Index>
    where
        Self::Leaf: Listed,
    {
        self.into_path().step(Step::Index(at.to_index()))
    }

    /// Goes to the place after the last element: setting it appends, and makes a missing list.
    fn after_elem(self) -> Path<Self::Root, <Self::Leaf as Listed>::Elem>
    where
        Self::Leaf: Listed,
    {
        self.into_path().step(Step::AfterElem)
    }

    /// Goes to the place before the first element: setting it prepends, and makes a missing list.
    fn before_elem(self) -> Path<Self::Root, <Self::Leaf as Listed>::Elem>
    where
        Self::Leaf: Listed,
    {
        self.into_path().step(Step::BeforeElem)
    }

    /// Goes to the first element of a list, or the first part of a pair.
    fn first(self) -> Path<Self::Root, <Self::Leaf as Ends>::First>
    where
        Self::Leaf: Ends,
    {
        self.into_path().step(Step::First)
    }

    /// Goes to the last element of a list, or the second part of a pair.
    fn last(self) -> Path<Self::Root, <Self::Leaf as Ends>::Last>
    where
        Self::Leaf: Ends,
    {
        self.into_path().step(Step::Last)
    }

    /// Goes to every element of a list or set, to every entry of a map as a pair.
    fn all(self) -> Path<Self::Root, <Self::Leaf as Elements>::Elem>
    where
        Self::Leaf: Elements,
    {
        self.into_path().step(Step::All)
    }

    /// Goes to a field of a record: `field(Todo::TEXT)`.
    fn field<F: State>(self, field: Field<Self::Leaf, F>) -> Path<Self::Root, F> {
        self.into_path().step(Step::Field(field.index()))
    }

    /// Goes to the value inside an `Option`; setting it makes it `Some`, removing it `None`.
    fn some(self) -> Path<Self::Root, <Self::Leaf as Optional>::Value>
    where
        Self::Leaf: Optional,
    {
        self.into_path().step(Step::Some)
    }

    /// Goes to an element of a set, if it is a member.
    fn elem<Q>(self, elem: Q) -> Path<Self::Root, <Self::Leaf as SetOf>::Elem>
    where
        Self::Leaf: SetOf,
        Q: AsKey<<Self::Leaf as SetOf>::Elem>,
    {
        self.into_path().step(Step::Elem(key_bytes(&elem)))
    }

    /// Goes to the place of a new element: setting it adds it, and makes a missing set.
    fn add_elem(self) -> Path<Self::Root, <Self::Leaf as SetOf>::Elem>
    where
        Self::Leaf: SetOf,
    {
        self.into_path().step(Step::AddElem)
    }

    /// Goes on with `value` where nothing is.
    fn or(self, value: impl IntoLeaf<Self::Leaf>) -> Path<Self::Root, Self::Leaf> {
        self.into_path().step(Step::Or(encoded(&value.into_leaf())))
    }

    /// Goes on with the type's default where nothing is.
    fn or_default(self) -> Path<Self::Root, Self::Leaf>
    where
        Self::Leaf: Default,
    {
        self.or(Self::Leaf::default())
    }

    /// Goes to the number of elements; a missing collection has none.
    fn len(self) -> Path<Self::Root, u64>
    where
        Self::Leaf: Measured,
    {
        self.into_path().step(Step::Len)
    }

    /// Goes to the part of a map or set whose keys lie in `range`, as one map or set.
    ///
    /// Setting it replaces that part; removing it deletes the keys. Where it was empty and stays so, no place is
    /// counted, and no missing entry is made.
    ///
    /// ```
    /// # use gridmill_model::prelude::*;
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
    /// # Ok::<(), gridmill_model::path::PathError>(())
    /// ```
    fn key_range<Q>(self, range: impl RangeBounds<Q>) -> Path<Self::Root, Self::Leaf>
    where
        Self::Leaf: Sorted,
        Q: AsKey<<Self::Leaf as Sorted>::Key> + ?Sized,
    {
        let (from, to) = (edge(range.start_bound()), edge(range.end_bound()));
        self.into_path().step(span(from, to, None, false))
    }

    /// Goes to at most `limit` entries from `key` upwards, `key` included.
    fn key_range_from<Q>(self, key: Q, limit: u64) -> Path<Self::Root, Self::Leaf>
    where
        Self::Leaf: Sorted,
        Q: AsKey<<Self::Leaf as Sorted>::Key>,
    {
        let from = Edge::Including(key_bytes(&key));
        self.into_path().step(span(from, Edge::Open, Some(limit), false))
    }

    /// Goes to the at most `limit` entries closest below `key`, in ascending order.
    fn key_range_to<Q>(self, key: Q, limit: u64) -> Path<Self::Root, Self::Leaf>
    where
        Self::Leaf: Sorted,
        Q: AsKey<<Self::Leaf as Sorted>::Key>,
    {
        let to = Edge::Excluding(key_bytes(&key));
        self.into_path().step(span(Edge::Open, to, Some(limit), true))
    }

    /// Goes to the first `limit` entries.
    fn first_keys(self, limit: u64) -> Path<Self::Root, Self::Leaf>
    where
        Self::Leaf: Sorted,
    {
        self.into_path().step(span(Edge::Open, Edge::Open, Some(limit), false))
    }

    /// Goes to the last `limit` entries, in ascending order.
    fn last_keys(self, limit: u64) -> Path<Self::Root, Self::Leaf>
    where
        Self::Leaf: Sorted,
    {
        self.into_path().step(span(Edge::Open, Edge::Open, Some(limit), true))
    }

    /// Goes on if the value equals `value`.
    fn filter_eq(self, value: impl IntoLeaf<Self::Leaf>) -> Path<Self::Root, Self::Leaf> {
        self.into_path().step(filter(Compare::Eq, &value.into_leaf()))
    }

    /// Goes on if the value does not equal `value`.
    fn filter_ne(self, value: impl IntoLeaf<Self::Leaf>) -> Path<Self::Root, Self::Leaf> {
        self.into_path().step(filter(Compare::Ne, &value.into_leaf()))
    }

    /// Goes on if the value is greater than `value`.
    fn filter_gt(self, value: impl IntoLeaf<Self::Leaf>) -> Path<Self::Root, Self::Leaf>
    where
        Self::Leaf: Ordered,
    {
        self.into_path().step(filter(Compare::Gt, &value.into_leaf()))
    }

    /// Goes on if the value is greater than `value` or equal.
    fn filter_ge(self, value: impl IntoLeaf<Self::Leaf>) -> Path<Self::Root, Self::Leaf>
    where
        Self::Leaf: Ordered,
    {
        self.into_path().step(filter(Compare::Ge, &value.into_leaf()))
    }

    /// Goes on if the value is less than `value`.
    fn filter_lt(self, value: impl IntoLeaf<Self::Leaf>) -> Path<Self::Root, Self::Leaf>
    where
        Self::Leaf: Ordered,
    {
        self.into_path().step(filter(Compare::Lt, &value.into_leaf()))
    }

    /// Goes on if the value is less than `value` or equal.
    fn filter_le(self, value: impl IntoLeaf<Self::Leaf>) -> Path<Self::Root, Self::Leaf>
    where
        Self::Leaf: Ordered,
    {
        self.into_path().step(filter(Compare::Le, &value.into_leaf()))
    }

    /// Goes on if the condition, a path from here, reaches anything.
    ///
    /// ```
    /// # use gridmill_model::prelude::*;
    /// # const SCORES: PState<Map<Str, List<u64>>> = PState::new("game/scores");
    /// // Moves an element only within the list.
    /// let to = 4;
    /// let path = SCORES.key("ann").filter_selected(|list| list.len().filter_gt(to)).index(0);
    /// # assert_eq!(path.move_to(to).apply(&mut Map::new()), 0);
    /// ```
    fn filter_selected<C>(
        self,
        condition: impl FnOnce(Path<Self::Leaf, Self::Leaf>) -> C,
    ) -> Path<Self::Root, Self::Leaf>
    where
        Self::Leaf: Root,
        C: Navigate<Root = Self::Leaf>,
    {
        self.into_path().condition(condition(Path::here()).into_path())
    }

    /// Ends the path: writes `value` at every place that it reaches.
    fn set(
        self,
        value: impl IntoLeaf<Self::Leaf>,
    ) -> Transform<Self::Root, Self::Leaf, Replace<Self::Leaf>> {
        Transform::new(self.into_path(), Replace(value.into_leaf()))
    }

    /// Ends the path: changes every value that it reaches.
    ///
    /// A missing value has nothing to change: put [`Navigate::or`] before it.
    fn update<F>(self, update: F) -> Transform<Self::Root, Self::Leaf, Update<Self::Leaf, F>>
    where
        F: FnMut(&mut Self::Leaf),
    {
        Transform::new(self.into_path(), Update::new(update))
    }

    /// Ends the path: takes every value that it reaches out of its collection. What is absent stays absent,
    /// and is not counted: the only values that this can make are those of [`Navigate::or`].
    fn remove(self) -> Transform<Self::Root, Self::Leaf, Remove<Self::Leaf>> {
        Transform::new(self.into_path(), Remove::new())
    }

    /// Ends the path: moves the element at the [`Navigate::index`] reached, so that it stands at
    /// position `to`; those between move up or down by one.
    fn move_to(self, to: impl ToIndex) -> Transform<Self::Root, Index, Replace<Index>>
    where
        Self: Navigate<Leaf = Index>,
    {
        self.set(Index(to.to_index()))
    }
}

impl<R: Root> Navigate for PState<R> {
    type Root = R;
    type Leaf = R;

    #[inline]
    fn into_path(self) -> Path<R, R> {
        Path::of(self)
    }
}

impl<R: Root, L: Walk> Navigate for Path<R, L> {
    type Root = R;
    type Leaf = L;

    #[inline]
    fn into_path(self) -> Self {
        self
    }
}
