//! What changed between two values, as data: path transforms that make the new value of the old one.
//!
//! [`Diff::between`] compares two values of one type. What both share in memory is not looked at, so that it costs
//! about as much as what differs: one entry of a map of a million is found in microseconds. [`Diff::apply`] carries a
//! diff out, through the same walk as every transform, and makes of the old value one that equals the new one.
//!
//! | change | edit | [`EditKind`] |
//! |---|---|---|
//! | another value | `[] Set` | `Replaced` |
//! | the value came, or went | `[] Set`, `[] Remove` | `Replaced`, `Removed` |
//! | an entry came, changed, went | `[Key k] Set`, `[Must k, ..]`, `[Must k] Remove` | `KeyAdded`, `KeyChanged`, `KeyRemoved` |
//! | an entry has another key | `[MapKey k] Rename` | `KeyRenamed` |
//! | a member came, went | `[AddElem] Insert`, `[Elem e] Remove` | `ElemAdded`, `ElemRemoved` |
//! | an element was put in | `[BeforeIndex i] Insert` | `Inserted` |
//! | elements took the place of others | `[Range i..j] Splice` | `Spliced` |
//! | an element changed, went, moved | `[Nth i, ..]`, `[Nth i] Remove`, `[Index i] Move` | `ElementChanged`, `ElementRemoved`, `Moved` |
//! | a field, a part, the content of a variant or an `Option` changed | `[.., Field f] Set` and so on | `PartChanged` |
//!
//! Edits are carried out in their order: a position is one at its time. Inside an element, entry or field the same
//! edits say what changed there, behind the steps that lead to it.
//!
//! ```
//! use gridmill_model::diff::{Diff, EditKind};
//! use gridmill_model::prelude::*;
//!
//! let old: Map<Str, List<Str>> = [("alice".into(), ["wash".into(), "cook".into()].into())].into();
//! let mut new = old.clone();
//! new.get_mut("alice").unwrap().move_to(1, 0);
//! new.insert("bob".into(), List::new());
//!
//! let diff = Diff::between(Some(&old), Some(&new));
//! let [moved, added] = diff.edits() else { panic!("two edits") };
//! assert!(matches!(moved.kind(), EditKind::Moved { from: 1, to: 0 }));
//! let EditKind::KeyAdded { key, .. } = added.kind() else { panic!("bob came") };
//! assert_eq!(key.decode::<Str>()?, "bob");
//!
//! let mut value = Some(old);
//! diff.apply(&mut value)?;
//! assert_eq!(value, Some(new));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod apply;
mod kind;
mod list;
mod out;
mod sorted;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::State;
use crate::path::{PathError, Steps};

pub use kind::{EditKind, KeyOf, ValueOf};
pub(crate) use list::{blocks, elements, pieces};
pub(crate) use out::unchanged;
#[doc(hidden)]
pub use out::{DiffOut, differ};
pub(crate) use sorted::{maps, sets};

/// What changed between two values: edits, to be carried out in order. See the [module](self).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff(SmallVec<[Edit; 1]>);

/// One edit: a place in the value, and what happens there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The steps that lead to the place, from the value that was compared.
    pub steps: Steps,
    /// What happens there.
    pub op: Op,
}

/// What an edit does at its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Op {
    /// Puts a value there, in postcard bytes.
    Set(Box<[u8]>),
    /// Takes the value out of what holds it.
    Remove,
    /// Puts a new element or member in, in postcard bytes.
    Insert(Box<[u8]>),
    /// Moves the element to a position.
    Move(u64),
    /// Gives the entry another key, in postcard bytes.
    Rename(Box<[u8]>),
    /// Puts a list in the place of a part of a list, in postcard bytes.
    Splice(Box<[u8]>),
}

impl Diff {
    /// What makes `new` of `old`. Nothing where they are equal. One value in place of the other where they have little
    /// in common: the edits are not larger than the new value.
    pub fn between<T: State>(old: Option<&T>, new: Option<&T>) -> Self {
        DiffOut::default().between(old, new)
    }

    /// The same change in simpler edits: of lists only positions are set, and elements appended and taken off at the
    /// end; renamed entries are removed and added. For code that knows no other edits. `old` is the value that this
    /// diff is applied to.
    ///
    /// ```
    /// use gridmill_model::diff::{Diff, EditKind};
    /// use gridmill_model::prelude::*;
    ///
    /// let (old, new): (List<u64>, List<u64>) = ([1, 2].into(), [1, 9, 2].into());
    /// let inserted = Diff::between(Some(&old), Some(&new));
    /// assert!(matches!(inserted.edits()[0].kind(), EditKind::Inserted { at: 1, .. }));
    /// let simple = inserted.expand(Some(&old))?;
    /// let kinds: Vec<_> = simple.edits().iter().map(|edit| edit.kind()).collect();
    /// let [EditKind::ElementChanged { at: 1, .. }, EditKind::Inserted { at: 2, .. }] = kinds[..] else {
    ///     panic!("a position is set, and an element appended: {kinds:?}");
    /// };
    /// # Ok::<(), gridmill_model::PathError>(())
    /// ```
    ///
    /// # Errors
    /// As with [`apply`](Self::apply).
    pub fn expand<T: State>(&self, old: Option<&T>) -> Result<Self, PathError> {
        let mut new = old.cloned();
        self.apply(&mut new)?;
        Ok(DiffOut::simple().between(old, new.as_ref()))
    }

    /// The edits, in the order in which they are carried out.
    pub fn edits(&self) -> &[Edit] {
        &self.0
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// About how many bytes it takes, encoded or in memory.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(Edit::bytes).sum()
    }
}

impl From<Vec<Edit>> for Diff {
    fn from(edits: Vec<Edit>) -> Self {
        Self(edits.into())
    }
}
