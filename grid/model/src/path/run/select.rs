//! Selecting along a path, and the sinks that collect what is reached.

use std::any::Any;

use crate::engine::{Found, ReadStore};
use crate::path::build::carry::Carry;
use crate::path::build::one::Navigate;
use crate::path::build::path::Path;
use crate::path::data::limits::Limits;
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError, PathErrorKind};
use crate::path::trail::Trail;
use crate::path::walk::Walk;
use crate::path::walk::found::onward;
use crate::path::walk::gather::restored;
use crate::path::walk::leaf::{Carried, LeafSlot, LeafValue};
use crate::path::walk::visit::{Sink, Visit};
use crate::{Root, State};

/// What a select along a path of type `N` finds: values of what it leads to, with what it collected.
pub type Selected<N> = <<N as Navigate>::Carried as Carry>::With<<N as Navigate>::Leaf>;

impl<R: Root, L: Walk, C: Carry> Path<R, L, C> {
    /// The values that the path reaches in `root`, in order.
    ///
    /// # Errors
    ///
    /// [`PathErrorKind::Path`](crate::path::PathErrorKind) if the path has too many steps,
    /// `Damaged` if a stored entry cannot be read.
    pub fn select(&self, root: &R) -> Result<Vec<C::With<L>>, PathError> {
        let mut found = Many::<L, C>(Vec::new());
        root.walk(self.steps(), &mut self.visit(&mut found, Limits::NONE)?)?;
        Ok(found.0)
    }

    /// The one value that the path reaches in `root`, if it reaches any.
    ///
    /// # Errors
    ///
    /// As [`Path::select`]; `ManyValues` if it reaches several.
    pub fn select_one(&self, root: &R) -> Result<Option<C::With<L>>, PathError> {
        let mut found = One::<L, C> { value: None, more: false };
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
    ) -> Result<Vec<C::With<L>>, PathError> {
        let mut found = Many::<L, C>(Vec::new());
        R::walk_view(store, self.steps(), &mut self.visit(&mut found, limits)?)?;
        Ok(found.0)
    }

    /// Shows `each` the values that the path reaches in a published view, in order, as long as `going` says so: it
    /// is asked after so many places that asking costs nothing. Returns how many bytes the values take, about.
    ///
    /// # Errors
    ///
    /// As [`Path::select_view`]; [`Interrupted`](PathErrorKind::Interrupted) where `going` said no.
    pub fn each_view(
        &self,
        store: &dyn ReadStore<R::Value>,
        limits: Limits,
        going: &dyn Fn() -> bool,
        each: &mut dyn FnMut(C::With<L>),
    ) -> Result<u64, PathError> {
        let mut shown = Shown::<L, C>(each);
        let mut visit = self.visit(&mut shown, limits)?.while_going(going);
        R::walk_view(store, self.steps(), &mut visit)?;
        Ok(visit.bytes_used())
    }

    /// As [`Path::select_one_view`], as long as `going` says so.
    ///
    /// # Errors
    ///
    /// As [`Path::each_view`], and as [`Path::select_one`].
    pub fn one_view(
        &self,
        store: &dyn ReadStore<R::Value>,
        limits: Limits,
        going: &dyn Fn() -> bool,
    ) -> Result<Option<C::With<L>>, PathError> {
        if let Some(key) = self.entry_key() {
            return self.entry(store, key, limits);
        }
        let mut found = One::<L, C> { value: None, more: false };
        R::walk_view(store, self.steps(), &mut self.visit(&mut found, limits)?.while_going(going))?;
        finish_one(self.pstate_name(), found)
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
    ) -> Result<Option<C::With<L>>, PathError> {
        if let Some(key) = self.entry_key() {
            return self.entry(store, key, limits);
        }
        let mut found = One::<L, C> { value: None, more: false };
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
    fn entry(
        &self,
        store: &dyn ReadStore<R::Value>,
        key: &[u8],
        limits: Limits,
    ) -> Result<Option<C::With<L>>, PathError> {
        let damaged = |e| PathError::damaged(self.pstate_name(), e);
        let found = store.look(key).map_err(damaged)?;
        if let Some(Found::Cold(_)) = found {
            // It may be too large to be returned, which is found out before it is decoded.
            let mut one = One::<L, C> { value: None, more: false };
            onward(found, &[], &mut self.visit(&mut one, limits)?)?;
            return Ok(one.value);
        }
        let mut value = found.map(Found::into_owned).transpose().map_err(damaged)?;
        // A value that was written may not be larger than the usual limit, and to measure it takes time.
        let is_measured = !R::Value::FIXED && limits.bytes < Limits::DEFAULT.bytes;
        if is_measured && value.as_ref().is_some_and(|value| value.room() as u64 > limits.bytes) {
            let mut nobody = One::<L, C> { value: None, more: false };
            self.visit(&mut nobody, limits)?.check_bytes(usize::MAX)?;
        }
        // After one `key` the leaf is the value of the entries.
        let value = (&mut value as &mut dyn Any).downcast_mut::<Option<L>>();
        Ok(value.and_then(Option::take).and_then(|value| C::join(&[], value)))
    }

    #[inline]
    fn visit<'v>(&self, sink: &'v mut dyn Sink, limits: Limits) -> Result<Visit<'v>, PathError> {
        Visit::new(self.pstate_name(), self.steps(), sink, limits)
    }
}

