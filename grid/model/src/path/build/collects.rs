//! Steps that take values along.

use super::args::encoded;
use super::carry::CarryMore;
use super::one::Navigate;
use super::path::Path;
use crate::path::data::step::{Amount, Step};
use crate::{List, Root, State};

/// The path `N` with one collected value of type `A` more.
pub type Collecting<N, A> = Path<
    <N as Navigate>::Root,
    <N as Navigate>::Leaf,
    <<N as Navigate>::Carried as CarryMore<A>>::More,
>;

/// Steps that collect values for the results: each result is then the tuple of what was collected and the value
/// that the path leads to. At most three are collected. Transforms walk on as if these steps were not there.
///
/// ```
/// use gridmill_model::prelude::*;
///
/// const SCORES: PState<Map<Str, List<u64>>> = PState::new("game/scores");
/// let scores = Map::from([("ann".into(), List::from([3, 8]))]);
///
/// let with_best = SCORES.key("ann").collect_one(|it| it.max()).all();
/// assert_eq!(with_best.select(&scores)?, [(8, 3), (8, 8)]);
/// # Ok::<(), gridmill_model::path::PathError>(())
/// ```
pub trait Collects: Navigate {
    /// Collects the one value that the sub-path reaches; any other number is an error.
    fn collect_one<B>(
        self,
        path: impl FnOnce(Path<Self::Leaf, Self::Leaf>) -> B,
    ) -> Collecting<Self, B::Leaf>
    where
        Self::Leaf: Root,
        B: Navigate<Root = Self::Leaf, Carried = ()>,
        Self::Carried: CarryMore<B::Leaf>,
    {
        let path = path(Path::here()).into_path().into_steps();
        self.into_path().branching([path], |counts| Step::Collect(Amount::One, counts[0]))
    }

    /// Collects the list of what the sub-path reaches.
    fn collect<B>(
        self,
        path: impl FnOnce(Path<Self::Leaf, Self::Leaf>) -> B,
    ) -> Collecting<Self, List<B::Leaf>>
    where
        Self::Leaf: Root,
        B: Navigate<Root = Self::Leaf, Carried = ()>,
        B::Leaf: State,
        Self::Carried: CarryMore<List<B::Leaf>>,
    {
        let path = path(Path::here()).into_path().into_steps();
        self.into_path().branching([path], |counts| Step::Collect(Amount::All, counts[0]))
    }

    /// Collects a value that is known.
    fn put<A: State>(self, value: A) -> Collecting<Self, A>
    where
        Self::Carried: CarryMore<A>,
    {
        self.into_path().step(Step::Put(encoded(&value)))
    }

    /// Forgets what was collected.
    fn dispense(self) -> Path<Self::Root, Self::Leaf> {
        self.into_path().step(Step::Dispense)
    }
}

impl<N: Navigate> Collects for N {}
