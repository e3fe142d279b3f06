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
    /// The end of a range that has nothing: no key is before the empty one.
    pub(in crate::path) const NOTHING: Self = Self::Excluding(KeyBytes::new_const());

    pub(in crate::path) fn as_bound(&self) -> Bound<&[u8]> {
        match self {
            Self::Open => Bound::Unbounded,
            Self::Including(key) => Bound::Included(key),
            Self::Excluding(key) => Bound::Excluded(key),
        }
    }

    /// Whether a range that starts here has the key.
    pub(in crate::path) fn admits_above(&self, key: &[u8]) -> bool {
        match self {
            Self::Open => true,
            Self::Including(from) => key >= from.as_slice(),
            Self::Excluding(from) => key > from.as_slice(),
        }
    }

    /// Whether a range that ends here has the key.
    pub(in crate::path) fn admits_below(&self, key: &[u8]) -> bool {
        match self {
            Self::Open => true,
            Self::Including(to) => key <= to.as_slice(),
            Self::Excluding(to) => key < to.as_slice(),
        }
    }

    fn key(&self) -> Option<&KeyBytes> {
        match self {
            Self::Open => None,
            Self::Including(key) | Self::Excluding(key) => Some(key),
        }
    }

    /// Of two starts, the one that admits less.
    pub(in crate::path) fn later<'e>(&'e self, other: &'e Self) -> &'e Self {
        match (self.key(), other.key()) {
            (_, None) => self,
            (None, _) => other,
            (Some(own), _) => {
                let other_admits = other.admits_above(own);
                if other_admits && (other.key() != Some(own) || matches!(self, Self::Excluding(_)))
                {
                    self
                } else {
                    other
                }
            }
        }
    }

    /// Of two ends, the one that admits less.
    pub(in crate::path) fn earlier<'e>(&'e self, other: &'e Self) -> &'e Self {
        match (self.key(), other.key()) {
            (_, None) => self,
            (None, _) => other,
            (Some(own), _) => {
                let other_admits = other.admits_below(own);
                if other_admits && (other.key() != Some(own) || matches!(self, Self::Excluding(_)))
                {
                    self
                } else {
                    other
                }
            }
        }
    }

    /// Whether nothing can lie between the bounds. Ordered collections panic on such bounds.
    pub(in crate::path) fn is_void(from: &Self, to: &Self) -> bool {
        match (from, to) {
            (Self::Open, _) => matches!(to, Self::Excluding(key) if key.is_empty()),
            (_, Self::Open) => false,
            (Self::Including(from), Self::Including(to)) => from > to,
            (Self::Including(from) | Self::Excluding(from), Self::Excluding(to))
            | (Self::Excluding(from), Self::Including(to)) => from >= to,
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
    /// Refuses bounds that are no keys of that type.
    pub(in crate::path) fn check<K: Key>(&self) -> Result<(), Misfit> {
        self.from.decode::<K>()?;
        self.to.decode::<K>().map(drop)
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
