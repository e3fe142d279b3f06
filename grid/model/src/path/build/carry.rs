//! What a path collects on its way, as types.

use crate::path::walk::Walk;
use crate::path::walk::gather::restored;
use crate::path::walk::leaf::Carried;

/// What results are: the value that a path leads to, with what it collected before it.
pub trait Carry: 'static {
    /// A result whose value is an `L`.
    type With<L: Walk>: Send + 'static;

    /// Joins what was collected with the value; `None` where that is something else.
    #[doc(hidden)]
    fn join<L: Walk>(carried: &[Carried], leaf: L) -> Option<Self::With<L>>;
}

/// What is collected may be one value more.
#[diagnostic::on_unimplemented(message = "a path collects at most three values")]
pub trait CarryMore<A>: Carry {
    /// The same and one value more.
    type More: Carry;
}

impl Carry for () {
    type With<L: Walk> = L;

    fn join<L: Walk>(carried: &[Carried], leaf: L) -> Option<L> {
        carried.is_empty().then_some(leaf)
    }
}

impl<A: Walk> CarryMore<A> for () {
    type More = (A,);
}

macro_rules! carries {
    ($($($part:ident $value:ident),+;)*) => { $(
        impl<$($part: Walk),+> Carry for ($($part,)+) {
            type With<LeafOfPath: Walk> = ($($part,)+ LeafOfPath);

            fn join<LeafOfPath: Walk>(
                carried: &[Carried],
                leaf: LeafOfPath,
            ) -> Option<Self::With<LeafOfPath>> {
                let [$($value),+] = carried else { return None };
                Some(($(restored::<$part>(&**$value)?,)+ leaf))
            }
        }
    )* };
}

carries! {
    A a;
    A a, B b;
    A a, B b, C c;
}

impl<A: Walk, B: Walk> CarryMore<B> for (A,) {
    type More = (A, B);
}

impl<A: Walk, B: Walk, C: Walk> CarryMore<C> for (A, B) {
    type More = (A, B, C);
}
