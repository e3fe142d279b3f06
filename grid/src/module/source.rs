//! Declaring what a topology reads, and what it does with it.

use std::any::TypeId;
use std::marker::PhantomData;
use std::time::SystemTime;

use gridmill_model::{Depot, Event, Stage};

use crate::topology::{Context, Each, Handler, Origin, Outcome, StateSet, StateUse, Uses, id_mark};

use super::calls::{CallDef, Calls};
use super::failure::OnFailure;
use super::names::inbox_name;
use super::setup::Setup;
use super::stream::Stream;

/// Where a topology begins to read a depot that it meets for the first time. Later starts go on
/// where it stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartFrom {
    /// With the first record that the depot has. The default.
    #[default]
    Beginning,
    /// With what is appended from now on.
    End,
    /// With the first record that was logged at this time or later, on each partition.
    Time(SystemTime),
    /// This many records before the end, on each partition.
    RecordsAgo(u64),
}

/// A source as declared.
pub(crate) struct SourceDef {
    pub(crate) depot: &'static str,
    pub(crate) event: TypeId,
    pub(crate) start: StartFrom,
    /// The PStates that its handler gets, where these are not all of the topology.
    pub(crate) over: Option<Vec<StateUse>>,
    pub(crate) failure: OnFailure,
    pub(crate) handler: Box<dyn Handler>,
    /// The async function that is called for its records, where there is one.
    pub(crate) call: Option<CallDef>,
}

/// A source that is being declared: a depot or a stage, of which a handler gets the PStates `T`.
#[must_use = "a source without a handler does nothing: add `.each(handler)`"]
pub struct Source<'m, S, E: 'static, T = S> {
    pub(super) stream: Stream<'m, S>,
    pub(super) origin: Origin<E>,
    pub(super) start: StartFrom,
    over: Option<Vec<StateUse>>,
    pub(super) failure: OnFailure,
    pub(super) calls: Calls,
    states: PhantomData<fn() -> T>,
}

impl<S, E, T> std::fmt::Debug for Source<'_, S, E, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("start", &self.start).finish_non_exhaustive()
    }
}

impl<'m, S: StateSet, E: Event> Source<'m, S, E> {
    pub(super) fn of_depot(stream: Stream<'m, S>, depot: Depot<E>) -> Self {
        Self::new(stream, Origin::Depot(depot))
    }

    pub(super) fn of_stage(stream: Stream<'m, S>, stage: Stage<E>) -> Self {
        Self::new(stream, Origin::Stage(stage))
    }

    fn new(stream: Stream<'m, S>, origin: Origin<E>) -> Self {
        let (start, over, failure) = (StartFrom::Beginning, None, OnFailure::default());
        let calls = Calls::default();
        Self { stream, origin, start, over, failure, calls, states: PhantomData }
    }

    /// Gives the handler some of the topology's PStates instead of all of them: a handle, a tuple of handles, or
    /// `()`. One that the topology does not have is refused at start.
    ///
    /// ```
    /// use gridmill::prelude::*;
    ///
    /// const PAGES: Depot<Str> = Depot::random("words/pages");
    /// const COUNTS: PState<Map<Str, u64>> = PState::new("words/counts");
    /// const WORDS: Stage<Str> = Stage::hash_by("words", |word| word.as_str().into());
    ///
    /// fn define(module: &mut Setup) {
    ///     module.depot(PAGES);
    ///     module
    ///         .stream("count", COUNTS)
    ///         .source(PAGES)
    ///         .over(())
    ///         .each_with(|page: Str, (): (), flow: &mut Context<'_>| {
    ///             page.split_whitespace().for_each(|word| flow.send(WORDS, word.into()));
    ///         })
    ///         .stage(WORDS)
    ///         .each(|word: Str, counts: &mut Map<Str, u64>| *counts.entry(word).or_default() += 1);
    /// }
    /// ```
    pub fn over<T: StateSet>(self, states: T) -> Source<'m, S, E, T> {
        let Self { stream, origin, start, failure, calls, .. } = self;
        let mut declared = Uses::of(stream.topology);
        states.declare(&mut declared);
        let (over, states) = (Some(declared.uses), PhantomData);
        Source { stream, origin, start, over, failure, calls, states }
    }
}

impl<'m, S: StateSet, E: Event, T: StateSet> Source<'m, S, E, T> {
    /// Where to begin when the topology meets the depot for the first time. A stage has no past: for one it
    /// says nothing.
    pub fn start_from(mut self, start: StartFrom) -> Self {
        if let Origin::Depot(_) = self.origin {
            self.start = start;
        }
        self
    }

    /// What becomes of records that the handler cannot handle: it panics at one again and again, or makes a value that
    /// is not allowed. Without it they are set aside. A handler that returns `Err` refuses a record, which is no
    /// failure.
    pub fn on_failure(mut self, policy: OnFailure) -> Self {
        self.failure = policy;
        self
    }

    /// Runs `handler` for each record: it gets the event and the states of the topology's tuple. It
    /// must be deterministic: the same records in the same order have to give the same state.
    pub fn each<F, R>(self, handler: F) -> Stream<'m, S>
    where
        R: Outcome + 'static,
        F: for<'a> Fn(E, T::Refs<'a>) -> R + Send + Sync + 'static,
    {
        self.each_with(move |event: E, states: T::Refs<'_>, _: &mut Context<'_>| {
            handler(event, states)
        })
    }

    /// Like [`Source::each`]; the handler also gets the record's [`Context`].
    pub fn each_with<F, R>(self, handler: F) -> Stream<'m, S>
    where
        R: Outcome + 'static,
        F: for<'a, 'b, 'c> Fn(E, T::Refs<'a>, &'b mut Context<'c>) -> R + Send + Sync + 'static,
    {
        let key = self.origin.key();
        self.handled_by(|mark| Box::new(Each::<E, T, F>::new(handler, key, mark)))
    }

    /// Declares the handler, which is made for a topology with this [`id_mark`].
    pub(super) fn handled_by(self, handler: impl FnOnce(u32) -> Box<dyn Handler>) -> Stream<'m, S> {
        let Self { stream, origin, start, over, failure, .. } = self;
        let Some(depot) = enter(stream.setup, stream.topology, &origin) else { return stream };
        let topology = &mut stream.setup.topologies[stream.topology];
        let mark = id_mark(topology.name);
        topology.sources.push(SourceDef {
            depot,
            event: TypeId::of::<E>(),
            start,
            over,
            failure,
            handler: handler(mark),
            call: None,
        });
        stream
    }
}

/// Enters what a source reads; the depot's name, or `None` where the topology reads it already.
pub(super) fn enter<E: Event>(
    setup: &mut Setup,
    topology: usize,
    origin: &Origin<E>,
) -> Option<&'static str> {
    let (name, stage) = match origin {
        Origin::Depot(depot) => (depot.name(), None),
        Origin::Stage(stage) => {
            (inbox_name(setup.topologies[topology].name, stage.name()), Some(*stage))
        }
    };
    let known = &setup.topologies[topology];
    if known.sources.iter().any(|source| source.depot == name) {
        let topology = known.name;
        setup.problems.push(match stage {
            None => format!(
                "topology `{topology}` reads depot `{name}` twice; put both into one handler"
            ),
            Some(stage) => {
                format!("topology `{topology}` has two stages `{}`; rename one", stage.name())
            }
        });
        return None;
    }
    if let Some(stage) = stage {
        setup.inbox(topology, name, stage);
        setup.timers(topology);
    }
    Some(name)
}
