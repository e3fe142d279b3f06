//! Steps that lead along other paths.

use super::data_transform::DataTransform;
use super::one::Navigate;
use super::path::Path;
use crate::path::data::step::{Step, Steps, Transformed};
use crate::path::walk::Walk;
use crate::{List, Root, State};

/// Steps that choose between paths, take several, or gather what one reaches.
///
/// ```
/// use gridmill_model::prelude::*;
///
/// const SCORES: PState<Map<Str, List<i64>>> = PState::new("game/scores");
/// let mut scores = Map::from([("ann".into(), List::from([3, 8, 5]))]);
/// let ann = || SCORES.key("ann");
///
/// // The first score if any is over 7, else the last.
/// let one = ann().if_path(|it| it.all().filter_gt(7), |it| it.first(), |it| it.last());
/// assert_eq!(one.select(&scores)?, [3]);
/// assert_eq!(ann().multi(|it| [it.clone().last(), it.first()]).select(&scores)?, [5, 3]);
///
/// // One number instead of many: the sum of the odd ones.
/// let sum = ann().subselect(|it| it.all().filter(|n| n % 2 == 1)).sum();
/// assert_eq!(sum.select(&scores)?, [8]);
/// // The list in another order, only where it says so.
/// let reversed = ann().subselect(|it| it.all().filter_gt(4)).update(|list| {
///     *list = list.iter().rev().copied().collect();
/// });
/// reversed.apply(&mut scores);
/// assert_eq!(ann().all().select(&scores)?, [3, 5, 8]);
/// # Ok::<(), gridmill_model::path::PathError>(())
/// ```
pub trait Branches: Navigate
where
    Self::Leaf: Root,
{
    /// Goes on along `then` if the condition reaches anything, else along `otherwise`.
    fn if_path<B, T, E>(
        self,
        condition: impl FnOnce(Path<Self::Leaf, Self::Leaf>) -> B,
        then: impl FnOnce(Path<Self::Leaf, Self::Leaf>) -> T,
        otherwise: impl FnOnce(Path<Self::Leaf, Self::Leaf>) -> E,
    ) -> Path<Self::Root, T::Leaf, Self::Carried>
    where
        B: Navigate<Root = Self::Leaf, Carried = ()>,
        T: Navigate<Root = Self::Leaf, Carried = ()>,
        E: Navigate<Root = Self::Leaf, Leaf = T::Leaf, Carried = ()>,
    {
        let branches = [
            condition(Path::here()).into_path().into_steps(),
            then(Path::here()).into_path().into_steps(),
            otherwise(Path::here()).into_path().into_steps(),
        ];
        self.into_path().branching(branches, |counts| Step::If(counts[0], counts[1], counts[2]))
    }

    /// Goes on along `then` if the condition reaches anything.
    fn when<B, T>(
        self,
        condition: impl FnOnce(Path<Self::Leaf, Self::Leaf>) -> B,
        then: impl FnOnce(Path<Self::Leaf, Self::Leaf>) -> T,
    ) -> Path<Self::Root, T::Leaf, Self::Carried>
    where
        B: Navigate<Root = Self::Leaf, Carried = ()>,
        T: Navigate<Root = Self::Leaf, Carried = ()>,
    {
        self.if_path(condition, then, |it| it.stop())
    }

    /// Goes on along each of the paths, one after the other. In a transform each sees what those before it did.
    fn multi<M: Walk, const N: usize>(
        self,
        branches: impl FnOnce(Path<Self::Leaf, Self::Leaf>) -> [Path<Self::Leaf, M>; N],
    ) -> Path<Self::Root, M, Self::Carried> {
        let branches = branches(Path::here()).map(Path::into_steps);
        self.into_path().branching(branches, |counts| Step::Multi(counts.into()))
    }

    /// Reaches nothing: an end of a branch, as a path to whatever type the others lead to.
    fn stop<M: Walk>(self) -> Path<Self::Root, M, Self::Carried> {
        self.into_path().step(Step::Stop)
    }

    /// Goes to the list of what the sub-path reaches; an empty one where that is nothing.
    ///
    /// In a transform the changed list is put back value by value, to where they came from. Values that are
    /// missing at its end remove theirs; more than there were are refused. The transform ends right behind it.
    fn subselect<B>(
        self,
        path: impl FnOnce(Path<Self::Leaf, Self::Leaf>) -> B,
    ) -> Path<Self::Root, List<B::Leaf>, Self::Carried>
    where
        B: Navigate<Root = Self::Leaf, Carried = ()>,
        B::Leaf: State,
    {
        let path = path(Path::here()).into_path().into_steps();
        self.into_path().branching([path], |counts| Step::Subselect(counts[0]))
    }

    /// Goes to the value as the transform would leave it; the value itself stays as it is. A transform through
    /// it writes the result.
    ///
    /// ```
    /// # use gridmill_model::prelude::*;
    /// # const SCORES: PState<Map<Str, List<i64>>> = PState::new("game/scores");
    /// let scores = Map::from([("ann".into(), List::from([3, 8, 5]))]);
    /// let without_first = SCORES.key("ann").transformed(|it| it.nth(0).remove());
    /// assert_eq!(without_first.select_one(&scores)?, Some([8, 5].into()));
    /// assert_eq!(SCORES.key("ann").len().select(&scores)?, [3]);
    /// # Ok::<(), gridmill_model::path::PathError>(())
    /// ```
    fn transformed<D>(
        self,
        transform: impl FnOnce(Path<Self::Leaf, Self::Leaf>) -> D,
    ) -> Path<Self::Root, Self::Leaf, Self::Carried>
    where
        D: DataTransform<Root = Self::Leaf>,
    {
        let (steps, term): (Steps, _) = transform(Path::here()).into_data();
        self.into_path().branching([steps], |counts| {
            Step::Transformed(Box::new(Transformed { count: counts[0], term }))
        })
    }
}

impl<N: Navigate> Branches for N where N::Leaf: Root {}