/// Shows every value to a function.
struct Shown<'e, L: Walk, C: Carry>(&'e mut dyn FnMut(C::With<L>));

impl<L: Walk, C: Carry> Sink for Shown<'_, L, C> {
    fn borrowed(
        &mut self,
        value: &dyn LeafValue,
        carried: &[Carried],
        trail: Trail<'_>,
    ) -> Result<(), PathError> {
        (self.0)(joined::<L, C>(restored(value), carried, trail)?);
        Ok(())
    }

    fn owned(
        &mut self,
        slot: &mut dyn LeafSlot,
        carried: &[Carried],
        trail: Trail<'_>,
    ) -> Result<(), PathError> {
        (self.0)(joined::<L, C>(take(slot), carried, trail)?);
        Ok(())
    }
}

/// Collects every value.
struct Many<L: Walk, C: Carry>(Vec<C::With<L>>);

impl<L: Walk, C: Carry> Sink for Many<L, C> {
    fn borrowed(
        &mut self,
        value: &dyn LeafValue,
        carried: &[Carried],
        trail: Trail<'_>,
    ) -> Result<(), PathError> {
        self.0.push(joined::<L, C>(restored(value), carried, trail)?);
        Ok(())
    }

    fn owned(
        &mut self,
        slot: &mut dyn LeafSlot,
        carried: &[Carried],
        trail: Trail<'_>,
    ) -> Result<(), PathError> {
        self.0.push(joined::<L, C>(take(slot), carried, trail)?);
        Ok(())
    }
}

/// Keeps the first value and notes whether there are more.
struct One<L: Walk, C: Carry> {
    value: Option<C::With<L>>,
    more: bool,
}

impl<L: Walk, C: Carry> Sink for One<L, C> {
    fn borrowed(
        &mut self,
        value: &dyn LeafValue,
        carried: &[Carried],
        trail: Trail<'_>,
    ) -> Result<(), PathError> {
        if !self.more {
            let value = joined::<L, C>(restored(value), carried, trail)?;
            self.more = self.value.replace(value).is_some();
        }
        Ok(())
    }

    fn owned(
        &mut self,
        slot: &mut dyn LeafSlot,
        carried: &[Carried],
        trail: Trail<'_>,
    ) -> Result<(), PathError> {
        if !self.more {
            let value = joined::<L, C>(take(slot), carried, trail)?;
            self.more = self.value.replace(value).is_some();
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.more
    }
}

/// The one value, unless there were more.
fn finish_one<L: Walk, C: Carry>(
    pstate: &str,
    found: One<L, C>,
) -> Result<Option<C::With<L>>, PathError> {
    if !found.more {
        return Ok(found.value);
    }
    let help = "use `select`, or narrow the path";
    let misfit = Misfit::new("at most one value", "several", help);
    Err(PathError::new(PathErrorKind::ManyValues, pstate, 0, String::new(), misfit))
}

/// A result: the value, with what was collected before it.
fn joined<L: Walk, C: Carry>(
    leaf: Option<L>,
    carried: &[Carried],
    trail: Trail<'_>,
) -> Result<C::With<L>, PathError> {
    leaf.and_then(|leaf| C::join(carried, leaf)).ok_or_else(|| foreign::<L>(trail))
}

/// The value out of its slot, in its own type.
fn take<L: Walk>(slot: &mut dyn LeafSlot) -> Option<L> {
    if let Some(own) = slot.as_any_mut().downcast_mut::<Option<L>>() {
        return own.take();
    }
    restored(slot.value()?)
}

/// The typed builder rules this out; steps of another origin cannot be selected as `L`.
fn foreign<L: Walk>(trail: Trail<'_>) -> PathError {
    trail.whole(Misfit::new(L::shape(), "a value of another type", "build the path anew"))
}
