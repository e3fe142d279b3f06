//! Values without parts: numbers, strings, identifiers.

use std::cmp::Ordering;

use super::Walk;
use super::number::Number;
use crate::path::data::filter::Index;
use crate::path::error::Misfit;
use crate::{Bytes, State, Str, Uuid};

macro_rules! scalars {
    ($($type:ty $(: $kind:ident $wide:ty)?),* $(,)?) => {
        $(impl Walk for $type {
            const ORDERED: bool = true;
            $(const ZERO: Option<Number> = Some(Number::$kind(0 as $wide));

            fn number(&self) -> Option<Number> {
                Some(Number::$kind(<$wide>::from(*self)))
            }

            fn plus(&self, other: &Self) -> Result<Self, Misfit> {
                sum::<Self>(*self, *other)
            })?

            fn shape() -> String {
                <$type as State>::schema().to_string()
            }

            fn room(&self) -> usize {
                size_of::<Self>() + self.weight()
            }

            fn order(&self, other: &Self) -> Option<Ordering> {
                self.partial_cmp(other)
            }
        })*
    };
}

/// Numbers that are added up in their own type.
trait Adds: Copy + std::fmt::Display {
    fn added(self, other: Self) -> Option<Self>;
}

macro_rules! adds {
    ($($type:ty),* => $add:expr) => { $(
        impl Adds for $type {
            fn added(self, other: Self) -> Option<Self> {
                let add: fn(Self, Self) -> Option<Self> = $add;
                add(self, other)
            }
        }
    )* };
}

adds!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128 => |a, b| a.checked_add(b));
adds!(f32, f64 => |a, b| Some(a + b));

fn sum<T: Adds + Walk>(one: T, other: T) -> Result<T, Misfit> {
    one.added(other).ok_or_else(|| {
        let expected = format!("a sum that a {} can hold", T::shape());
        Misfit::new(expected, format!("{one} + {other}"), "use a wider number")
    })
}

scalars! {
    (), bool, char, Str, String, Bytes, Uuid,
    u8: Unsigned u64, u16: Unsigned u64, u32: Unsigned u64, u64: Unsigned u64, u128: Wide u128,
    i8: Signed i64, i16: Signed i64, i32: Signed i64, i64: Signed i64, i128: WideSigned i128,
    f32: Float f64, f64: Float f64,
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
