//! Random paths over random data, against a naive interpreter. It works on JSON values and knows nothing of paths
//! but their JSON form; it copies, recurses and collects wherever that is simplest.

use gridmill_macros::record;
use gridmill_model::path::{
    Limits, PathErrorKind, decode_steps, encode_steps, parse_json_path, select_json,
};
use gridmill_model::prelude::*;
use serde_json::{Value, json};

use crate::path_cold::Archived;
use crate::paths::Store;

#[record(crate = gridmill_model)]
#[derive(Default)]
pub struct Doc {
    pub title: Str,
    pub at: Option<i64>,
    pub scores: List<i64>,
    pub tags: Set<Str>,
    pub by: Map<Str, List<i64>>,
}

type Docs = Map<Str, Doc>;

/// A write that cannot be done; the only error that a path of the generator may meet.
struct Refused;

type Done<T = ()> = Result<T, Refused>;

/// Shows what a path reaches; `None` is a value that is missing where a default could still stand for it.
fn walk(
    value: Option<&Value>,
    steps: &[Value],
    found: &mut dyn FnMut(Option<&Value>) -> Done,
) -> Done {
    let Some((step, rest)) = steps.split_first() else { return found(value) };
    let (name, arg) = named(step);
    let mut on = |value: Option<&Value>| walk(value, rest, found);
    match (name, value) {
        ("filter_selected" | "filter_not_selected", _) => {
            if reaches(value, arg)? == (name == "filter_selected") {
                on(value)?
            }
        }
        ("if_path" | "when", _) => {
            let branch = if reaches(value, &arg[0])? { Some(&arg[1]) } else { arg.get(2) };
            if let Some(branch) = branch {
                walk(value, list(branch), &mut on)?
            }
        }
        ("multi", _) => {
            list(arg).iter().try_for_each(|branch| walk(value, list(branch), &mut on))?
        }
        ("stop", _) => {}
        ("subselect", _) => on(Some(&Value::Array(select(value, list(arg))?)))?,
        ("transformed", _) => {
            let changed = change(value.cloned(), list(&arg["path"]), arg)?;
            on(changed.as_ref())?;
        }
        ("or", value) => on(Some(value.unwrap_or(arg)))?,
        ("len", value) => on(Some(&json!(value.map_or(0, size))))?,
        ("sum", None) => on(Some(&json!(0)))?,
        ("range" | "first_n" | "last_n" | "filtered", None) => {
            walk(Some(&json!([])), steps, found)?;
        }
        ("key_range" | "sub_map", None) => walk(Some(&json!({})), steps, found)?,
        ("subset", None) => walk(Some(&json!([])), steps, found)?,
        ("key" | "field", None) => on(None)?,
        ("some", None | Some(Value::Null)) => on(None)?,
        (_, None) => {}
        (_, Some(value)) => present(name, arg, value, &mut on)?,
    }
    Ok(())
}

