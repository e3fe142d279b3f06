//! One step of a path, as data that can be sent.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::filter::{Filter, KeyRange};
use crate::key::KeyBytes;

/// The steps of a path; two of them need no allocation.
pub type Steps = SmallVec<[Step; 2]>;

/// One step. It carries encoded values, so it means something only to the type it was made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Step {
    /// The value of a map under a key; a transform may create it.
    Key(#[serde(with = "super::keys")] KeyBytes),
    /// The value of a map under a key that must be there.
    Must(#[serde(with = "super::keys")] KeyBytes),
    /// The element of a list at a position.
    Nth(u64),
    /// The position itself; a transform to another position moves the element.
    Index(u64),
    /// The first element of a list or pair.
    First,
    /// The last element of a list or pair.
    Last,
    /// Every element of a list or set, every entry of a map.
    All,
    /// Every value of a map.
    MapVals,
    /// Every key of a map; a transform renames.
    MapKeys,
    /// A field of a record, by its place in the declaration.
    Field(u16),
    /// The value inside an `Option`.
    Some,
    /// An element of a set, if it is a member.
    Elem(#[serde(with = "super::keys")] KeyBytes),
    /// The place after the last element of a list.
    AfterElem,
    /// The place before the first element of a list.
    BeforeElem,
    /// The place of a new element of a set.
    AddElem,
    /// A postcard value that stands for a missing one.
    Or(Box<[u8]>),
    /// A part of a map or set by key, as one map or set.
    KeyRange(Box<KeyRange>),
    /// The number of entries or elements.
    Len,
    /// Goes on only if the value compares so.
    Filter(Box<Filter>),
    /// Goes on only if the condition reaches something: that many following steps are the
    /// condition. (Flat, so that no input can nest deeper than a path is long.)
    FilterSelected(u16),
}

impl Step {
    /// The name of the step in the builder and in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::Must(_) => "must",
            Self::Nth(_) => "nth",
            Self::Index(_) => "index",
            Self::First => "first",
            Self::Last => "last",
            Self::All => "all",
            Self::MapVals => "map_vals",
            Self::MapKeys => "map_keys",
            Self::Field(_) => "field",
            Self::Some => "some",
            Self::Elem(_) => "elem",
            Self::AfterElem => "after_elem",
            Self::BeforeElem => "before_elem",
            Self::AddElem => "add_elem",
            Self::Or(_) => "or",
            Self::KeyRange(_) => "key_range",
            Self::Len => "len",
            Self::Filter(filter) => filter.compare.name(),
            Self::FilterSelected(_) => "filter_selected",
        }
    }
}
