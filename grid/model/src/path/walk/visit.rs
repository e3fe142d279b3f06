//! What goes along with a select: where values are handed to, what follows a branch, and how much may come.

use std::fmt;

use super::Walk;
use super::frame::Frame;
use super::leaf::{Carried, LeafSlot, LeafValue};
use crate::path::data::branch::Branch;
use crate::path::data::limits::Limits;
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError, PathErrorKind};
use crate::path::trail::Trail;

/// Where a select hands its values to.
pub trait Sink {
    /// Takes a value that belongs to somebody else, with what was collected on the way to it.
    ///
    /// # Errors
    ///
    /// Whatever ends the select; `trail` makes errors that name the path.
    fn borrowed(
        &mut self,
        value: &dyn LeafValue,
        carried: &[Carried],
        trail: Trail<'_>,
    ) -> Result<(), PathError>;

    /// Takes a value that was made for this select.
    ///
    /// # Errors
    ///
    /// As [`Sink::borrowed`].
    fn owned(
        &mut self,
        slot: &mut dyn LeafSlot,
        carried: &[Carried],
        trail: Trail<'_>,
    ) -> Result<(), PathError> {
        slot.value().map_or(Ok(()), |value| self.borrowed(value, carried, trail))
    }

    /// Whether it needs no more values.
    fn is_full(&self) -> bool {
        false
    }
}

/// How the values of a sub-path are walked to: from the value at hand, wherever that lies.
pub(in crate::path) type Again<'a> =
    dyn FnMut(&[Step], &mut Visit<'_>) -> Result<(), PathError> + 'a;

/// The running select: its sink, its limits, its place in the path and what follows there.
pub struct Visit<'v> {
    sink: &'v mut dyn Sink,
    limits: Limits,
    left: Limits,
    carried: Vec<Carried>,
    then: Option<&'v Frame<'v>>,
    /// Whether to go on.
    going: Option<&'v dyn Fn() -> bool>,
    pub(in crate::path) trail: Trail<'v>,
}

