//! Key bytes: they sort like the values, and decode to them.

use gridmill_macros::record;
use gridmill_model::prelude::*;
use gridmill_model::{KeyBytes, RouteKey};
use proptest::prelude::*;

use crate::records::{Colour, Nothing, Seat, UserId};

fn whole(key: &impl Key) -> KeyBytes {
    let mut bytes = KeyBytes::new();
    key.encode_key(&mut bytes);
    bytes
}

fn inner(key: &impl Key) -> KeyBytes {
    let mut bytes = KeyBytes::new();
    key.encode_part(&mut bytes);
    bytes
}

/// Both forms decode; the whole forms sort like the values, the inner forms too.
fn check<K: Key>(a: K, b: K) {
    assert_eq!(K::decode_key(&whole(&a)).unwrap(), a);
    assert_eq!(whole(&a).cmp(&whole(&b)), a.cmp(&b), "{a:?} and {b:?}");
    let mut both = inner(&a);
    both.extend_from_slice(&inner(&b));
    let mut rest = both.as_slice();
    assert_eq!(K::decode_part(&mut rest).unwrap(), a);
    assert_eq!(K::decode_part(&mut rest).unwrap(), b);
    assert!(rest.is_empty());
    assert_eq!(inner(&a).cmp(&inner(&b)), a.cmp(&b), "{a:?} and {b:?} inside");
    assert_eq!(a.compare(&b), a.cmp(&b));
}

/// Strings that share beginnings and hold zeros.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[\0\u{1}a\u{ff}]{0,4}", ".{0,12}"]
}

#[record(key, crate = gridmill_model)]
struct Deep {
    seat: Seat,
    colour: Colour,
    path: (Bytes, Option<String>),
}

fn deep() -> impl Strategy<Value = Deep> {
    let colour = prop_oneof![Just(Colour::Red), Just(Colour::Green), Just(Colour::Blue)];
    let blob = prop::collection::vec(0_u8..3, 0..4);
    (text(), any::<u32>(), colour, blob, prop::option::of(text())).prop_map(
        |(row, number, colour, blob, name)| Deep {
            seat: Seat { row: row.into(), number: number % 3 },
            colour,
            path: (blob.into(), name),
        },
    )
}

macro_rules! order_of {
    ($($name:ident: $strategy:expr;)*) => {
        proptest! { $(
            #[test]
            fn $name(a in $strategy, b in $strategy) {
                check(a.clone(), a.clone());
                check(a, b);
            }
        )* }
    };
}

order_of! {
    u8_sorts: any::<u8>();
    u16_sorts: any::<u16>();
    u32_sorts: any::<u32>();
    u64_sorts: any::<u64>();
    u128_sorts: any::<u128>();
    i8_sorts: any::<i8>();
    i16_sorts: any::<i16>();
    i32_sorts: any::<i32>();
    i64_sorts: any::<i64>();
    i128_sorts: any::<i128>();
    bool_sorts: any::<bool>();
    char_sorts: any::<char>();
    string_sorts: text();
    str_sorts: text().prop_map(Str::from);
    bytes_sort: prop::collection::vec(any::<u8>(), 0..5).prop_map(Bytes::from);
    uuid_sorts: any::<u128>().prop_map(Uuid::from_u128);
    option_sorts: prop::option::of(text());
    pair_sorts: (text(), text());
    triple_sorts: (0_i8..3, text(), any::<bool>());
    quadruple_sorts: (prop::option::of(0_u8..2), text(), 0_u64..2, text());
    nested_sorts: ((text(), 0_u8..2), prop::option::of((text(), text())));
    record_sorts: deep();
    unit_sorts: Just(());
    newtype_sorts: any::<u64>().prop_map(UserId);
}

proptest! {
    #[test]
    fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
        let _ = Deep::decode_key(&bytes);
        let _ = <(Str, Option<u64>)>::decode_key(&bytes);
        if let Ok(key) = <(Colour, i64)>::decode_key(&bytes) {
            prop_assert_eq!(whole(&key).to_vec(), bytes);
        }
    }
}

#[test]
fn borrowed_forms_mean_the_same() {
    fn same<K: Key>(key: K, borrowed: impl AsKey<K>) {
        let mut bytes = KeyBytes::new();
        borrowed.encode_as_key(&mut bytes);
        assert_eq!(bytes, whole(&key));
        assert_eq!(borrowed.route_as_key(), key.route());
        assert!(borrowed.compare(&key).is_eq());
    }
    same(Str::new("alice"), "alice");
    same(Str::new("alice"), String::from("alice"));
    same(String::from("alice"), Str::new("alice"));
    same(Bytes::from([1, 2]), [1, 2]);
    same(Bytes::from([1, 2]), [1_u8, 2].as_slice());
    same((Str::new("a"), 5_u64), ("a", 5));
    same((Str::new("a"), (Str::new("b"), 7_i8)), ("a", ("b", 7)));
    same(Some(Str::new("a")), Some("a"));
    same(Colour::Green, Colour::Green);
}

#[test]
fn integers_of_any_width_live_together() {
    assert_eq!(RouteKey::of(&5_u8), RouteKey::of(&5_u64));
    assert_eq!(RouteKey::of(&5_u32), RouteKey::of(&5_i128));
    assert_eq!(RouteKey::of(&-1_i8), RouteKey::of(&-1_i64));
    assert_eq!(RouteKey::of(&u64::MAX), RouteKey::of(&u128::from(u64::MAX)));
    assert_ne!(RouteKey::of(&(u128::from(u64::MAX) + 6)), RouteKey::of(&5_u64));
}

#[test]
fn compound_keys_live_with_their_first_part() {
    let alice = RouteKey::from("alice");
    assert_eq!(RouteKey::of(&(Str::new("alice"), 7_u32)), alice);
    assert_eq!(RouteKey::of(&Seat { row: "alice".into(), number: 1 }), alice);
    assert_eq!(RouteKey::of(&Some(String::from("alice"))), alice);
    assert_eq!(RouteKey::of(&None::<String>), RouteKey::of(&()));
    assert_eq!(RouteKey::of(&Colour::Green), RouteKey::from("Green"));
    assert_eq!(RouteKey::of(&Nothing), RouteKey::of(&()));
}

#[test]
fn partitions_are_within_their_count() {
    for key in 0..1000_u32 {
        assert!(RouteKey::of(&key).partition(7) < 7);
        assert_eq!(RouteKey::of(&key).partition(1), 0);
        assert_eq!(RouteKey::of(&key).partition(0), 0);
    }
}

#[test]
fn wrong_key_bytes_say_what_is_wrong() {
    let error = u32::decode_key(&[1, 2]).unwrap_err();
    assert_eq!(error.to_string(), "key bytes are no u32: expected its fixed width, got 2 bytes");
    assert!(u8::decode_key(&[1, 2]).unwrap_err().to_string().contains("1 more bytes"));
    assert!(Str::decode_key(&[0xff]).unwrap_err().to_string().contains("UTF-8"));
    assert!(<(Str, u8)>::decode_key(b"abc").unwrap_err().to_string().contains("00 00"));
    assert!(Colour::decode_key(&[0, 9]).unwrap_err().to_string().contains("variant"));
}
