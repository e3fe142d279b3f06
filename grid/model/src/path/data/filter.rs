//! What steps hold beside keys: comparisons, ranges of keys, positions.

use std::fmt;
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::keys::decode_key;
use crate::Key;
use crate::key::KeyBytes;
use crate::path::error::Misfit;

/// Which part of a sorted map or set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRange {
    /// Where the range starts.
    pub from: Edge,
    /// Where the range ends.
    pub to: Edge,
    /// The most entries, if limited.
    pub limit: Option<u64>,
    /// Whether the limit keeps the entries at the end instead of those at the start.
    pub keep_last: bool,
}

/// One end of a [`KeyRange`], as the bytes of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edge {
    /// No bound.
    Open,
    /// The key itself belongs to the range.
    Including(#[serde(with = "super::keys")] KeyBytes),
    /// The key itself does not belong to the range.
    Excluding(#[serde(with = "super::keys")] KeyBytes),
}

/// A comparison with a constant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// How to compare.
    pub compare: Compare,
    /// What to compare with, as postcard bytes of the value's type.
    pub value: Box<[u8]>,
}

/// How a filter compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compare {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Greater than.
    Gt,
    /// Greater than or equal.
    Ge,
    /// Less than.
    Lt,
    /// Less than or equal.
    Le,
}

impl Compare {
    /// The name of the step in the builder and in JSON.
    pub(in crate::path) fn name(self) -> &'static str {
        match self {
            Self::Eq => "filter_eq",
            Self::Ne => "filter_ne",
            Self::Gt => "filter_gt",
            Self::Ge => "filter_ge",
            Self::Lt => "filter_lt",
            Self::Le => "filter_le",
        }
    }

    /// Whether it needs an order, not only equality.
    pub(in crate::path) fn needs_order(self) -> bool {
        !matches!(self, Self::Eq | Self::Ne)
    }
}

impl Edge {
    pub(in crate::path) fn as_bound(&self) -> Bound<&[u8]> {
        match self {
            Self::Open => Bound::Unbounded,
            Self::Including(key) => Bound::Included(key),
            Self::Excluding(key) => Bound::Excluded(key),
        }
    }

    pub(in crate::path) fn decode<K: Key>(&self) -> Result<Bound<K>, Misfit> {
        Ok(match self {
            Self::Open => Bound::Unbounded,
            Self::Including(key) => Bound::Included(decode_key(key)?),
            Self::Excluding(key) => Bound::Excluded(decode_key(key)?),
        })
    }
}

impl KeyRange {
    /// Everything.
    pub(in crate::path) const ALL: Self =
        Self { from: Edge::Open, to: Edge::Open, limit: None, keep_last: false };

    /// Refuses bounds that are no keys of that type.
    pub(in crate::path) fn check<K: Key>(&self) -> Result<(), Misfit> {
        self.from.decode::<K>()?;
        self.to.decode::<K>().map(drop)
    }

    /// Whether nothing can lie between the bounds. Ordered collections panic on such bounds.
    pub(in crate::path) fn is_void(&self) -> bool {
        match (self.from.as_bound(), self.to.as_bound()) {
            (Bound::Included(from), Bound::Included(to)) => from > to,
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to))
            | (Bound::Excluded(from), Bound::Included(to)) => from >= to,
        }
    }

    /// Takes what the limit leaves, in key order.
    pub(in crate::path) fn limited<T>(
        &self,
        items: impl DoubleEndedIterator<Item = T>,
    ) -> impl Iterator<Item = T> {
        let limit =
            self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let (forward, backward) =
            if self.keep_last { (None, Some(items)) } else { (Some(items), None) };
        let mut tail: Vec<T> = backward.into_iter().flat_map(|i| i.rev().take(limit)).collect();
        tail.reverse();
        forward.into_iter().flatten().take(limit).chain(tail)
    }
}

/// A position in a list, counted from 0: what `index` reaches.
///
/// Setting it to another position moves the element there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Index(pub u64);

impl From<Index> for u64 {
    fn from(position: Index) -> Self {
        position.0
    }
}

impl PartialEq<u64> for Index {
    fn eq(&self, other: &u64) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
