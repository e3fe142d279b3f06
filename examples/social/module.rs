//! The module: who follows whom, what those post and share, and what can be asked about it.

use gridmill::model::aggregate::{Aggregate, MergeMap, Sum, Top, Union};
use gridmill::prelude::*;

/// How many posts a timeline shows: older ones leave it.
pub(crate) const SHOWN: usize = 50;

/// What somebody does.
#[record]
pub(crate) enum Did {
    Follow {
        who: Str,
        whom: Str,
    },
    Unfollow {
        who: Str,
        whom: Str,
    },
    Post {
        post: Post,
    },
    /// Those who follow `who` see a post of somebody else.
    Share {
        who: Str,
        post: Post,
    },
}

impl Did {
    fn who(&self) -> &str {
        match self {
            Self::Follow { who, .. } | Self::Unfollow { who, .. } | Self::Share { who, .. } => who,
            Self::Post { post } => &post.author,
        }
    }
}

#[record]
#[derive(Eq)]
pub(crate) struct Post {
    pub(crate) id: Uuid,
    pub(crate) author: Str,
    pub(crate) text: Str,
    /// Milliseconds since 1970.
    pub(crate) at: i64,
}

/// A post on a timeline.
#[record]
#[derive(Eq)]
pub(crate) struct Seen {
    pub(crate) post: Post,
    /// Who shared it, where its author is not followed for it.
    pub(crate) by: Option<Str>,
}

pub(crate) const DID: Depot<Did> = Depot::hash_by("social/did", |did| did.who().into());

/// By user: whom they follow.
pub(crate) const FOLLOWS: PState<Map<Str, Set<Str>>> = PState::new("social/follows");
/// By user: who follows them.
pub(crate) const FOLLOWERS: PState<Map<Str, Set<Str>>> = PState::new("social/followers");
/// By user: what those whom they follow have posted and shared, the latest first.
pub(crate) const TIMELINES: PState<Map<Str, List<Seen>>> = PState::new("social/timelines");
/// By post: who posted or shared it.
pub(crate) const SHARERS: PState<Map<Uuid, Set<Str>>> = PState::new("social/sharers");

/// How many users a post has reached: each who follows somebody who posted or shared it.
pub(crate) const REACH: Query<Uuid, u64> = Query::new("social/reach");
/// Whom somebody may want to follow: those whom many follow whom they follow, with how many.
pub(crate) const WHO_TO_FOLLOW: Query<(Str, u32), List<(Str, u64)>> =
    Query::new("social/who-to-follow");

/// Parts of the queries, which run where the users live.
const FOLLOWERS_OF: Part<List<Str>, Set<Str>> = Part::new("social/followers-of");
const FOLLOWS_COUNTED: Part<List<Str>, Map<Str, u64>> = Part::new("social/follows-counted");

/// Somebody (the first) follows somebody (the second) from now on, or no longer: goes to the second's partition.
const FOLLOWED: Stage<(Str, Str, bool)> = Stage::hash_by("followed", |(_, whom, _)| whom.into());
/// Somebody shared a post: goes to the post's partition.
const SHARED: Stage<(Uuid, Str)> = Stage::hash_by("shared", |(post, _)| (*post).into());
/// A post on its way to followers: it travels once to each partition, whatever the number of followers there.
const DELIVER: Fan<Str, Seen> = Fan::new("deliver");

pub(crate) struct Social;

impl Module for Social {
    const NAME: &'static str = "social";

    fn define(module: &mut Setup) {
        module.depot(DID);
        module
            .stream("social", (FOLLOWS, FOLLOWERS, TIMELINES, SHARERS))
            .source(DID)
            .over((FOLLOWS, FOLLOWERS))
            .each_with(on_did)
            .stage(FOLLOWED)
            .over(FOLLOWERS)
            .each(followed)
            .stage(SHARED)
            .over(SHARERS)
            .each(shared)
            .fan(DELIVER)
            .over(TIMELINES)
            .each(deliver);
        module
            .query(REACH, reach)
            .part(FOLLOWERS_OF, FOLLOWERS.read(), followers_of)
            .query(WHO_TO_FOLLOW, who_to_follow)
            .part(FOLLOWS_COUNTED, FOLLOWS.read(), follows_counted);
    }
}

