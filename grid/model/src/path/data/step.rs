//! One step of a path, as data that can be sent.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::branch::Branch;
use super::filter::{Filter, KeyRange};
use super::own::Own;
use super::term::Term;
use crate::key::KeyBytes;
use crate::path::error::{Misfit, short_branch};

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
    /// Goes on only if the condition, that many following steps, reaches nothing.
    FilterNotSelected(u16),
    /// Goes on along one of two branches: condition, then-branch and else-branch follow, of that many steps
    /// each, and then what follows either branch.
    If(u16, u16, u16),
    /// Goes on along each of several branches, which follow, of that many steps each.
    Multi(Box<[u16]>),
    /// Reaches nothing.
    Stop,
    /// The elements of a list from one position to before another, as one list.
    Range(u64, u64),
    /// So many elements at one end of a list, as one list.
    Take(u64, Side),
    /// The elements for which the condition, that many following steps, reaches something, as one list.
    Filtered(u16),
    /// The place of a new element before that position.
    BeforeIndex(u64),
    /// The empty list at one end of a list: what is written there is put in.
    Splice(Side),
    /// A key of a map itself, if it is there; a transform renames it.
    MapKey(#[serde(with = "super::keys")] KeyBytes),
    /// Every element of a list with its position, as pairs; a transform moves or replaces.
    IndexedVals,
    /// The entries under some keys, as one map or set.
    Keys(Box<[StepKey]>),
    /// Every element, value or key, from the last to the first.
    Backwards(Every),
    /// A number, or an element, that is computed of all elements.
    View(View),
    /// The value as a transform would leave it; that many following steps are the path of the transform.
    Transformed(Box<Transformed>),
    /// The list of what a sub-path of that many steps reaches.
    Subselect(u16),
    /// Collects what a sub-path of that many steps reaches: its one value, or the list of all.
    Collect(Amount, u16),
    /// Collects a value.
    Put(Box<[u8]>),
    /// Forgets what was collected.
    Dispense,
    /// The content of an enum, if it is that variant.
    Variant(u16),
    /// A step of the user's own.
    Own(Own),
}

/// One end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// Where the first element is.
    First,
    /// Where the last element is.
    Last,
}

/// What [`Step::Backwards`] goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Every {
    /// Elements, or entries as pairs.
    Element,
    /// Values of a map.
    Value,
    /// Keys of a map.
    Key,
}

/// What [`Step::View`] computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum View {
    /// The sum, a number of that kind; of nothing it is 0.
    Sum(NumberKind),
    /// The least element, if there is one.
    Min,
    /// The greatest element, if there is one.
    Max,
    /// The mean of the elements, if there are any.
    Avg,
}

/// The type of a sum: as wide as numbers of its kind go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NumberKind {
    /// A `u64`, of `u8` to `u64`.
    Unsigned,
    /// An `i64`, of `i8` to `i64`.
    Signed,
    /// An `f64`, of `f32` and `f64`.
    Float,
    /// A `u128`, of `u128`.
    Wide,
    /// An `i128`, of `i128`.
    WideSigned,
}

/// How much [`Step::Collect`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Amount {
    /// The one value; there has to be exactly one.
    One,
    /// The list of all values.
    All,
}

/// What [`Step::Transformed`] does to the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transformed {
    /// How many of the following steps lead to the places.
    pub count: u16,
    /// What happens there.
    pub term: Term,
}

/// A key among the [`Step::Keys`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepKey(#[serde(with = "super::keys")] pub KeyBytes);

/// The branches of a step, and the steps after them.
pub(in crate::path) type Branches<'s> = (SmallVec<[Branch<'s>; 3]>, &'s [Step]);

impl Step {
    /// How many of the following steps belong to each of its branches.
    pub(in crate::path) fn branch_lengths(&self) -> SmallVec<[u16; 3]> {
        match self {
            Self::FilterSelected(count)
            | Self::FilterNotSelected(count)
            | Self::Filtered(count)
            | Self::Subselect(count)
            | Self::Collect(_, count) => SmallVec::from_slice(&[*count]),
            Self::Transformed(transformed) => SmallVec::from_slice(&[transformed.count]),
            Self::If(condition, then, other) => SmallVec::from_slice(&[*condition, *then, *other]),
            Self::Multi(counts) => SmallVec::from_slice(counts),
            _ => SmallVec::new(),
        }
    }

    /// Splits the steps that follow this one into its branches and what comes after them.
    ///
    /// # Errors
    ///
    /// Fewer steps follow than the branches have.
    pub(in crate::path) fn split<'s>(&self, rest: &'s [Step]) -> Result<Branches<'s>, Misfit> {
        let mut after = rest;
        let mut branches = SmallVec::new();
        for count in self.branch_lengths() {
            let split = after.split_at_checked(usize::from(count));
            let (steps, behind) = split.ok_or_else(|| short_branch(count, after.len()))?;
            branches.push(Branch { steps, behind: behind.len() });
            after = behind;
        }
        Ok((branches, after))
    }

    /// The name of the step in the builder and in JSON.
    pub fn name(&self) -> &str {
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
            Self::FilterNotSelected(_) => "filter_not_selected",
            Self::If(..) => "if_path",
            Self::Multi(_) => "multi",
            Self::Stop => "stop",
            Self::Range(..) => "range",
            Self::Take(_, Side::First) => "first_n",
            Self::Take(_, Side::Last) => "last_n",
            Self::Filtered(_) => "filtered",
            Self::BeforeIndex(_) => "before_index",
            Self::Splice(Side::First) => "beginning",
            Self::Splice(Side::Last) => "end",
            Self::MapKey(_) => "map_key",
            Self::IndexedVals => "indexed_vals",
            Self::Keys(_) => "keys",
            Self::Backwards(Every::Element) => "all_rev",
            Self::Backwards(Every::Value) => "map_vals_rev",
            Self::Backwards(Every::Key) => "map_keys_rev",
            Self::View(View::Sum(_)) => "sum",
            Self::View(View::Min) => "min",
            Self::View(View::Max) => "max",
            Self::View(View::Avg) => "avg",
            Self::Transformed(_) => "transformed",
            Self::Subselect(_) => "subselect",
            Self::Collect(Amount::One, _) => "collect_one",
            Self::Collect(Amount::All, _) => "collect",
            Self::Put(_) => "put",
            Self::Dispense => "dispense",
            Self::Variant(_) => "variant",
            Self::Own(own) => own.name(),
        }
    }
}
