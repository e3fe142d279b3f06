//! A handler that is called with one record for each of its keys.

use std::marker::PhantomData;

use gridmill_model::event::Fanned;
use gridmill_model::{Event, Key};

use super::context::{Context, Response};
use super::handler::{Handler, HandlerError, HandlerRun, events_of, index_of, taken};
use super::lookahead::{self, Lookahead};
use super::outcome::{Outcome, Refusal};
use super::states::StateSet;

/// A handler of the records `E` of a fan, which has keys `K`, over the states `S`.
pub(crate) struct FanEach<K, E, S, F> {
    handler: F,
    /// Of the topology: [`id_mark`](super::context::id_mark).
    mark: u32,
    of: PhantomData<fn(K, E, S)>,
}

impl<K, E, S, F> FanEach<K, E, S, F> {
    pub(crate) fn new(handler: F, mark: u32) -> Self {
        Self { handler, mark, of: PhantomData }
    }
}

impl<K, E, S, F, R> Handler for FanEach<K, E, S, F>
where
    K: Key,
    E: Event,
    S: StateSet,
    R: Outcome,
    F: for<'e, 'a, 'c> Fn(K, &'e E, S::Refs<'a>, &'c mut Context<'_>) -> R + Send + Sync,
{
    fn run(&self, mut run: HandlerRun<'_>) -> Result<(), HandlerError> {
        run.range
            .clone()
            .try_for_each(|record| run.step(R::FALLIBLE, |run| self.handle(run, record)))
    }
}

impl<K, E, S, F, R> FanEach<K, E, S, F>
where
    K: Key,
    E: Event,
    S: StateSet,
    R: Outcome,
    F: for<'e, 'a, 'c> Fn(K, &'e E, S::Refs<'a>, &'c mut Context<'_>) -> R + Send + Sync,
{
    /// Calls the handler with all keys of a record; tells whether it refused one, and so all of them.
    fn handle(&self, run: &mut HandlerRun<'_>, record: usize) -> bool {
        let info = &run.infos[record];
        let place = &mut events_of::<Fanned<K, E>>(run.events)[record];
        let Some(fanned) = taken(place, info, &run.window, run.take) else { return false };
        let mut response = Response::default();
        let sending = run.sending.again();
        let mut context = Context::new(run.partition, info, self.mark, &mut response, sending);
        let mut ahead = Lookahead::of(fanned.keys.iter().map(|key| key.route().hash()));
        let (count, mut keys) = (fanned.keys.len(), fanned.keys.into_iter());
        let refusal = (0..count).step_by(lookahead::STEP).find_map(|first| -> Option<Refusal> {
            ahead.at(first, run.cells, run.at);
            let mut states = S::lend(run.cells, run.at);
            keys.by_ref().take(lookahead::STEP).find_map(|key| {
                let states = S::again(&mut states);
                (self.handler)(key, &fanned.record, states, &mut context).refusal()
            })
        });
        run.answers.note(index_of(run.base, record), refusal, &mut response)
    }
}