/// A step from a value that is there.
fn present(
    name: &str,
    arg: &Value,
    value: &Value,
    on: &mut dyn FnMut(Option<&Value>) -> Done,
) -> Done {
    let elements = value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match name {
        "key" | "field" => on(value.get(text(arg)))?,
        "must" => {
            if let Some(value) = value.get(text(arg)) {
                on(Some(value))?
            }
        }
        "map_key" => {
            if value.get(text(arg)).is_some() {
                on(Some(arg))?
            }
        }
        "some" => on(Some(value))?,
        "elem" => {
            if elements.contains(arg) {
                on(Some(arg))?
            }
        }
        "index" => {
            if at(&elements, arg).is_some() {
                on(Some(arg))?
            }
        }
        "nth" => {
            if let Some(element) = at(&elements, arg) {
                on(Some(element))?
            }
        }
        "first" => {
            if let Some(element) = elements.first() {
                on(Some(element))?
            }
        }
        "last" => {
            if let Some(element) = elements.last() {
                on(Some(element))?
            }
        }
        "all" | "all_rev" => {
            let mut all = match value {
                Value::Object(entries) => {
                    entries.iter().map(|(key, value)| json!([key, value])).collect()
                }
                _ => elements,
            };
            if name == "all_rev" {
                all.reverse()
            }
            all.iter().try_for_each(|element| on(Some(element)))?;
        }
        "map_vals" | "map_vals_rev" | "map_keys" | "map_keys_rev" => {
            let entries = value.as_object().into_iter().flatten();
            let keys = name.starts_with("map_keys");
            let mut all: Vec<Value> =
                entries.map(|(key, value)| if keys { json!(key) } else { value.clone() }).collect();
            if name.ends_with("rev") {
                all.reverse()
            }
            all.iter().try_for_each(|value| on(Some(value)))?;
        }
        "indexed_vals" => {
            let mut pairs = elements.iter().enumerate().map(|(at, element)| json!([at, element]));
            pairs.try_for_each(|pair| on(Some(&pair)))?;
        }
        "sum" => on(Some(&json!(numbers(&elements).iter().sum::<i64>())))?,
        "avg" => {
            if !elements.is_empty() {
                let sum = numbers(&elements).iter().sum::<i64>();
                on(Some(&json!(sum as f64 / elements.len() as f64)))?;
            }
        }
        "min" => {
            if let Some(least) = elements.iter().min_by(|a, b| order(a, b)) {
                on(Some(least))?
            }
        }
        "max" => {
            if let Some(most) = elements.iter().max_by(|a, b| order(a, b)) {
                on(Some(most))?
            }
        }
        "range" | "first_n" | "last_n" => {
            let (from, to) = part(name, arg, elements.len());
            on(Some(&Value::Array(elements[from..to].to_vec())))?;
        }
        "filtered" => {
            let mut kept = Vec::new();
            for element in elements {
                if reaches(Some(&element), arg)? {
                    kept.push(element)
                }
            }
            on(Some(&Value::Array(kept)))?;
        }
        "subset" => {
            let kept = elements.into_iter().filter(|element| list(arg).contains(element));
            on(Some(&kept.collect()))?;
        }
        "sub_map" => {
            let mut part = value.clone();
            part.as_object_mut().unwrap().retain(|key, _| list(arg).contains(&json!(key)));
            on(Some(&part))?;
        }
        "key_range" => on(Some(&key_range(value, arg)))?,
        "filter_eq" => {
            if value == arg {
                on(Some(value))?
            }
        }
        "filter_ne" => {
            if value != arg {
                on(Some(value))?
            }
        }
        "filter_gt" => {
            if order(value, arg).is_gt() {
                on(Some(value))?
            }
        }
        "filter_ge" => {
            if order(value, arg).is_ge() {
                on(Some(value))?
            }
        }
        "filter_lt" => {
            if order(value, arg).is_lt() {
                on(Some(value))?
            }
        }
        "filter_le" => {
            if order(value, arg).is_le() {
                on(Some(value))?
            }
        }
        other => panic!("the oracle does not know {other}"),
    }
    Ok(())
}

