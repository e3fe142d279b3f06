//! Tuples as states.

use std::mem::offset_of;

use crate::diff::DiffOut;
use crate::engine::{Cold, Damaged};
use crate::path::Step;
use crate::{Schema, Size, State};

macro_rules! tuples {
    ($($($part:ident $index:tt),+;)*) => { $(
        impl<$($part: State),+> State for ($($part,)+) {
            const FIXED: bool = true $(&& $part::FIXED)+;
            const QUICK: bool = true $(&& $part::QUICK)+;
            const REFLEXIVE: bool = true $(&& $part::REFLEXIVE)+;

            fn fetch(cold: Cold<'_>) -> Result<(), Damaged> {
                cold.bytes(size_of::<Self::Archived>())?;
                $(if !$part::FIXED {
                    $part::fetch(cold.behind(offset_of!(<Self as rkyv::Archive>::Archived, $index)))?;
                })+
                Ok(())
            }

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

            fn diff(&self, old: &Self, out: &mut DiffOut) {
                $(out.inside(Step::Field($index), &old.$index, &self.$index);)+
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
    A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11;
}
