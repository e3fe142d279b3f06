//! Steps to what is computed of a collection.

use super::fits::{Measured, Sums, Valued};
use super::one::Navigate;
use super::path::Path;
use crate::path::data::step::{Step, View};

/// Steps to one value that all elements make up.
///
/// ```
/// use gridmill_model::prelude::*;
///
/// const SCORES: PState<Map<Str, List<u32>>> = PState::new("game/scores");
/// let scores = Map::from([("ann".into(), List::from([3, 8, 4]))]);
///
/// assert_eq!(SCORES.key("ann").sum().select(&scores)?, [15]);
/// assert_eq!(SCORES.key("ann").max().select(&scores)?, [8]);
/// assert_eq!(SCORES.key("ann").avg().select(&scores)?, [5.0]);
/// assert_eq!(SCORES.key("bob").sum().select(&scores)?, [0]);
/// assert_eq!(SCORES.key("bob").max().select_one(&scores)?, None);
/// # Ok::<(), gridmill_model::path::PathError>(())
/// ```
#[allow(clippy::len_without_is_empty, reason = "`len` is a step of a path, not its length")]
pub trait Views: Navigate {
    /// Goes to the number of elements; a missing collection has none.
    fn len(self) -> Path<Self::Root, u64, Self::Carried>
    where
        Self::Leaf: Measured,
    {
        self.into_path().step(Step::Len)
    }

    /// Goes to the sum of the elements: a `u64`, `i64` or `f64`, or of the widest integers one of these. Of
    /// nothing it is 0; one that is too large is an error.
    fn sum(self) -> Path<Self::Root, <Self::Leaf as Sums>::Sum, Self::Carried>
    where
        Self::Leaf: Sums,
    {
        self.into_path().step(Step::View(View::Sum(<Self::Leaf as Sums>::KIND)))
    }

    /// Goes to the least element, if there is one. `NaN` is none.
    fn min(self) -> Path<Self::Root, <Self::Leaf as Valued>::Elem, Self::Carried>
    where
        Self::Leaf: Valued,
    {
        self.into_path().step(Step::View(View::Min))
    }

    /// Goes to the greatest element, if there is one. `NaN` is none.
    fn max(self) -> Path<Self::Root, <Self::Leaf as Valued>::Elem, Self::Carried>
    where
        Self::Leaf: Valued,
    {
        self.into_path().step(Step::View(View::Max))
    }

    /// Goes to the mean of the elements, if there are any.
    fn avg(self) -> Path<Self::Root, f64, Self::Carried>
    where
        Self::Leaf: Sums,
    {
        self.into_path().step(Step::View(View::Avg))
    }
}

impl<N: Navigate> Views for N {}
