//! Collecting what a module declares.

use std::any::TypeId;
use std::time::Duration;

use gridmill_model::path::{Navigator, Navigators};
use gridmill_model::{Depot, Event, Stage};

use crate::machine::control::kind;
use crate::topology::{DepotCodec, Origin, PStateDef, StateSet, TypedDepot, Uses, id_mark};

use super::calls::QueryUse;
use super::query::{PartDef, QueryDef};
use super::stream::{Stream, TopologyDef};

/// The shortest period of ticks: a batch is made for each.
const PERIOD_MIN: Duration = Duration::from_millis(1);

/// The stage whose records a depot holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inbox {
    pub(crate) topology: usize,
    pub(crate) stage: &'static str,
}

/// A depot as declared.
pub(crate) struct DepotDef {
    pub(crate) name: &'static str,
    pub(crate) global: bool,
    /// Whose stage it is, where it is one: only its topology appends to it, and clients do not see it.
    pub(crate) inbox: Option<Inbox>,
    /// Microseconds from one tick to the next, where it is a depot of ticks.
    pub(crate) every: Option<i64>,
    pub(crate) event: TypeId,
    pub(crate) event_name: &'static str,
    pub(crate) codec: Box<dyn DepotCodec>,
}

impl DepotDef {
    /// The kind of the records that topologies send to it.
    pub(crate) fn sent_kind(&self) -> u8 {
        if self.inbox.is_some() { kind::HOP } else { kind::SENT }
    }
}