/// The value after a transform along steps; `None` is a value that is missing, before or after.
fn change(value: Option<Value>, steps: &[Value], term: &Value) -> Done<Option<Value>> {
    let Some((step, rest)) = steps.split_first() else { return Ok(end(value, term)) };
    let (name, arg) = named(step);
    let made = matches!(name, "after_elem" | "end" | "range").then(|| json!([]));
    let Some(mut value) = value.or(made) else { return Ok(None) };
    let mut elements = value.as_array().cloned().unwrap_or_default();
    match name {
        "key" => {
            let key = arg.as_str().unwrap().to_owned();
            let entries = value.as_object_mut().unwrap();
            let old = entries.remove(&key);
            if let Some(new) = change(old, rest, term)? {
                entries.insert(key, new);
            }
            return Ok(Some(value));
        }
        "all" => {
            let mut kept = Vec::new();
            for element in elements {
                kept.extend(change(Some(element), rest, term)?);
            }
            return Ok(Some(Value::Array(kept)));
        }
        "filter_gt" => {
            return if order(&value, arg).is_gt() {
                change(Some(value), rest, term)
            } else {
                Ok(Some(value))
            };
        }
        "nth" => {
            if let Some(at) = arg.as_u64().map(|at| at as usize).filter(|at| *at < elements.len()) {
                match change(Some(elements[at].clone()), rest, term)? {
                    Some(new) => elements[at] = new,
                    None => {
                        elements.remove(at);
                    }
                }
            }
        }
        "after_elem" => elements.extend(change(None, rest, term)?),
        "index" => {
            if at(&elements, arg).is_some() {
                let (from, to) =
                    (arg.as_u64().unwrap() as usize, term["set"].as_u64().unwrap() as usize);
                if to >= elements.len() {
                    return Err(Refused);
                }
                let element = elements.remove(from);
                elements.insert(to, element);
            }
        }
        "end" => elements
            .extend(list(&change(Some(json!([])), rest, term)?.unwrap_or(json!([]))).to_vec()),
        "range" => {
            let (from, to) = part(name, arg, elements.len());
            let new = change(Some(Value::Array(elements[from..to].to_vec())), rest, term)?;
            elements.splice(from..to, list(&new.unwrap_or(json!([]))).to_vec());
        }
        "filtered" => {
            let mut places = Vec::new();
            for (at, element) in elements.iter().enumerate() {
                if reaches(Some(element), arg)? {
                    places.push(at)
                }
            }
            put_back(&mut elements, &places, rest, term)?;
        }
        "subselect" => {
            let limit = list(arg)[1]["filter_gt"].clone();
            let places: Vec<usize> =
                (0..elements.len()).filter(|at| order(&elements[*at], &limit).is_gt()).collect();
            put_back(&mut elements, &places, rest, term)?;
        }
        other => panic!("the oracle cannot change along {other}"),
    }
    Ok(Some(Value::Array(elements)))
}

/// Changes the elements at some places as one list, and gives each place what has come there.
fn put_back(elements: &mut Vec<Value>, places: &[usize], rest: &[Value], term: &Value) -> Done {
    let part = places.iter().map(|at| elements[*at].clone()).collect();
    let new = change(Some(Value::Array(part)), rest, term)?.unwrap_or(json!([]));
    if list(&new).len() > places.len() {
        return Err(Refused);
    }
    for (turn, at) in places.iter().enumerate() {
        elements[*at] = list(&new).get(turn).cloned().unwrap_or(Value::Null);
    }
    elements.retain(|element| !element.is_null());
    Ok(())
}

fn end(value: Option<Value>, term: &Value) -> Option<Value> {
    match (term.get("set"), term.get("add"), value) {
        (Some(new), ..) => Some(new.clone()),
        (_, Some(more), Some(value)) => {
            Some(json!(value.as_i64().unwrap() + more.as_i64().unwrap()))
        }
        (_, Some(more), None) => Some(more.clone()),
        _ => None,
    }
}

fn named(step: &Value) -> (&str, &Value) {
    match step {
        Value::String(name) => (name, &Value::Null),
        step => {
            step.as_object().unwrap().iter().next().map(|(name, arg)| (name.as_str(), arg)).unwrap()
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn select(value: Option<&Value>, steps: &[Value]) -> Done<Vec<Value>> {
    let mut all = Vec::new();
    walk(value, steps, &mut |found| {
        all.extend(found.cloned());
        Ok(())
    })?;
    Ok(all)
}

fn reaches(value: Option<&Value>, condition: &Value) -> Done<bool> {
    Ok(!select(value, list(condition))?.is_empty())
}

fn at<'v>(elements: &'v [Value], position: &Value) -> Option<&'v Value> {
    elements.get(position.as_u64().unwrap() as usize)
}

fn size(value: &Value) -> usize {
    value.as_array().map_or_else(|| value.as_object().unwrap().len(), Vec::len)
}

fn numbers(elements: &[Value]) -> Vec<i64> {
    elements.iter().map(|element| element.as_i64().unwrap()).collect()
}

fn order(one: &Value, other: &Value) -> std::cmp::Ordering {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.cmp(other),
        (one, other) => one.as_f64().partial_cmp(&other.as_f64()).unwrap(),
    }
}

