//! Values survive the archive and the compact form; wrong bytes are refused.

use gridmill_model::archive::{ArchiveBuf, ArchiveError};
use gridmill_model::prelude::*;
use proptest::prelude::*;

use crate::records::{Colour, Everything, Todo, TodoEvent, everything};

pub(crate) type Part = (Option<Str>, Set<i32>, Map<u8, Vec<String>>);
pub(crate) type Nested = Map<Str, List<Part>>;

pub(crate) fn nested() -> impl Strategy<Value = Nested> {
    let text = || ".{0,30}".prop_map(Str::from);
    let set = prop::collection::vec(any::<i32>(), 0..4).prop_map(|all| all.into_iter().collect());
    let lines = prop::collection::vec(".{0,4}", 0..3);
    let map =
        prop::collection::vec((any::<u8>(), lines), 0..4).prop_map(|all| all.into_iter().collect());
    let element = (prop::option::of(text()), set, map);
    let list = prop::collection::vec(element, 0..4).prop_map(List::from);
    prop::collection::vec((text(), list), 0..5).prop_map(|all| all.into_iter().collect())
}

fn survives<T: State>(value: T) {
    let mut buf = ArchiveBuf::new();
    value.archive(&mut buf).unwrap();
    assert_eq!(T::unarchive(buf.as_slice()).unwrap(), value);
    let bytes = postcard::to_allocvec(&value).unwrap();
    assert_eq!(postcard::from_bytes::<T>(&bytes).unwrap(), value);
    assert_eq!(value.encoded_len(), bytes.len());
    let json = serde_json::to_string(&value).unwrap();
    assert_eq!(serde_json::from_str::<T>(&json).unwrap(), value);
}

proptest! {
    #[test]
    fn nested_values_survive(value in nested()) {
        survives(value);
    }

    #[test]
    fn damaged_archives_do_no_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        at in any::<prop::sample::Index>(),
        bit in 0_u32..8,
    ) {
        let _ = Nested::unarchive(&bytes);
        let mut buf = ArchiveBuf::new();
        everything().archive(&mut buf).unwrap();
        let mut flipped = buf.as_slice().to_vec();
        let at = at.index(flipped.len());
        flipped[at] ^= 1_u8 << bit;
        let _ = Everything::unarchive(&flipped);
        let _ = Everything::unarchive(&flipped[..at]);
    }
}

#[test]
fn every_kind_of_value_survives() {
    survives(());
    survives(true);
    survives('x');
    survives((u8::MAX, u16::MAX, u32::MAX, u64::MAX));
    survives((i8::MIN, i16::MIN, i32::MIN, i64::MIN));
    survives((i64::MIN, 1.5_f32, f64::MIN, Uuid::from_u128(9)));
    survives(Bytes::from([1, 2, 3]));
    survives(Some(Some(Str::new("a"))));
    survives(List::from([Colour::Red, Colour::Blue]));
    survives(Map::from([((Str::new("a"), 7_u32), 1_u8)]));
    survives(Map::from([(Some(5_u8), ()), (None, ())]));
    survives(Map::from([(Colour::Green, 2.5_f64)]));
    survives(Map::from([(-5_i64, true)]));
    survives(Map::from([(Bytes::from([1]), false)]));
    survives((1_u8,));
    survives(TodoEvent::Rename("a".into(), "b".into()));
    survives(TodoEvent::Clear);
}

#[test]
fn a_buffer_is_used_again() {
    let mut buf = ArchiveBuf::new();
    for index in 0..100_u64 {
        let todo = Todo { text: "x".repeat(index as usize).into(), completed_at: Some(5) };
        todo.archive(&mut buf).unwrap();
        assert_eq!(Todo::unarchive(buf.as_slice()).unwrap(), todo);
        index.archive(&mut buf).unwrap();
        assert_eq!((u64::unarchive(buf.as_slice()).unwrap(), buf.len()), (index, 8));
    }
    buf.shrink_to(16);
    assert!(buf.is_empty());
}

#[test]
fn bytes_at_an_odd_address_are_read() {
    let mut buf = ArchiveBuf::new();
    let value = everything();
    value.archive(&mut buf).unwrap();
    let mut shifted = vec![0];
    shifted.extend_from_slice(buf.as_slice());
    assert_eq!(Everything::unarchive(&shifted[1..]).unwrap(), value);
}

#[test]
fn numbers_are_archived_as_rkyv_would() {
    let mut buf = ArchiveBuf::new();
    (-7_i32).archive(&mut buf).unwrap();
    let generic = rkyv::to_bytes::<rkyv::rancor::Error>(&-7_i32).unwrap();
    assert_eq!(buf.as_slice(), generic.as_slice());
}

#[test]
fn bytes_of_another_type_are_refused() {
    let error = u64::unarchive(&[1, 2, 3]).unwrap_err();
    assert!(matches!(error, ArchiveError::Invalid { len: 3, .. }));
    assert!(error.to_string().contains("3 bytes are no archive of u64"), "{error}");
    assert!(Todo::unarchive(&[]).is_err());
}
