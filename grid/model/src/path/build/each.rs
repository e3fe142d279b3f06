//! Steps to every value of a collection.

use super::fits::{Elements, Indexed, Keyed, Listed};
use super::one::Navigate;
use super::path::Path;
use crate::path::data::step::{Every, Step};

/// Steps to every element, value or key.
///
/// ```
/// use gridmill_model::prelude::*;
///
/// const STOCK: PState<Map<Str, u64>> = PState::new("shop/stock");
/// let stock: Map<Str, u64> = [("apple".into(), 3), ("pear".into(), 5), ("plum".into(), 8)].into();
///
/// assert_eq!(STOCK.map_vals().select(&stock)?, [3, 5, 8]);
/// // The newest first, and a page at a time: those before the last one seen.
/// assert_eq!(STOCK.last_keys(2).map_keys_rev().select(&stock)?, ["plum", "pear"]);
/// assert_eq!(STOCK.key_range_to("pear", 2).map_keys_rev().select(&stock)?, ["apple"]);
/// # Ok::<(), gridmill_model::path::PathError>(())
/// ```
pub trait Each: Navigate {
    /// Goes to every element of a list or set, to every entry of a map as a pair.
    fn all(self) -> Path<Self::Root, <Self::Leaf as Elements>::Elem, Self::Carried>
    where
        Self::Leaf: Elements,
    {
        self.into_path().step(Step::All)
    }

    /// As [`all`](Each::all), from the last to the first.
    fn all_rev(self) -> Path<Self::Root, <Self::Leaf as Elements>::Elem, Self::Carried>
    where
        Self::Leaf: Elements,
    {
        self.into_path().step(Step::Backwards(Every::Element))
    }

    /// Goes to every value of a map, in key order.
    fn map_vals(self) -> Path<Self::Root, <Self::Leaf as Keyed>::Value, Self::Carried>
    where
        Self::Leaf: Keyed,
    {
        self.into_path().step(Step::MapVals)
    }

    /// As [`map_vals`](Each::map_vals), from the greatest key to the least.
    fn map_vals_rev(self) -> Path<Self::Root, <Self::Leaf as Keyed>::Value, Self::Carried>
    where
        Self::Leaf: Keyed,
    {
        self.into_path().step(Step::Backwards(Every::Value))
    }

    /// Goes to every key of a map, in order; setting one renames the entry, and of two entries
    /// with one name the later wins.
    fn map_keys(self) -> Path<Self::Root, <Self::Leaf as Keyed>::Key, Self::Carried>
    where
        Self::Leaf: Keyed,
    {
        self.into_path().step(Step::MapKeys)
    }

    /// As [`map_keys`](Each::map_keys), from the greatest to the least.
    fn map_keys_rev(self) -> Path<Self::Root, <Self::Leaf as Keyed>::Key, Self::Carried>
    where
        Self::Leaf: Keyed,
    {
        self.into_path().step(Step::Backwards(Every::Key))
    }

    /// Goes to every element of a list with its position, as pairs. A changed position moves the element,
    /// a changed value replaces it. Elements have their turn from left to right; positions are those at the time.
    fn indexed_vals(self) -> Path<Self::Root, Indexed<Self::Leaf>, Self::Carried>
    where
        Self::Leaf: Listed,
    {
        self.into_path().step(Step::IndexedVals)
    }
}

impl<N: Navigate> Each for N {}