fn part(name: &str, arg: &Value, len: usize) -> (usize, usize) {
    let clamp = |value: &Value| value.as_u64().map_or(len, |n| (n as usize).min(len));
    match name {
        "first_n" => (0, clamp(arg)),
        "last_n" => (len - clamp(arg), len),
        _ => (clamp(&arg[0]).min(clamp(&arg[1])), clamp(&arg[1])),
    }
}

fn key_range(value: &Value, arg: &Value) -> Value {
    let mut entries: Vec<_> = value.as_object().unwrap().clone().into_iter().collect();
    let bound = |name: &str| arg.get(name).and_then(Value::as_str);
    entries.retain(|(key, _)| {
        bound("ge").is_none_or(|from| key.as_str() >= from)
            && bound("lt").is_none_or(|to| key.as_str() < to)
    });
    let limit = |name: &str| arg.get(name).and_then(Value::as_u64).map(|n| n as usize);
    if let Some(first) = limit("first") {
        entries.truncate(first)
    }
    if let Some(last) = limit("last") {
        entries.drain(..entries.len().saturating_sub(last));
    }
    Value::Object(entries.into_iter().collect())
}

/// What the generator takes a value for.
#[derive(Clone, PartialEq, Debug)]
enum Ty {
    Docs,
    Doc,
    Text,
    Opt,
    Int,
    Nat,
    Float,
    Ints,
    Tags,
    By,
    Pair(Box<Ty>, Box<Ty>),
    Gathered(Box<Ty>),
    End,
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn key(&mut self) -> String {
        ["a", "ab", "b", "c", "zz"][self.below(5) as usize].to_owned()
    }

    fn int(&mut self) -> i64 {
        self.below(9) as i64 - 3
    }

    fn ints(&mut self) -> Vec<i64> {
        (0..self.below(5)).map(|_| self.int()).collect()
    }

    fn docs(&mut self) -> Docs {
        (0..self.below(4))
            .map(|_| {
                let by = (0..self.below(4))
                    .map(|_| (Str::from(self.key()), List::from(self.ints())))
                    .collect();
                let doc = Doc {
                    title: self.key().into(),
                    at: (self.below(2) > 0).then(|| self.int()),
                    scores: self.ints().into(),
                    tags: (0..self.below(4)).map(|_| Str::from(self.key())).collect(),
                    by,
                };
                (Str::from(self.key()), doc)
            })
            .collect()
    }

    /// A path of a few steps from values of a type, and the type that it leads to.
    fn path(&mut self, mut ty: Ty, steps: u64, depth: u32) -> (Vec<Value>, Ty) {
        let mut path = Vec::new();
        for _ in 0..self.below(steps + 1) {
            let step = if depth > 0 && self.below(4) == 0 {
                self.branch(&ty, depth)
            } else {
                self.step(&ty)
            };
            let Some((step, next)) = step else { break };
            path.push(step);
            ty = next;
        }
        (path, ty)
    }

    fn branch(&mut self, ty: &Ty, depth: u32) -> Option<(Value, Ty)> {
        let (path, end) = self.path(ty.clone(), 3, depth - 1);
        Some(match self.below(7) {
            0 => (json!({"filter_selected": path}), ty.clone()),
            1 => (json!({"filter_not_selected": path}), ty.clone()),
            2 => (json!({"if_path": [self.path(ty.clone(), 3, depth - 1).0, path, ["stop"]]}), end),
            3 => (json!({"if_path": [self.path(ty.clone(), 3, depth - 1).0, path, path]}), end),
            4 => (json!({"when": [self.path(ty.clone(), 3, depth - 1).0, path]}), end),
            5 => (json!({"multi": [path, ["stop"], path]}), end),
            _ if matches!(end, Ty::End) => return None,
            _ => (json!({"subselect": path}), Ty::Gathered(Box::new(end))),
        })
    }

