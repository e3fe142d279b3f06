//! Paths from JSON.

use serde_json::Value;

use super::branching::Branching;
use super::kind::shown;
use crate::key::KeyBytes;
use crate::path::check::ValueType;
use crate::path::data::filter::{Compare, Edge, Filter, KeyRange};
use crate::path::data::limits::{MAX_NESTING, MAX_STEPS};
use crate::path::data::step::{Every, NumberKind, Side, Step, StepKey, Steps, View};
use crate::path::error::{Misfit, PathError, PathErrorKind, too_deep};
use crate::path::walk::number::Number;
use crate::path::walk::own::Navigators;
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
/// | `first` `last` `all` `all_rev` `map_vals` `map_vals_rev` `map_keys` `map_keys_rev` `some` `len` `sum` `min` `max` `avg` `indexed_vals` `stop` `dispense` | none |
/// | `key` `must` `elem` `map_key` | a key or element, as JSON of its type |
/// | `sub_map` `subset` | an array of keys or elements |
/// | `nth` `index` | a position, from 0 |
/// | `range` | two positions, of which the second, the end, may be `null` |
/// | `first_n` `last_n` | a number of elements |
/// | `field` | the name of a field, or the number of a tuple's part as a string |
/// | `variant` | the name of an enum's variant |
/// | `or` `filter_eq` `filter_ne` `filter_gt` `filter_ge` `filter_lt` `filter_le` | a value |
/// | `filter_selected` `filter_not_selected` `filtered` `subselect` `collect` `collect_one` | a path |
/// | `if_path` | three paths: the condition, and what follows if it reaches anything, and if not |
/// | `when` | two paths: the condition, and what follows if it reaches anything |
/// | `multi` | paths |
/// | `transformed` | `path`, and one of `set` and `add` with a value or `remove` with `true`. Steps of its path may be `after_elem` `before_elem` `before_index` `beginning` `end` `add_elem` too |
/// | `key_range` | `gt` or `ge`, `lt` or `le`, and `first` or `last` for a limit, all optional |
/// | the name of a [`Navigator`](crate::path::Navigator) that is known | its fields, as JSON |
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
///     serde_json::json!([{"key": "ann"}, {"if_path": [["all", {"filter_gt": 5}], ["max"], ["first"]]}]),
///     serde_json::json!([{"subselect": ["map_vals", "all"]}, "sum"]),
///     serde_json::json!([{"key": "ann"}, {"transformed": {"path": ["after_elem"], "set": 9}}]),
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
    parse_json_path_with::<R>(pstate, json, &Navigators::new())
}

/// As [`parse_json_path`], where steps may be those of navigators too.
///
/// # Errors
///
/// As [`parse_json_path`].
pub fn parse_json_path_with<R: Root>(
    pstate: &str,
    json: &Value,
    navigators: &Navigators,
) -> Result<JsonPath, PathError> {
    let mut parser = Parser { pstate, navigators, steps: Steps::new(), inserts: false };
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

/// As [`parse_json_path_with`], from text.
///
/// # Errors
///
/// As [`parse_json_path`]; also where the text is no JSON, or nests so deep that it is not read.
pub fn parse_json_text<R: Root>(
    pstate: &str,
    text: &str,
    navigators: &Navigators,
) -> Result<JsonPath, PathError> {
    match serde_json::from_str(text) {
        Ok(json) => parse_json_path_with::<R>(pstate, &json, navigators),
        Err(error) => {
            let expected = "an array of steps, as JSON that nests at most 128 deep";
            let help = "write for example [{\"key\": \"alice\"}, \"first\"]";
            let misfit = Misfit::new(expected, error.to_string(), help);
            Err(PathError::new(PathErrorKind::Path, pstate, 0, String::new(), misfit))
        }
    }
}

struct Parser<'p> {
    pstate: &'p str,
    navigators: &'p Navigators,
    steps: Steps,
    /// Whether steps to places of new elements are taken: within `transformed`.
    inserts: bool,
}

