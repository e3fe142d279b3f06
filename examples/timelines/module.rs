//! The module: a post goes to all followers of its author, once a partition.

use gridmill::prelude::*;

/// How many posts a timeline shows: older ones leave it.
pub(crate) const SHOWN: usize = 50;

#[record]
pub(crate) struct Post {
    pub(crate) author: u64,
    pub(crate) id: u64,
}

/// Somebody (the first) follows an author (the second).
pub(crate) const FOLLOWS: Depot<(u64, u64)> =
    Depot::hash_by("social/follows", |(_, author)| (*author).into());
pub(crate) const POSTS: Depot<Post> = Depot::hash_by("social/posts", |post| post.author.into());

/// Who follows an author.
pub(crate) const FOLLOWERS: PState<Map<u64, Set<u64>>> = PState::new("social/followers");
/// What those whom somebody follows have posted, the latest last.
pub(crate) const TIMELINES: PState<Map<u64, List<Post>>> = PState::new("social/timelines");

/// Replies to a post with how many timelines it is on.
pub(crate) const SPREAD: Topology<u64> = Topology::new("timelines");

/// A post on its way to followers: it travels once to each partition, whatever the number of followers there.
const DELIVER: Fan<u64, Post> = Fan::new("deliver");

pub(crate) struct Social;

impl Module for Social {
    const NAME: &'static str = "social";

    fn define(module: &mut Setup) {
        module.depot(FOLLOWS).depot(POSTS);
        module
            .stream(SPREAD, (FOLLOWERS, TIMELINES))
            // What each delivery replies is added up.
            .replies(|one: u64, other: u64| one + other)
            .source(FOLLOWS)
            .over(FOLLOWERS)
            .each(follow)
            .source(POSTS)
            .over(FOLLOWERS)
            .each_with(publish)
            .fan(DELIVER)
            .over(TIMELINES)
            .each_with(deliver);
    }
}

type Followers = Map<u64, Set<u64>>;

fn follow((who, author): (u64, u64), followers: &mut Followers) {
    followers.entry(author).or_default().insert(who);
}

/// Runs where the author lives.
fn publish(post: Post, followers: &mut Followers, flow: &mut Context<'_>) {
    flow.reply(&0u64);
    if let Some(followers) = followers.get(post.author) {
        flow.fan(DELIVER, followers.iter().copied(), post);
    }
}

/// Runs where the follower lives, once for each.
fn deliver(user: u64, post: &Post, timelines: &mut Map<u64, List<Post>>, flow: &mut Context<'_>) {
    let timeline = timelines.entry(user).or_default();
    timeline.push_back(post.clone());
    if timeline.len() > SHOWN {
        timeline.pop_front();
    }
    flow.reply(&1u64);
}
