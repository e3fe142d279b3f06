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

#[path = "build/navigate.rs"]
mod builder;
#[path = "walk/change.rs"]
mod change;
#[path = "walk/steps.rs"]
mod common;
mod error;
#[path = "json/parse.rs"]
mod json;
#[path = "json/kind.rs"]
mod kind;
#[path = "build/fits.rs"]
mod leaf;
#[path = "walk/record.rs"]
mod record;
#[path = "run/select.rs"]
mod select;
#[path = "data/step.rs"]
mod step;
#[path = "run/transform.rs"]
mod term;
mod trail;
#[path = "build/path.rs"]
mod typed;
#[path = "walk/visit.rs"]
mod visit;
#[path = "walk/mod.rs"]
mod walk;
#[path = "walk/entries.rs"]
mod walk_entries;
#[path = "walk/list.rs"]
mod walk_list;
#[path = "walk/map.rs"]
mod walk_map;
#[path = "walk/map_mut.rs"]
mod walk_map_mut;
#[path = "walk/option.rs"]
mod walk_option;
#[path = "walk/scalar.rs"]
mod walk_scalar;
#[path = "walk/set.rs"]
mod walk_set;
#[path = "walk/tuple.rs"]
mod walk_tuple;

pub use builder::Navigate;
pub use change::{Change, Outcome, Terminal};
pub use error::{Misfit, PathError, PathErrorKind};
pub use json::{JsonPath, parse_json_path, select_json};
pub use kind::Kind;
pub use leaf::{
    Elements, Ends, IntoLeaf, Keyed, Listed, Measured, Optional, Ordered, SetOf, Sorted, ToIndex,
};
pub use record::{Record, field_mut};
pub use select::check_steps;
pub use step::{Compare, Edge, Filter, KeyRange, MAX_NESTING, MAX_STEPS, Step, Steps};
pub use step::{decode_steps, encode_steps};
pub use term::{Remove, Replace, Transform, Update};
pub use trail::Trail;
pub use typed::Path;
pub use visit::{LeafSlot, LeafValue, Limits, Sink, Visit};
pub use walk::Walk;
pub use walk_entries::{walk_blob, walk_store};
pub use walk_list::Position;
