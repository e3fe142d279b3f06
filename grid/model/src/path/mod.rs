//! Paths: where in a PState something is, as data.
//!
//! A path is a sequence of steps. Starting from the whole PState, each step continues with no,
//! one or many values. A select returns the values at the end, in order; a transform changes
//! them where they are. The builder ([`Navigate`]) is typed: a path that does not fit its PState
//! does not compile. The steps themselves ([`Step`]) carry no types, so that a path can travel;
//! whatever comes from outside is checked against the PState's type before it is walked.
//!
//! # The rules
//!
//! - `key` on a missing entry reaches nothing in a select, unless a later `or`, `key_range` or
//!   `len` gives the missing value a meaning. A transform through `key` may create the entry.
//! - `must` reaches nothing on a missing entry, whatever follows.
//! - `nth` past the end, `first` and `last` of nothing reach nothing.
//! - A transform that reaches nothing writes nothing.
//! - Removing takes the value out of the collection that holds it; emptied collections stay. The
//!   root cannot be removed, and a field of a record only if it is an `Option`, which becomes
//!   `None`.
//!
//! # Limits
//!
//! [`MAX_STEPS`] and [`MAX_NESTING`] bound a path, [`Limits`] bounds what one select may visit.

// Use goes one way. `data`, `error` and `trail` know no type of a value; `check` and `walk` stand on them,
// `build` on `walk`, `run` on `build`, and `json` on all but for `json::kind`, a table that `check` holds.
mod build;
mod check;
mod data;
mod error;
mod json;
mod run;
mod trail;
mod walk;

pub use build::branches::Branches;
pub use build::carry::{Carry, CarryMore};
pub use build::collects::Collects;
pub use build::data_transform::DataTransform;
pub use build::each::Each;
pub use build::filters::Filters;
pub use build::fits::{
    Elements, Ends, IntoLeaf, Keyed, Listed, Measured, Numeric, Optional, Ordered, PartOf, SetOf,
    Sorted, Sums, ToIndex, Valued,
};
pub use build::one::Navigate;
pub use build::parts::Parts;
pub use build::path::Path;
pub use build::terms::{Terms, Transform};
pub use build::views::Views;
pub use check::{KeyType, ValueType, check_steps};
pub use data::encode::{decode_steps, encode_steps};
pub use data::filter::{Compare, Edge, Filter, Index, KeyRange};
pub use data::limits::{Limits, MAX_NESTING, MAX_STEPS};
pub use data::own::Own;
pub use data::step::{Amount, Every, NumberKind, Side, Step, StepKey, Steps, Transformed, View};
pub use data::term::{Add, Remove, Replace, Term, Update};
pub use error::{Misfit, PathError, PathErrorKind};
pub use json::answer::select_json;
pub use json::parse::{JsonPath, parse_json_path, parse_json_path_with, parse_json_text};
pub use run::select::Selected;
pub use run::store::{walk_blob, walk_store};
pub use trail::Trail;
pub use walk::Walk;
pub use walk::change::{Change, Effect, Terminal};
pub use walk::leaf::{Carried, LeafSlot, LeafValue};
pub use walk::number::Number;
pub use walk::own::{Navigator, Navigators};
pub use walk::place::{EmptyPlace, Place};
pub use walk::record::{Record, field_mut};
pub use walk::visit::{Sink, Visit};
