//! Some users who follow each other, and post.

use std::time::Duration;

use gridmill::prelude::*;
use gridmill_examples::Failed;

use crate::module::{DID, Did};
use crate::web::new_post;

pub(crate) const USERS: [&str; 12] = [
    "ada",
    "alan",
    "barbara",
    "donald",
    "edsger",
    "frances",
    "grace",
    "john",
    "katherine",
    "linus",
    "margaret",
    "radia",
];

const THOUGHTS: [&str; 10] = [
    "A log is the simplest thing that could remember.",
    "Named a thing today. Took longer than writing it.",
    "Premature optimisation again, and I enjoyed every minute.",
    "The moon landing ran in less memory than this page's icon.",
    "Spanning trees are easy once you stop drawing them.",
    "Found the bug. It was a moth. It always is.",
    "If it is not tested it does not work; if it is, we know how it does not.",
    "Coffee, then concurrency. Never the other way round.",
    "Deleted a thousand lines. Best commit of the year.",
    "Does anybody still read the manual? I wrote it.",
];

pub(crate) struct Crowd {
    client: Client,
}

impl Crowd {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Everybody follows some others, and has posted once.
    pub(crate) async fn settle(&self) -> Result<(), Failed> {
        for (number, who) in USERS.iter().enumerate() {
            for whom in followed_by(number) {
                let (who, whom) = (Str::from(*who), USERS[whom].into());
                self.client.append(DID, Did::Follow { who, whom }).await?;
            }
        }
        for round in 0..USERS.len() {
            self.post(round).await?;
        }
        Ok(())
    }

    /// Goes on posting until the grid ends.
    pub(crate) async fn chatter(self, millis: u64) {
        let mut round = USERS.len();
        while self.post(round).await.is_ok() {
            round += 1;
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
    }

    async fn post(&self, round: usize) -> Result<(), Failed> {
        let (author, text) = (USERS[round * 5 % USERS.len()], THOUGHTS[round * 7 % THOUGHTS.len()]);
        let post = new_post(author.into(), text.into());
        if round % 4 == 3 {
            let who = USERS[(round * 5 + 3) % USERS.len()].into();
            self.client.append(DID, Did::Share { who, post: post.clone() }).await?;
        }
        self.client.append(DID, Did::Post { post }).await?;
        Ok(())
    }
}

/// Whom the user of that number follows: the next three, and one further away.
pub(crate) fn followed_by(number: usize) -> impl Iterator<Item = usize> {
    [1, 2, 3, 6].into_iter().map(move |further| (number + further) % USERS.len())
}
