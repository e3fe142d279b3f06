//! The results of a select as JSON.

use serde_json::Value;

use crate::Root;
use crate::engine::ReadStore;
use crate::path::data::limits::Limits;
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError, PathErrorKind};
use crate::path::trail::Trail;
use crate::path::walk::leaf::{Carried, LeafValue};
use crate::path::walk::visit::{Sink, Visit};

/// Selects in a published view and returns the results as JSON.
///
/// # Errors
///
/// As [`Path::select_view`](crate::path::Path::select_view); [`PathErrorKind::Json`] if a result has no
/// JSON form.
pub fn select_json<R: Root>(
    pstate: &str,
    store: &dyn ReadStore<R::Value>,
    steps: &[Step],
    limits: Limits,
) -> Result<Vec<Value>, PathError> {
    select_json_while::<R>(pstate, store, steps, limits, &|| true)
}

/// As [`select_json`], as long as `going` says so.
///
/// # Errors
///
/// As [`select_json`]; [`PathErrorKind::Interrupted`] where `going` said no.
pub fn select_json_while<R: Root>(
    pstate: &str,
    store: &dyn ReadStore<R::Value>,
    steps: &[Step],
    limits: Limits,
    going: &dyn Fn() -> bool,
) -> Result<Vec<Value>, PathError> {
    let mut found = JsonValues(Vec::new());
    let visit = Visit::new(pstate, steps, &mut found, limits)?;
    R::walk_view(store, steps, &mut visit.while_going(going))?;
    Ok(found.0)
}

struct JsonValues(Vec<Value>);

impl Sink for JsonValues {
    /// With collected values a result is the array of these and the value.
    fn borrowed(
        &mut self,
        value: &dyn LeafValue,
        carried: &[Carried],
        trail: Trail<'_>,
    ) -> Result<(), PathError> {
        let mut parts = Vec::with_capacity(carried.len() + 1);
        for part in carried {
            parts.push(json(&**part, trail)?);
        }
        let value = json(value, trail)?;
        self.0.push(if parts.is_empty() {
            value
        } else {
            parts.push(value);
            Value::Array(parts)
        });
        Ok(())
    }
}

fn json(value: &dyn LeafValue, trail: Trail<'_>) -> Result<Value, PathError> {
    value.to_json().map_err(|error| {
        let help = "select what is inside, for example with `map_vals`";
        let misfit = Misfit::new("a value with a JSON form", error.to_string(), help);
        PathError::new(PathErrorKind::Json, trail.pstate(), 0, String::new(), misfit)
    })
}