    fn transform(&mut self) -> Value {
        let (n, place) = (self.int(), self.below(4));
        let above = json!({"filter_gt": self.int()});
        match self.below(11) {
            0 => json!({"path": [{"nth": place}], "set": n}),
            1 => json!({"path": [{"nth": place}], "remove": true}),
            2 => json!({"path": ["all", above], "add": n}),
            3 => json!({"path": ["all", above], "remove": true}),
            4 => json!({"path": ["after_elem"], "set": n}),
            5 => json!({"path": [{"index": place}], "set": self.below(4)}),
            6 => json!({"path": ["end"], "set": self.ints()}),
            7 => json!({"path": [{"range": [place, self.below(5)]}], "set": self.ints()}),
            8 => json!({"path": [{"range": [place, null]}, "all", above], "remove": true}),
            9 => json!({"path": [{"filtered": [above]}], "set": self.ints()}),
            _ => json!({"path": [{"subselect": ["all", above]}], "set": self.ints()}),
        }
    }

    fn step(&mut self, ty: &Ty) -> Option<(Value, Ty)> {
        let keyed = |of: &Ty| match of {
            Ty::Docs => Ty::Doc,
            _ => Ty::Ints,
        };
        Some(match ty {
            Ty::Docs | Ty::By => {
                let value = keyed(ty);
                match self.below(13) {
                    0 | 1 => (json!({"key": self.key()}), value),
                    2 => (json!({"must": self.key()}), value),
                    3 => (json!("map_vals"), value),
                    4 => (json!("map_vals_rev"), value),
                    5 => (json!("map_keys"), Ty::Text),
                    6 => (json!("map_keys_rev"), Ty::Text),
                    7 => (json!("len"), Ty::Nat),
                    8 => (
                        json!({"key_range": {"ge": self.key(), "first": self.below(4)}}),
                        ty.clone(),
                    ),
                    9 => (
                        json!({"key_range": {"lt": self.key(), "last": self.below(4)}}),
                        ty.clone(),
                    ),
                    10 => (json!({"sub_map": [self.key(), self.key()]}), ty.clone()),
                    11 => (json!({"map_key": self.key()}), Ty::Text),
                    _ => (
                        json!(["all", "all_rev"][self.below(2) as usize]),
                        Ty::Pair(Box::new(Ty::Text), Box::new(value)),
                    ),
                }
            }
            Ty::Doc => match self.below(5) {
                0 => (json!({"field": "title"}), Ty::Text),
                1 => (json!({"field": "at"}), Ty::Opt),
                2 => (json!({"field": "scores"}), Ty::Ints),
                3 => (json!({"field": "tags"}), Ty::Tags),
                _ => (json!({"field": "by"}), Ty::By),
            },
            Ty::Ints => match self.below(20) {
                0 => (json!({"nth": self.below(4)}), Ty::Int),
                1 => (json!("first"), Ty::Int),
                2 => (json!("last"), Ty::Int),
                3 | 4 => (json!("all"), Ty::Int),
                5 => (json!("all_rev"), Ty::Int),
                6 => (json!("len"), Ty::Nat),
                7 => (json!("sum"), Ty::Int),
                8 => (json!("min"), Ty::Int),
                9 => (json!("max"), Ty::Int),
                10 => (json!("avg"), Ty::Float),
                11 => (json!({"range": [self.below(4), self.below(5)]}), Ty::Ints),
                12 => (json!({"first_n": self.below(4)}), Ty::Ints),
                13 => (json!({"last_n": self.below(4)}), Ty::Ints),
                14 => (json!({"filtered": [{"filter_gt": self.int()}]}), Ty::Ints),
                15 => (json!("indexed_vals"), Ty::Pair(Box::new(Ty::Nat), Box::new(Ty::Int))),
                16 => (json!({"index": self.below(4)}), Ty::End),
                17 => (json!({"or": self.ints()}), Ty::Ints),
                18 => (json!({"filter_eq": self.ints()}), Ty::Ints),
                _ => (json!({"transformed": self.transform()}), Ty::Ints),
            },
            Ty::Tags => match self.below(7) {
                0 => (json!({"elem": self.key()}), Ty::Text),
                1 => (json!("all"), Ty::Text),
                2 => (json!("all_rev"), Ty::Text),
                3 => (json!("len"), Ty::Nat),
                4 => (json!({"subset": [self.key(), self.key()]}), Ty::Tags),
                5 => (json!("max"), Ty::Text),
                _ => (json!("min"), Ty::Text),
            },
            Ty::Opt => match self.below(3) {
                0 | 1 => (json!("some"), Ty::Int),
                _ => (json!({"or": self.int()}), Ty::Opt),
            },
            Ty::Int | Ty::Nat => {
                let name = [
                    "filter_eq",
                    "filter_ne",
                    "filter_gt",
                    "filter_ge",
                    "filter_lt",
                    "filter_le",
                    "or",
                ];
                let name = name[self.below(7) as usize];
                let with = if *ty == Ty::Nat { self.below(4) as i64 } else { self.int() };
                (json!({name: with}), ty.clone())
            }
            Ty::Text => {
                let name = ["filter_eq", "filter_gt", "filter_le", "or"][self.below(4) as usize];
                (json!({name: self.key()}), Ty::Text)
            }
            Ty::Pair(first, last) => match self.below(2) {
                0 => (json!("first"), (**first).clone()),
                _ => (json!("last"), (**last).clone()),
            },
            Ty::Gathered(of) => match self.below(7) {
                0 => (json!("all"), (**of).clone()),
                1 => (json!("all_rev"), (**of).clone()),
                2 => (json!({"nth": self.below(3)}), (**of).clone()),
                3 => (json!("len"), Ty::Nat),
                4 => (json!({"last_n": self.below(3)}), ty.clone()),
                5 if **of == Ty::Int => (json!("sum"), Ty::Int),
                6 if **of == Ty::Int => (json!("max"), Ty::Int),
                _ => return None,
            },
            Ty::Float | Ty::End => return None,
        })
    }
}

