//! Declaring what a topology reads, and what it does with it.

use std::any::TypeId;
use std::time::SystemTime;

use gridmill_model::handle::Partitioning;
use gridmill_model::{Depot, Event};

use crate::topology::{Context, Each, Outcome, Stage, StateSet, id_mark};

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
    pub(crate) stage: Box<dyn Stage>,
}

/// A source that is being declared.
#[must_use = "a source without a handler does nothing: add `.each(handler)`"]
pub struct Source<'m, S, E: 'static> {
    stream: Stream<'m, S>,
    depot: Depot<E>,
    start: StartFrom,
}

impl<S, E> std::fmt::Debug for Source<'_, S, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("start", &self.start).finish_non_exhaustive()
    }
}

impl<'m, S: StateSet, E: Event> Source<'m, S, E> {
    pub(super) fn new(stream: Stream<'m, S>, depot: Depot<E>) -> Self {
        Self { stream, depot, start: StartFrom::Beginning }
    }

    /// Where to begin when the topology meets the depot for the first time.
    pub fn start_from(mut self, start: StartFrom) -> Self {
        self.start = start;
        self
    }

    /// Runs `handler` for each record: it gets the event and the states of the topology's tuple. It
    /// must be deterministic: the same records in the same order have to give the same state.
    pub fn each<F, R>(self, handler: F) -> Stream<'m, S>
    where
        R: Outcome + 'static,
        F: for<'a> Fn(E, S::Refs<'a>) -> R + Send + Sync + 'static,
    {
        self.each_with(move |event: E, states: S::Refs<'_>, _: &mut Context<'_>| {
            handler(event, states)
        })
    }

    /// Like [`Source::each`]; the handler also gets the record's [`Context`].
    pub fn each_with<F, R>(self, handler: F) -> Stream<'m, S>
    where
        R: Outcome + 'static,
        F: for<'a, 'b, 'c> Fn(E, S::Refs<'a>, &'b mut Context<'c>) -> R + Send + Sync + 'static,
    {
        let Self { stream, depot, start } = self;
        let topology = &mut stream.setup.topologies[stream.topology];
        if topology.sources.iter().any(|source| source.depot == depot.name()) {
            let (name, depot) = (topology.name, depot.name());
            stream.setup.problems.push(format!(
                "topology `{name}` reads depot `{depot}` twice; put both into one handler"
            ));
            return stream;
        }
        let key = match depot.partitioning() {
            Partitioning::HashBy(key) => Some(*key),
            _ => None,
        };
        let mark = id_mark(topology.name);
        topology.sources.push(SourceDef {
            depot: depot.name(),
            event: TypeId::of::<E>(),
            start,
            stage: Box::new(Each::<E, S, F>::new(handler, key, mark)),
        });
        stream
    }
}
