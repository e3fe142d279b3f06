//! Declaring a stream topology.

use std::any::TypeId;
use std::marker::PhantomData;

use gridmill_model::{Depot, Event, Fan, Key, Stage};

use crate::topology::{StateSet, StateUse};

use super::fan::FanSource;
use super::setup::Setup;
use super::source::{Source, SourceDef};

/// A topology as declared.
pub(crate) struct TopologyDef {
    pub(crate) name: &'static str,
    pub(crate) uses: Vec<StateUse>,
    pub(crate) sources: Vec<SourceDef>,
    /// Depots that its handlers append to.
    pub(crate) appends: Vec<AppendDef>,
}

/// A depot that the handlers of a topology append to.
pub(crate) struct AppendDef {
    pub(crate) depot: &'static str,
    pub(crate) event: TypeId,
}

/// A stream topology that is being declared; see [`Setup::stream`].
pub struct Stream<'m, S> {
    pub(super) setup: &'m mut Setup,
    pub(super) topology: usize,
    states: PhantomData<S>,
}

impl<S> std::fmt::Debug for Stream<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("topology", &self.topology).finish_non_exhaustive()
    }
}

impl<'m, S: StateSet> Stream<'m, S> {
    pub(super) fn new(setup: &'m mut Setup, topology: usize) -> Self {
        Self { setup, topology, states: PhantomData }
    }

    /// Reads a depot. Its records are handled on the partition that holds them, in their order.
    pub fn source<E: Event>(self, depot: Depot<E>) -> Source<'m, S, E> {
        Source::of_depot(self, depot)
    }

    /// Declares a stage: where handlers of this topology send records with [`Context::send`], on whichever
    /// partition the stage's route says. Each record changes the state there exactly once, whatever crashes. Records
    /// that one partition sends to another arrive in the order in which they were sent.
    ///
    /// [`Context::send`]: crate::Context::send
    pub fn stage<E: Event>(self, stage: Stage<E>) -> Source<'m, S, E> {
        Source::of_stage(self, stage)
    }

    /// Declares a fan: where handlers of this topology send one record under many keys with [`Context::fan`]. Its
    /// handler runs once for each key, on the partition where that lives.
    ///
    /// ```
    /// use gridmill::prelude::*;
    ///
    /// const FOLLOWS: Depot<(u64, u64)> = Depot::hash_by("social/follows", |(_, whom)| (*whom).into());
    /// const POSTS: Depot<(u64, Str)> = Depot::hash_by("social/posts", |(author, _)| (*author).into());
    /// const FOLLOWERS: PState<Map<u64, Set<u64>>> = PState::new("social/followers");
    /// const TIMELINES: PState<Map<u64, List<Str>>> = PState::new("social/timelines");
    /// const DELIVER: Fan<u64, Str> = Fan::new("deliver");
    ///
    /// fn define(module: &mut Setup) {
    ///     module.depot(FOLLOWS).depot(POSTS);
    ///     module
    ///         .stream("timelines", (FOLLOWERS, TIMELINES))
    ///         .source(FOLLOWS)
    ///         .over(FOLLOWERS)
    ///         .each(|(who, whom): (u64, u64), followers: &mut Map<u64, Set<u64>>| {
    ///             followers.entry(whom).or_default().insert(who);
    ///         })
    ///         .source(POSTS)
    ///         .over(FOLLOWERS)
    ///         .each_with(|(author, text): (u64, Str), followers: &mut Map<u64, Set<u64>>, flow: &mut Context<'_>| {
    ///             let Some(all) = followers.get(&author) else { return };
    ///             flow.fan(DELIVER, all.iter().copied(), text);
    ///         })
    ///         .fan(DELIVER)
    ///         .over(TIMELINES)
    ///         .each(|user: u64, text: &Str, timelines: &mut Map<u64, List<Str>>| {
    ///             timelines.entry(user).or_default().push_back(text.clone());
    ///         });
    /// }
    /// ```
    ///
    /// [`Context::fan`]: crate::Context::fan
    pub fn fan<K: Key, E: Event>(self, fan: Fan<K, E>) -> FanSource<'m, S, K, E> {
        FanSource::new(self, fan)
    }

    /// Lets handlers of this topology append to a depot, with [`Context::append`]. It has to be said, so that one
    /// sees who writes a depot.
    ///
    /// [`Context::append`]: crate::Context::append
    pub fn appends<E: Event>(self, depot: Depot<E>) -> Self {
        let def = AppendDef { depot: depot.name(), event: TypeId::of::<E>() };
        self.setup.topologies[self.topology].appends.push(def);
        self
    }
}
