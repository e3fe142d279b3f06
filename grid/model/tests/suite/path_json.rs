//! Paths and results at the JSON edge.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use gridmill_macros::record;
use gridmill_model::Root;
use gridmill_model::path::{PathError, parse_json_path};
use gridmill_model::prelude::*;
use serde_json::{Value, json};

#[record(crate = gridmill_model)]
pub struct Note {
    pub text: Str,
    pub at: Option<i64>,
}

type Notes = Map<Str, List<Note>>;
type Counts = Map<u64, i64>;

const NOTES: PState<Notes> = PState::new("json/notes");
const COUNTS: PState<Counts> = PState::new("json/counts");

fn parse<R: Root>(json: Value) -> Result<gridmill_model::path::JsonPath, PathError> {
    parse_json_path::<R>("json/notes", &json)
}

fn refused<R: Root>(json: Value) -> String {
    parse::<R>(json).unwrap_err().to_string()
}

#[test]
fn json_paths_have_the_steps_of_the_builder() {
    let path = parse::<Notes>(json!([{"key": "ann"}, {"nth": 0}, {"field": "text"}])).unwrap();
    let built = NOTES.key("ann").nth(0).field(Note::TEXT);
    assert_eq!(path.steps.as_slice(), built.steps());
    assert_eq!(path.route, built.route());

    let path = parse::<Notes>(json!([
        {"must": "ann"}, "all",
        {"filter_selected": [{"field": "at"}, "some", {"filter_ge": 5}]},
        {"field": "at"}, {"or": 3}
    ]));
    let built = NOTES
        .must("ann")
        .all()
        .filter_selected(|it| it.field(Note::AT).some().filter_ge(5))
        .field(Note::AT)
        .or(Some(3));
    assert_eq!(path.unwrap().steps.as_slice(), built.steps());

    let path = parse::<Counts>(json!([{"key_range": {"ge": 2, "lt": 9}}, "len"])).unwrap();
    assert_eq!(path.steps.as_slice(), COUNTS.key_range(2..9).len().steps());
    assert_eq!(path.route, None);
    let path = parse::<Counts>(json!([{"key_range": {"last": 2}}, "map_vals"])).unwrap();
    assert_eq!(path.steps.as_slice(), COUNTS.last_keys(2).map_vals().steps());
    assert!(parse::<Counts>(json!([])).unwrap().steps.is_empty());
}

#[test]
fn what_does_not_fit_is_named() {
    assert_eq!(
        refused::<Notes>(json!([{"key": 5}])),
        "path on PState 'json/notes', step 1 ({\"key\":5}): expected Str, got 5: invalid type: \
         integer `5`, expected a string; write the value as JSON of that type",
    );
    let field = refused::<Notes>(json!([{"key": "a"}, "first", {"field": "txt"}]));
    assert!(field.contains("step 3"), "{field}");
    assert!(field.contains("one of the fields text, at, got \"txt\""), "{field}");
    for (json, part) in [
        (json!({"key": "a"}), "an array of steps"),
        (json!([5]), "expected a step"),
        (json!([{"key": "a", "nth": 1}]), "expected a step"),
        (json!(["jump"]), "expected one of first, last"),
        (json!(["key"]), "expected an argument, got none"),
        (json!([{"all": 3}]), "expected no argument, got 3"),
        (json!([{"nth": 0}]), "expected a list, got Map<"),
        (json!([{"key": "a"}, {"nth": -1}]), "expected a whole number, got -1"),
        (json!([{"key": "a"}, {"filter_gt": []}]), "a type with an order"),
        (json!([{"key_range": {"ge": "a", "gt": "b"}}]), "each at most once"),
        (json!([{"key_range": {"from": "a"}}]), "each at most once"),
        (json!([{"filter_selected": "all"}]), "an array of steps"),
        (json!([{"field": "text"}]), "expected a record"),
        (json!([{"key": "a"}, "after_elem"]), "expected one of"),
    ] {
        let message = refused::<Notes>(json);
        assert!(message.contains(part), "{message} has no {part}");
    }
}

#[test]
fn depth_and_length_are_limited() {
    let long = Value::Array(vec![json!({"filter_ne": {}}); 65]);
    assert!(refused::<Notes>(long).contains("at most 64 steps"));
    let mut nested = json!(["map_vals"]);
    for _ in 0..9 {
        nested = json!([{"filter_selected": nested}]);
    }
    assert!(refused::<Notes>(nested).contains("nested at most 8 deep"));
}
