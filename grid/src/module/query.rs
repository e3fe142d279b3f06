//! Declaring queries and their parts.

use std::any::type_name;
use std::sync::Arc;

use gridmill_client::engine::{AnyRun, RunPart, RunQuery};
use gridmill_client::{Ask, AskError, Span};
use gridmill_model::{Part, Query, State};

use crate::topology::{PStateDef, ReadSet, StateUse, Uses};

use super::setup::Setup;

/// A query as declared.
pub(crate) struct QueryDef {
    pub(crate) name: &'static str,
    pub(crate) types: (&'static str, &'static str),
    pub(crate) run: AnyRun,
}

/// A part of queries as declared.
pub(crate) struct PartDef {
    pub(crate) name: &'static str,
    pub(crate) types: (&'static str, &'static str),
    pub(crate) uses: Vec<StateUse>,
    pub(crate) run: AnyRun,
}

/// A part of queries with its PStates as numbers.
pub(crate) struct PartPlan {
    pub(crate) name: &'static str,
    pub(crate) types: (&'static str, &'static str),
    /// The PStates that it reads, in order.
    pub(crate) at: Vec<usize>,
    pub(crate) run: AnyRun,
}

impl Setup {
    /// Declares a query: an async function that a client has run with [`Client::query`], over as many partitions as it
    /// takes. It reads each of them as of one moment, and changes nothing.
    ///
    /// What the function asks with, [`Ask`], selects as a client does, calls [parts](Self::part) where the data is, and
    /// asks other queries. It may read private PStates of its module.
    ///
    /// ```
    /// use gridmill::Local;
    /// use gridmill::model::aggregate::{Sum, Top};
    /// use gridmill::prelude::*;
    ///
    /// pub const POINTS: Depot<(Str, u64)> = Depot::hash_by("game/points", |(who, _)| who.as_str().into());
    /// pub const SCORES: PState<Map<Str, u64>> = PState::new("game/scores");
    /// /// The best players, with their scores.
    /// pub const BEST: Query<u32, List<(Str, u64)>> = Query::new("game/best");
    /// /// How many points a player has of all that there are, in percent.
    /// pub const SHARE: Query<Str, u64> = Query::new("game/share");
    ///
    /// pub struct Game;
    ///
    /// impl Module for Game {
    ///     const NAME: &'static str = "game";
    ///
    ///     fn define(module: &mut Setup) {
    ///         module.depot(POINTS);
    ///         module.stream("scores", SCORES).source(POINTS).each(
    ///             |(who, points): (Str, u64), scores: &mut Map<Str, u64>| {
    ///                 *scores.entry(who).or_default() += points;
    ///             },
    ///         );
    ///         module.query(BEST, best).query(SHARE, share);
    ///     }
    /// }
    ///
    /// /// Each partition sends its best, not all that it has.
    /// async fn best(ask: Ask, n: u32) -> Result<List<(Str, u64)>, AskError> {
    ///     ask.all(SCORES.all()).fold(Top::new(n, |(_, score): &(Str, u64)| *score)).await
    /// }
    ///
    /// async fn share(ask: Ask, who: Str) -> Result<u64, AskError> {
    ///     let mine = ask.select_one(SCORES.key(&who)).await?;
    ///     let mine = mine.ok_or_else(|| AskError::failed(format!("no player {who}")))?;
    ///     let all = ask.all(SCORES.map_vals()).fold(Sum::new()).await?;
    ///     Ok(100 * mine / all)
    /// }
    ///
    /// let game = Local::<Game>::new(4)?;
    /// for (who, points) in [("ann", 30), ("bob", 50), ("ann", 20), ("eve", 100)] {
    ///     game.append(POINTS, (who.into(), points))?;
    /// }
    /// assert_eq!(game.query(BEST, 1)?, [("eve".into(), 100)]);
    /// assert_eq!(game.query(SHARE, "ann".into())?, 25);
    /// let error = game.query(SHARE, "tom".into()).unwrap_err();
    /// assert_eq!(error.to_string(), "query `game/share`: no player tom");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`Client::query`]: gridmill_client::Client::query
    pub fn query<A, R, F, Fut>(&mut self, query: Query<A, R>, run: F) -> &mut Self
    where
        A: State,
        R: State,
        F: Fn(Ask, A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, AskError>> + Send + 'static,
    {
        let name = query.name();
        if self.queries.iter().any(|known| known.name == name) {
            self.problems.push(format!("two queries are called `{name}`; rename one"));
        }
        let run = Arc::new(run);
        let begin = move |ask: Ask, args: A| -> gridmill_client::engine::Running<R> {
            let run = Arc::clone(&run);
            // Also what it does before its first await is done where its panics are caught.
            Box::pin(async move { run(ask, args).await })
        };
        let run = Arc::new(RunQuery::<A, R>(Box::new(begin)));
        let types = (type_name::<A>(), type_name::<R>());
        self.queries.push(QueryDef { name, types, run });
        self
    }

    /// Declares a part of queries: a function that runs where the data is, over PStates of this module. Queries call
    /// it with [`Ask::part`]: at a key, for each of many keys, or everywhere.
    ///
    /// The PStates are those of the moment in which the query reads the partition. A global PState is that of
    /// partition 0, also on others.
    ///
    /// ```
    /// use gridmill::Local;
    /// use gridmill::model::aggregate::Union;
    /// use gridmill::prelude::*;
    ///
    /// // Who follows whom.
    /// pub const FOLLOWS: Depot<(u64, u64)> = Depot::hash_by("social/follows", |(_, whom)| (*whom).into());
    /// pub const FOLLOWERS: PState<Map<u64, Set<u64>>> = PState::new("social/followers");
    /// /// How many users follow any of some.
    /// pub const REACH: Query<List<u64>, u64> = Query::new("social/reach");
    /// const FOLLOWERS_OF: Part<List<u64>, Set<u64>> = Part::new("social/followers-of");
    ///
    /// pub struct Social;
    ///
    /// impl Module for Social {
    ///     const NAME: &'static str = "social";
    ///
    ///     fn define(module: &mut Setup) {
    ///         module.depot(FOLLOWS);
    ///         module.stream("followers", FOLLOWERS).source(FOLLOWS).each(
    ///             |(who, whom): (u64, u64), followers: &mut Map<u64, Set<u64>>| {
    ///                 followers.entry(whom).or_default().insert(who);
    ///             },
    ///         );
    ///         module.query(REACH, reach).part(FOLLOWERS_OF, FOLLOWERS.read(), followers_of);
    ///     }
    /// }
    ///
    /// async fn reach(ask: Ask, users: List<u64>) -> Result<u64, AskError> {
    ///     let all = ask.part(FOLLOWERS_OF).each(FOLLOWERS, users).fold(Union::new()).await?;
    ///     Ok(all.len() as u64)
    /// }
    ///
    /// /// Runs once on each partition that has some of the users, with these.
    /// fn followers_of(
    ///     followers: &Map<u64, Set<u64>>,
    ///     users: List<u64>,
    ///     _: &Span,
    /// ) -> Result<Set<u64>, AskError> {
    ///     let known = users.iter().filter_map(|user| followers.get(user));
    ///     Ok(known.flat_map(|set| set.into_owned()).collect())
    /// }
    ///
    /// let social = Local::<Social>::new(4)?;
    /// for (who, whom) in [(1, 7), (2, 7), (2, 8), (3, 9)] {
    ///     social.append(FOLLOWS, (who, whom))?;
    /// }
    /// assert_eq!(social.query(REACH, [7, 8].into())?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn part<S, A, R>(
        &mut self,
        part: Part<A, R>,
        states: S,
        run: impl for<'a> Fn(S::Refs<'a>, A, &Span) -> Result<R, AskError> + Send + Sync + 'static,
    ) -> &mut Self
    where
        S: ReadSet,
        A: State,
        R: State,
    {
        let name = part.name();
        if self.parts.iter().any(|known| known.name == name) {
            self.problems.push(format!("two parts of queries are called `{name}`; rename one"));
        }
        // No topology has them.
        let mut declared = Uses::of(usize::MAX);
        states.declare(&mut declared);
        let call = move |args: A, span: &Span| {
            let roots = states.open(span, 0)?;
            run(S::lend(&roots), args, span)
        };
        let types = (type_name::<A>(), type_name::<R>());
        let run = Arc::new(RunPart::<A, R>(Box::new(call)));
        self.parts.push(PartDef { name, types, uses: declared.uses, run });
        self
    }
}

/// Finds the PStates that a part reads.
pub(super) fn resolve(
    part: PartDef,
    pstates: &[PStateDef],
    problems: &mut Vec<String>,
) -> PartPlan {
    let PartDef { name, types, uses, run } = part;
    let mut at = Vec::new();
    for state in uses {
        let known = pstates.iter().position(|pstate| pstate.name == state.name);
        let Some(index) = known else {
            let unknown = state.name;
            problems.push(format!(
                "part `{name}` reads PState `{unknown}`, which no topology of this module owns"
            ));
            continue;
        };
        if pstates[index].root != state.root {
            let (pstate, shape) = (state.name, &pstates[index].schema);
            problems.push(format!("part `{name}` reads `{pstate}` with another type than {shape}"));
        }
        at.push(index);
    }
    PartPlan { name, types, at, run }
}
