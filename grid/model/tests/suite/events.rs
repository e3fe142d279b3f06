//! Events: variants, payloads and JSON.

use gridmill_model::Schema;
use gridmill_model::event::DecodeError;
use gridmill_model::prelude::*;
use proptest::prelude::*;

use crate::records::{Todo, TodoEvent};

const EVENTS: Depot<TodoEvent> = Depot::hash_by("todo/events", |event| event.user().into());
const TICKS: Depot<u64> = Depot::random("todo/ticks").global();
const BY_HAND: Depot<u64> = Depot::custom("todo/by-hand", |event, count| (*event as u32) % count);
const TODOS: PState<Map<Str, List<Todo>>> = PState::new("todo/todos");
const ODD: PState<Map<u64, Todo>> =
    PState::new("todo/odd").partition_by(|key, count| (*key as u32) % count).private();

impl TodoEvent {
    fn user(&self) -> &str {
        match self {
            Self::New { user, .. } | Self::Complete { user, .. } | Self::Rename(user, _) => user,
            Self::Clear => "",
        }
    }
}

fn all() -> Vec<TodoEvent> {
    vec![
        TodoEvent::New { user: "alice".into(), text: "wash".into() },
        TodoEvent::Complete { user: "alice".into(), index: 3, at: -1 },
        TodoEvent::Rename("alice".into(), "bob".into()),
        TodoEvent::Clear,
    ]
}

#[test]
fn each_variant_is_named_and_shaped() {
    let names: Vec<_> = TodoEvent::variants().into_iter().map(|variant| variant.name).collect();
    assert_eq!(names, ["New", "Complete", "Rename", "Clear"]);
    let shapes: Vec<_> =
        TodoEvent::variants().iter().map(|variant| variant.schema.to_string()).collect();
    assert_eq!(shapes[1], "Complete { user: Str, index: u32, at: i64 }");
    assert_eq!(shapes[2], "(Str, Str)");
    assert_eq!(TodoEvent::variants()[3].schema, Schema::Unit);
    assert_eq!(Todo::variants()[0].name, "Todo");
}

#[test]
fn fields_are_encoded_without_the_variant() {
    for (index, event) in all().into_iter().enumerate() {
        let mut bytes = vec![7];
        event.encode_fields(&mut bytes).unwrap();
        assert_eq!((bytes[0], event.variant()), (7, index));
        assert_eq!(TodoEvent::decode_fields(index, &bytes[1..]).unwrap(), event);
        let mut whole = vec![index as u8];
        whole.extend_from_slice(&bytes[1..]);
        assert_eq!(postcard::to_allocvec(&event).unwrap(), whole);
    }
}

#[test]
fn the_shape_alone_reads_a_payload() {
    for event in all() {
        let mut bytes = Vec::new();
        event.encode_fields(&mut bytes).unwrap();
        let variant = &TodoEvent::variants()[event.variant()];
        let fields = variant.schema.to_json(&bytes).unwrap();
        let whole = serde_json::to_value(&event).unwrap();
        match whole.get(&variant.name) {
            Some(content) => assert_eq!(&fields, content),
            None => assert!(fields.is_null()),
        }
    }
}

#[test]
fn wrong_payloads_are_refused() {
    let refused = TodoEvent::decode_fields(9, &[]).unwrap_err();
    assert!(matches!(refused, DecodeError::UnknownVariant { variant: 9, count: 4, .. }));
    let refused = TodoEvent::decode_fields(3, &[1]).unwrap_err();
    assert_eq!(refused, DecodeError::TrailingBytes { offset: 0, len: 1 });
    let refused = TodoEvent::decode_fields(0, b"\x01a").unwrap_err();
    assert!(matches!(refused, DecodeError::Field { offset: 2, len: 2, .. }), "{refused}");
}

#[test]
fn a_claimed_length_reserves_nothing() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert!(<List<u64>>::decode_fields(0, &huge).is_err());
    assert!(<List<()>>::decode_fields(0, &huge).is_err());
    assert!(<Vec<u64>>::decode_fields(0, &huge).is_err());
    assert!(<Map<(), ()>>::decode_fields(0, &huge).is_err());
    assert!(Str::decode_fields(0, &huge).is_err());
}

proptest! {
    #[test]
    fn any_payload_decodes_or_is_refused(
        variant in 0_usize..5,
        bytes in prop::collection::vec(any::<u8>(), 0..32),
    ) {
        let _ = TodoEvent::decode_fields(variant, &bytes);
        let _ = <Map<Str, List<Option<u64>>>>::decode_fields(0, &bytes);
        let _ = <Map<Str, List<Option<u64>>>>::schema().to_json(&bytes);
    }
}

#[test]
fn json_becomes_an_event() {
    let json = r#"{"New": {"user": "alice", "text": "wash"}}"#;
    assert_eq!(TodoEvent::from_json(json).unwrap(), all()[0]);
    assert_eq!(TodoEvent::from_json(r#""Clear""#).unwrap(), TodoEvent::Clear);
    let absent = Todo::from_json(r#"{"text": "wash"}"#).unwrap();
    assert_eq!(absent, Todo { text: "wash".into(), completed_at: None });
}

#[test]
fn wrong_json_is_refused_with_its_place() {
    let unknown = Todo::from_json(r#"{"text": "a", "colour": 1}"#).unwrap_err();
    assert!(unknown.to_string().contains("unknown field `colour`"), "{unknown}");
    let wrong = TodoEvent::from_json(r#"{"New": {"user": "a", "text": 5}}"#).unwrap_err();
    assert_eq!(wrong.path, "New.text");
    assert!(wrong.message.contains("expected a string"), "{wrong}");
    let variant = TodoEvent::from_json(r#"{"Old": {}}"#).unwrap_err();
    assert!(variant.to_string().contains("unknown variant `Old`"), "{variant}");
    assert!(u64::from_json("5 6").unwrap_err().to_string().contains("trailing"));
}

#[test]
fn handles_say_what_they_are() {
    assert_eq!((EVENTS.name(), EVENTS.is_global()), ("todo/events", false));
    assert!(TICKS.is_global());
    assert_eq!(BY_HAND.name(), "todo/by-hand");
    assert!(TODOS.initial_value().is_empty());
    assert_eq!(TODOS.read().pstate().name(), "todo/todos");
    assert!(ODD.is_private());
    assert_eq!(ODD.partitioner().map(|partition| partition(&7, 4)), Some(3));
    let copy = EVENTS;
    assert_eq!(format!("{copy:?}"), format!("{EVENTS:?}"));
}
