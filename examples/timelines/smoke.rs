//! A small network, held against plain lists.

use std::collections::{BTreeMap, BTreeSet};

use gridmill_examples::Failed;

use crate::graph::Graph;
use crate::module::SHOWN;
use crate::network::Network;

const USERS: u64 = 300;
const FOLLOWS: u64 = 20;
const POSTS: u64 = 2_000;

/// Makes posts in two lives of the grid, and compares all timelines.
pub(crate) async fn run() -> Result<(), Failed> {
    let data = tempfile::tempdir()?;
    let graph = Graph::new(USERS, FOLLOWS);
    let network = Network::open(data.path()).await?;
    gridmill_examples::print(&network.follow(&graph).await?)?;
    gridmill_examples::print(&network.post(&graph, POSTS).await?)?;
    network.close().await?;
    let network = Network::open(data.path()).await?;
    gridmill_examples::print(&network.show(7).await?)?;
    compare(&network, &graph).await?;
    network.close().await?;
    gridmill_examples::print(
        "\nevery timeline has the latest posts of whom its user follows, each once\n",
    )
}

/// Posts of one author come in their order; those of different authors may pass each other.
async fn compare(network: &Network, graph: &Graph) -> Result<(), Failed> {
    let mut follows = BTreeMap::<u64, BTreeSet<u64>>::new();
    for (who, author) in graph.follows() {
        follows.entry(who).or_default().insert(author);
    }
    for (user, authors) in follows {
        let of_mine = |id: &u64| authors.contains(&graph.poster(*id));
        let due = (0..POSTS).filter(of_mine).count();
        let timeline = network.timeline(user).await?;
        let ids: BTreeSet<u64> = timeline.iter().map(|post| post.id).collect();
        let known = timeline.iter().all(|post| authors.contains(&post.author));
        if timeline.len() != due.min(SHOWN) || ids.len() != timeline.len() || !known {
            return Err(format!("user {user} has {timeline:?}, and {due} posts were due").into());
        }
    }
    Ok(())
}