impl Parser<'_> {
    /// Parses the steps of a path or branch that starts at values of a type, and says where it ends.
    fn path(
        &mut self,
        mut at: ValueType,
        json: &Value,
        nesting: usize,
    ) -> Result<ValueType, PathError> {
        let Value::Array(steps) = json else {
            let help = "write for example [{\"key\": \"alice\"}, \"first\"]";
            return Err(self.fail("", Misfit::new("an array of steps", shown(json), help)));
        };
        for json in steps {
            self.room()?;
            at = self.step(at, json, nesting)?;
        }
        Ok(at)
    }

    /// Refuses one step more than a path may have.
    fn room(&self) -> Result<(), PathError> {
        if self.steps.len() < MAX_STEPS {
            return Ok(());
        }
        let expected = format!("at most {MAX_STEPS} steps");
        Err(self.fail("", Misfit::new(expected, "more", "shorten the path")))
    }

    fn step(
        &mut self,
        at: ValueType,
        json: &Value,
        nesting: usize,
    ) -> Result<ValueType, PathError> {
        let (name, argument) = split(json).map_err(|e| self.fail(&shown(json), e))?;
        let number = self.steps.len() + 1;
        let fail = |pstate: &str, misfit| {
            PathError::new(PathErrorKind::Path, pstate, number, shown(json), misfit)
        };
        if let Some(branches) = Branching::of(name) {
            let Some(argument) = argument else {
                let help = format!("write {{\"{name}\": ..}}");
                return Err(fail(self.pstate, Misfit::new("an argument", "none", help)));
            };
            if nesting == MAX_NESTING {
                return Err(fail(self.pstate, too_deep(MAX_NESTING)));
            }
            return self.branching(at, branches, argument, json, nesting);
        }
        let step = self.plain_step(at, name, argument).map_err(|e| fail(self.pstate, e))?;
        let next = at.after(&step, &[]).map_err(|e| fail(self.pstate, e))?;
        self.steps.push(step);
        Ok(next)
    }

    /// A step without branches.
    fn plain_step(
        &self,
        at: ValueType,
        name: &str,
        argument: Option<&Value>,
    ) -> Result<Step, Misfit> {
        if let Some(step) = self.navigators.read_json(name, argument.unwrap_or(&Value::Null)) {
            return step;
        }
        parse(at, name, argument, self.inserts).map_err(|misfit| match misfit {
            Unparsed::Misfit(misfit) => misfit,
            Unparsed::Unknown => {
                let own = self.navigators.names();
                let inserts = INSERTS.iter().copied().filter(|_| self.inserts);
                let names: Vec<&str> =
                    PLAIN.iter().chain(&WITH_ARGUMENT).copied().chain(inserts).chain(own).collect();
                let expected = format!("one of {}", names.join(", "));
                Misfit::new(expected, format!("\"{name}\""), "correct the step's name")
            }
        })
    }

    /// A step with branches, which are put behind it.
    fn branching(
        &mut self,
        at: ValueType,
        branching: Branching,
        argument: &Value,
        json: &Value,
        nesting: usize,
    ) -> Result<ValueType, PathError> {
        let place = self.steps.len();
        let fail = |parser: &Self, misfit| {
            PathError::new(PathErrorKind::Path, parser.pstate, place + 1, shown(json), misfit)
        };
        let paths = branching.paths(argument).map_err(|e| fail(self, e))?;
        let draft = branching.draft();
        let start = at.start_of_branches(&draft).map_err(|e| fail(self, e))?;
        self.steps.push(draft);
        let inserts = self.inserts || branching == Branching::Transformed;
        let inserts = std::mem::replace(&mut self.inserts, inserts);
        let (mut counts, mut ends) = (Vec::new(), Vec::new());
        for path in paths {
            let before = self.steps.len();
            ends.push(self.path(start, path, nesting + 1)?);
            counts.push(self.steps.len() - before);
        }
        self.inserts = inserts;
        if branching == Branching::When {
            self.room()?;
            self.steps.push(Step::Stop);
            ends.push(start.after(&Step::Stop, &[]).map_err(|e| fail(self, e))?);
            counts.push(1);
        }
        // At most MAX_STEPS, so that each count fits.
        let counts: Vec<u16> =
            counts.into_iter().map(|n| u16::try_from(n).unwrap_or(u16::MAX)).collect();
        let step = branching.step(&counts, &ends, argument).map_err(|e| fail(self, e))?;
        let next = at.after(&step, &ends).map_err(|e| fail(self, e))?;
        self.steps[place] = step;
        Ok(next)
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

/// Why a step was not read.
enum Unparsed {
    /// It has no such name.
    Unknown,
    /// Its argument does not fit.
    Misfit(Misfit),
}

impl From<Misfit> for Unparsed {
    fn from(misfit: Misfit) -> Self {
        Self::Misfit(misfit)
    }
}

/// Parses one step without branches.
fn parse(
    at: ValueType,
    name: &str,
    argument: Option<&Value>,
    inserts: bool,
) -> Result<Step, Unparsed> {
    let insert = if inserts { insertion(name) } else { None };
    if let Some(step) = plain(at, name).or(insert) {
        return match argument {
            None | Some(Value::Null) => Ok(step),
            Some(json) => {
                let help = format!("write just \"{name}\"");
                Err(Misfit::new("no argument", shown(json), help).into())
            }
        };
    }
    let insert = inserts && name == "before_index";
    if !WITH_ARGUMENT.contains(&name) && !insert {
        return Err(Unparsed::Unknown);
    }
    let Some(json) = argument else {
        let help = format!("write {{\"{name}\": ..}}");
        return Err(Misfit::new("an argument", "none", help).into());
    };
    if insert {
        return Ok(number(json).map(Step::BeforeIndex)?);
    }
    Ok(with_argument(at, name, json)?)
}

const PLAIN: [&str; 17] = [
    "first",
    "last",
    "all",
    "all_rev",
    "map_vals",
    "map_vals_rev",
    "map_keys",
    "map_keys_rev",
    "some",
    "len",
    "sum",
    "min",
    "max",
    "avg",
    "indexed_vals",
    "stop",
    "dispense",
];

fn plain(at: ValueType, name: &str) -> Option<Step> {
    Some(match name {
        "first" => Step::First,
        "last" => Step::Last,
        "all" => Step::All,
        "all_rev" => Step::Backwards(Every::Element),
        "map_vals" => Step::MapVals,
        "map_vals_rev" => Step::Backwards(Every::Value),
        "map_keys" => Step::MapKeys,
        "map_keys_rev" => Step::Backwards(Every::Key),
        "some" => Step::Some,
        "len" => Step::Len,
        // Of what are no numbers there is no sum, whatever its kind: checking says so.
        "sum" => {
            Step::View(View::Sum(at.zero_of_elements().map_or(NumberKind::Unsigned, Number::kind)))
        }
        "min" => Step::View(View::Min),
        "max" => Step::View(View::Max),
        "avg" => Step::View(View::Avg),
        "indexed_vals" => Step::IndexedVals,
        "stop" => Step::Stop,
        "dispense" => Step::Dispense,
        _ => return None,
    })
}

const INSERTS: [&str; 6] =
    ["after_elem", "before_elem", "before_index", "beginning", "end", "add_elem"];

/// A step to the place of something new.
fn insertion(name: &str) -> Option<Step> {
    Some(match name {
        "after_elem" => Step::AfterElem,
        "before_elem" => Step::BeforeElem,
        "beginning" => Step::Splice(Side::First),
        "end" => Step::Splice(Side::Last),
        "add_elem" => Step::AddElem,
        _ => return None,
    })
}

const WITH_ARGUMENT: [&str; 30] = [
    "key",
    "must",
    "map_key",
    "sub_map",
    "subset",
    "nth",
    "index",
    "range",
    "first_n",
    "last_n",
    "field",
    "variant",
    "elem",
    "or",
    "key_range",
    "filter_eq",
    "filter_ne",
    "filter_gt",
    "filter_ge",
    "filter_lt",
    "filter_le",
    "filter_selected",
    "filter_not_selected",
    "if_path",
    "when",
    "multi",
    "filtered",
    "subselect",
    "collect",
    "collect_one",
];

fn with_argument(kind: ValueType, name: &str, json: &Value) -> Result<Step, Misfit> {
    let compare = match name {
        "key" => return key(kind, json).map(Step::Key),
        "must" => return key(kind, json).map(Step::Must),
        "elem" => return key(kind, json).map(Step::Elem),
        "map_key" => return key(kind, json).map(Step::MapKey),
        "sub_map" | "subset" => return keys(kind, json).map(Step::Keys),
        "range" => return positions(json),
        "first_n" => return number(json).map(|count| Step::Take(count, Side::First)),
        "last_n" => return number(json).map(|count| Step::Take(count, Side::Last)),
        "variant" => return kind.variant_index(&text(json)?).map(Step::Variant),
        "nth" => return number(json).map(Step::Nth),
        "index" => return number(json).map(Step::Index),
        "field" => return kind.field_index(&text(json)?).map(Step::Field),
        "or" => return kind.read_json(json).map(Step::Or),
        "key_range" => return range(kind, json).map(|range| Step::KeyRange(Box::new(range))),
        "filter_ne" => Compare::Ne,
        "filter_gt" => Compare::Gt,
        "filter_ge" => Compare::Ge,
        "filter_lt" => Compare::Lt,
        "filter_le" => Compare::Le,
        _ => Compare::Eq,
    };
    let value = kind.read_json(json)?;
    Ok(Step::Filter(Box::new(Filter { compare, value })))
}

/// The bytes of some keys or elements of this collection.
fn keys(kind: ValueType, json: &Value) -> Result<Box<[StepKey]>, Misfit> {
    let Value::Array(keys) = json else {
        return Err(Misfit::new(
            "an array of keys",
            shown(json),
            "write for example [\"a\", \"b\"]",
        ));
    };
    keys.iter().map(|json| key(kind, json).map(StepKey)).collect()
}

/// From one position to before another.
fn positions(json: &Value) -> Result<Step, Misfit> {
    let bounds = json.as_array().map(Vec::as_slice);
    let Some([from, to]) = bounds else {
        let help = "write for example [0, 10], or [10, null]";
        return Err(Misfit::new("two positions", shown(json), help));
    };
    let to = if to.is_null() { u64::MAX } else { number(to)? };
    Ok(Step::Range(number(from)?, to))
}

/// The bytes of a key or element of this collection.
fn key(kind: ValueType, json: &Value) -> Result<KeyBytes, Misfit> {
    match kind.keys() {
        Some(keys) => keys.json.read(json),
        None => {
            let help = "take the step at a map or set";
            Err(Misfit::new("a map or a set", kind.shape(), help))
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
