//! Tuples as states.

use crate::{Schema, Size, State};

macro_rules! tuples {
    ($($($part:ident $index:tt),+;)*) => { $(
        impl<$($part: State),+> State for ($($part,)+) {
            const FIXED: bool = true $(&& $part::FIXED)+;
            const QUICK: bool = true $(&& $part::QUICK)+;
            const REFLEXIVE: bool = true $(&& $part::REFLEXIVE)+;

            fn schema() -> Schema {
                Schema::Tuple(vec![$($part::schema()),+])
            }

            fn size(&self) -> Size {
                Size::default() $(+ self.$index.size())+
            }

            fn resize(&self, was: &Self, size: &mut Size) {
                $(self.$index.resize(&was.$index, size);)+
            }

            fn is_same(&self, other: &Self) -> bool {
                true $(&& self.$index.is_same(&other.$index))+
            }
        }

        crate::__blob_root!([$($part: State),+] ($($part,)+));
    )* };
}

tuples! {
    A 0;
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
}
