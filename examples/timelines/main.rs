//! Timelines of a social network: each post goes to all followers of its author, of whom some have very many.
//!
//! ```text
//! cargo run --release --example timelines
//! ```

mod graph;
mod module;
mod network;
mod smoke;

use std::process::ExitCode;

use gridmill_examples::{Failed, Usage};

use graph::Graph;
use network::Network;

const USAGE: &str = "\
Posts to the followers of authors, of whom a few have very many, and prints how many deliveries that is a second.

Usage: cargo run --release --example timelines -- [options]
  --users N      how many users there are, each an author too (default: 20000)
  --follows N    how many authors each of them follows (default: 50)
  --posts N      how many posts are made (default: 10000)
  --smoke        a small network, compared with plain lists, and leave
  --help         show this";

struct Options {
    users: u64,
    follows: u64,
    posts: u64,
    smoke: bool,
}

fn main() -> ExitCode {
    gridmill_examples::run(USAGE, options(), |options| async move {
        if options.smoke { smoke::run().await } else { show(&options).await }
    })
}

fn options() -> Result<Options, Usage> {
    use lexopt::prelude::*;
    let mut options = Options { users: 20_000, follows: 50, posts: 10_000, smoke: false };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("users") => options.users = arguments.value()?.parse()?,
            Long("follows") => options.follows = arguments.value()?.parse()?,
            Long("posts") => options.posts = arguments.value()?.parse()?,
            Long("smoke") => options.smoke = true,
            Long("help") | Short('h') => return Err(Usage::Help),
            _ => return Err(argument.unexpected().into()),
        }
    }
    if options.users < 2 {
        return Err(Usage::Wrong(
            "--users: at least 2, or nobody has anybody to follow".to_owned(),
        ));
    }
    Ok(options)
}

async fn show(options: &Options) -> Result<(), Failed> {
    let data = tempfile::tempdir()?;
    let network = Network::open(data.path()).await?;
    let graph = Graph::new(options.users, options.follows);
    gridmill_examples::print(&network.follow(&graph).await?)?;
    gridmill_examples::print(&network.post(&graph, options.posts).await?)?;
    gridmill_examples::print(&network.show(0).await?)?;
    network.close().await
}
