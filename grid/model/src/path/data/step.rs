//! One step of a path, as data that can be sent.

use std::fmt;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::error::{Misfit, PathError};
use super::trail::Trail;
use crate::key::KeyBytes;

/// The most steps that a path may have, those of its conditions included.
pub const MAX_STEPS: usize = 64;

/// How deep `filter_selected` may stand in `filter_selected`.
pub const MAX_NESTING: usize = 8;

/// The steps of a path; two of them need no allocation.
pub type Steps = SmallVec<[Step; 2]>;

/// One step. It carries encoded values, so it means something only to the type it was made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Step {
    /// The value of a map under a key; a transform may create it.
    Key(#[serde(with = "key_bytes")] KeyBytes),
    /// The value of a map under a key that must be there.
    Must(#[serde(with = "key_bytes")] KeyBytes),
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
    Elem(#[serde(with = "key_bytes")] KeyBytes),
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
    Including(#[serde(with = "key_bytes")] KeyBytes),
    /// The key itself does not belong to the range.
    Excluding(#[serde(with = "key_bytes")] KeyBytes),
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
    pub(super) fn name(self) -> &'static str {
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
    pub(super) fn needs_order(self) -> bool {
        !matches!(self, Self::Eq | Self::Ne)
    }
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

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        f.write_char('(')?;
        match self {
            Self::Key(key) | Self::Must(key) | Self::Elem(key) => write_bytes(f, key)?,
            Self::Nth(at) | Self::Index(at) => write!(f, "{at}")?,
            Self::Field(index) => write!(f, "#{index}")?,
            Self::Or(value) => write_bytes(f, value)?,
            Self::KeyRange(range) => write!(f, "{range}")?,
            Self::Filter(filter) => write_bytes(f, &filter.value)?,
            Self::FilterSelected(count) => write!(f, "the next {count} steps")?,
            _ => {}
        }
        f.write_char(')')
    }
}

impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.from {
            Edge::Open => {}
            Edge::Including(key) => write_bytes(f, key)?,
            Edge::Excluding(key) => {
                f.write_str("after ")?;
                write_bytes(f, key)?;
            }
        }
        f.write_str("..")?;
        match &self.to {
            Edge::Open => {}
            Edge::Including(key) => {
                f.write_char('=')?;
                write_bytes(f, key)?;
            }
            Edge::Excluding(key) => write_bytes(f, key)?,
        }
        match (self.limit, self.keep_last) {
            (None, _) => Ok(()),
            (Some(limit), false) => write!(f, ", first {limit}"),
            (Some(limit), true) => write!(f, ", last {limit}"),
        }
    }
}

/// Steps know no types: printable bytes are shown as text, others in hexadecimal.
fn write_bytes(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    const SHOWN: usize = 48;
    let shown = &bytes[..bytes.len().min(SHOWN)];
    match str::from_utf8(shown) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => {
            write!(f, "{text:?}")?;
        }
        _ => {
            f.write_str("0x")?;
            shown.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
    }
    if bytes.len() > SHOWN { f.write_str("...") } else { Ok(()) }
}

/// Prints steps as the builder writes them.
pub(super) fn write_steps(f: &mut fmt::Formatter<'_>, mut steps: &[Step]) -> fmt::Result {
    while let Some((step, rest)) = steps.split_first() {
        steps = rest;
        f.write_char('.')?;
        match step {
            Step::FilterSelected(count) if usize::from(*count) <= rest.len() => {
                let (condition, after) = rest.split_at(usize::from(*count));
                f.write_str("filter_selected(it")?;
                write_steps(f, condition)?;
                f.write_char(')')?;
                steps = after;
            }
            step => write!(f, "{step}")?,
        }
    }
    Ok(())
}

/// Writes steps as bytes that [`decode_steps`] reads.
///
/// # Errors
///
/// The path has more than [`MAX_STEPS`] steps.
pub fn encode_steps(pstate: &str, steps: &[Step]) -> Result<Vec<u8>, PathError> {
    let trail = Trail::new(pstate, steps.len());
    trail.check_length()?;
    postcard::to_allocvec(steps).map_err(|error| unreadable(trail, &error.to_string()))
}

/// Reads the steps of a path from bytes of any origin.
///
/// They are well formed then, but may not fit the PState: see
/// [`check_steps`](super::check_steps).
///
/// # Errors
///
/// The bytes are no steps, or too many.
pub fn decode_steps(pstate: &str, bytes: &[u8]) -> Result<Steps, PathError> {
    let steps: Vec<Step> = postcard::from_bytes(bytes)
        .map_err(|error| unreadable(Trail::new(pstate, 0), &error.to_string()))?;
    Trail::new(pstate, steps.len()).check_length()?;
    Ok(SmallVec::from_vec(steps))
}

fn unreadable(trail: Trail<'_>, got: &str) -> PathError {
    trail.whole(Misfit::new("the encoded steps of a path", got, "build the path with `Navigate`"))
}

/// Keys as byte strings: compact, and no promise of a length is believed.
mod key_bytes {
    use std::fmt;

    use serde::de::{Error, SeqAccess, Visitor};
    use serde::{Deserializer, Serializer};

    use crate::key::KeyBytes;

    pub(super) fn serialize<S: Serializer>(key: &KeyBytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(key)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<KeyBytes, D::Error> {
        from.deserialize_bytes(Bytes)
    }

    struct Bytes;

    impl<'de> Visitor<'de> for Bytes {
        type Value = KeyBytes;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the bytes of a key")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<KeyBytes, E> {
            Ok(KeyBytes::from_slice(bytes))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<KeyBytes, A::Error> {
            let mut key = KeyBytes::new();
            while let Some(byte) = bytes.next_element()? {
                key.push(byte);
            }
            Ok(key)
        }
    }
}