/// Collects what a module declares.
#[derive(Default)]
pub struct Setup {
    pub(crate) depots: Vec<DepotDef>,
    pub(crate) pstates: Vec<PStateDef>,
    pub(crate) topologies: Vec<TopologyDef>,
    pub(crate) queries: Vec<QueryDef>,
    pub(crate) parts: Vec<PartDef>,
    /// What topologies ask.
    pub(crate) asked: Vec<QueryUse>,
    pub(crate) navigators: Navigators,
    pub(crate) removed: Vec<String>,
    pub(crate) refilled: Vec<String>,
    pub(crate) problems: Vec<String>,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("depots", &self.depots.iter().map(|depot| depot.name).collect::<Vec<_>>())
            .field("pstates", &self.pstates.iter().map(|pstate| pstate.name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Setup {
    /// Declares a depot. Two depots of one name are refused at start.
    pub fn depot<E: Event>(&mut self, depot: Depot<E>) -> &mut Self {
        if self.depots.iter().any(|known| known.name == depot.name()) {
            self.problems.push(format!("two depots are called `{}`; rename one", depot.name()));
        }
        let every = depot.every().and_then(|every| self.period(depot.name(), every));
        self.depots.push(DepotDef {
            name: depot.name(),
            global: depot.is_global(),
            inbox: None,
            every,
            event: TypeId::of::<E>(),
            event_name: std::any::type_name::<E>(),
            codec: Box::new(TypedDepot::new(Origin::Depot(depot))),
        });
        self
    }

    /// A period of ticks in microseconds, where it can be one.
    fn period(&mut self, depot: &str, every: Duration) -> Option<i64> {
        let micros = i64::try_from(every.as_micros());
        if every < PERIOD_MIN || micros.is_err() {
            self.problems.push(format!(
                "depot `{depot}` ticks every {every:?}; give `Depot::tick` a period of at least {PERIOD_MIN:?} and \
                 less than 292,000 years"
            ));
            return None;
        }
        micros.ok()
    }

    /// Declares the hidden depot of a stage.
    pub(super) fn inbox<E: Event>(&mut self, topology: usize, name: &'static str, stage: Stage<E>) {
        self.depots.push(DepotDef {
            name,
            global: stage.is_global(),
            inbox: Some(Inbox { topology, stage: stage.name() }),
            every: None,
            event: TypeId::of::<E>(),
            event_name: std::any::type_name::<E>(),
            codec: Box::new(TypedDepot::new(Origin::Stage(stage))),
        });
    }

    /// Declares a stream topology that owns the PStates of `states`: one handle, or a tuple of them.
    /// `HANDLE.read()` lends another topology's PState without owning it.
    ///
    /// `name` is a text, or a [`Topology`](gridmill_model::Topology): a constant with which its replies and refusals are
    /// read with their types.
    ///
    /// ```
    /// use gridmill::Local;
    /// use gridmill::client::AppendErrorKind;
    /// use gridmill::prelude::*;
    ///
    /// pub const PAID: Depot<(Str, u64)> = Depot::hash_by("till/paid", |(who, _)| who.as_str().into());
    /// pub const SUMS: PState<Map<Str, u64>> = PState::new("till/sums");
    /// /// Replies with what somebody has paid so far.
    /// pub const TILL: Topology<u64> = Topology::new("till");
    ///
    /// pub struct Shop;
    ///
    /// impl Module for Shop {
    ///     const NAME: &'static str = "shop";
    ///
    ///     fn define(module: &mut Setup) {
    ///         module.depot(PAID).stream(TILL, SUMS).source(PAID).each_with(pay);
    ///     }
    /// }
    ///
    /// fn pay(
    ///     (who, cents): (Str, u64),
    ///     sums: &mut Map<Str, u64>,
    ///     flow: &mut Context<'_>,
    /// ) -> Result<(), Str> {
    ///     if cents == 0 {
    ///         return Err("nothing was paid".into());
    ///     }
    ///     let mut sum = sums.entry(who).or_default();
    ///     *sum += cents;
    ///     flow.reply(&*sum);
    ///     Ok(())
    /// }
    ///
    /// let shop = Local::<Shop>::new(2)?;
    /// shop.append(PAID, ("ann".into(), 30))?;
    /// let receipt = shop.append(PAID, ("ann".into(), 12))?;
    /// assert_eq!(receipt.reply_of(TILL)?, Some(42));
    /// let error = shop.append(PAID, ("ann".into(), 0)).unwrap_err();
    /// let AppendErrorKind::Rejected(rejected) = error.kind else { panic!("{error}") };
    /// assert_eq!(rejected.error_of(TILL)?, Some("nothing was paid".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "a topology without a source does nothing: add `.source(DEPOT).each(handler)`"]
    pub fn stream<S: StateSet>(
        &mut self,
        name: impl Into<&'static str>,
        states: S,
    ) -> Stream<'_, S> {
        let name = name.into();
        if self.topologies.iter().any(|known| known.name == name) {
            self.problems.push(format!("two topologies are called `{name}`; rename one"));
        }
        let alike =
            |known: &&TopologyDef| known.name != name && id_mark(known.name) == id_mark(name);
        if let Some(known) = self.topologies.iter().find(alike) {
            self.problems.push(format!(
                "topologies `{}` and `{name}` would give the same unique ids; rename one",
                known.name
            ));
        }
        let topology = self.topologies.len();
        let mut declared = Uses::of(topology);
        states.declare(&mut declared);
        let Uses { uses, owned, .. } = declared;
        owned.into_iter().for_each(|pstate| self.pstate(pstate));
        self.topologies.push(TopologyDef {
            name,
            uses,
            sources: Vec::new(),
            appends: Vec::new(),
            replies: None,
        });
        Stream::new(self, topology)
    }

    /// Lets paths that come as JSON use a step of one's own on the PStates of this module:
    /// [`Client::select_json`](gridmill_client::Client::select_json) finds it by its name. Typed paths need no such line.
    ///
    /// ```
    /// use gridmill::Local;
    /// use gridmill::model::path::{Effect, Navigator};
    /// use gridmill::prelude::*;
    /// use serde::{Deserialize, Serialize};
    ///
    /// pub const SOLD: Depot<(Str, u64)> = Depot::hash_by("shop/sold", |(what, _)| what.as_str().into());
    /// pub const AMOUNTS: PState<Map<Str, List<u64>>> = PState::new("shop/amounts");
    ///
    /// /// Every so manieth element of a list.
    /// #[derive(Serialize, Deserialize)]
    /// pub struct Every(usize);
    ///
    /// impl Navigator for Every {
    ///     const NAME: &'static str = "shop/every";
    ///     type From = List<u64>;
    ///     type To = u64;
    ///
    ///     fn select(&self, from: &List<u64>, next: &mut dyn FnMut(&u64)) {
    ///         from.iter().step_by(self.0.max(1)).for_each(next);
    ///     }
    ///
    ///     fn change(&self, from: &mut List<u64>, next: &mut dyn FnMut(&mut u64) -> Effect) -> Effect {
    ///         let changed = from.iter_mut().step_by(self.0.max(1)).map(next);
    ///         changed.fold(Effect::Kept, |all, one| if one == Effect::Kept { all } else { Effect::Changed })
    ///     }
    /// }
    ///
    /// pub struct Shop;
    ///
    /// impl Module for Shop {
    ///     const NAME: &'static str = "shop";
    ///
    ///     fn define(module: &mut Setup) {
    ///         module.depot(SOLD).navigator::<Every>();
    ///         module.stream("amounts", AMOUNTS).source(SOLD).each(
    ///             |(what, amount): (Str, u64), amounts: &mut Map<Str, List<u64>>| {
    ///                 amounts.entry(what).or_default().push_back(amount);
    ///             },
    ///         );
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let shop = Local::<Shop>::new(2)?;
    /// for amount in [1, 2, 3] {
    ///     shop.append(SOLD, ("pears".into(), amount))?;
    /// }
    /// assert_eq!(shop.select(AMOUNTS.key("pears").own(Every(2)))?, [1, 3]);
    /// let json = r#"[{"key": "pears"}, {"shop/every": 2}]"#;
    /// let found = futures::executor::block_on(shop.client().select_json("shop/amounts", json))?;
    /// assert_eq!(found, "[1,3]");
    /// # Ok(())
    /// # }
    /// ```
    pub fn navigator<N: Navigator>(&mut self) -> &mut Self {
        if self.navigators.contains(N::NAME) {
            self.problems.push(format!("two navigators are called `{}`; rename one", N::NAME));
        }
        self.navigators = std::mem::take(&mut self.navigators).with::<N>();
        self
    }

    /// Lets a topology fill its PStates again from its depots where those of an existing folder do not
    /// fit the code: one has another type, one is new or was another topology's, or the topology reads
    /// one more depot that has a past. Without it such a start is refused, so that no view is dropped
    /// or begins without its past by mistake.
    ///
    /// The topology then reads its depots from where it once started, beside the live flow; until it has
    /// caught up its PStates answer `CatchingUp`. It happens at the first start that does not fit: the
    /// line may stay in the code, but then it holds for later changes too. A topology that reads PStates
    /// of others, or whose PStates others read, cannot do this where its depots have a past.
    ///
    /// ```
    /// use gridmill::prelude::*;
    ///
    /// const WORDS: Depot<Str> = Depot::hash_by("words/seen", |word| word.as_str().into());
    /// // Was a `u32` in the version before.
    /// const COUNTS: PState<Map<Str, u64>> = PState::new("words/counts");
    ///
    /// struct Words;
    ///
    /// impl Module for Words {
    ///     const NAME: &'static str = "words";
    ///     const VERSION: u32 = 2;
    ///
    ///     fn define(module: &mut Setup) {
    ///         module.depot(WORDS).refill("count");
    ///         module.stream("count", COUNTS).source(WORDS).each(|word: Str, counts: &mut Map<Str, u64>| {
    ///             *counts.entry(word).or_default() += 1;
    ///         });
    ///     }
    /// }
    /// ```
    pub fn refill(&mut self, topology: impl Into<String>) -> &mut Self {
        self.refilled.push(topology.into());
        self
    }

    /// Says that a topology or PState that an existing folder has is gone for good. Its files are
    /// deleted at the next start. Without it a missing name is refused, so that a typing error cannot
    /// delete a view.
    pub fn remove(&mut self, name: impl Into<String>) -> &mut Self {
        self.removed.push(name.into());
        self
    }

    fn pstate(&mut self, def: PStateDef) {
        if let Some(known) = self.pstates.iter().find(|known| known.name == def.name) {
            let problem = if known.topology == def.topology {
                format!("PState `{}` stands twice in the tuple of one topology", def.name)
            } else {
                format!(
                    "PState `{}` is owned by two topologies; only one may write it, the other can \
                     have `.read()`",
                    def.name
                )
            };
            self.problems.push(problem);
        }
        self.pstates.push(def);
    }
}
