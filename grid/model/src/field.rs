//! Names of a record's fields, as values.

use std::fmt;
use std::marker::PhantomData;

/// A field of a record, as `#[record]` declares it: `Todo::TEXT`.
///
/// `S` is the record, `F` the field's type, so that a path through it is checked by the compiler.
pub struct Field<S, F> {
    name: &'static str,
    index: u16,
    of: PhantomData<fn(S) -> F>,
}

impl<S, F> Field<S, F> {
    /// Names the field at `index`, counted from 0 in the order of declaration.
    #[doc(hidden)]
    pub const fn new(name: &'static str, index: u16) -> Self {
        Self { name, index, of: PhantomData }
    }

    /// The field's name, as it was declared.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The field's place in the order of declaration, from 0.
    pub const fn index(&self) -> u16 {
        self.index
    }
}

impl<S, F> Clone for Field<S, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, F> Copy for Field<S, F> {}

impl<S, F> fmt::Debug for Field<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Field").field("name", &self.name).field("index", &self.index).finish()
    }
}
