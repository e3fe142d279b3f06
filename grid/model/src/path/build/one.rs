//! Steps to one value: a key, an element, a field.

use super::args::{encoded, key_bytes};
use super::carry::Carry;
use super::fits::{Ends, IntoLeaf, Keyed, Listed, Optional, PartOf, SetOf, ToIndex};
use super::path::Path;
use crate::path::data::filter::Index;
use crate::path::data::step::Step;
use crate::path::walk::Walk;
use crate::path::walk::own::{self, Navigator};
use crate::{AsKey, Field, PState, Root, State, Variant};

/// Builds a path, from a [`PState`] or from a path begun.
///
/// Which steps there are depends on the type that the path leads to so far: `key` needs a map,
/// `nth` a list, `field` the record of the field. Keys are taken in any form that
/// [`AsKey`] knows, such as `&str` for [`Str`](crate::Str). Other steps are in the traits [`Each`], [`Parts`],
/// [`Filters`], [`Branches`], [`Views`], [`Collects`] and [`Terms`], which the prelude brings along.
///
/// [`Each`]: crate::path::Each
/// [`Parts`]: crate::path::Parts
/// [`Filters`]: crate::path::Filters
/// [`Branches`]: crate::path::Branches
/// [`Views`]: crate::path::Views
/// [`Collects`]: crate::path::Collects
/// [`Terms`]: crate::path::Terms
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
pub trait Navigate: Sized {
    /// Where the path starts.
    type Root: Root;
    /// What the path leads to.
    type Leaf: Walk;
    /// What the path collects on its way: `()`, or a tuple of up to three types.
    type Carried: Carry;

    /// The path so far.
    fn into_path(self) -> Path<Self::Root, Self::Leaf, Self::Carried>;

    /// Goes to the value under `key`; a transform may create the entry.
    #[inline]
    fn key<Q>(self, key: Q) -> Path<Self::Root, <Self::Leaf as Keyed>::Value, Self::Carried>
    where
        Self::Leaf: Keyed,
        Q: AsKey<<Self::Leaf as Keyed>::Key>,
    {
        self.into_path().routed(&key).step(Step::Key(key_bytes(&key)))
    }

    /// Goes to the value under `key` if the entry is there; nothing can create it.
    #[inline]
    fn must<Q>(self, key: Q) -> Path<Self::Root, <Self::Leaf as Keyed>::Value, Self::Carried>
    where
        Self::Leaf: Keyed,
        Q: AsKey<<Self::Leaf as Keyed>::Key>,
    {
        self.into_path().routed(&key).step(Step::Must(key_bytes(&key)))
    }

    /// Goes to the key itself, if the entry is there. Setting it gives the entry another key; what lay there
    /// goes. Removing it removes the entry.
    fn map_key<Q>(self, key: Q) -> Path<Self::Root, <Self::Leaf as Keyed>::Key, Self::Carried>
    where
        Self::Leaf: Keyed,
        Q: AsKey<<Self::Leaf as Keyed>::Key>,
    {
        self.into_path().step(Step::MapKey(key_bytes(&key)))
    }

    /// Goes to the element at position `at`, counted from 0; past the end it reaches nothing.
    fn nth(self, at: impl ToIndex) -> Path<Self::Root, <Self::Leaf as Listed>::Elem, Self::Carried>
    where
        Self::Leaf: Listed,
    {
        self.into_path().step(Step::Nth(at.to_index()))
    }

    /// Goes to position `at` itself, if there is an element: for
    /// [`Terms::move_to`](crate::path::Terms::move_to).
    fn index(self, at: impl ToIndex) -> Path<Self::Root, Index, Self::Carried>
    where
        Self::Leaf: Listed,
    {
        self.into_path().step(Step::Index(at.to_index()))
    }

    /// Goes to the place after the last element: setting it appends, and makes a missing list.
    fn after_elem(self) -> Path<Self::Root, <Self::Leaf as Listed>::Elem, Self::Carried>
    where
        Self::Leaf: Listed,
    {
        self.into_path().step(Step::AfterElem)
    }

    /// Goes to the place before the first element: setting it prepends, and makes a missing list.
    fn before_elem(self) -> Path<Self::Root, <Self::Leaf as Listed>::Elem, Self::Carried>
    where
        Self::Leaf: Listed,
    {
        self.into_path().step(Step::BeforeElem)
    }

