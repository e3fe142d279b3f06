//! Steps with paths as arguments.

use serde_json::Value;

use super::kind::shown;
use crate::path::check::ValueType;
use crate::path::data::step::{Amount, Step, Transformed};
use crate::path::data::term::Term;
use crate::path::error::Misfit;

/// Which step with branches it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Branching {
    FilterSelected,
    FilterNotSelected,
    If,
    When,
    Multi,
    Filtered,
    Subselect,
    Collect(Amount),
    Transformed,
}

impl Branching {
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "filter_selected" => Self::FilterSelected,
            "filter_not_selected" => Self::FilterNotSelected,
            "if_path" => Self::If,
            "when" => Self::When,
            "multi" => Self::Multi,
            "filtered" => Self::Filtered,
            "subselect" => Self::Subselect,
            "collect" => Self::Collect(Amount::All),
            "collect_one" => Self::Collect(Amount::One),
            "transformed" => Self::Transformed,
            _ => return None,
        })
    }

    /// The paths in the argument.
    pub(super) fn paths(self, argument: &Value) -> Result<Vec<&Value>, Misfit> {
        let wanted = match self {
            Self::If => 3,
            Self::When => 2,
            Self::Multi => 0,
            Self::Transformed => return transform_of(argument).map(|(path, ..)| vec![path]),
            _ => return Ok(vec![argument]),
        };
        let paths = argument.as_array().filter(|paths| wanted == 0 || paths.len() == wanted);
        paths.map(|paths| paths.iter().collect()).ok_or_else(|| {
            let expected = match wanted {
                0 => "an array of paths".to_owned(),
                count => format!("an array of {count} paths"),
            };
            Misfit::new(expected, shown(argument), "write for example [[\"first\"], [\"last\"]]")
        })
    }

    /// The step before its branches were read: it takes their place among the steps.
    pub(super) fn draft(self) -> Step {
        match self {
            Self::FilterSelected => Step::FilterSelected(0),
            Self::FilterNotSelected => Step::FilterNotSelected(0),
            Self::If | Self::When => Step::If(0, 0, 0),
            Self::Multi => Step::Multi(Box::default()),
            Self::Filtered => Step::Filtered(0),
            Self::Subselect => Step::Subselect(0),
            Self::Collect(amount) => Step::Collect(amount, 0),
            Self::Transformed => {
                Step::Transformed(Box::new(Transformed { count: 0, term: Term::Remove }))
            }
        }
    }

    /// The step, of how many steps its branches have and what they end at.
    pub(super) fn step(
        self,
        counts: &[u16],
        ends: &[ValueType],
        argument: &Value,
    ) -> Result<Step, Misfit> {
        Ok(match (self, counts) {
            (Self::FilterNotSelected, [count]) => Step::FilterNotSelected(*count),
            (Self::If | Self::When, [condition, then, other]) => {
                Step::If(*condition, *then, *other)
            }
            (Self::Multi, counts) => Step::Multi(counts.into()),
            (Self::Filtered, [count]) => Step::Filtered(*count),
            (Self::Subselect, [count]) => Step::Subselect(*count),
            (Self::Collect(amount), [count]) => Step::Collect(amount, *count),
            (Self::Transformed, [count]) => {
                let (_, name, json) = transform_of(argument)?;
                let term = match (name, ends.first()) {
                    ("set", Some(end)) => Term::Set(end.read_json(json)?),
                    ("add", Some(end)) => Term::Add(end.read_json(json)?),
                    _ => Term::Remove,
                };
                Step::Transformed(Box::new(Transformed { count: *count, term }))
            }
            (_, counts) => Step::FilterSelected(counts.first().copied().unwrap_or_default()),
        })
    }
}

/// The path of a transform, the name of its end, and what that is given.
fn transform_of(argument: &Value) -> Result<(&Value, &str, &Value), Misfit> {
    let misfit = || {
        let expected = "an object of a path and one of set, add and remove";
        let help = "write for example {\"path\": [\"first\"], \"set\": 5}, or \"remove\": true";
        Misfit::new(expected, shown(argument), help)
    };
    let parts = argument.as_object().filter(|parts| parts.len() == 2).ok_or_else(misfit)?;
    let path = parts.get("path").ok_or_else(misfit)?;
    let end = parts.iter().find_map(|(name, json)| match name.as_str() {
        "set" | "add" => Some((name.as_str(), json)),
        "remove" if *json == Value::Bool(true) => Some((name.as_str(), json)),
        _ => None,
    });
    end.map(|(name, json)| (path, name, json)).ok_or_else(misfit)
}
