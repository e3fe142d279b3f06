//! What goes along with a select: where values are handed to, and how many may come.

use std::any::Any;
use std::fmt;

use serde::Serialize;

use crate::path::data::limits::Limits;
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError, PathErrorKind};
use crate::path::trail::Trail;

/// A value that a select reached, whatever its type.
pub trait LeafValue: Any {
    /// The value, to be downcast to the path's leaf.
    fn as_any(&self) -> &dyn Any;
    /// The value as JSON.
    ///
    /// # Errors
    ///
    /// JSON has no form for it: a map whose keys are neither strings nor numbers.
    fn to_json(&self) -> Result<serde_json::Value, serde_json::Error>;
    /// Appends the value's postcard bytes.
    ///
    /// # Errors
    ///
    /// The value's own `Serialize` failed.
    fn to_postcard(&self) -> Result<Vec<u8>, postcard::Error>;
}

impl<T: Any + Serialize> LeafValue for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn to_json(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::to_value(self)
    }

    fn to_postcard(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_allocvec(self)
    }
}

/// A value that the walk made or decoded itself and gives away, so that nobody copies it.
pub trait LeafSlot {
    /// The `Option<T>` that holds the value; taking it out is allowed.
    fn as_any_mut(&mut self) -> &mut dyn Any;
    /// The value.
    fn value(&self) -> Option<&dyn LeafValue>;
}

impl<T: Any + Serialize> LeafSlot for Option<T> {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn value(&self) -> Option<&dyn LeafValue> {
        self.as_ref().map(|value| value as &dyn LeafValue)
    }
}

/// Where a select hands its values to.
pub trait Sink {
    /// Takes a value that belongs to somebody else.
    ///
    /// # Errors
    ///
    /// Whatever ends the select; `trail` makes errors that name the path.
    fn borrowed(&mut self, value: &dyn LeafValue, trail: Trail<'_>) -> Result<(), PathError>;

    /// Takes a value that was made for this select.
    ///
    /// # Errors
    ///
    /// As [`Sink::borrowed`].
    fn owned(&mut self, slot: &mut dyn LeafSlot, trail: Trail<'_>) -> Result<(), PathError> {
        slot.value().map_or(Ok(()), |value| self.borrowed(value, trail))
    }

    /// Whether it needs no more values.
    fn is_full(&self) -> bool {
        false
    }
}

/// The running select: its sink, its limits and its place in the path.
pub struct Visit<'v> {
    sink: &'v mut dyn Sink,
    limits: Limits,
    results_left: u64,
    places_left: u64,
    pub(in crate::path) trail: Trail<'v>,
}

impl fmt::Debug for Visit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit").field("limits", &self.limits).field("trail", &self.trail).finish()
    }
}

impl<'v> Visit<'v> {
    /// Starts a select of `steps` on the named PState.
    ///
    /// # Errors
    ///
    /// The path has more than [`MAX_STEPS`](crate::path::MAX_STEPS) steps.
    #[inline]
    pub fn new(
        pstate: &'v str,
        steps: &[Step],
        sink: &'v mut dyn Sink,
        limits: Limits,
    ) -> Result<Self, PathError> {
        let trail = Trail::new(pstate, steps.len());
        trail.check_length()?;
        Ok(Self::along(trail, sink, limits))
    }

    #[inline]
    pub(in crate::path) fn along(trail: Trail<'v>, sink: &'v mut dyn Sink, limits: Limits) -> Self {
        Self { sink, limits, results_left: limits.results, places_left: limits.places, trail }
    }

    /// Whether a condition that `after` steps follow reaches anything.
    pub(in crate::path) fn holds(
        &mut self,
        after: usize,
        walk: impl FnOnce(&mut Visit<'_>) -> Result<(), PathError>,
    ) -> Result<bool, PathError> {
        let mut found = AnyValue(false);
        let limits = Limits { results: u64::MAX, places: self.places_left };
        let mut visit = Visit::along(self.trail.before(after), &mut found, limits);
        walk(&mut visit)?;
        self.places_left = visit.places_left;
        Ok(found.0)
    }

    /// Hands over a value that is stored.
    pub(in crate::path) fn leaf<T: Any + Serialize>(&mut self, value: &T) -> Result<(), PathError> {
        self.count_result()?;
        self.sink.borrowed(value, self.trail)
    }

    /// Hands over a value that was made for this select.
    pub(in crate::path) fn leaf_owned<T: Any + Serialize>(
        &mut self,
        value: T,
    ) -> Result<(), PathError> {
        self.count_result()?;
        self.sink.owned(&mut Some(value), self.trail)
    }

    /// Counts an entry or element that is looked at; false if nobody needs more values.
    pub(in crate::path) fn place(&mut self) -> Result<bool, PathError> {
        match self.places_left.checked_sub(1) {
            Some(left) => self.places_left = left,
            None => return Err(self.over("places visited", self.limits.places)),
        }
        Ok(!self.sink.is_full())
    }

    #[inline]
    fn count_result(&mut self) -> Result<(), PathError> {
        match self.results_left.checked_sub(1) {
            Some(left) => self.results_left = left,
            None => return Err(self.over("results", self.limits.results)),
        }
        Ok(())
    }

    #[cold]
    fn over(&self, what: &str, limit: u64) -> PathError {
        let misfit = Misfit::new(
            format!("at most {limit} {what}"),
            "more",
            "narrow the path, for example with `key_range`, or raise the limits of the select",
        );
        PathError::new(PathErrorKind::Limit, self.trail.pstate(), 0, String::new(), misfit)
    }
}

/// Asks only whether there is any value.
pub(in crate::path) struct AnyValue(pub(in crate::path) bool);

impl Sink for AnyValue {
    fn borrowed(&mut self, _: &dyn LeafValue, _: Trail<'_>) -> Result<(), PathError> {
        self.0 = true;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.0
    }
}