    /// Goes to the place of a new element before position `at`; the length is the place after the last, and
    /// past that it reaches nothing.
    fn before_index(
        self,
        at: impl ToIndex,
    ) -> Path<Self::Root, <Self::Leaf as Listed>::Elem, Self::Carried>
    where
        Self::Leaf: Listed,
    {
        self.into_path().step(Step::BeforeIndex(at.to_index()))
    }

    /// Goes to the first element of a list, or the first part of a tuple.
    fn first(self) -> Path<Self::Root, <Self::Leaf as Ends>::First, Self::Carried>
    where
        Self::Leaf: Ends,
    {
        self.into_path().step(Step::First)
    }

    /// Goes to the last element of a list, or the last part of a tuple.
    fn last(self) -> Path<Self::Root, <Self::Leaf as Ends>::Last, Self::Carried>
    where
        Self::Leaf: Ends,
    {
        self.into_path().step(Step::Last)
    }

    /// Goes to the part of a tuple of that number, counted from 0: `part::<1>()`.
    fn part<const N: usize>(
        self,
    ) -> Path<Self::Root, <Self::Leaf as PartOf<N>>::Part, Self::Carried>
    where
        Self::Leaf: PartOf<N>,
    {
        self.into_path().step(Step::Field(N as u16))
    }

    /// Goes to a field of a record: `field(Todo::TEXT)`.
    fn field<F: State>(self, field: Field<Self::Leaf, F>) -> Path<Self::Root, F, Self::Carried> {
        self.into_path().step(Step::Field(field.index()))
    }

    /// Goes to the content of an enum, if it is that variant: `variant(Shape::CIRCLE)`. The content is the
    /// field of the variant, the tuple of its fields, or `()`. Setting it makes the value that variant.
    fn variant<F: State>(
        self,
        variant: Variant<Self::Leaf, F>,
    ) -> Path<Self::Root, F, Self::Carried> {
        self.into_path().step(Step::Variant(variant.index()))
    }

    /// Goes to the value inside an `Option`; setting it makes it `Some`, removing it `None`.
    fn some(self) -> Path<Self::Root, <Self::Leaf as Optional>::Value, Self::Carried>
    where
        Self::Leaf: Optional,
    {
        self.into_path().step(Step::Some)
    }

    /// Goes to an element of a set, if it is a member.
    fn elem<Q>(self, elem: Q) -> Path<Self::Root, <Self::Leaf as SetOf>::Elem, Self::Carried>
    where
        Self::Leaf: SetOf,
        Q: AsKey<<Self::Leaf as SetOf>::Elem>,
    {
        self.into_path().step(Step::Elem(key_bytes(&elem)))
    }

    /// Goes to the place of a new element: setting it adds it, and makes a missing set.
    fn add_elem(self) -> Path<Self::Root, <Self::Leaf as SetOf>::Elem, Self::Carried>
    where
        Self::Leaf: SetOf,
    {
        self.into_path().step(Step::AddElem)
    }

    /// Goes on with `value` where nothing is.
    fn or(self, value: impl IntoLeaf<Self::Leaf>) -> Path<Self::Root, Self::Leaf, Self::Carried> {
        self.into_path().step(Step::Or(encoded(&value.into_leaf())))
    }

    /// Goes on with the type's default where nothing is.
    fn or_default(self) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Default,
    {
        self.or(Self::Leaf::default())
    }

    /// Goes where a navigator of one's own leads.
    fn own<N>(self, navigator: N) -> Path<Self::Root, N::To, Self::Carried>
    where
        N: Navigator<From = Self::Leaf>,
    {
        self.into_path().step(own::step(navigator))
    }
}

impl<R: Root> Navigate for PState<R> {
    type Root = R;
    type Leaf = R;
    type Carried = ();

    #[inline]
    fn into_path(self) -> Path<R, R> {
        Path::of(self)
    }
}

impl<R: Root, L: Walk, C: Carry> Navigate for Path<R, L, C> {
    type Root = R;
    type Leaf = L;
    type Carried = C;

    #[inline]
    fn into_path(self) -> Self {
        self
    }
}
