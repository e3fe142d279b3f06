//! Steps from and to bytes, and what is refused on the way.

use smallvec::SmallVec;

use super::step::{Step, Steps};
use crate::path::error::{Misfit, PathError};
use crate::path::trail::Trail;

/// Writes steps as bytes that [`decode_steps`] reads.
///
/// # Errors
///
/// The path has more than [`MAX_STEPS`](crate::path::MAX_STEPS) steps, or a step with code in it.
pub fn encode_steps(pstate: &str, steps: &[Step]) -> Result<Vec<u8>, PathError> {
    let trail = Trail::new(pstate, steps.len());
    trail.check_length()?;
    let closure = |step: &Step| matches!(step, Step::Own(own) if !own.is_named());
    if let Some(at) = steps.iter().position(closure) {
        let help = "use a comparison, or a `Navigator` that both sides register";
        let misfit = Misfit::new("a step that is data", "a function of this process", help);
        return Err(trail.misfit(&steps[at], steps.len() - at - 1, misfit));
    }
    postcard::to_allocvec(steps).map_err(|error| unreadable(trail, &error.to_string()))
}

/// Reads the steps of a path from bytes of any origin.
///
/// They are well formed then, but may not fit the PState: see
/// [`check_steps`](crate::path::check_steps).
///
/// # Errors
///
/// The bytes are no steps, or too many.
pub fn decode_steps(pstate: &str, bytes: &[u8]) -> Result<Steps, PathError> {
    let steps: Vec<Step> = postcard::from_bytes(bytes)
        .map_err(|error| unreadable(Trail::new(pstate, 0), &error.to_string()))?;
    Trail::new(pstate, steps.len()).check_length()?;
    Ok(SmallVec::from_vec(steps))
}

fn unreadable(trail: Trail<'_>, got: &str) -> PathError {
    trail.whole(Misfit::new("the encoded steps of a path", got, "build the path with `Navigate`"))
}
