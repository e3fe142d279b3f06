//! The states of a topology: which PStates its handlers borrow, and how.

use std::any::TypeId;

use gridmill_model::handle::Kind;
use gridmill_model::{PState, Read, Root};

use crate::state::{Cell, RootCell};

use super::codec::TypedPState;
use super::uses::{PStateDef, StateUse, Uses};

/// One PState's partition, type erased.
#[doc(hidden)]
pub struct AnyCell(pub(crate) Box<dyn Cell>);

/// The cells of all PStates on one partition, by their number in the module.
#[doc(hidden)]
pub struct Cells(pub(crate) Vec<AnyCell>);

impl std::fmt::Debug for AnyCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnyCell")
    }
}

impl std::fmt::Debug for Cells {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cells({})", self.0.len())
    }
}

/// One place in a topology's tuple: a [`PState`] that it owns, or the [`Read`] of another's.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a PState handle",
    label = "expected a `PState` or a `PState`'s `.read()`"
)]
pub trait StateUnit: Copy + Send + Sync + 'static {
    /// What a handler gets: `&mut R`, or `&R` for a [`Read`].
    type Ref<'a>;

    #[doc(hidden)]
    fn declare(self, declared: &mut Uses);

    #[doc(hidden)]
    fn lend(cell: &mut AnyCell) -> Self::Ref<'_>;

    /// Lends what was lent for a shorter time.
    #[doc(hidden)]
    fn again<'a>(lent: &'a mut Self::Ref<'_>) -> Self::Ref<'a>;
}

fn root_of<R: Root>(cell: &mut AnyCell) -> &mut R {
    match cell.0.as_any_mut().downcast_mut::<RootCell<R>>() {
        Some(cell) => cell.lend(),
        None => unreachable!("a topology's cells were matched with its handles at start"),
    }
}

impl<R: Root> StateUnit for PState<R> {
    type Ref<'a> = &'a mut R;

    fn declare(self, declared: &mut Uses) {
        let root = TypeId::of::<R>();
        declared.uses.push(StateUse { name: self.name(), root, owned: true });
        declared.owned.push(PStateDef {
            name: self.name(),
            topology: declared.topology,
            root,
            schema: R::schema(),
            global: self.is_global(),
            hashed: self.kind() == Kind::Hashed && self.partitioner().is_none(),
            private: self.is_private(),
            hidden: false,
            codec: Box::new(TypedPState::new(self)),
        });
    }

    fn lend(cell: &mut AnyCell) -> &mut R {
        root_of(cell)
    }

    fn again<'a>(lent: &'a mut &mut R) -> &'a mut R {
        lent
    }
}

impl<R: Root> StateUnit for Read<R> {
    type Ref<'a> = &'a R;

    fn declare(self, declared: &mut Uses) {
        let root = TypeId::of::<R>();
        declared.uses.push(StateUse { name: self.pstate().name(), root, owned: false });
    }

    fn lend(cell: &mut AnyCell) -> &R {
        root_of(cell)
    }

    fn again<'a>(lent: &'a mut &R) -> &'a R {
        lent
    }
}

/// The states of a topology: one [`PState`], a tuple of up to six with [`Read`]s among them, or `()`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a set of PStates",
    label = "expected a PState handle or a tuple of at most six",
    note = "a topology owns its PStates: `module.stream(\"name\", (TODOS, COMPLETED))`"
)]
pub trait StateSet: Copy + Send + Sync + 'static {
    /// What a handler gets: a reference, or a tuple of references.
    type Refs<'a>;

    #[doc(hidden)]
    fn declare(self, declared: &mut Uses);

    #[doc(hidden)]
    fn lend<'a>(cells: &'a mut Cells, at: &[usize]) -> Self::Refs<'a>;

    /// Lends what was lent for a shorter time.
    #[doc(hidden)]
    fn again<'a>(lent: &'a mut Self::Refs<'_>) -> Self::Refs<'a>;
}

impl<R: Root> StateSet for PState<R> {
    type Refs<'a> = &'a mut R;

    fn declare(self, declared: &mut Uses) {
        StateUnit::declare(self, declared);
    }

    fn lend<'a>(cells: &'a mut Cells, at: &[usize]) -> &'a mut R {
        root_of(&mut cells.0[at[0]])
    }

    fn again<'a>(lent: &'a mut &mut R) -> &'a mut R {
        lent
    }
}

impl StateSet for () {
    type Refs<'a> = ();

    fn declare(self, _: &mut Uses) {}

    fn lend<'a>(_: &'a mut Cells, _: &[usize]) -> Self::Refs<'a> {}

    fn again<'a>(_: &'a mut Self::Refs<'_>) -> Self::Refs<'a> {}
}

macro_rules! tuple_of_states {
    ($($unit:ident $cell:ident $index:tt),+) => {
        impl<$($unit: StateUnit),+> StateSet for ($($unit,)+) {
            type Refs<'a> = ($($unit::Ref<'a>,)+);

            fn declare(self, declared: &mut Uses) {
                $(self.$index.declare(declared);)+
            }

            fn lend<'a>(cells: &'a mut Cells, at: &[usize]) -> Self::Refs<'a> {
                match cells.0.get_disjoint_mut([$(at[$index]),+]) {
                    Ok([$($cell),+]) => ($($unit::lend($cell),)+),
                    Err(_) => unreachable!("a tuple names every PState once, checked at start"),
                }
            }

            fn again<'a>(lent: &'a mut Self::Refs<'_>) -> Self::Refs<'a> {
                ($($unit::again(&mut lent.$index),)+)
            }
        }
    };
}

tuple_of_states!(A a 0);
tuple_of_states!(A a 0, B b 1);
tuple_of_states!(A a 0, B b 1, C c 2);
tuple_of_states!(A a 0, B b 1, C c 2, D d 3);
tuple_of_states!(A a 0, B b 1, C c 2, D d 3, E e 4);
tuple_of_states!(A a 0, B b 1, C c 2, D d 3, E e 4, F f 5);
