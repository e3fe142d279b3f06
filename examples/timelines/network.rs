//! The network as a service would use it: a grid and its client.

use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use gridmill::prelude::*;
use gridmill_examples::{Failed, counted};

use crate::graph::Graph;
use crate::module::{FOLLOWERS, FOLLOWS, POSTS, Post, SHOWN, SPREAD, Social, TIMELINES};

/// Events that travel in one append.
const BATCH: usize = 1024;

/// Appends of posts that wait for their answers at a time.
const IN_FLIGHT: u64 = 16;

pub(crate) struct Network {
    grid: Grid,
}

impl Network {
    /// In the folder `data`.
    pub(crate) async fn open(data: &Path) -> Result<Self, Failed> {
        Ok(Self { grid: Grid::builder(data).partitions(8).module::<Social>().start().await? })
    }

    pub(crate) async fn close(self) -> Result<(), Failed> {
        Ok(self.grid.shutdown().await?)
    }

    /// Lets everybody follow whom they follow; says how many followers authors have.
    pub(crate) async fn follow(&self, graph: &Graph) -> Result<String, Failed> {
        let (client, mut follows) = (self.grid.client(), graph.follows().peekable());
        while follows.peek().is_some() {
            let batch: Vec<_> = follows.by_ref().take(BATCH).collect();
            client.append_many(FOLLOWS, batch).await?;
        }
        let everybody = client.with_limit(usize::MAX);
        let mut followers = everybody.select_all(FOLLOWERS.map_vals().len()).await?;
        followers.sort_unstable();
        let at = |share: usize| followers.get(followers.len() * share / 100).copied().unwrap_or(0);
        Ok(format!(
            "{} with followers: the most popular has {}, one in a hundred has {}, half have {} or fewer\n",
            counted(followers.len() as u64, "author"),
            followers.last().copied().unwrap_or(0),
            at(99),
            at(50),
        ))
    }

    /// Makes so many posts; says how many deliveries that was.
    pub(crate) async fn post(&self, graph: &Graph, posts: u64) -> Result<String, Failed> {
        let start = Instant::now();
        let posters = (0..IN_FLIGHT).map(|first| {
            let (client, graph) = (self.grid.client(), *graph);
            tokio::spawn(async move {
                let mut delivered = 0;
                for id in (first..posts).step_by(IN_FLIGHT as usize) {
                    let post = Post { author: graph.poster(id), id };
                    // Once it is answered, all followers see the post.
                    let receipt = client.append(POSTS, post).await?;
                    delivered += receipt.reply_of(SPREAD)?.unwrap_or(0);
                }
                Ok::<_, Failed>(delivered)
            })
        });
        let mut delivered = 0;
        for poster in posters.collect::<Vec<_>>() {
            delivered += poster.await??;
        }
        let took = start.elapsed().as_secs_f64();
        Ok(format!(
            "{} reached {} in {took:.2} s: {:.0} deliveries a second, durable and visible\n",
            counted(posts, "post"),
            counted(delivered, "timeline"),
            delivered as f64 / took.max(1e-9),
        ))
    }

    /// What somebody sees.
    pub(crate) async fn show(&self, user: u64) -> Result<String, Failed> {
        let timeline = self.timeline(user).await?;
        let mut out =
            format!("\nuser {user} sees the last {}:\n", counted(timeline.len() as u64, "post"));
        for Post { author, id } in timeline.iter().rev().take(5) {
            writeln!(out, "  post {id} of author {author}")?;
        }
        if timeline.len() == SHOWN {
            writeln!(out, "  ... ({SHOWN} are kept)")?;
        }
        Ok(out)
    }

    /// The timeline of somebody, the latest post last.
    pub(crate) async fn timeline(&self, user: u64) -> Result<List<Post>, Failed> {
        Ok(self.grid.client().select_one(TIMELINES.key(user)).await?.unwrap_or_default())
    }
}
