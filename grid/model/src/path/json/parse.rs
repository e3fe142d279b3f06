//! Paths from JSON.

use serde_json::Value;

use super::kind::shown;
use crate::key::KeyBytes;
use crate::path::check::ValueType;
use crate::path::data::filter::{Compare, Edge, Filter, KeyRange};
use crate::path::data::limits::{MAX_NESTING, MAX_STEPS};
use crate::path::data::step::{Step, Steps};
use crate::path::error::{Misfit, PathError, PathErrorKind, too_deep};
use crate::{Key, Root, RouteKey};

/// A path from JSON, checked against its PState.
#[derive(Clone, Debug)]
pub struct JsonPath {
    /// The steps.
    pub steps: Steps,
    /// Where the path lives: the key of a first `key` or `must` on a keyed PState.
    pub route: Option<RouteKey>,
}

/// Reads a path from JSON.
///
/// A path is an array of steps. A step without argument is its name, one with an argument an
/// object of name and argument. The steps are those of the builder that a select can use:
///
/// | step | argument |
/// |---|---|
/// | `first` `last` `all` `map_vals` `map_keys` `some` `len` | none |
/// | `key` `must` `elem` | a key or element, as JSON of its type |
/// | `nth` `index` | a position, from 0 |
/// | `field` | the name of a field, or the number of a tuple's part as a string |
/// | `or` `filter_eq` `filter_ne` `filter_gt` `filter_ge` `filter_lt` `filter_le` | a value |
/// | `filter_selected` | a path |
/// | `key_range` | `gt` or `ge`, `lt` or `le`, and `first` or `last` for a limit, all optional |
///
/// # Examples
///
/// ```
/// use gridmill_model::path::parse_json_path;
/// use gridmill_model::prelude::*;
///
/// type Scores = Map<Str, List<u64>>;
/// const SCORES: PState<Scores> = PState::new("game/scores");
///
/// let json = serde_json::json!([{"key": "ann"}, "all", {"filter_gt": 5}]);
/// let path = parse_json_path::<Scores>("game/scores", &json)?;
/// assert_eq!(&path.steps[..], SCORES.key("ann").all().filter_gt(5).steps());
///
/// for json in [
///     serde_json::json!(["map_vals", {"filter_selected": ["len", {"filter_gt": 3}]}, "first"]),
///     serde_json::json!([{"key_range": {"ge": "a", "lt": "m", "first": 10}}]),
/// ] {
///     parse_json_path::<Scores>("game/scores", &json)?;
/// }
/// # Ok::<(), gridmill_model::path::PathError>(())
/// ```
///
/// # Errors
///
/// [`PathErrorKind::Path`], naming the step that does not fit: an unknown step or field, a
/// missing or superfluous argument, a key or value of another type.
pub fn parse_json_path<R: Root>(pstate: &str, json: &Value) -> Result<JsonPath, PathError> {
    let mut parser = Parser { pstate, steps: Steps::new() };
    parser.path(ValueType::of::<R>(), json, 0)?;
    let steps = parser.steps;
    let route = match steps.first() {
        Some(Step::Key(key) | Step::Must(key)) if R::KEYED => {
            R::Key::decode_key(key).ok().map(|key| key.route())
        }
        _ => None,
    };
    Ok(JsonPath { steps, route })
}

struct Parser<'p> {
    pstate: &'p str,
    steps: Steps,
}

impl Parser<'_> {
    /// Parses the steps of a path or condition that starts at values of `kind`.
    fn path(&mut self, mut kind: ValueType, json: &Value, nesting: usize) -> Result<(), PathError> {
        let Value::Array(steps) = json else {
            let help = "write for example [{\"key\": \"alice\"}, \"first\"]";
            return Err(self.fail("", Misfit::new("an array of steps", shown(json), help)));
        };
        for json in steps {
            if self.steps.len() == MAX_STEPS {
                let expected = format!("at most {MAX_STEPS} steps");
                return Err(self.fail("", Misfit::new(expected, "more", "shorten the path")));
            }
            kind = self.step(kind, json, nesting)?;
        }
        Ok(())
    }

    fn step(
        &mut self,
        kind: ValueType,
        json: &Value,
        nesting: usize,
    ) -> Result<ValueType, PathError> {
        let (name, argument) = split(json).map_err(|e| self.fail(&shown(json), e))?;
        if let ("filter_selected", Some(condition)) = (name, argument) {
            return self.condition(kind, json, condition, nesting);
        }
        let step = parse(kind, name, argument).map_err(|e| self.fail(&shown(json), e))?;
        let next = (kind.next)(&step).map_err(|e| self.fail(&shown(json), e))?;
        self.steps.push(step);
        Ok(next)
    }

    fn condition(
        &mut self,
        kind: ValueType,
        json: &Value,
        condition: &Value,
        nesting: usize,
    ) -> Result<ValueType, PathError> {
        if nesting == MAX_NESTING {
            return Err(self.fail(&shown(json), too_deep(MAX_NESTING)));
        }
        let at = self.steps.len();
        self.steps.push(Step::FilterSelected(0));
        self.path(kind, condition, nesting + 1)?;
        // At most MAX_STEPS, so that the count always fits.
        let count = u16::try_from(self.steps.len() - at - 1).unwrap_or(u16::MAX);
        self.steps[at] = Step::FilterSelected(count);
        Ok(kind)
    }

    fn fail(&self, step: &str, misfit: Misfit) -> PathError {
        let number = if step.is_empty() { 0 } else { self.steps.len() + 1 };
        PathError::new(PathErrorKind::Path, self.pstate, number, step.to_owned(), misfit)
    }
}

