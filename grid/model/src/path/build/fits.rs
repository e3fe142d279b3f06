//! Which steps the builder offers at which types.

use crate::path::data::filter::Index;
use crate::path::data::step::NumberKind;
use crate::path::walk::Walk;
use crate::{Bytes, Key, List, Map, Set, State, Str, Uuid};

/// A map: `key`, `must`, `map_vals`, `map_keys`.
#[diagnostic::on_unimplemented(
    message = "`key`, `must`, `map_vals` and `map_keys` need a map, not `{Self}`",
    label = "the path has come to `{Self}` here"
)]
pub trait Keyed: Walk {
    /// The type of the keys.
    type Key: Key;
    /// The type of the values.
    type Value: State;
}

impl<K: Key, V: State> Keyed for Map<K, V> {
    type Key = K;
    type Value = V;
}

/// A list: `nth`, `index`, `after_elem`, `before_elem`.
#[diagnostic::on_unimplemented(
    message = "`nth`, `index`, `after_elem` and `before_elem` need a list, not `{Self}`",
    label = "the path has come to `{Self}` here"
)]
pub trait Listed: Walk {
    /// The type of the elements.
    type Elem: State;
}

/// An element of a list with its position before it.
pub type Indexed<L> = (u64, <L as Listed>::Elem);

impl<T: State> Listed for List<T> {
    type Elem = T;
}

impl<T: State> Listed for Vec<T> {
    type Elem = T;
}

/// A set: `elem`, `add_elem`.
#[diagnostic::on_unimplemented(
    message = "`elem` and `add_elem` need a set, not `{Self}`",
    label = "the path has come to `{Self}` here"
)]
pub trait SetOf: Walk {
    /// The type of the elements.
    type Elem: Key;
}

impl<T: Key> SetOf for Set<T> {
    type Elem = T;
}

/// Something with elements: `all`. The elements of a map are its entries, as pairs.
#[diagnostic::on_unimplemented(
    message = "`all` needs a list, a set or a map, not `{Self}`",
    label = "the path has come to `{Self}` here"
)]
pub trait Elements: Walk {
    /// The type of the elements.
    type Elem: Walk;
}

impl<T: State> Elements for List<T> {
    type Elem = T;
}

impl<T: State> Elements for Vec<T> {
    type Elem = T;
}

impl<T: Key> Elements for Set<T> {
    type Elem = T;
}

impl<K: Key, V: State> Elements for Map<K, V> {
    type Elem = (K, V);
}

/// Something with two ends: `first`, `last`. Those of a tuple are its first and last part.
#[diagnostic::on_unimplemented(
    message = "`first` and `last` need a list or a tuple, not `{Self}`",
    label = "the path has come to `{Self}` here"
)]
pub trait Ends: Walk {
    /// The type of the first element.
    type First: Walk;
    /// The type of the last element.
    type Last: Walk;
}

impl<T: State> Ends for List<T> {
    type First = T;
    type Last = T;
}

impl<T: State> Ends for Vec<T> {
    type First = T;
    type Last = T;
}

/// A tuple with a part of that number: `part`.
#[diagnostic::on_unimplemented(
    message = "`part` needs a tuple that has a part {N}, not `{Self}`",
    label = "the path has come to `{Self}` here"
)]
pub trait PartOf<const N: usize>: Walk {
    /// The type of the part.
    type Part: State;
}

macro_rules! parts_of_tuples {
    ($(($first:ident) $last:ident: $($part:ident $index:literal),+;)*) => { $(
        impl<$($part: State),+> Ends for ($($part,)+) {
            type First = $first;
            type Last = $last;
        }

        parts_of_tuples!(@ ($($part),+) $($part $index),+);
    )* };
    (@ $all:tt $($part:ident $index:literal),+) => {
        $(parts_of_tuples!(# $all $part $index);)+
    };
    (# ($($all:ident),+) $part:ident $index:literal) => {
        impl<$($all: State),+> PartOf<$index> for ($($all,)+) {
            type Part = $part;
        }
    };
}

parts_of_tuples! {
    (A) A: A 0;
    (A) B: A 0, B 1;
    (A) C: A 0, B 1, C 2;
    (A) D: A 0, B 1, C 2, D 3;
    (A) E: A 0, B 1, C 2, D 3, E 4;
    (A) F: A 0, B 1, C 2, D 3, E 4, F 5;
    (A) G: A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    (A) H: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
    (A) I: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8;
    (A) J: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9;
    (A) K: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10;
    (A) L: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11;
}

/// A number: `add`.
#[diagnostic::on_unimplemented(
    message = "`add` needs a number, not `{Self}`",
    label = "the path has come to `{Self}` here"
)]
pub trait Numeric: Walk {
    /// The type of the sum of such numbers.
    type Sum: State;
    /// Which type that is.
    #[doc(hidden)]
    const KIND: NumberKind;
}

macro_rules! numeric {
    ($($sum:ty, $kind:ident: $($type:ty),+;)*) => { $($(
        impl Numeric for $type {
            type Sum = $sum;
            const KIND: NumberKind = NumberKind::$kind;
        }
    )+)* };
}

numeric! {
    u64, Unsigned: u8, u16, u32, u64;
    i64, Signed: i8, i16, i32, i64;
    f64, Float: f32, f64;
    u128, Wide: u128;
    i128, WideSigned: i128;
}