type Users = Map<Str, Set<Str>>;

/// Runs where `who` lives.
fn on_did(did: Did, (follows, followers): (&mut Users, &mut Users), flow: &mut Context<'_>) {
    match did {
        Did::Follow { who, whom } => {
            follows.entry(who.clone()).or_default().insert(whom.clone());
            flow.send(FOLLOWED, (who, whom, true));
        }
        Did::Unfollow { who, whom } => {
            follows.entry(who.clone()).or_default().remove(&whom);
            flow.send(FOLLOWED, (who, whom, false));
        }
        Did::Post { post } => {
            publish(post.author.clone(), Seen { post, by: None }, followers, flow)
        }
        Did::Share { who, post } => {
            publish(who.clone(), Seen { post, by: Some(who) }, followers, flow);
        }
    }
}

fn publish(who: Str, seen: Seen, followers: &Users, flow: &mut Context<'_>) {
    flow.send(SHARED, (seen.post.id, who.clone()));
    if let Some(followers) = followers.get(&who) {
        flow.fan(DELIVER, followers.iter().cloned(), seen);
    }
}

/// Runs where `whom` lives.
fn followed((who, whom, now): (Str, Str, bool), followers: &mut Users) {
    let followers = followers.entry(whom).or_default();
    if now {
        followers.insert(who);
    } else {
        followers.remove(&who);
    }
}

/// Runs where the post lives.
fn shared((post, who): (Uuid, Str), sharers: &mut Map<Uuid, Set<Str>>) {
    sharers.entry(post).or_default().insert(who);
}

/// Runs where the follower lives, once for each. A post that is there already is not shown again.
fn deliver(user: Str, seen: &Seen, timelines: &mut Map<Str, List<Seen>>) {
    let timeline = timelines.entry(user).or_default();
    if timeline.iter().all(|other| other.post.id != seen.post.id) {
        timeline.push_front(seen.clone());
        timeline.truncate(SHOWN);
    }
}

async fn reach(ask: Ask, post: Uuid) -> Result<u64, AskError> {
    let sharers = ask.select(SHARERS.key(post).all()).await?;
    let reached = ask.part(FOLLOWERS_OF).each(FOLLOWERS, sharers).fold(Union::new()).await?;
    Ok(reached.len() as u64)
}

fn followers_of(followers: &Users, users: List<Str>, span: &Span) -> Result<Set<Str>, AskError> {
    let mut all = Set::new();
    for user in &users {
        span.check()?;
        all.extend(followers.get(user).into_iter().flat_map(|set| set.into_owned()));
    }
    Ok(all)
}

async fn who_to_follow(ask: Ask, (who, n): (Str, u32)) -> Result<List<(Str, u64)>, AskError> {
    let mine = ask.select_one(FOLLOWS.key(&who)).await?.unwrap_or_default();
    let counted = ask.part(FOLLOWS_COUNTED).each(FOLLOWS, mine.iter().cloned());
    let counted = counted.fold(MergeMap::new(Sum::new())).await?;
    let news = counted.into_iter().filter(|(user, _)| *user != who && !mine.contains(user));
    // The most first; of as many, by name.
    let best = Top::new(n, |(user, times): &(Str, u64)| (*times, std::cmp::Reverse(user.clone())));
    Ok(best.over(news)?)
}

fn follows_counted(
    follows: &Users,
    users: List<Str>,
    span: &Span,
) -> Result<Map<Str, u64>, AskError> {
    let mut counts: Map<Str, u64> = Map::new();
    for user in &users {
        span.check()?;
        for followed in follows.get(user).into_iter().flat_map(|set| set.into_owned()) {
            *counts.entry(followed).or_default() += 1;
        }
    }
    Ok(counts)
}
