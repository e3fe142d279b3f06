//! The states of a part of a query: PStates that it reads.

use std::any::TypeId;

use gridmill_client::{AskError, Span};
use gridmill_model::{Read, Root};

use super::uses::{StateUse, Uses};

/// What a part of a query reads: the [`Read`] of a PState, a tuple of up to six, or `()`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a set of PStates to read",
    label = "expected a PState's `.read()`, or a tuple of at most six",
    note = "a part of a query changes nothing: `module.part(PART, TODOS.read(), function)`"
)]
pub trait ReadSet: Copy + Send + Sync + 'static {
    /// What a part gets: a reference, or a tuple of references.
    type Refs<'a>;

    /// What is lent.
    #[doc(hidden)]
    type Roots;

    #[doc(hidden)]
    fn declare(self, declared: &mut Uses);

    /// Opens the states, of which the first has this number.
    #[doc(hidden)]
    fn open(self, span: &Span, first: usize) -> Result<Self::Roots, AskError>;

    #[doc(hidden)]
    fn lend(roots: &Self::Roots) -> Self::Refs<'_>;
}

impl<R: Root> ReadSet for Read<R> {
    type Refs<'a> = &'a R;
    type Roots = R;

    fn declare(self, declared: &mut Uses) {
        let root = TypeId::of::<R>();
        declared.uses.push(StateUse { name: self.pstate().name(), root, owned: false });
    }

    fn open(self, span: &Span, first: usize) -> Result<R, AskError> {
        span.root(first, self.pstate())
    }

    fn lend(root: &R) -> &R {
        root
    }
}

impl ReadSet for () {
    type Refs<'a> = ();
    type Roots = ();

    fn declare(self, _: &mut Uses) {}

    fn open(self, _: &Span, _: usize) -> Result<(), AskError> {
        Ok(())
    }

    fn lend(_: &()) -> Self::Refs<'_> {}
}

macro_rules! tuple_of_reads {
    ($($root:ident $index:tt),+) => {
        impl<$($root: Root),+> ReadSet for ($(Read<$root>,)+) {
            type Refs<'a> = ($(&'a $root,)+);
            type Roots = ($($root,)+);

            fn declare(self, declared: &mut Uses) {
                $(ReadSet::declare(self.$index, declared);)+
            }

            fn open(self, span: &Span, first: usize) -> Result<Self::Roots, AskError> {
                Ok(($(self.$index.open(span, first + $index)?,)+))
            }

            fn lend(roots: &Self::Roots) -> Self::Refs<'_> {
                ($(&roots.$index,)+)
            }
        }
    };
}

tuple_of_reads!(A 0);
tuple_of_reads!(A 0, B 1);
tuple_of_reads!(A 0, B 1, C 2);
tuple_of_reads!(A 0, B 1, C 2, D 3);
tuple_of_reads!(A 0, B 1, C 2, D 3, E 4);
tuple_of_reads!(A 0, B 1, C 2, D 3, E 4, F 5);
