//! A path with its types: from a PState to what it leads to.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;

use smallvec::SmallVec;

use super::error::PathError;
use super::select::{Many, One, finish_one};
use super::step::{Step, Steps, write_steps};
use super::term::Transform;
use super::visit::{Limits, Sink, Visit};
use super::walk::Walk;
use crate::engine::ReadStore;
use crate::handle::Kind;
use crate::{AsKey, Key, PState, Ref, Root, RouteKey};

/// A path from the PState type `R` to values of type `L`. Built with
/// [`Navigate`](super::Navigate).
///
/// Building one with up to two steps and short keys does not allocate.
pub struct Path<R: Root, L> {
    /// None for a condition, which starts at whatever value it is asked of.
    pstate: Option<PState<R>>,
    steps: Steps,
    route: Option<RouteKey>,
    leaf: PhantomData<fn() -> L>,
}

impl<R: Root> Path<R, R> {
    /// The path to the whole of a PState.
    #[inline]
    pub(super) fn of(pstate: PState<R>) -> Self {
        Self { pstate: Some(pstate), steps: SmallVec::new_const(), route: None, leaf: PhantomData }
    }

    /// The path to a value itself, for conditions.
    pub(super) fn here() -> Self {
        Self { pstate: None, steps: SmallVec::new_const(), route: None, leaf: PhantomData }
    }
}

impl<R: Root, L: Walk> Path<R, L> {
    /// The PState that the path starts at; a condition has none.
    pub fn pstate(&self) -> Option<PState<R>> {
        self.pstate
    }

    /// The name of the PState, or nothing for a condition.
    #[inline]
    pub fn pstate_name(&self) -> &'static str {
        self.pstate.as_ref().map_or("", PState::name)
    }

    /// The steps, as data.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The key that says in which partition the path lives: that of a first `key` or `must`.
    pub fn route(&self) -> Option<RouteKey> {
        self.route
    }

    /// The partition, of `count`, in which the path lives: by the PState's own partitioner if it
    /// has one, else by the route. `None` if the path does not say: it begins with no key, or
    /// the PState is local.
    ///
    /// The result of a custom partitioner is handed through, even if it is not below `count`.
    #[inline]
    pub fn partition(&self, count: u32) -> Option<u32> {
        let pstate = self.pstate.as_ref()?;
        match pstate.kind() {
            Kind::Hashed => {}
            Kind::Global => return Some(0),
            Kind::Local => return None,
        }
        let Some(partitioner) = pstate.partitioner() else {
            return self.route.map(|route| route.partition(count));
        };
        match self.steps.first() {
            Some(Step::Key(key) | Step::Must(key)) => {
                Some(partitioner(&R::Key::decode_key(key).ok()?, count))
            }
            _ => None,
        }
    }

    /// Takes the route from the key of the first step.
    #[inline]
    pub(super) fn routed<K: Key>(mut self, key: &impl AsKey<K>) -> Self {
        if self.steps.is_empty() {
            self.route = Some(key.route_as_key());
        }
        self
    }

    #[inline]
    pub(super) fn step<M>(self, step: Step) -> Path<R, M> {
        let Self { pstate, mut steps, route, leaf: _ } = self;
        steps.push(step);
        Path { pstate, steps, route, leaf: PhantomData }
    }

    pub(super) fn condition<M: Walk>(mut self, condition: Path<L, M>) -> Self
    where
        L: Root,
    {
        // A condition beyond the count makes the path too long, which is refused when walked.
        let count = u16::try_from(condition.steps.len()).unwrap_or(u16::MAX);
        self.steps.push(Step::FilterSelected(count));
        self.steps.extend(condition.steps);
        self
    }

    pub(super) fn end<T: super::Terminal>(self, terminal: T) -> Transform<R, L, T> {
        Transform::new(self, terminal)
    }

    /// The values that the path reaches in `root`, in order.
    ///
    /// # Errors
    ///
    /// [`PathErrorKind::Path`](super::PathErrorKind) if the path has too many steps,
    /// `Damaged` if a stored entry cannot be read.
    pub fn select(&self, root: &R) -> Result<Vec<L>, PathError> {
        let mut found = Many::new();
        root.walk(&self.steps, &mut self.visit(&mut found, Limits::NONE)?)?;
        Ok(found.into_values())
    }

    /// The one value that the path reaches in `root`, if it reaches any.
    ///
    /// # Errors
    ///
    /// As [`Path::select`]; `ManyValues` if it reaches several.
    pub fn select_one(&self, root: &R) -> Result<Option<L>, PathError> {
        let mut found = One::new();
        root.walk(&self.steps, &mut self.visit(&mut found, Limits::NONE)?)?;
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
        R::walk_view(store, &self.steps, &mut self.visit(&mut found, limits)?)?;
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
        R::walk_view(store, &self.steps, &mut self.visit(&mut found, limits)?)?;
        finish_one(self.pstate_name(), found)
    }

    /// The key, where the path leads to a whole entry of a root map: the read that is made most
    /// often, and one that needs no walk.
    #[inline]
    fn entry_key(&self) -> Option<&[u8]> {
        match self.steps.as_slice() {
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
        Visit::new(self.pstate_name(), &self.steps, sink, limits)
    }
}

impl<R: Root, L> Clone for Path<R, L> {
    fn clone(&self) -> Self {
        let Self { pstate, steps, route, leaf } = self;
        Self { pstate: *pstate, steps: steps.clone(), route: *route, leaf: *leaf }
    }
}

/// Prints the path as the builder writes it; encoded values are shown as text or hexadecimal.
impl<R: Root, L: Walk> fmt::Display for Path<R, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.pstate.is_some() { self.pstate_name() } else { "it" })?;
        write_steps(f, &self.steps)
    }
}

impl<R: Root, L> fmt::Debug for Path<R, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.pstate.as_ref().map_or("it", PState::name))?;
        write_steps(f, &self.steps)
    }
}
