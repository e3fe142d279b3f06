//! Answers of many partitions, put together.

use std::fmt;

use gridmill_model::State;
use gridmill_model::aggregate::{Aggregate, Combine};
use gridmill_model::path::Walk;

use crate::error::{AskError, AskErrorKind, ReadError};
use crate::work::{self, Broken, Started};

use super::Ask;
use super::caught::said;

/// What one partition has to say, shown value by value, until `false`.
pub(super) type Source<T> =
    Box<dyn FnOnce(Shown<'_>, &mut dyn FnMut(T) -> bool) -> Result<(), AskError> + Send>;

/// How a source shows its values.
#[derive(Clone, Copy)]
pub(super) struct Shown<'w> {
    /// Whether anybody still waits for them.
    pub(super) wanted: &'w dyn Fn() -> bool,
    /// Whether they are kept, so that their bytes count.
    pub(super) kept: bool,
}

/// What several partitions have to say to a query: put together with [`list`](Self::list) or
/// [`fold`](Self::fold).
#[must_use = "nothing is asked before `list` or `fold`"]
pub struct Gather<T> {
    ask: Ask,
    part: Option<String>,
    sources: Result<Vec<(u32, Source<T>)>, AskError>,
}

impl<T: Send + 'static> Gather<T> {
    pub(super) fn new(
        ask: Ask,
        part: Option<String>,
        sources: Result<Vec<(u32, Source<T>)>, AskError>,
    ) -> Self {
        Self { ask, part, sources }
    }

    /// All values, partition after partition.
    ///
    /// # Errors
    /// [`AskError`]; one partition that cannot answer fails the whole.
    pub async fn list(self) -> Result<Vec<T>, AskError> {
        let gathered = self.each(|source, wanted, _| {
            let mut values = Vec::new();
            source(Shown { wanted, kept: true }, &mut |value| {
                values.push(value);
                true
            })?;
            Ok(values)
        });
        let mut all = Vec::new();
        for values in gathered.await? {
            let mut values = values.end().await?;
            if all.is_empty() { all = values } else { all.append(&mut values) }
        }
        Ok(all)
    }

    /// What the values come to: aggregated on their partitions, and combined here, partition after partition.
    ///
    /// # Errors
    /// [`AskError`]; one partition that cannot answer fails the whole.
    pub async fn fold<G: Combine<In = T>>(self, with: G) -> Result<G::Out, AskError> {
        let there = with.clone();
        let gathered =
            self.each(move |source, wanted, ask| aggregated(&there, source, wanted, ask));
        let mut all = with.zero();
        for state in gathered.await? {
            with.combine(&mut all, state.end().await?)?;
        }
        Ok(with.finish(all))
    }

    /// Has `take` take in what each partition says, on threads for that.
    async fn each<S: Send + 'static>(
        self,
        take: impl Fn(Source<T>, &dyn Fn() -> bool, &Ask) -> Result<S, AskError>
        + Clone
        + Send
        + 'static,
    ) -> Result<Vec<Under<S>>, AskError> {
        let Self { ask, part, sources } = self;
        let mut under = Vec::new();
        for (partition, source) in sources? {
            ask.budget().take_part()?;
            let (here, take) = (ask.clone(), take.clone());
            let started = work::start(&*ask.client().engine, move |wanted| {
                here.budget().check()?;
                take(source, wanted, &here)
            });
            under.push(Under { partition, part: part.clone(), started: started.await });
        }
        Ok(under)
    }
}

/// What is under way on one partition.
struct Under<S> {
    partition: u32,
    part: Option<String>,
    started: Started<Result<S, AskError>>,
}

impl<S> Under<S> {
    async fn end(self) -> Result<S, AskError> {
        let (partition, part) = (self.partition, self.part);
        let ended = match self.started.end().await {
            Ok(ended) => ended,
            Err(Broken::Panicked(panic)) => Err(said(panic).into()),
            Err(Broken::Lost) => {
                let reason = "the grid has stopped".to_owned();
                Err(ReadError::Stopped { partition, reason }.into())
            }
        };
        ended.map_err(|error| {
            let error = error.on(partition);
            part.map_or(error.clone(), |part| error.in_part(&part))
        })
    }
}

/// The state that an aggregator makes of what a partition says.
fn aggregated<G: Aggregate>(
    with: &G,
    source: Source<G::In>,
    wanted: &dyn Fn() -> bool,
    ask: &Ask,
) -> Result<G::State, AskError> {
    let (mut state, mut failed, mut count) = (with.zero(), None, 0_u64);
    let sourced = source(Shown { wanted, kept: false }, &mut |value| {
        count += 1;
        let added = with.add(&mut state, value).map_err(AskErrorKind::from);
        // How much room it takes is measured seldom, because that may take as long as it is large.
        let added = added.and_then(|()| match count.is_power_of_two() && !G::State::FIXED {
            true if Walk::room(&state) as u64 > ask.budget().bytes_left() => {
                ask.budget().take_bytes(u64::MAX)
            }
            _ => Ok(()),
        });
        failed = added.err();
        failed.is_none()
    });
    match failed {
        Some(kind) => return Err(kind.into()),
        None => sourced?,
    }
    if !G::State::FIXED {
        ask.budget().take_bytes(Walk::room(&state) as u64)?;
    }
    Ok(state)
}

impl<T> fmt::Debug for Gather<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather").field("part", &self.part).finish_non_exhaustive()
    }
}
