//! A module that is asked: users who follow each other, posts that are shared, scores, and a tree of items.

use std::collections::HashSet;

use futures::future::try_join_all;
use gridmill::model::aggregate::{Aggregate, Concat, MergeMap, Sum, Top, Union};
use gridmill::prelude::*;

pub(super) type UserId = u64;
pub(super) type PostId = u64;
pub(super) type ItemId = u64;

#[record]
pub(super) enum Did {
    Follow { who: UserId, whom: UserId },
    Share { who: UserId, post: PostId },
    Score { who: Str, points: u64 },
    Attach { item: ItemId, under: ItemId },
    Whisper { who: UserId },
}

#[record]
pub(super) struct Subtree {
    pub(super) nodes: u64,
    pub(super) depth: u32,
}

/// Each event goes to the partition of one key; what is kept under another is a stage's.
pub(super) const DID: Depot<Did> = Depot::random("social/did");
const KEPT: Stage<Did> = Stage::hash_by("kept", |did| match did {
    Did::Follow { whom, .. } => (*whom).into(),
    Did::Share { post, .. } => (*post).into(),
    Did::Score { who, .. } => who.as_str().into(),
    Did::Attach { under, .. } => (*under).into(),
    Did::Whisper { who } => (*who).into(),
});
const FOLLOWING: Stage<(UserId, UserId)> = Stage::hash_by("following", |(who, _)| (*who).into());

pub(super) const FOLLOWERS: PState<Map<UserId, Set<UserId>>> = PState::new("social/followers");
pub(super) const FOLLOWS: PState<Map<UserId, Set<UserId>>> = PState::new("social/follows");
pub(super) const SHARERS: PState<Map<PostId, Set<UserId>>> = PState::new("social/sharers");
pub(super) const SCORES: PState<Map<Str, u64>> = PState::new("social/scores");
pub(super) const CHILDREN: PState<Map<ItemId, List<ItemId>>> = PState::new("social/children");
pub(super) const WHISPERS: PState<Map<UserId, u64>> = PState::new("social/whispers").private();

pub(super) const REACH: Query<PostId, u64> = Query::new("social/reach");
pub(super) const WHO_TO_FOLLOW: Query<(UserId, u32), List<(UserId, u64)>> =
    Query::new("social/who-to-follow");
pub(super) const TOP_PLAYERS: Query<u32, List<(Str, u64)>> = Query::new("social/top-players");
pub(super) const TOTAL: Query<(), u64> = Query::new("social/total");
pub(super) const SUBTREE: Query<ItemId, Subtree> = Query::new("social/subtree");
pub(super) const HEIGHT: Query<ItemId, u32> = Query::new("social/height");
pub(super) const FACTORIAL: Query<u64, u64> = Query::new("social/factorial");
pub(super) const WHISPERED: Query<UserId, u64> = Query::new("social/whispered");

pub(super) const FOLLOWERS_OF: Part<List<UserId>, Set<UserId>> = Part::new("social/followers-of");
pub(super) const FOLLOWS_COUNTED: Part<List<UserId>, Map<UserId, u64>> =
    Part::new("social/follows-counted");
pub(super) const CHILDREN_OF: Part<List<ItemId>, List<ItemId>> = Part::new("social/children-of");

pub(super) struct Social;

impl Module for Social {
    const NAME: &'static str = "social";

    fn define(module: &mut Setup) {
        module.depot(DID);
        let states = (FOLLOWERS, FOLLOWS, SHARERS, SCORES, CHILDREN, WHISPERS);
        module
            .stream("social", states)
            .source(DID)
            .over(())
            .each_with(|did: Did, (): (), flow: &mut Context<'_>| {
                if let Did::Follow { who, whom } = did {
                    flow.send(FOLLOWING, (who, whom));
                }
                flow.send(KEPT, did);
            })
            .stage(FOLLOWING)
            .over(FOLLOWS)
            .each(|(who, whom): (UserId, UserId), follows: &mut Map<UserId, Set<UserId>>| {
                follows.entry(who).or_default().insert(whom);
            })
            .stage(KEPT)
            .over((FOLLOWERS, SHARERS, SCORES, CHILDREN, WHISPERS))
            .each(keep);
        module
            .query(REACH, reach)
            .part(FOLLOWERS_OF, FOLLOWERS.read(), followers_of)
            .query(WHO_TO_FOLLOW, who_to_follow)
            .part(FOLLOWS_COUNTED, FOLLOWS.read(), follows_counted)
            .query(TOP_PLAYERS, top_players)
            .query(TOTAL, total)
            .query(SUBTREE, subtree)
            .part(CHILDREN_OF, CHILDREN.read(), children_of)
            .query(HEIGHT, height)
            .query(FACTORIAL, factorial)
            .query(WHISPERED, whispered);
    }
}

