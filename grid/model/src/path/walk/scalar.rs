//! Values without parts: numbers, strings, identifiers.

use std::cmp::Ordering;

use super::Walk;
use crate::path::data::filter::Index;
use crate::{Bytes, State, Str, Uuid};

macro_rules! scalars {
    ($($type:ty),* $(,)?) => {
        $(impl Walk for $type {
            const ORDERED: bool = true;

            fn shape() -> String {
                <$type as State>::schema().to_string()
            }

            fn order(&self, other: &Self) -> Option<Ordering> {
                self.partial_cmp(other)
            }
        })*
    };
}

scalars! {
    (), bool, char, u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64,
    Str, String, Bytes, Uuid,
}

impl Walk for Index {
    const ORDERED: bool = true;

    fn shape() -> String {
        "Index".to_owned()
    }

    fn order(&self, other: &Self) -> Option<Ordering> {
        self.partial_cmp(other)
    }
}
