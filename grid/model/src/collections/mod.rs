//! The collections of a PState: persistent, so that a clone takes constant time.

mod block;
mod codec;
mod list;
mod list_iter;
pub mod map;
mod reference;
mod set;

pub use crate::engine::Damaged;
pub use list::List;
pub use list_iter::{ListIntoIter, ListIter, ListIterMut};
pub use map::{Entry, Iter, Keys, Map, Range, Values};
pub use reference::Ref;
pub use set::{Set, SetIter};
