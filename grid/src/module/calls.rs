//! Declaring calls to the outside.

use std::any::{TypeId, type_name};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use gridmill_model::handle::Route;
use gridmill_model::{Event, Query, Stage, State};

use crate::topology::{AsyncEach, AsyncHandler, Call, OpensCalls, StateSet};

use super::query::QueryDef;
use super::source::{Source, SourceDef, enter};
use super::stream::Stream;

/// How an async function is called; see [`Source::each_async`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    pub(crate) in_flight: usize,
    pub(crate) timeout: Duration,
    pub(crate) attempts: u32,
    pub(crate) back_off: Duration,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            in_flight: 64,
            timeout: Duration::from_secs(30),
            attempts: 5,
            back_off: Duration::from_millis(100),
        }
    }
}

impl Calls {
    /// 64 calls at once on each partition; each has 30 seconds, and is made up to 5 times, first 100 ms after a failure,
    /// then after twice as long each time.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many calls may be under way on each partition; at least 1. Others wait, and take no memory. Where the
    /// results of calls have to come in the order of the records, let it be 1.
    #[must_use]
    pub fn in_flight(mut self, calls: usize) -> Self {
        self.in_flight = calls;
        self
    }

    /// How long a call may take: then it is dropped and has failed. It goes by the grid's clock.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often a call is made that fails; at least once. Then its record is set aside, or whatever
    /// [`Source::on_failure`] says.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// How long after the first failure a call is made again; after twice as long each time that follows, up to a
    /// minute.
    #[must_use]
    pub fn back_off(mut self, first: Duration) -> Self {
        self.back_off = first;
        self
    }

    /// How long to wait after so many attempts, in microseconds.
    pub(crate) fn wait_after(&self, attempts: u32) -> i64 {
        let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
        let longest = self.back_off.max(Duration::from_secs(60));
        let wait = self.back_off.saturating_mul(doubled).min(longest);
        i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)
    }

    fn problem(&self) -> Option<&'static str> {
        match self {
            Self { in_flight: 0, .. } => Some("none at once; give `in_flight` at least 1"),
            Self { attempts: 0, .. } => Some("with no attempt at all; give `attempts` at least 1"),
            Self { timeout: Duration::ZERO, .. } => {
                Some("with a timeout of nothing; give `timeout` more")
            }
            _ => None,
        }
    }
}

/// An async function as declared.
pub(crate) struct CallDef {
    pub(crate) options: Calls,
    pub(crate) handler: Arc<dyn AsyncHandler>,
    /// The stage that gets its results.
    pub(crate) result: &'static str,
    pub(crate) event: TypeId,
}

/// A query that a topology asks.
pub(crate) struct QueryUse {
    pub(crate) topology: usize,
    pub(crate) name: &'static str,
    pub(crate) types: (&'static str, &'static str),
}

impl QueryUse {
    /// Finds the query among those that the module declares.
    pub(super) fn check(&self, queries: &[QueryDef], topology: &str) -> Result<(), String> {
        let Self { name, types: (args, answer), .. } = self;
        let Some(known) = queries.iter().find(|known| known.name == *name) else {
            return Err(format!(
                "topology `{topology}` asks query `{name}`, which the module does not declare; declare it with \
                 `module.query(..)`"
            ));
        };
        if known.types == self.types {
            return Ok(());
        }
        let (known_args, known_answer) = known.types;
        Err(format!(
            "topology `{topology}` asks query `{name}` as one from `{args}` to `{answer}`, but it is from \
             `{known_args}` to `{known_answer}`; use one constant for both"
        ))
    }
}

impl<'m, S: StateSet, E: Event, T: StateSet> Source<'m, S, E, T> {
    /// How an async function is called; what [`Calls::new`] says, where nothing is said.
    pub fn calls(mut self, options: Calls) -> Self {
        self.calls = options;
        self
    }

