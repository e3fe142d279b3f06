//! A path with its types: from a PState to what it leads to.

use std::fmt;
use std::marker::PhantomData;

use smallvec::SmallVec;

use super::carry::Carry;
use crate::handle::Kind;
use crate::path::data::step::{Step, Steps};
use crate::path::data::text::write_steps;
use crate::path::walk::Walk;
use crate::{AsKey, Key, PState, Root, RouteKey};

/// A path from the PState type `R` to values of type `L`, which collects `C` on its way. Built with
/// [`Navigate`](crate::path::Navigate).
///
/// Building one with up to two steps and short keys does not allocate.
pub struct Path<R: Root, L, C: Carry = ()> {
    /// None for a condition, which starts at whatever value it is asked of.
    pstate: Option<PState<R>>,
    steps: Steps,
    route: Option<RouteKey>,
    of: PhantomData<fn() -> (L, C)>,
}

impl<R: Root> Path<R, R> {
    /// The path to the whole of a PState.
    #[inline]
    pub(super) fn of(pstate: PState<R>) -> Self {
        Self { pstate: Some(pstate), steps: SmallVec::new_const(), route: None, of: PhantomData }
    }

    /// The path to a value itself, for conditions.
    pub(super) fn here() -> Self {
        Self { pstate: None, steps: SmallVec::new_const(), route: None, of: PhantomData }
    }
}

impl<R: Root, L: Walk, C: Carry> Path<R, L, C> {
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
    pub(super) fn step<M, D: Carry>(self, step: Step) -> Path<R, M, D> {
        let Self { pstate, mut steps, route, of: _ } = self;
        steps.push(step);
        Path { pstate, steps, route, of: PhantomData }
    }

    /// Adds a step with branches. `step` makes it of how many steps each has.
    pub(super) fn branching<M, D: Carry, const N: usize>(
        self,
        branches: [Steps; N],
        step: impl FnOnce(&[u16]) -> Step,
    ) -> Path<R, M, D> {
        // A branch beyond the count makes the path too long, which is refused when it is walked.
        let count = |steps: &Steps| u16::try_from(steps.len()).unwrap_or(u16::MAX);
        let counts: SmallVec<[u16; 3]> = branches.iter().map(count).collect();
        let mut path = self.step(step(&counts));
        path.steps.extend(branches.into_iter().flatten());
        path
    }

    pub(in crate::path) fn into_steps(self) -> Steps {
        self.steps
    }
}

impl<R: Root, L, C: Carry> Clone for Path<R, L, C> {
    fn clone(&self) -> Self {
        let Self { pstate, steps, route, of } = self;
        Self { pstate: *pstate, steps: steps.clone(), route: *route, of: *of }
    }
}

/// Prints the path as the builder writes it; encoded values are shown as text or hexadecimal.
impl<R: Root, L: Walk, C: Carry> fmt::Display for Path<R, L, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.pstate.is_some() { self.pstate_name() } else { "it" })?;
        write_steps(f, &self.steps)
    }
}

impl<R: Root, L, C: Carry> fmt::Debug for Path<R, L, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.pstate.as_ref().map_or("it", PState::name))?;
        write_steps(f, &self.steps)
    }
}
