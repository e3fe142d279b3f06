//! Edits as something to match on.

use serde::de::DeserializeOwned;

use super::{Edit, Op};
use crate::path::Step;
use crate::{Key, KeyError};

/// What an edit is. See the [module](super) for which edits there are; where it happens is
/// [`Edit::within`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EditKind<'e> {
    /// All of the value that was compared is another one.
    Replaced {
        /// The new value.
        value: ValueOf<'e>,
    },
    /// The value that was compared went.
    Removed,
    /// A map has a new entry.
    KeyAdded {
        /// Its key.
        key: KeyOf<'e>,
        /// Its value.
        value: ValueOf<'e>,
    },
    /// The value of an entry is another one.
    KeyChanged {
        /// Its key.
        key: KeyOf<'e>,
        /// Its new value.
        value: ValueOf<'e>,
    },
    /// An entry went.
    KeyRemoved {
        /// Its key.
        key: KeyOf<'e>,
    },
    /// An entry has another key.
    KeyRenamed {
        /// The old key.
        from: KeyOf<'e>,
        /// The new key, as a value.
        to: ValueOf<'e>,
    },
    /// A set has a new member.
    ElemAdded {
        /// The member.
        elem: ValueOf<'e>,
    },
    /// A set has lost a member.
    ElemRemoved {
        /// The member.
        elem: KeyOf<'e>,
    },
    /// A list has a new element.
    Inserted {
        /// Its position. Those behind it have moved up.
        at: u64,
        /// The element.
        value: ValueOf<'e>,
    },
    /// A part of a list gave way to other elements.
    Spliced {
        /// The first position of the part.
        from: u64,
        /// The position behind its last.
        to: u64,
        /// The list of what is there instead.
        values: ValueOf<'e>,
    },
    /// An element of a list is another one.
    ElementChanged {
        /// Its position.
        at: u64,
        /// What is there now.
        value: ValueOf<'e>,
    },
    /// An element of a list went. Those behind it have moved down.
    ElementRemoved {
        /// Its position.
        at: u64,
    },
    /// An element of a list stands elsewhere.
    Moved {
        /// Where it stood.
        from: u64,
        /// Where it stands.
        to: u64,
    },
    /// A field of a record, a part of a tuple, or the content of a variant or an `Option` is another one.
    PartChanged {
        /// The step that leads to it.
        part: &'e Step,
        /// What is there now.
        value: ValueOf<'e>,
    },
    /// The value of an `Option` went.
    PartRemoved {
        /// The step that leads to it.
        part: &'e Step,
    },
    /// No comparison makes such an edit.
    Other,
}

/// A key in an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyOf<'e>(&'e [u8]);

impl KeyOf<'_> {
    /// The key, where `K` is its type.
    ///
    /// # Errors
    /// [`KeyError`] where it is none of that type.
    pub fn decode<K: Key>(&self) -> Result<K, KeyError> {
        K::decode_key(self.0)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0
    }
}

/// A value in an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueOf<'e>(&'e [u8]);

impl ValueOf<'_> {
    /// The value, where `T` is its type.
    ///
    /// # Errors
    /// [`postcard::Error`] where it is none of that type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, postcard::Error> {
        postcard::from_bytes(self.0)
    }

    /// Its bytes, as postcard.
    pub fn bytes(&self) -> &[u8] {
        self.0
    }
}

impl Edit {
    /// The steps to the collection or record in which the edit happens: all but the last.
    pub fn within(&self) -> &[Step] {
        self.steps.split_last().map_or(&[], |(_, within)| within)
    }

    /// What it is, to be matched.
    pub fn kind(&self) -> EditKind<'_> {
        match (self.steps.last(), &self.op) {
            (None, Op::Set(value)) => EditKind::Replaced { value: ValueOf(value) },
            (None, Op::Remove) => EditKind::Removed,
            (Some(Step::Key(key)), Op::Set(value)) => {
                EditKind::KeyAdded { key: KeyOf(key), value: ValueOf(value) }
            }
            (Some(Step::Must(key)), Op::Set(value)) => {
                EditKind::KeyChanged { key: KeyOf(key), value: ValueOf(value) }
            }
            (Some(Step::Must(key) | Step::Key(key)), Op::Remove) => {
                EditKind::KeyRemoved { key: KeyOf(key) }
            }
            (Some(Step::MapKey(key)), Op::Rename(to)) => {
                EditKind::KeyRenamed { from: KeyOf(key), to: ValueOf(to) }
            }
            (Some(Step::AddElem), Op::Insert(elem)) => EditKind::ElemAdded { elem: ValueOf(elem) },
            (Some(Step::Elem(elem)), Op::Remove) => EditKind::ElemRemoved { elem: KeyOf(elem) },
            (Some(step), op) => sequence(step, op).unwrap_or_else(|| part(step, op)),
            (None, _) => EditKind::Other,
        }
    }
}

/// An edit of a list.
fn sequence<'e>(step: &'e Step, op: &'e Op) -> Option<EditKind<'e>> {
    Some(match (step, op) {
        (Step::BeforeIndex(at), Op::Insert(value)) => {
            EditKind::Inserted { at: *at, value: ValueOf(value) }
        }
        (Step::Range(from, to), Op::Splice(values)) => {
            EditKind::Spliced { from: *from, to: *to, values: ValueOf(values) }
        }
        (Step::Nth(at), Op::Set(value)) => {
            EditKind::ElementChanged { at: *at, value: ValueOf(value) }
        }
        (Step::Nth(at), Op::Remove) => EditKind::ElementRemoved { at: *at },
        (Step::Index(from), Op::Move(to)) => EditKind::Moved { from: *from, to: *to },
        _ => return None,
    })
}

/// An edit of a part of a record.
fn part<'e>(part: &'e Step, op: &'e Op) -> EditKind<'e> {
    match (part, op) {
        (Step::Field(_) | Step::Variant(_) | Step::Some, Op::Set(value)) => {
            EditKind::PartChanged { part, value: ValueOf(value) }
        }
        (Step::Field(_) | Step::Variant(_) | Step::Some, Op::Remove) => {
            EditKind::PartRemoved { part }
        }
        _ => EditKind::Other,
    }
}