    /// Calls an async function for each record, and sends what it gives to a stage of this topology on the same
    /// partition, which is declared with [`Stage::here`]: for what handlers must not do, as asking a service.
    ///
    /// A call begins when its record is durable, and the record is kept until the call has answered. The answer is
    /// logged, so that a replay has it and calls nobody; it reaches the stage once. The function itself may be called
    /// more often: a call that fails (`Err`, a panic, more time than [`Calls::timeout`]) is made again, and after a
    /// crash all that have not answered are made anew. [`Call::key`] is the same each time. After the last attempt the
    /// record is set aside; to retry it is another call, with another key.
    ///
    /// Calls run on the runtime that [`GridBuilder::start`](crate::GridBuilder::start) was called on, or on that of
    /// [`GridBuilder::calls_on`](crate::GridBuilder::calls_on). Results come in the order in which calls end. An append
    /// with [`Ack::Processed`](crate::client::Ack) waits for the calls that it leads to, as
    /// [`Grid::processed`](crate::Grid::processed) does. In [`Local`](crate::Local) a call that has to wait fails at
    /// once.
    ///
    /// ```
    /// use gridmill::prelude::*;
    /// use gridmill::{Call, Calls, Local};
    ///
    /// pub const SIGNUPS: Depot<Str> = Depot::hash_by("mail/signups", |user| user.into());
    /// /// By user: the receipt for the mail that was sent.
    /// pub const WELCOMED: PState<Map<Str, u64>> = PState::new("mail/welcomed");
    /// const SENT: Stage<(Str, u64)> = Stage::here("sent");
    ///
    /// /// Stands for a request to a service that does nothing twice for one key.
    /// async fn send_mail(user: Str, call: Call) -> Result<(Str, u64), Str> {
    ///     if user.contains('@') { Ok((user, call.key() as u64)) } else { Err("no such address".into()) }
    /// }
    ///
    /// pub struct Mail;
    ///
    /// impl Module for Mail {
    ///     const NAME: &'static str = "mail";
    ///
    ///     fn define(module: &mut Setup) {
    ///         module.depot(SIGNUPS);
    ///         module
    ///             .stream("welcome", WELCOMED)
    ///             .source(SIGNUPS)
    ///             .calls(Calls::new().in_flight(8).attempts(3))
    ///             .each_async(SENT, send_mail)
    ///             .stage(SENT)
    ///             .each(|(user, receipt): (Str, u64), welcomed: &mut Map<Str, u64>| {
    ///                 welcomed.insert(user, receipt);
    ///             });
    ///     }
    /// }
    ///
    /// let mail = Local::<Mail>::new(2)?;
    /// mail.append(SIGNUPS, "ann@example.com".into())?;
    /// assert!(mail.select_one(WELCOMED.key("ann@example.com"))?.is_some());
    /// assert!(mail.append(SIGNUPS, "bob".into()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn each_async<R, X, F, Fut>(self, result: Stage<R>, function: F) -> Stream<'m, S>
    where
        R: Event,
        X: Display + 'static,
        F: Fn(E, Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, X>> + Send + 'static,
    {
        let Self { stream, origin, start, failure, calls, .. } = self;
        let Some(depot) = enter(stream.setup, stream.topology, &origin) else { return stream };
        let topology = stream.setup.topologies[stream.topology].name;
        let mut problem = |what: &str| {
            let problem = format!("topology `{topology}` calls for records of `{depot}` {what}");
            stream.setup.problems.push(problem);
        };
        calls.problem().into_iter().for_each(&mut problem);
        if !matches!(result.route(), Route::Here) {
            let stage = result.name();
            problem(&format!(
                "with results for stage `{stage}`, which are handled where the call was made; declare it with \
                 `Stage::here(\"{stage}\")`, and send on from there"
            ));
        }
        if failure.retries.is_some() {
            problem(
                "and has `retry_after`; calls are tried again by `Calls::attempts` and `back_off`, drop it",
            );
        }
        stream.setup.open_calls(stream.topology);
        stream.setup.topologies[stream.topology].sources.push(SourceDef {
            depot,
            event: TypeId::of::<E>(),
            start,
            over: Some(Vec::new()),
            failure,
            handler: Box::new(OpensCalls::<E>::new()),
            call: Some(CallDef {
                options: calls,
                handler: Arc::new(AsyncEach::<E, R, F>::new(function)),
                result: result.name(),
                event: TypeId::of::<R>(),
            }),
        });
        stream
    }
    /// Asks a query of this module for each record, and sends the record with the answer to a stage of this topology on
    /// the same partition, which is declared with [`Stage::here`]: what a handler wants to know of other partitions.
    /// `args` makes the query's arguments.
    ///
    /// It is a call as those of [`each_async`](Self::each_async): the query is asked when the record is durable, and
    /// sees at least what the record's partition had then; its answer is logged, so that a replay does not ask again;
    /// and a query that fails is asked again, as [`calls`](Self::calls) says.
    ///
    /// ```
    /// use gridmill::Local;
    /// use gridmill::model::aggregate::Max;
    /// use gridmill::prelude::*;
    ///
    /// pub const BIDS: Depot<(Str, u64)> = Depot::hash_by("auction/bids", |(who, _)| who.as_str().into());
    /// pub const BEST: PState<Map<Str, u64>> = PState::new("auction/best");
    /// /// What the others had bid, all over, when somebody bid.
    /// pub const SEEN: PState<Map<Str, Option<u64>>> = PState::new("auction/seen");
    /// const HIGHEST: Query<(), Option<u64>> = Query::new("auction/highest");
    /// const TOLD: Stage<((Str, u64), Option<u64>)> = Stage::here("told");
    ///
    /// pub struct Auction;
    ///
    /// impl Module for Auction {
    ///     const NAME: &'static str = "auction";
    ///
    ///     fn define(module: &mut Setup) {
    ///         module.depot(BIDS).query(HIGHEST, |ask: Ask, ()| async move {
    ///             ask.all(BEST.map_vals()).fold(Max::new()).await
    ///         });
    ///         let best = module.stream("best", BEST);
    ///         best.source(BIDS).each(|(who, bid): (Str, u64), best: &mut Map<Str, u64>| {
    ///             let mut best = best.entry(who).or_default();
    ///             *best = bid.max(*best);
    ///         });
    ///         let told = module.stream("told", SEEN);
    ///         told.source(BIDS).ask(TOLD, HIGHEST, |_| ()).stage(TOLD).each(
    ///             |((who, _), highest): ((Str, u64), Option<u64>), seen: &mut Map<Str, Option<u64>>| {
    ///                 seen.insert(who, highest);
    ///             },
    ///         );
    ///     }
    /// }
    ///
    /// let auction = Local::<Auction>::new(4)?;
    /// auction.append(BIDS, ("ann".into(), 30))?;
    /// auction.append(BIDS, ("bob".into(), 20))?;
    /// assert_eq!(auction.select_one(SEEN.key("bob"))?, Some(Some(30)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ask<A, R, F>(self, result: Stage<(E, R)>, query: Query<A, R>, args: F) -> Stream<'m, S>
    where
        A: State,
        R: State,
        (E, R): Event,
        F: Fn(&E) -> A + Send + Sync + 'static,
    {
        let topology = self.stream.topology;
        let types = (type_name::<A>(), type_name::<R>());
        self.stream.setup.asked.push(QueryUse { topology, name: query.name(), types });
        self.each_async(result, move |record, call: Call| {
            let asking = call.client().query(query, args(&record));
            async move { asking.await.map(|answer| (record, answer)) }
        })
    }
}
