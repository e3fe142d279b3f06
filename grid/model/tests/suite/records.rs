//! What `#[record]` makes of a type.

use gridmill_macros::record;
use gridmill_model::archive::ArchiveBuf;
use gridmill_model::prelude::*;
use gridmill_model::{Root, Schema};

/// A todo of the seed's application.
#[record(crate = gridmill_model)]
#[derive(Default)]
pub(crate) struct Todo {
    pub(crate) text: Str,
    pub(crate) completed_at: Option<i64>,
}

/// An event with all forms of variants.
#[record(crate = gridmill_model)]
pub(crate) enum TodoEvent {
    New { user: Str, text: Str },
    Complete { user: Str, index: u32, at: i64 },
    Rename(Str, Str),
    Clear,
}

#[record(crate = gridmill_model, key)]
#[derive(Copy)]
pub(crate) enum Colour {
    Red,
    Green,
    Blue,
}

#[record(key, crate = gridmill_model)]
pub(crate) struct Seat {
    pub(crate) row: Str,
    pub(crate) number: u32,
}

#[record(key, crate = gridmill_model)]
pub(crate) struct UserId(pub(crate) u64);

#[record(key, crate = gridmill_model)]
pub(crate) struct Nothing;

/// Every kind of part, nested.
#[record(crate = gridmill_model)]
pub(crate) struct Everything {
    pub(crate) flag: bool,
    pub(crate) letter: char,
    pub(crate) wide: i128,
    pub(crate) ratio: f64,
    pub(crate) name: String,
    pub(crate) blob: Bytes,
    pub(crate) id: Uuid,
    pub(crate) todos: Map<Str, List<Todo>>,
    pub(crate) seats: Set<Seat>,
    pub(crate) colours: Map<Colour, Vec<u16>>,
    pub(crate) pair: (u8, Option<UserId>),
    pub(crate) last: Option<TodoEvent>,
    pub(crate) r#type: (),
    pub(crate) nothing: Nothing,
}

pub(crate) fn everything() -> Everything {
    let todo = Todo { text: "wash".into(), completed_at: Some(-5) };
    Everything {
        flag: true,
        letter: 'x',
        wide: -(1 << 90),
        ratio: 0.5,
        name: "a name that is longer than twenty-three bytes".into(),
        blob: Bytes::from([0, 1, 255]),
        id: Uuid::from_u128(7),
        todos: [("alice".into(), [todo.clone(), Todo::default()].into())].into(),
        seats: [Seat { row: "B".into(), number: 1 }, Seat { row: "A".into(), number: 2 }].into(),
        colours: [(Colour::Blue, vec![3]), (Colour::Red, vec![1, 2])].into(),
        pair: (9, Some(UserId(10))),
        last: Some(TodoEvent::Complete { user: "bob".into(), index: 1, at: 2 }),
        r#type: (),
        nothing: Nothing,
    }
}

#[test]
fn fields_have_handles() {
    assert_eq!((Todo::TEXT.name(), Todo::TEXT.index()), ("text", 0));
    assert_eq!((Todo::COMPLETED_AT.name(), Todo::COMPLETED_AT.index()), ("completed_at", 1));
    assert_eq!((Everything::TYPE.name(), Everything::TYPE.index()), ("type", 12));
}

#[test]
fn schemas_read_like_the_declaration() {
    assert_eq!(Todo::schema().to_string(), "Todo { text: Str, completed_at: Option<i64> }");
    assert_eq!(Nothing::schema(), Schema::Unit);
    assert_eq!(UserId::schema().to_string(), "(u64)");
    assert_eq!(
        TodoEvent::schema().to_string(),
        "TodoEvent { New { user: Str, text: Str }, Complete { user: Str, index: u32, at: i64 }, \
         Rename(Str, Str), Clear }"
    );
}

#[test]
fn records_survive_the_archive() {
    let mut buf = ArchiveBuf::new();
    let value = everything();
    value.archive(&mut buf).unwrap();
    assert_eq!(Everything::unarchive(buf.as_slice()).unwrap(), value);
}

#[test]
fn records_survive_the_compact_form() {
    let value = everything();
    let bytes = postcard::to_allocvec(&value).unwrap();
    assert_eq!(postcard::from_bytes::<Everything>(&bytes).unwrap(), value);
    assert_eq!(value.encoded_len(), bytes.len());
}

#[test]
fn a_record_is_one_value_at_the_root() {
    const { assert!(!Todo::KEYED) };
    let todo = Todo { text: "cook".into(), completed_at: None };
    let entries = todo.clone().into_entries();
    assert_eq!(entries.len(), 1);
    assert!(entries[0].0.is_empty());
    assert_eq!(entries[0].1, todo);
}

#[test]
fn weight_counts_what_lies_on_the_heap() {
    let todo = Todo { text: "short".into(), completed_at: None };
    assert_eq!(todo.weight(), 0);
    let long = "x".repeat(100);
    // Behind the two counts of what clones share.
    assert_eq!(Todo { text: long.into(), completed_at: None }.weight(), 116);
    assert!(everything().weight() > 100);
}