/// The name of a step and its argument.
fn split(json: &Value) -> Result<(&str, Option<&Value>), Misfit> {
    if let Value::String(name) = json {
        return Ok((name, None));
    }
    let single = json.as_object().filter(|object| object.len() == 1);
    match single.and_then(|object| object.iter().next()) {
        Some((name, argument)) => Ok((name, Some(argument))),
        None => {
            let expected = "a step: its name, or an object of its name and argument";
            Err(Misfit::new(expected, shown(json), "write for example {\"key\": \"alice\"}"))
        }
    }
}

/// Parses one step other than `filter_selected`.
fn parse(kind: ValueType, name: &str, argument: Option<&Value>) -> Result<Step, Misfit> {
    if let Some(step) = plain(name) {
        return match argument {
            None | Some(Value::Null) => Ok(step),
            Some(json) => {
                let help = format!("write just \"{name}\"");
                Err(Misfit::new("no argument", shown(json), help))
            }
        };
    }
    if !WITH_ARGUMENT.contains(&name) {
        let expected = format!("one of {}, {}", PLAIN.join(", "), WITH_ARGUMENT.join(", "));
        return Err(Misfit::new(expected, format!("\"{name}\""), "correct the step's name"));
    }
    let Some(json) = argument else {
        let help = format!("write {{\"{name}\": ..}}");
        return Err(Misfit::new("an argument", "none", help));
    };
    with_argument(kind, name, json)
}

const PLAIN: [&str; 7] = ["first", "last", "all", "map_vals", "map_keys", "some", "len"];

fn plain(name: &str) -> Option<Step> {
    Some(match name {
        "first" => Step::First,
        "last" => Step::Last,
        "all" => Step::All,
        "map_vals" => Step::MapVals,
        "map_keys" => Step::MapKeys,
        "some" => Step::Some,
        "len" => Step::Len,
        _ => return None,
    })
}

const WITH_ARGUMENT: [&str; 14] = [
    "key",
    "must",
    "nth",
    "index",
    "field",
    "elem",
    "or",
    "key_range",
    "filter_eq",
    "filter_ne",
    "filter_gt",
    "filter_ge",
    "filter_lt",
    "filter_le",
];

fn with_argument(kind: ValueType, name: &str, json: &Value) -> Result<Step, Misfit> {
    let compare = match name {
        "key" => return key(kind, json).map(Step::Key),
        "must" => return key(kind, json).map(Step::Must),
        "elem" => return key(kind, json).map(Step::Elem),
        "nth" => return number(json).map(Step::Nth),
        "index" => return number(json).map(Step::Index),
        "field" => return (kind.field_index)(&text(json)?).map(Step::Field),
        "or" => return kind.json.read(kind.shape, json).map(Step::Or),
        "key_range" => return range(kind, json).map(|range| Step::KeyRange(Box::new(range))),
        "filter_ne" => Compare::Ne,
        "filter_gt" => Compare::Gt,
        "filter_ge" => Compare::Ge,
        "filter_lt" => Compare::Lt,
        "filter_le" => Compare::Le,
        _ => Compare::Eq,
    };
    let value = kind.json.read(kind.shape, json)?;
    Ok(Step::Filter(Box::new(Filter { compare, value })))
}

/// The bytes of a key or element of this collection.
fn key(kind: ValueType, json: &Value) -> Result<KeyBytes, Misfit> {
    match (kind.keys)() {
        Some(keys) => keys.json.read(json),
        None => {
            let help = "take the step at a map or set";
            Err(Misfit::new("a map or a set", (kind.shape)(), help))
        }
    }
}

fn range(kind: ValueType, json: &Value) -> Result<KeyRange, Misfit> {
    let help = "write for example {\"ge\": \"a\", \"lt\": \"m\", \"first\": 10}";
    let expected = "an object of gt or ge, lt or le, first or last, each at most once";
    let Value::Object(parts) = json else {
        return Err(Misfit::new(expected, shown(json), help));
    };
    let mut range = KeyRange { from: Edge::Open, to: Edge::Open, limit: None, keep_last: false };
    for (name, value) in parts {
        let twice = match name.as_str() {
            "gt" | "ge" => range.from != Edge::Open,
            "lt" | "le" => range.to != Edge::Open,
            "first" | "last" => range.limit.is_some(),
            _ => true,
        };
        if twice {
            return Err(Misfit::new(expected, shown(json), help));
        }
        match name.as_str() {
            "gt" => range.from = Edge::Excluding(key(kind, value)?),
            "ge" => range.from = Edge::Including(key(kind, value)?),
            "lt" => range.to = Edge::Excluding(key(kind, value)?),
            "le" => range.to = Edge::Including(key(kind, value)?),
            limit => {
                range.limit = Some(number(value)?);
                range.keep_last = limit == "last";
            }
        }
    }
    Ok(range)
}

fn number(json: &Value) -> Result<u64, Misfit> {
    let help = "write a number, counted from 0";
    json.as_u64().ok_or_else(|| Misfit::new("a whole number", shown(json), help))
}

fn text(json: &Value) -> Result<String, Misfit> {
    let text = json.as_str().map(str::to_owned);
    text.ok_or_else(|| Misfit::new("the name of a field", shown(json), "write it as a string"))
}