type Kept<'a> = (
    &'a mut Map<UserId, Set<UserId>>,
    &'a mut Map<PostId, Set<UserId>>,
    &'a mut Map<Str, u64>,
    &'a mut Map<ItemId, List<ItemId>>,
    &'a mut Map<UserId, u64>,
);

fn keep(did: Did, (followers, sharers, scores, children, whispers): Kept<'_>) {
    match did {
        Did::Follow { who, whom } => {
            followers.entry(whom).or_default().insert(who);
        }
        Did::Share { who, post } => {
            sharers.entry(post).or_default().insert(who);
        }
        Did::Score { who, points } => *scores.entry(who).or_default() += points,
        Did::Attach { item, under } => children.entry(under).or_default().push_back(item),
        Did::Whisper { who } => *whispers.entry(who).or_default() += 1,
    }
}

/// How many users follow somebody who shared a post.
async fn reach(ask: Ask, post: PostId) -> std::result::Result<u64, AskError> {
    let sharers = ask.select(SHARERS.key(post).all()).await?;
    let reached = ask.part(FOLLOWERS_OF).each(FOLLOWERS, sharers).fold(Union::new()).await?;
    Ok(reached.len() as u64)
}

fn followers_of(
    followers: &Map<UserId, Set<UserId>>,
    users: List<UserId>,
    span: &Span,
) -> std::result::Result<Set<UserId>, AskError> {
    let mut all = Set::new();
    for user in &users {
        span.check()?;
        if let Some(set) = followers.get(user) {
            all.extend(set.iter().copied());
        }
    }
    Ok(all)
}

/// Those whom the users follow most whom one follows, but not those whom one follows already.
async fn who_to_follow(
    ask: Ask,
    (me, count): (UserId, u32),
) -> std::result::Result<List<(UserId, u64)>, AskError> {
    let mine = ask.select_one(FOLLOWS.key(me)).await?.unwrap_or_default();
    let some = mine.iter().take(500).copied();
    let counts = ask.part(FOLLOWS_COUNTED).each(FOLLOWS, some);
    let counts = counts.fold(MergeMap::new(Sum::new())).await?;
    let others = counts.into_iter().filter(|(user, _)| *user != me && !mine.contains(user));
    Ok(Top::new(count, |(_, n): &(UserId, u64)| *n).over(others)?)
}

fn follows_counted(
    follows: &Map<UserId, Set<UserId>>,
    users: List<UserId>,
    _: &Span,
) -> std::result::Result<Map<UserId, u64>, AskError> {
    let mut counts = Map::new();
    let sets = users.iter().filter_map(|user| follows.get(user));
    for user in sets.flat_map(|set| set.into_owned()) {
        *counts.entry(user).or_default() += 1;
    }
    Ok(counts)
}

/// The best over all partitions: each sends its best only.
async fn top_players(ask: Ask, n: u32) -> std::result::Result<List<(Str, u64)>, AskError> {
    ask.all(SCORES.all()).fold(Top::new(n, |(_, score): &(Str, u64)| *score)).await
}

async fn total(ask: Ask, (): ()) -> std::result::Result<u64, AskError> {
    ask.all(SCORES.map_vals()).fold(Sum::new()).await
}

/// A tree over partitions, level by level: one call a partition and level.
async fn subtree(ask: Ask, root: ItemId) -> std::result::Result<Subtree, AskError> {
    let (mut seen, mut level, mut depth) = (HashSet::from([root]), vec![root], 0);
    while !level.is_empty() {
        let next = ask.part(CHILDREN_OF).each(CHILDREN, level).fold(Concat::new()).await?;
        level = next.into_iter().filter(|node| seen.insert(*node)).collect();
        depth += u32::from(!level.is_empty());
    }
    Ok(Subtree { nodes: seen.len() as u64, depth })
}

fn children_of(
    children: &Map<ItemId, List<ItemId>>,
    nodes: List<ItemId>,
    _: &Span,
) -> std::result::Result<List<ItemId>, AskError> {
    let lists = nodes.iter().filter_map(|node| children.get(node));
    Ok(lists.flat_map(|list| list.into_owned()).collect())
}

/// The same by recursion.
async fn height(ask: Ask, node: ItemId) -> std::result::Result<u32, AskError> {
    let children = ask.select(CHILDREN.key(node).all()).await?;
    let below = children.into_iter().map(|child| ask.query(HEIGHT, child));
    let below = try_join_all(below).await?;
    Ok(below.into_iter().max().map_or(0, |height| height + 1))
}

async fn factorial(ask: Ask, n: u64) -> std::result::Result<u64, AskError> {
    if n == 0 { Ok(1) } else { Ok(n * ask.query(FACTORIAL, n - 1).await?) }
}

async fn whispered(ask: Ask, who: UserId) -> std::result::Result<u64, AskError> {
    Ok(ask.select_one(WHISPERS.key(who)).await?.unwrap_or_default())
}
