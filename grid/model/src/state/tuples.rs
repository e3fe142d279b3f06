//! Tuples as states.

use crate::{Schema, State};

macro_rules! tuples {
    ($($($part:ident $index:tt),+;)*) => { $(
        impl<$($part: State),+> State for ($($part,)+) {
            fn schema() -> Schema {
                Schema::Tuple(vec![$($part::schema()),+])
            }

            fn weight(&self) -> usize {
                0 $(+ self.$index.weight())+
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
