//! Declaring a stream topology.

use std::any::TypeId;
use std::marker::PhantomData;

use gridmill_model::{Depot, Event, Fan, Key, Stage};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::topology::{Combiner, StateSet, StateUse};

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
    /// How the replies of its handlers add up, where they do.
    pub(crate) replies: Option<Combiner>,
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
    /// ```
    /// use gridmill::Local;
    /// use gridmill::prelude::*;
    ///
    /// #[record]
    /// pub struct Transfer {
    ///     pub from: u64,
    ///     pub to: u64,
    ///     pub cents: u64,
    /// }
    ///
    /// pub const TRANSFERS: Depot<Transfer> = Depot::hash_by("bank/transfers", |transfer| transfer.from.into());
    /// pub const FUNDS: PState<Map<u64, u64>> =
    ///     PState::starting_with("bank/funds", || [(1, 100), (2, 100)].into());
    /// const CREDIT: Stage<Transfer> = Stage::hash_by("credit", |transfer| transfer.to.into());
    /// const REFUND: Stage<Transfer> = Stage::hash_by("refund", |transfer| transfer.from.into());
    ///
    /// pub struct Bank;
    ///
    /// impl Module for Bank {
    ///     const NAME: &'static str = "bank";
    ///
    ///     fn define(module: &mut Setup) {
    ///         module.depot(TRANSFERS);
    ///         module
    ///             .stream("transfers", FUNDS)
    ///             .source(TRANSFERS)
    ///             .each_with(debit)
    ///             .stage(CREDIT)
    ///             .each_with(credit)
    ///             .stage(REFUND)
    ///             .each(|back: Transfer, funds: &mut Map<u64, u64>| {
    ///                 *funds.entry(back.from).or_default() += back.cents;
    ///             });
    ///     }
    /// }
    ///
    /// fn debit(transfer: Transfer, funds: &mut Map<u64, u64>, flow: &mut Context<'_>) -> Result<(), Str> {
    ///     let has = funds.get(transfer.from).map_or(0, |cents| *cents);
    ///     let left = has.checked_sub(transfer.cents).ok_or("insufficient funds")?;
    ///     funds.insert(transfer.from, left);
    ///     flow.send(CREDIT, transfer);
    ///     Ok(())
    /// }
    ///
    /// fn credit(transfer: Transfer, funds: &mut Map<u64, u64>, flow: &mut Context<'_>) {
    ///     match funds.get_mut(transfer.to) {
    ///         Some(cents) => *cents += transfer.cents,
    ///         None => {
    ///             // The appender is refused, and the money goes back.
    ///             flow.reject(&"no such account");
    ///             flow.send(REFUND, transfer);
    ///         }
    ///     }
    /// }
    ///
    /// let bank = Local::<Bank>::new(4)?;
    /// bank.append(TRANSFERS, Transfer { from: 1, to: 2, cents: 30 })?;
    /// assert_eq!(bank.select_one(FUNDS.key(2))?, Some(130));
    /// let refused = bank.append(TRANSFERS, Transfer { from: 1, to: 9, cents: 30 }).unwrap_err();
    /// assert_eq!(
    ///     refused.kind.to_string(),
    ///     "rejected by topology `transfers` in stage `credit`: no such account"
    /// );
    /// assert_eq!(bank.select_one(FUNDS.key(1))?, Some(70));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// Adds up what handlers of this topology reply to one event that was appended, and to all that it led to.
    /// Without it the last reply counts. Stages reply in no particular order, so `add` has to come to the same in any;
    /// it must not panic: the append is answered `Unknown` then, and what was processed stays.
    ///
    /// ```
    /// use gridmill::Local;
    /// use gridmill::prelude::*;
    ///
    /// pub const PAGES: Depot<Str> = Depot::random("words/pages");
    /// pub const COUNTS: PState<Map<Str, u64>> = PState::new("words/counts");
    /// const WORDS: Stage<Str> = Stage::hash_by("words", |word| word.as_str().into());
    ///
    /// pub struct Words;
    ///
    /// impl Module for Words {
    ///     const NAME: &'static str = "words";
    ///
    ///     fn define(module: &mut Setup) {
    ///         module.depot(PAGES);
    ///         module
    ///             .stream("count", COUNTS)
    ///             .replies(|one: u64, other: u64| one + other)
    ///             .source(PAGES)
    ///             .over(())
    ///             .each_with(|page: Str, (): (), flow: &mut Context<'_>| {
    ///                 page.split_whitespace().for_each(|word| flow.send(WORDS, word.into()));
    ///             })
    ///             .stage(WORDS)
    ///             .each_with(|word: Str, counts: &mut Map<Str, u64>, flow: &mut Context<'_>| {
    ///                 if counts.get(&word).is_none() {
    ///                     flow.reply(&1u64);
    ///                 }
    ///                 *counts.entry(word).or_default() += 1;
    ///             });
    ///     }
    /// }
    ///
    /// let words = Local::<Words>::new(4)?;
    /// let new = words.append(PAGES, "to be or not to be".into())?;
    /// assert_eq!(new.reply::<u64>("count")?, Some(4));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replies<T, F>(self, add: F) -> Self
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(T, T) -> T + Send + Sync + 'static,
    {
        let def = &mut self.setup.topologies[self.topology];
        if def.replies.replace(Combiner::new(def.name, add)).is_some() {
            let problem =
                format!("topology `{}` has `.replies(..)` twice; drop one of them", def.name);
            self.setup.problems.push(problem);
        }
        self
    }
}
