//! A handler over a batch of records: the one place where user code runs.

use std::collections::HashSet;
use std::marker::PhantomData;
use std::ops::Range;

use gridmill_client::Encoded;
use gridmill_model::engine::Damaged;
use gridmill_model::{Event, RouteKey};
use gridmill_persistence::Position;
use gridmill_persistence::planted::{Bug, is_planted};

use crate::state::Undone;

use super::codec::AnyEvents;
use super::context::{Context, Response, Sending};
use super::lookahead::{self, Lookahead};
use super::outcome::{Outcome, Refusal};
use super::states::{Cells, StateSet};

/// Where and when a record was logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordInfo {
    pub(crate) position: Position,
    pub(crate) offset: u64,
    pub(crate) time: i64,
}

/// Which records of a depot a topology handles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    /// Up to here its state has everything.
    pub(crate) after: Position,
    /// The offset at which it started to read the depot.
    pub(crate) start: u64,
    /// Records that stand in quarantine.
    pub(crate) skip: Option<&'a HashSet<Position>>,
}

impl Window<'_> {
    pub(super) fn lets(&self, info: &RecordInfo) -> bool {
        info.position >= self.after
            && info.offset >= self.start
            && self.skip.is_none_or(|skip| !skip.contains(&info.position))
    }
}

/// What handlers said to the appenders, by the index of the record in its item.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) replies: Vec<(u32, Encoded)>,
    pub(crate) refusals: Vec<(u32, Refusal)>,
}

/// Records of one depot, and what a handler needs to handle them.
pub(crate) struct HandlerRun<'a> {
    pub(crate) events: &'a mut AnyEvents,
    pub(crate) infos: &'a [RecordInfo],
    /// Which of them to handle.
    pub(crate) range: Range<usize>,
    /// The index in the item of the first of them.
    pub(crate) base: usize,
    /// The events are not needed after this run.
    pub(crate) take: bool,
    pub(crate) window: Window<'a>,
    pub(crate) cells: &'a mut Cells,
    /// The cells of the topology's tuple.
    pub(crate) at: &'a [usize],
    /// Those of them that it owns.
    pub(crate) owned: &'a [usize],
    pub(crate) partition: u32,
    pub(crate) sending: Sending<'a>,
    pub(crate) answers: &'a mut Answers,
}

/// Why a run did not go through.
#[derive(Debug)]
pub(crate) enum HandlerError {
    /// A refused record cannot be undone alone; see [`Undone::Lost`].
    Lost,
    /// What a record was to send cannot be sent.
    Fault(String),
    /// A file cannot be read.
    Damaged(Damaged),
}

impl From<Damaged> for HandlerError {
    fn from(damage: Damaged) -> Self {
        Self::Damaged(damage)
    }
}

/// A handler, type erased.
pub(crate) trait Handler: Send + Sync {
    /// Handles all records of the run, in order.
    fn run(&self, run: HandlerRun<'_>) -> Result<(), HandlerError>;
}

/// A handler of events `E` over the states `S`.
pub(crate) struct Each<E, S, F> {
    handler: F,
    /// The key that events are partitioned by. PStates are mostly kept under the same key.
    key: Option<fn(&E) -> RouteKey>,
    /// Of the topology: [`id_mark`](super::context::id_mark).
    mark: u32,
    states: PhantomData<fn(S)>,
}

impl<E, S, F> Each<E, S, F> {
    pub(crate) fn new(handler: F, key: Option<fn(&E) -> RouteKey>, mark: u32) -> Self {
        Self { handler, key, mark, states: PhantomData }
    }
}

impl HandlerRun<'_> {
    /// Handles some records; where they can be refused, and then have to be undone, one. `handle` tells whether it
    /// refused one.
    pub(super) fn step(
        &mut self,
        fallible: bool,
        handle: impl FnOnce(&mut Self) -> bool,
    ) -> Result<(), HandlerError> {
        let undoable = if fallible { self.owned } else { &[] };
        for &cell in undoable {
            self.cells.0[cell].0.begin_record()?;
        }
        let mark = self.sending.effects.mark();
        let refused = handle(self);
        if let Some(fault) = self.sending.effects.take_fault() {
            return Err(HandlerError::Fault(fault));
        }
        if refused && !is_planted(Bug::KeepHalfFan) {
            self.sending.effects.truncate(mark);
        }
        for &cell in undoable {
            let cell = &mut self.cells.0[cell].0;
            if !refused {
                cell.commit_record()?;
            } else if cell.rollback_record()? == Undone::Lost {
                return Err(HandlerError::Lost);
            }
        }
        Ok(())
    }
}