/// A list or set of values with an order: `min`, `max`.
#[diagnostic::on_unimplemented(
    message = "`min` and `max` need a list or set of values with an order, not `{Self}`",
    label = "the path has come to `{Self}` here"
)]
pub trait Valued: Walk {
    /// The type of the elements.
    type Elem: State;
}

/// A list or set of numbers: `sum`, `avg`.
#[diagnostic::on_unimplemented(
    message = "`sum` and `avg` need a list or set of numbers, not `{Self}`",
    label = "the path has come to `{Self}` here"
)]
pub trait Sums: Walk {
    /// The type of the sum.
    type Sum: State;
    /// Which type that is.
    #[doc(hidden)]
    const KIND: NumberKind;
}

macro_rules! views {
    ($($collection:ident $bound:ident),*) => { $(
        impl<T: $bound + Ordered> Valued for $collection<T> {
            type Elem = T;
        }

        impl<T: $bound + Numeric> Sums for $collection<T> {
            type Sum = T::Sum;
            const KIND: NumberKind = T::KIND;
        }
    )* };
}

views!(List State, Vec State, Set Key);

/// A collection in the order of its keys: the `key_range` family.
#[diagnostic::on_unimplemented(
    message = "ranges of keys need a map or a set, not `{Self}`",
    label = "the path has come to `{Self}` here"
)]
pub trait Sorted: Walk {
    /// The type that it is sorted by.
    type Key: Key;
}

impl<K: Key, V: State> Sorted for Map<K, V> {
    type Key = K;
}

impl<T: Key> Sorted for Set<T> {
    type Key = T;
}

/// A collection that knows its length: `len`.
#[diagnostic::on_unimplemented(
    message = "`len` needs a list, a set or a map, not `{Self}`",
    label = "the path has come to `{Self}` here"
)]
pub trait Measured: Walk {}

impl<T: State> Measured for List<T> {}
impl<T: State> Measured for Vec<T> {}
impl<T: Key> Measured for Set<T> {}
impl<K: Key, V: State> Measured for Map<K, V> {}

/// An `Option`: `some`.
#[diagnostic::on_unimplemented(
    message = "`some` needs an `Option`, not `{Self}`",
    label = "the path has come to `{Self}` here"
)]
pub trait Optional: Walk {
    /// The type of the value inside.
    type Value: State;
}

impl<T: State> Optional for Option<T> {
    type Value = T;
}

/// A type with an order: `filter_gt`, `filter_ge`, `filter_lt`, `filter_le`.
///
/// `None` and `NaN` are neither less nor greater than anything: such a filter does not pass.
#[diagnostic::on_unimplemented(
    message = "values of type `{Self}` have no order that a filter can use",
    label = "the path has come to `{Self}` here",
    note = "numbers, strings, `char`, `bool`, `Bytes`, `Uuid`, tuples and `Option` of these have"
)]
pub trait Ordered: Walk {}

impl<T: State + Ordered> Ordered for Option<T> {}

macro_rules! ordered {
    ($($type:ty),* $(,)?) => { $(impl Ordered for $type {})* };
}

ordered! {
    bool, char, u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64,
    Str, String, Bytes, Uuid, Index,
}

macro_rules! ordered_tuples {
    ($(($($part:ident),+);)*) => {
        $(impl<$($part: State + Ordered),+> Ordered for ($($part,)+) {})*
    };
}

ordered_tuples! {
    (A);
    (A, B);
    (A, B, C);
    (A, B, C, D);
    (A, B, C, D, E);
    (A, B, C, D, E, F);
    (A, B, C, D, E, F, G);
    (A, B, C, D, E, F, G, H);
    (A, B, C, D, E, F, G, H, I);
    (A, B, C, D, E, F, G, H, I, J);
    (A, B, C, D, E, F, G, H, I, J, K);
    (A, B, C, D, E, F, G, H, I, J, K, L);
}

/// A number that may be a position in a list; a negative one is past any end.
pub trait ToIndex {
    /// The position.
    fn to_index(self) -> u64;
}

macro_rules! to_index {
    ($($type:ty),*) => {
        $(impl ToIndex for $type {
            fn to_index(self) -> u64 {
                u64::try_from(self).unwrap_or(u64::MAX)
            }
        })*
    };
}

to_index!(u8, u16, u32, u64, usize, i32, i64);

/// A value that the builder takes for a place of type `L`.
///
/// `L` itself, and what is commonly written for it: text for strings, arrays for collections.
/// (`Into` would not let a literal `5` stand for a `u64`.)
#[diagnostic::on_unimplemented(
    message = "the path leads to `{L}`, which cannot be written as `{Self}`",
    label = "expected `{L}`"
)]
pub trait IntoLeaf<L> {
    /// The value as an `L`.
    fn into_leaf(self) -> L;
}

impl<L> IntoLeaf<L> for L {
    fn into_leaf(self) -> L {
        self
    }
}

macro_rules! into_leaf {
    ($([$($generics:tt)*] $from:ty => $leaf:ty;)*) => {
        $(impl<$($generics)*> IntoLeaf<$leaf> for $from {
            fn into_leaf(self) -> $leaf {
                self.into()
            }
        })*
    };
}

into_leaf! {
    [] &str => Str;
    [] String => Str;
    [] &str => String;
    [] Str => String;
    [T: State, const N: usize] [T; N] => List<T>;
    [T: State] Vec<T> => List<T>;
    [T: State, const N: usize] [T; N] => Vec<T>;
    [T: Key, const N: usize] [T; N] => Set<T>;
    [K: Key, V: State, const N: usize] [(K, V); N] => Map<K, V>;
}