#[test]
fn random_paths_reach_what_a_naive_interpreter_does() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut reached, mut refused) = (0, 0);
    for case in 0..20_000 {
        let docs = random.docs();
        let value = serde_json::to_value(&docs).unwrap();
        let (path, _) = random.path(Ty::Docs, 7, 2);
        let shown = || format!("case {case}: {} on {value}", Value::Array(path.clone()));
        let steps = match parse_json_path::<Docs>("docs", &json!(path)) {
            Ok(path) => path.steps,
            Err(error) if error.expected() == "at most 64 steps" => continue,
            Err(error) => panic!("{error}: {}", shown()),
        };
        let bytes = encode_steps("docs", &steps).unwrap();
        assert_eq!(decode_steps("docs", &bytes).unwrap(), steps, "{}", shown());
        let live = select_json::<Docs>("docs", &Store::new(docs.clone()), &steps, Limits::DEFAULT);
        let cold = select_json::<Docs>("docs", &Archived::new(docs), &steps, Limits::DEFAULT);
        assert_eq!(live, cold, "{}", shown());
        match (live, select(Some(&value), &path)) {
            (Ok(live), Ok(naive)) => {
                reached += usize::from(!naive.is_empty());
                assert_eq!(live, naive, "{}", shown());
            }
            (Err(error), Err(Refused)) => {
                refused += 1;
                assert_eq!(*error.kind(), PathErrorKind::Write, "{}", shown());
            }
            (live, naive) => panic!("{live:?}, naive {:?}: {}", naive.ok(), shown()),
        }
    }
    assert!(reached > 5_000 && refused > 3, "{reached} reached something, {refused} were refused");
}
