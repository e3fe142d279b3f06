//! The vocabulary that Gridmill's engine and its clients share.
//!
//! Everything that a PState may hold is a [`State`]; everything that may be looked up by is a
//! [`Key`]; everything that travels is an [`Event`]. A [`Depot`] and a [`PState`] are typed names,
//! and a path says which part of a PState is meant.
//!
//! This crate holds values and their encodings. It knows nothing of files, threads or partitions:
//! the engine lends its stores through the traits of the hidden module `engine`.
//!
//! Invariant: for every key type, the order of the values equals the order of their key bytes.

// The derives of the `#[record]` attribute name this crate by its public path, also in here.
extern crate self as gridmill_model;

pub mod aggregate;
pub mod archive;
mod bytes;
pub mod collections;
pub mod diff;
#[doc(hidden)]
pub mod engine;
pub mod event;
mod field;
pub mod handle;
pub mod key;
pub mod path;
#[doc(hidden)]
pub mod private;
pub mod schema;
pub mod state;

#[doc(hidden)]
pub use private as __private;

pub use bytes::Bytes;
pub use collections::map;
pub use collections::{Damaged, List, Map, Ref, Set};
pub use event::Event;
pub use field::{Field, Variant};
pub use handle::{Depot, Fan, PState, Part, Query, Read, Stage, Tick, Timer};
pub use key::{AsKey, Key, KeyBytes, KeyError, RouteKey};
pub use path::{Navigate, Path, PathError};
pub use schema::Schema;
pub use state::{Root, Size, State};
pub use uuid::Uuid;

/// The recommended string of keys and fields: inline up to 23 bytes, cloned in O(1).
///
/// `String` works everywhere too and costs an allocation per copy.
pub type Str = smol_str::SmolStr;

/// What a module and a client of Gridmill need in scope.
pub mod prelude {
    pub use crate::{
        AsKey, Bytes, Depot, Event, Fan, Field, Key, List, Map, Navigate, PState, Part, Path,
        Query, Read, Ref, RouteKey, Set, Stage, State, Str, Tick, Timer, Uuid, Variant,
    };
    // The steps of paths, which are called and not named.
    pub use crate::path::{
        Branches as _, Collects as _, Each as _, Filters as _, Parts as _, Terms as _, Views as _,
    };
}