/// After how many places it is asked whether to go on; a power of two.
const PLACES_AT_ONCE: u64 = 1024;

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
        Self { sink, limits, left: limits, carried: Vec::new(), then: None, going: None, trail }
    }

    /// The same select, which ends where `going` says so.
    pub(in crate::path) fn while_going(self, going: &'v dyn Fn() -> bool) -> Self {
        Self { going: Some(going), ..self }
    }

    /// Walks a sub-path on its own, into a sink of its own. It counts against the places of this select.
    pub(in crate::path) fn aside(
        &mut self,
        branch: Branch<'_>,
        sink: &mut dyn Sink,
        again: &mut Again<'_>,
    ) -> Result<(), PathError> {
        let mut visit = Visit {
            sink,
            limits: self.limits,
            left: self.left,
            carried: Vec::new(),
            then: None,
            going: self.going,
            trail: self.trail.before(branch.behind),
        };
        let walked = again(branch.steps, &mut visit);
        self.left = visit.left;
        walked
    }

    /// Whether a condition reaches anything.
    pub(in crate::path) fn holds(
        &mut self,
        branch: Branch<'_>,
        again: &mut Again<'_>,
    ) -> Result<bool, PathError> {
        let mut found = AnyValue(false);
        let results = (self.left.results, self.left.bytes);
        (self.left.results, self.left.bytes) = (u64::MAX, u64::MAX);
        let walked = self.aside(branch, &mut found, again);
        (self.left.results, self.left.bytes) = results;
        walked.map(|()| found.0)
    }

    /// Walks a branch, and what follows it from each value that it reaches.
    pub(in crate::path) fn through(
        &mut self,
        branch: Branch<'_>,
        after: &[Step],
        again: &mut Again<'_>,
    ) -> Result<(), PathError> {
        if branch.steps.is_empty() {
            return again(after, self);
        }
        let frame = Frame { steps: after, trail: self.trail, then: self.then };
        let mut visit = Visit {
            sink: &mut *self.sink,
            limits: self.limits,
            left: self.left,
            carried: std::mem::take(&mut self.carried),
            then: Some(&frame),
            going: self.going,
            trail: self.trail.before(branch.behind),
        };
        let walked = again(branch.steps, &mut visit);
        (self.left, self.carried) = (visit.left, visit.carried);
        walked
    }

    /// Walks on with one more collected value.
    pub(in crate::path) fn carrying(
        &mut self,
        value: Carried,
        walk: impl FnOnce(&mut Self) -> Result<(), PathError>,
    ) -> Result<(), PathError> {
        self.carried.push(value);
        let walked = walk(self);
        self.carried.pop();
        walked
    }

    /// Walks on with nothing collected.
    pub(in crate::path) fn dispensed(
        &mut self,
        walk: impl FnOnce(&mut Self) -> Result<(), PathError>,
    ) -> Result<(), PathError> {
        let carried = std::mem::take(&mut self.carried);
        let walked = walk(self);
        self.carried = carried;
        walked
    }

    /// Goes on behind the branch that is at its end.
    fn resume(
        &mut self,
        frame: &'v Frame<'v>,
        walk: impl FnOnce(&'v [Step], &mut Self) -> Result<(), PathError>,
    ) -> Result<(), PathError> {
        let at = (self.trail, self.then);
        (self.trail, self.then) = (frame.trail, frame.then);
        let walked = walk(frame.steps, self);
        (self.trail, self.then) = at;
        walked
    }

    /// Hands over a value that is stored, or goes on from it behind a branch.
    pub(in crate::path) fn leaf<T: Walk>(&mut self, value: &T) -> Result<(), PathError> {
        if let Some(frame) = self.then {
            return self.resume(frame, |steps, visit| value.walk(steps, visit));
        }
        self.count_result(value)?;
        self.sink.borrowed(value, &self.carried, self.trail)
    }

    /// Hands over a value that was made for this select, or goes on from it behind a branch.
    pub(in crate::path) fn leaf_owned<T: Walk>(&mut self, value: T) -> Result<(), PathError> {
        if let Some(frame) = self.then {
            return self.resume(frame, |steps, visit| value.walk_owned(steps, visit));
        }
        self.count_result(&value)?;
        self.sink.owned(&mut Some(value), &self.carried, self.trail)
    }

    /// The path, or a branch of it, ends where nothing is.
    pub(in crate::path) fn absent<T: Walk>(&mut self) -> Result<(), PathError> {
        match self.then {
            Some(frame) => self.resume(frame, |steps, visit| T::walk_absent(steps, visit)),
            None => Ok(()),
        }
    }

    /// Has a transform of values on the way count against the places of this select.
    pub(in crate::path) fn transforming<T>(
        &mut self,
        change: impl FnOnce(&mut u64, Trail<'v>) -> Result<T, PathError>,
    ) -> Result<T, PathError> {
        change(&mut self.left.places, self.trail)
    }

    /// Counts an entry or element that is looked at; false if nobody needs more values.
    pub(in crate::path) fn place(&mut self) -> Result<bool, PathError> {
        match self.left.places.checked_sub(1) {
            Some(left) => self.left.places = left,
            None => return Err(self.over("places visited", self.limits.places)),
        }
        if self.left.places.is_multiple_of(PLACES_AT_ONCE)
            && self.going.is_some_and(|going| !going())
        {
            return Err(self.interrupted());
        }
        Ok(!self.sink.is_full())
    }

    /// Whether what is handed over is counted by bytes.
    pub(in crate::path) fn counts_bytes(&self) -> bool {
        self.left.bytes != u64::MAX
    }

    /// Refuses a value of so many bytes before it is made, if it is too large to be handed over.
    pub(in crate::path) fn check_bytes(&self, bytes: usize) -> Result<(), PathError> {
        if bytes as u64 <= self.left.bytes { Ok(()) } else { Err(self.too_large()) }
    }

    #[inline]
    fn count_result<T: Walk>(&mut self, value: &T) -> Result<(), PathError> {
        match self.left.results.checked_sub(1) {
            Some(left) => self.left.results = left,
            None => return Err(self.over("results", self.limits.results)),
        }
        if self.left.bytes == u64::MAX {
            return Ok(());
        }
        match self.left.bytes.checked_sub(value.room() as u64) {
            Some(left) => self.left.bytes = left,
            None => return Err(self.too_large()),
        }
        Ok(())
    }

    #[cold]
    fn over(&self, what: &str, limit: u64) -> PathError {
        PathError::over(self.trail.pstate(), what, limit)
    }

    /// How many bytes the values take that were handed over.
    pub(in crate::path) fn bytes_used(&self) -> u64 {
        self.limits.bytes - self.left.bytes
    }

    #[cold]
    fn interrupted(&self) -> PathError {
        let misfit = Misfit::new("to come to its end", "an interruption", "ask for less at once");
        let kind = PathErrorKind::Interrupted;
        PathError::new(kind, self.trail.pstate(), 0, String::new(), misfit)
    }

    #[cold]
    fn too_large(&self) -> PathError {
        let misfit = Misfit::new(
            format!("at most {} bytes of values", self.limits.bytes),
            "more",
            "select a part, for example with `range`, `key_range` or `first_n`, or raise the limits of the \
             select",
        );
        PathError::new(PathErrorKind::Limit, self.trail.pstate(), 0, String::new(), misfit)
    }
}

/// Asks only whether there is any value.
pub(in crate::path) struct AnyValue(pub(in crate::path) bool);

impl Sink for AnyValue {
    fn borrowed(
        &mut self,
        _: &dyn LeafValue,
        _: &[Carried],
        _: Trail<'_>,
    ) -> Result<(), PathError> {
        self.0 = true;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.0
    }
}
