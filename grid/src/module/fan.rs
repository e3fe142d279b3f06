//! Declaring a stage that one record reaches under many keys.

use gridmill_model::event::Fanned;
use gridmill_model::{Event, Fan, Key, Stage};

use crate::topology::{Context, FanEach, Outcome, StateSet};

use super::failure::OnFailure;
use super::source::Source;
use super::stream::Stream;

/// A fan that is being declared; see [`Stream::fan`].
#[must_use = "a fan without a handler does nothing: add `.each(handler)`"]
#[derive(Debug)]
pub struct FanSource<'m, S, K: 'static, E: 'static, T = S> {
    source: Source<'m, S, Fanned<K, E>, T>,
}

impl<'m, S: StateSet, K: Key, E: Event> FanSource<'m, S, K, E> {
    pub(super) fn new(stream: Stream<'m, S>, fan: Fan<K, E>) -> Self {
        // Handlers send to it by key: the route is never asked.
        let stage = Stage::<Fanned<K, E>>::here(fan.name());
        Self { source: Source::of_stage(stream, stage) }
    }

    /// Gives the handler some of the topology's PStates instead of all of them, as [`Source::over`] does.
    pub fn over<T: StateSet>(self, states: T) -> FanSource<'m, S, K, E, T> {
        FanSource { source: self.source.over(states) }
    }
}

impl<'m, S: StateSet, K: Key, E: Event, T: StateSet> FanSource<'m, S, K, E, T> {
    /// What becomes of records that the handler cannot handle, as [`Source::on_failure`] says; for all keys of a
    /// partition together.
    pub fn on_failure(self, policy: OnFailure) -> Self {
        Self { source: self.source.on_failure(policy) }
    }

    /// Runs `handler` for each key, on the partition where it lives. A handler that refuses one refuses the record for
    /// all keys of its partition.
    pub fn each<F, R>(self, handler: F) -> Stream<'m, S>
    where
        R: Outcome + 'static,
        F: for<'a> Fn(K, &E, T::Refs<'a>) -> R + Send + Sync + 'static,
    {
        self.each_with(move |key, record: &E, states: T::Refs<'_>, _: &mut Context<'_>| {
            handler(key, record, states)
        })
    }

    /// Like [`each`](Self::each); the handler also gets the record's [`Context`].
    pub fn each_with<F, R>(self, handler: F) -> Stream<'m, S>
    where
        R: Outcome + 'static,
        F: for<'a, 'b, 'c, 'd> Fn(K, &'d E, T::Refs<'a>, &'b mut Context<'c>) -> R
            + Send
            + Sync
            + 'static,
    {
        self.source.handled_by(|mark| Box::new(FanEach::<K, E, T, F>::new(handler, mark)))
    }
}
