//! Steps that go on only if something holds.

use super::args::filter;
use super::fits::{IntoLeaf, Ordered};
use super::one::Navigate;
use super::path::Path;
use crate::Root;
use crate::path::data::filter::Compare;
use crate::path::data::step::Step;
use crate::path::walk::own;

/// Steps that go on only from some values.
///
/// ```
/// use gridmill_model::prelude::*;
///
/// const SCORES: PState<Map<Str, List<u64>>> = PState::new("game/scores");
/// let scores = Map::from([("ann".into(), List::from([3, 8])), ("bob".into(), List::new())]);
///
/// assert_eq!(SCORES.map_vals().all().filter_gt(5).select(&scores)?, [8]);
/// assert_eq!(SCORES.map_vals().all().filter(|score| score % 2 == 1).select(&scores)?, [3]);
/// let idle = SCORES.all().filter_not_selected(|player| player.last().all()).first();
/// assert_eq!(idle.select(&scores)?, ["bob"]);
/// # Ok::<(), gridmill_model::path::PathError>(())
/// ```
pub trait Filters: Navigate {
    /// Goes on if the value equals `value`.
    fn filter_eq(
        self,
        value: impl IntoLeaf<Self::Leaf>,
    ) -> Path<Self::Root, Self::Leaf, Self::Carried> {
        self.into_path().step(filter(Compare::Eq, &value.into_leaf()))
    }

    /// Goes on if the value does not equal `value`.
    fn filter_ne(
        self,
        value: impl IntoLeaf<Self::Leaf>,
    ) -> Path<Self::Root, Self::Leaf, Self::Carried> {
        self.into_path().step(filter(Compare::Ne, &value.into_leaf()))
    }

    /// Goes on if the value is greater than `value`.
    fn filter_gt(
        self,
        value: impl IntoLeaf<Self::Leaf>,
    ) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Ordered,
    {
        self.into_path().step(filter(Compare::Gt, &value.into_leaf()))
    }

    /// Goes on if the value is greater than `value` or equal.
    fn filter_ge(
        self,
        value: impl IntoLeaf<Self::Leaf>,
    ) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Ordered,
    {
        self.into_path().step(filter(Compare::Ge, &value.into_leaf()))
    }

    /// Goes on if the value is less than `value`.
    fn filter_lt(
        self,
        value: impl IntoLeaf<Self::Leaf>,
    ) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Ordered,
    {
        self.into_path().step(filter(Compare::Lt, &value.into_leaf()))
    }

    /// Goes on if the value is less than `value` or equal.
    fn filter_le(
        self,
        value: impl IntoLeaf<Self::Leaf>,
    ) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Ordered,
    {
        self.into_path().step(filter(Compare::Le, &value.into_leaf()))
    }

    /// Goes on if the function says so. The path has code in it then: it is walked in this process only.
    fn filter(
        self,
        holds: impl Fn(&Self::Leaf) -> bool + Send + Sync + 'static,
    ) -> Path<Self::Root, Self::Leaf, Self::Carried> {
        self.into_path().step(own::test(holds))
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
    fn filter_selected<B>(
        self,
        condition: impl FnOnce(Path<Self::Leaf, Self::Leaf>) -> B,
    ) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Root,
        B: Navigate<Root = Self::Leaf, Carried = ()>,
    {
        let condition = condition(Path::here()).into_path().into_steps();
        self.into_path().branching([condition], |counts| Step::FilterSelected(counts[0]))
    }

    /// Goes on if the condition, a path from here, reaches nothing.
    fn filter_not_selected<B>(
        self,
        condition: impl FnOnce(Path<Self::Leaf, Self::Leaf>) -> B,
    ) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        Self::Leaf: Root,
        B: Navigate<Root = Self::Leaf, Carried = ()>,
    {
        let condition = condition(Path::here()).into_path().into_steps();
        self.into_path().branching([condition], |counts| Step::FilterNotSelected(counts[0]))
    }
}

impl<N: Navigate> Filters for N {}
