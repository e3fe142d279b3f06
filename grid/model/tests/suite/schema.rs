//! Shapes: fingerprints, differences, and reading values by shape alone.

use gridmill_model::Schema;
use gridmill_model::prelude::*;

use crate::records::{Everything, Todo, everything};

mod other {
    use gridmill_macros::record;
    use gridmill_model::prelude::*;

    #[record(crate = gridmill_model)]
    pub(super) struct Task {
        pub(super) text: String,
        pub(super) completed_at: Option<i64>,
    }

    #[record(crate = gridmill_model)]
    pub(super) struct Todo {
        pub(super) text: Str,
        pub(super) completed: Option<i64>,
    }

    #[record(crate = gridmill_model)]
    pub(super) struct Wide {
        pub(super) text: Str,
        pub(super) completed_at: Option<u64>,
    }

    #[record(crate = gridmill_model)]
    pub(super) struct Swapped {
        pub(super) completed_at: Option<i64>,
        pub(super) text: Str,
    }
}

fn difference<A: State, B: State>() -> String {
    let (old, new) = (A::schema(), B::schema());
    assert_eq!(old.fingerprint() == new.fingerprint(), Schema::difference(&old, &new).is_empty());
    Schema::difference(&old, &new)
}

#[test]
fn names_of_types_do_not_count() {
    assert_eq!(difference::<Todo, other::Task>(), "");
    assert_eq!(difference::<List<u8>, Vec<u8>>(), "");
}

#[test]
fn the_place_of_a_difference_is_named() {
    assert_eq!(difference::<Todo, other::Todo>(), "the whole: field `completed_at` is gone");
    assert_eq!(
        difference::<Map<Str, List<Todo>>, Map<Str, List<other::Wide>>>(),
        "[value].[element].completed_at.Some: was i64, is now u64"
    );
    assert_eq!(
        difference::<Option<Todo>, Option<other::Swapped>>(),
        "Some: field `completed_at` stands where `text` stood"
    );
    assert_eq!(difference::<(u8, u8), (u8, i8)>(), "1: was u8, is now i8");
    assert_eq!(difference::<Map<u8, ()>, Map<u16, ()>>(), "[key]: was u8, is now u16");
    assert_eq!(difference::<List<u8>, Set<u8>>(), "the whole: was List<u8>, is now Set<u8>");
}

#[test]
fn fingerprints_stay() {
    assert_eq!(Todo::schema().canonical(), "struct { text: Str, completed_at: Option<i64> }");
    assert_eq!(Todo::schema().fingerprint(), 0xc24e_15ac_3853_a260);
}

#[test]
fn a_schema_is_data() {
    let schema = Everything::schema();
    let bytes = postcard::to_allocvec(&schema).unwrap();
    assert_eq!(postcard::from_bytes::<Schema>(&bytes).unwrap(), schema);
}

#[test]
fn values_are_shown_by_shape_alone() {
    let value = Everything { wide: -3, ..everything() };
    let bytes = postcard::to_allocvec(&value).unwrap();
    let shown = Everything::schema().to_json(&bytes).unwrap();
    assert_eq!(shown, serde_json::to_value(&value).unwrap());
}

#[test]
fn numbers_are_read_at_all_widths() {
    fn shown<T: State>(value: T) -> String {
        T::schema().to_json(&postcard::to_allocvec(&value).unwrap()).unwrap().to_string()
    }
    assert_eq!(shown(i8::MIN), "-128");
    assert_eq!(shown(i16::MIN), "-32768");
    assert_eq!(shown(i64::MIN), i64::MIN.to_string());
    assert_eq!(shown(u64::MAX), u64::MAX.to_string());
    assert_eq!(shown(u128::MAX), format!("\"{}\"", u128::MAX));
    assert_eq!(shown(i128::MIN), format!("\"{}\"", i128::MIN));
    assert_eq!(shown(1.5_f32), "1.5");
    assert_eq!(shown(f64::NAN), "null");
}

#[test]
fn wrong_bytes_name_the_place() {
    let todos = List::from([Todo { text: "a".into(), completed_at: Some(1) }]);
    let mut bytes = postcard::to_allocvec(&todos).unwrap();
    bytes[3] = 2;
    let error = <List<Todo>>::schema().to_json(&bytes).unwrap_err();
    assert_eq!(error.place, "value[0].completed_at");
    assert!(error.to_string().contains("expected 0 or 1"), "{error}");
    let cut = u32::schema().to_json(&[0x80, 0x80]).unwrap_err();
    assert!(cut.to_string().contains("expected more bytes"), "{cut}");
    assert!(u16::schema().to_json(&[0xff, 0xff, 0x7f]).is_err());
    assert!(<List<()>>::schema().to_json(&[0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
}
