//! Selecting along a path, and the sinks that collect what is reached.

use std::any::Any;

use crate::engine::ReadStore;
use crate::path::build::path::Path;
use crate::path::data::limits::Limits;
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError, PathErrorKind};
use crate::path::trail::Trail;
use crate::path::walk::Walk;
use crate::path::walk::visit::{LeafSlot, LeafValue, Sink, Visit};
use crate::{Ref, Root};

impl<R: Root, L: Walk> Path<R, L> {
    /// The values that the path reaches in `root`, in order.
    ///
    /// # Errors
    ///
    /// [`PathErrorKind::Path`](crate::path::PathErrorKind) if the path has too many steps,
    /// `Damaged` if a stored entry cannot be read.
    pub fn select(&self, root: &R) -> Result<Vec<L>, PathError> {
        let mut found = Many::new();
        root.walk(self.steps(), &mut self.visit(&mut found, Limits::NONE)?)?;
        Ok(found.into_values())
    }

    /// The one value that the path reaches in `root`, if it reaches any.
    ///
    /// # Errors
    ///
    /// As [`Path::select`]; `ManyValues` if it reaches several.
    pub fn select_one(&self, root: &R) -> Result<Option<L>, PathError> {
        let mut found = One::new();
        root.walk(self.steps(), &mut self.visit(&mut found, Limits::NONE)?)?;
        finish_one(self.pstate_name(), found)
    }

    /// As [`Path::select`], in a published view.
    ///
    /// # Errors
    ///
    /// As [`Path::select`]; `Limit` beyond the limits.
    pub fn select_view(
        &self,
        store: &dyn ReadStore<R::Value>,
        limits: Limits,
    ) -> Result<Vec<L>, PathError> {
        let mut found = Many::new();
        R::walk_view(store, self.steps(), &mut self.visit(&mut found, limits)?)?;
        Ok(found.into_values())
    }

    /// As [`Path::select_one`], in a published view.
    ///
    /// # Errors
    ///
    /// As [`Path::select_one`]; `Limit` beyond the limits.
    pub fn select_one_view(
        &self,
        store: &dyn ReadStore<R::Value>,
        limits: Limits,
    ) -> Result<Option<L>, PathError> {
        if let Some(key) = self.entry_key() {
            return self.entry(store, key);
        }
        let mut found = One::new();
        R::walk_view(store, self.steps(), &mut self.visit(&mut found, limits)?)?;
        finish_one(self.pstate_name(), found)
    }

    /// The key, where the path leads to a whole entry of a root map: the read that is made most
    /// often, and one that needs no walk.
    #[inline]
    fn entry_key(&self) -> Option<&[u8]> {
        match self.steps() {
            [Step::Key(key) | Step::Must(key)] if R::KEYED => Some(key),
            _ => None,
        }
    }

    #[inline]
    fn entry(&self, store: &dyn ReadStore<R::Value>, key: &[u8]) -> Result<Option<L>, PathError> {
        let found = store.get(key).map_err(|e| PathError::damaged(self.pstate_name(), e))?;
        let mut value = found.map(Ref::into_owned);
        // After one `key` the leaf is the value of the entries.
        let value = (&mut value as &mut dyn Any).downcast_mut::<Option<L>>();
        Ok(value.and_then(Option::take))
    }

    #[inline]
    fn visit<'v>(&self, sink: &'v mut dyn Sink, limits: Limits) -> Result<Visit<'v>, PathError> {
        Visit::new(self.pstate_name(), self.steps(), sink, limits)
    }
}

/// Collects every value.
struct Many<L>(Vec<L>);

impl<L> Many<L> {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn into_values(self) -> Vec<L> {
        self.0
    }
}

impl<L: Walk> Sink for Many<L> {
    fn borrowed(&mut self, value: &dyn LeafValue, trail: Trail<'_>) -> Result<(), PathError> {
        self.0.push(downcast(value, trail)?);
        Ok(())
    }

    fn owned(&mut self, slot: &mut dyn LeafSlot, trail: Trail<'_>) -> Result<(), PathError> {
        self.0.push(take(slot, trail)?);
        Ok(())
    }
}

/// Keeps the first value and notes whether there are more.
struct One<L> {
    value: Option<L>,
    more: bool,
}

impl<L> One<L> {
    fn new() -> Self {
        Self { value: None, more: false }
    }

    fn put(&mut self, value: L) {
        self.more = self.value.replace(value).is_some();
    }
}

impl<L: Walk> Sink for One<L> {
    fn borrowed(&mut self, value: &dyn LeafValue, trail: Trail<'_>) -> Result<(), PathError> {
        if !self.more {
            self.put(downcast(value, trail)?);
        }
        Ok(())
    }

    fn owned(&mut self, slot: &mut dyn LeafSlot, trail: Trail<'_>) -> Result<(), PathError> {
        if !self.more {
            self.put(take(slot, trail)?);
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.more
    }
}

/// The one value, unless there were more.
fn finish_one<L>(pstate: &str, found: One<L>) -> Result<Option<L>, PathError> {
    if !found.more {
        return Ok(found.value);
    }
    let help = "use `select`, or narrow the path";
    let misfit = Misfit::new("at most one value", "several", help);
    Err(PathError::new(PathErrorKind::ManyValues, pstate, 0, String::new(), misfit))
}

fn downcast<L: Walk>(value: &dyn LeafValue, trail: Trail<'_>) -> Result<L, PathError> {
    value.as_any().downcast_ref::<L>().cloned().ok_or_else(|| foreign::<L>(trail))
}

fn take<L: Walk>(slot: &mut dyn LeafSlot, trail: Trail<'_>) -> Result<L, PathError> {
    let slot: &mut dyn Any = slot.as_any_mut();
    slot.downcast_mut::<Option<L>>().and_then(Option::take).ok_or_else(|| foreign::<L>(trail))
}

/// The typed builder rules this out; steps of another origin cannot be selected as `L`.
fn foreign<L: Walk>(trail: Trail<'_>) -> PathError {
    trail.whole(Misfit::new(L::shape(), "a value of another type", "build the path anew"))
}
