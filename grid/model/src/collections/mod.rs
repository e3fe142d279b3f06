//! The collections of a PState: persistent, so that a clone takes constant time.
//!
//! What they call of `im`, which is the crate `imbl`, is listed here and in `tree`; before anything else is
//! called, look at what it rests on. `OrdMap` and `OrdSet` are B-trees in safe code over `Chunk`s, whose `unsafe`
//! was read for what nodes do with it (7.0.2: insert, remove, split, drain, `insert_from` into room that there
//! is), and whose own is a binary search that stays in its slice. Called of them are `new`, `clone`, drop,
//! `len`, `is_empty`, `ptr_eq`, `get`, `get_mut`, `contains`, `contains_key`, `insert`, `remove`, `entry` with
//! `or_insert_with`, `clear`, `get_min`, `get_max`, `iter`, `range`, `into_iter`, `collect` and `extend`; tested in
//! `tests/suite/trees.rs`. `==` of maps and `diff` skip what both share, and up to 7.0.1 skipped more: these are tested
//! there, in `tests/suite/sizes.rs` and in `tests/suite/diffs.rs`. Not called are unions and splits. Of `Vector` see
//! `tree`.

mod block;
mod changes;
mod codec;
mod list;
mod list_iter;
pub mod map;
mod reference;
mod set;
mod set_iter;
mod size;
mod tree;

pub use crate::engine::Damaged;
pub use list::List;
pub use list_iter::{ListIntoIter, ListIter, ListIterMut};
pub use map::{Entry, IntoIter, Iter, Keys, Map, Range, Values};
pub use reference::Ref;
pub use set::Set;
pub use set_iter::{SetIntoIter, SetIter, SetRange};
