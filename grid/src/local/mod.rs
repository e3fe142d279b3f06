//! A module's partitions in memory, run by their caller: no threads, no files, no clock.
//!
//! The same machine as in a grid, without its log and its shell: an append is one batch, applied
//! before the call returns.

mod engine;
mod machine;
mod queue;
mod watching;

use std::fmt;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use gridmill_client::{AppendError, AskError, Client, ReadError, Receipt};
use gridmill_model::path::{Navigate, Selected};
use gridmill_model::{Depot, Event, Query};

use crate::error::StartError;
use crate::module::{Module, Plan};

use engine::LocalEngine;

/// The largest event, as a grid has it unless it is told otherwise.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// The largest value, as a grid has it unless it is told otherwise.
const VALUE_BYTES_MAX: usize = 16 << 20;

/// A module in the hand of a unit test: it appends and reads without threads, files, a clock or
/// `await`.
///
/// Handlers, routing, rejections, quarantine, stages, timers, calls, ids of appends (for 10 minutes of
/// [`set_time`](Self::set_time)) and views are those of a [`Grid`](crate::Grid); every append is applied twice to catch
/// handlers that are not deterministic. What a grid does besides (logs, restarts, catching up) is not here.
///
/// ```
/// # mod words {
/// #     use gridmill::prelude::*;
/// #     pub const WORDS: Depot<Str> = Depot::hash_by("words/seen", |word| word.as_str().into());
/// #     pub const COUNTS: PState<Map<Str, u64>> = PState::new("words/counts");
/// #     pub struct Words;
/// #     impl Module for Words {
/// #         const NAME: &'static str = "words";
/// #         fn define(module: &mut Setup) {
/// #             module.depot(WORDS);
/// #             module.stream("count", COUNTS).source(WORDS).each(|word: Str, counts: &mut Map<Str, u64>| {
/// #                 *counts.entry(word).or_default() += 1;
/// #             });
/// #         }
/// #     }
/// # }
/// # use words::*;
/// use gridmill::Local;
/// use gridmill::prelude::*;
///
/// let words = Local::<Words>::new(2)?;
/// words.append(WORDS, "mill".into())?;
/// words.append(WORDS, "mill".into())?;
/// assert_eq!(words.select_one(COUNTS.key("mill"))?, Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Local<M> {
    engine: Arc<LocalEngine>,
    client: Client,
    module: PhantomData<fn() -> M>,
}

impl<M> fmt::Debug for Local<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl<M: Module> Local<M> {
    /// The module with that many partitions (at least one), all of them empty.
    ///
    /// # Errors
    /// [`StartError::Declaration`] where the module contradicts itself, as when a grid starts.
    pub fn new(partitions: u32) -> Result<Self, StartError> {
        let plan = Plan::of::<M>()?;
        plan.check_initial(VALUE_BYTES_MAX)?;
        let engine = Arc::new(LocalEngine::new(plan, partitions.max(1))?);
        let weak: Weak<LocalEngine> = Arc::downgrade(&engine);
        engine.clients.come_from(weak);
        let client = Client::new(Arc::clone(&engine) as _);
        Ok(Self { engine, client, module: PhantomData })
    }

    /// Sets the time of the records to come, in microseconds since 1970 (UTC). It begins at 0 and
    /// stands still; a partition's records never go back. Ticks and timers that are due by then are handled when this
    /// returns.
    pub fn set_time(&self, micros: i64) {
        self.engine.set_time(micros);
    }

    /// Appends an event; its handlers have finished when this returns.
    ///
    /// # Errors
    /// As [`Client::append`].
    pub fn append<E: Event>(&self, depot: Depot<E>, event: E) -> Result<Receipt, AppendError<E>> {
        at_once(self.client.append(depot, event))
    }

    /// The values that `path` reaches.
    ///
    /// # Errors
    /// As [`Client::select`].
    pub fn select<N: Navigate>(&self, path: N) -> Result<Vec<Selected<N>>, ReadError> {
        at_once(self.client.select(path))
    }

    /// The one value that `path` reaches, or `None` where there is nothing.
    ///
    /// # Errors
    /// As [`Client::select_one`].
    pub fn select_one<N: Navigate>(&self, path: N) -> Result<Option<Selected<N>>, ReadError> {
        at_once(self.client.select_one(path))
    }

    /// What a query answers. All of it runs here, its parts one after the other.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub fn query<A, R>(&self, query: Query<A, R>, args: A) -> Result<R, AskError>
    where
        A: Send + 'static,
        R: Send + 'static,
    {
        at_once(self.client.query(query, args))
    }

    /// A client, for all else that one can do. Its futures never wait: any executor will do.
    pub fn client(&self) -> Client {
        self.client.clone()
    }
}

/// Runs a future that never waits.
fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
