//! Numbers of any width, to be added up and averaged.

use crate::path::data::step::NumberKind;
use crate::path::error::Misfit;

/// A number, as wide as its kind goes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[doc(hidden)]
pub enum Number {
    /// Of `u8` to `u64`.
    Unsigned(u64),
    /// Of `i8` to `i64`.
    Signed(i64),
    /// Of `f32` and `f64`.
    Float(f64),
    /// Of `u128`.
    Wide(u128),
    /// Of `i128`.
    WideSigned(i128),
}

impl Number {
    /// The sum of nothing.
    pub(in crate::path) fn zero(kind: NumberKind) -> Self {
        match kind {
            NumberKind::Unsigned => Self::Unsigned(0),
            NumberKind::Signed => Self::Signed(0),
            NumberKind::Float => Self::Float(0.0),
            NumberKind::Wide => Self::Wide(0),
            NumberKind::WideSigned => Self::WideSigned(0),
        }
    }

    /// Of which kind it is.
    pub(in crate::path) fn kind(self) -> NumberKind {
        match self {
            Self::Unsigned(_) => NumberKind::Unsigned,
            Self::Signed(_) => NumberKind::Signed,
            Self::Float(_) => NumberKind::Float,
            Self::Wide(_) => NumberKind::Wide,
            Self::WideSigned(_) => NumberKind::WideSigned,
        }
    }

    /// The sum of both, if they are of one kind and it can be held.
    pub(in crate::path) fn plus(self, other: Self) -> Result<Self, Misfit> {
        let sum = match (self, other) {
            (Self::Unsigned(a), Self::Unsigned(b)) => a.checked_add(b).map(Self::Unsigned),
            (Self::Signed(a), Self::Signed(b)) => a.checked_add(b).map(Self::Signed),
            (Self::Float(a), Self::Float(b)) => Some(Self::Float(a + b)),
            (Self::Wide(a), Self::Wide(b)) => a.checked_add(b).map(Self::Wide),
            (Self::WideSigned(a), Self::WideSigned(b)) => a.checked_add(b).map(Self::WideSigned),
            _ => None,
        };
        sum.ok_or_else(|| {
            let got = format!("{self:?} and {other:?}");
            Misfit::new("a sum that its type can hold", got, "sum up fewer values")
        })
    }

    /// The number, as near as an `f64` comes to it.
    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Self::Unsigned(n) => n as f64,
            Self::Signed(n) => n as f64,
            Self::Float(n) => n,
            Self::Wide(n) => n as f64,
            Self::WideSigned(n) => n as f64,
        }
    }
}