impl Answers {
    /// Keeps what a handler made of a record; tells whether it refused it. Most say nothing.
    #[inline]
    pub(super) fn note(
        &mut self,
        index: u32,
        refusal: Option<Refusal>,
        response: &mut Response,
    ) -> bool {
        let refused = refusal.is_some();
        if refused || !response.is_empty() {
            self.keep(index, refusal, std::mem::take(response));
        }
        refused
    }

    fn keep(&mut self, index: u32, refusal: Option<Refusal>, response: Response) {
        match refusal {
            Some(refusal) => self.refusals.push((index, refusal)),
            None => {
                self.replies.extend(response.reply.map(|reply| (index, reply)));
                self.refusals.extend(response.rejected.map(|refusal| (index, refusal)));
            }
        }
    }
}

impl<E, S, F, R> Handler for Each<E, S, F>
where
    E: Event,
    S: StateSet,
    R: Outcome,
    F: for<'a, 'c> Fn(E, S::Refs<'a>, &'c mut Context<'_>) -> R + Send + Sync,
{
    fn run(&self, mut run: HandlerRun<'_>) -> Result<(), HandlerError> {
        let Range { start, end } = run.range;
        let mut ahead = Lookahead::new(&events_of::<E>(run.events)[start..end], self.key);
        let step = if R::FALLIBLE { 1 } else { lookahead::STEP };
        for first in (start..end).step_by(step) {
            ahead.at(first - start, run.cells, run.at);
            let records = first..end.min(first + step);
            run.step(R::FALLIBLE, |run| self.handle(run, records))?;
        }
        Ok(())
    }
}

impl<E, S, F, R> Each<E, S, F>
where
    E: Event,
    S: StateSet,
    R: Outcome,
    F: for<'a, 'c> Fn(E, S::Refs<'a>, &'c mut Context<'_>) -> R + Send + Sync,
{
    /// Calls the handler with some records; tells whether it refused one.
    fn handle(&self, run: &mut HandlerRun<'_>, records: Range<usize>) -> bool {
        let (mut response, mut refused) = (Response::default(), false);
        let (events, window, take) = (events_of::<E>(run.events), &run.window, run.take);
        // Once for all of them: what types the cells have takes as long to find out as a small handler.
        let mut states = S::lend(run.cells, run.at);
        for record in records {
            let info = &run.infos[record];
            let Some(event) = taken(&mut events[record], info, window, take) else { continue };
            let sending = run.sending.again();
            let mut context = Context::new(run.partition, info, self.mark, &mut response, sending);
            let outcome = (self.handler)(event, S::again(&mut states), &mut context);
            let index = index_of(run.base, record);
            refused |= run.answers.note(index, outcome.refusal(), &mut response);
        }
        refused
    }
}

/// The event of a record, unless its topology has handled it or is not to.
pub(super) fn taken<E: Event>(
    place: &mut Option<E>,
    info: &RecordInfo,
    window: &Window<'_>,
    take: bool,
) -> Option<E> {
    if !window.lets(info) {
        return None;
    }
    if take { place.take() } else { place.clone() }
}

/// The index in the item of a record of a run that begins at `base`.
pub(super) fn index_of(base: usize, record: usize) -> u32 {
    u32::try_from(base + record).unwrap_or(u32::MAX)
}

/// The records of a run, typed; `None` where a topology before took one.
pub(super) fn events_of<E: Event>(events: &mut AnyEvents) -> &mut [Option<E>] {
    match events.downcast_mut::<Vec<Option<E>>>() {
        Some(events) => events,
        None => unreachable!("a depot's events were matched with its topologies at start"),
    }
}
