//! A timeline as server-sent events, fed by watches.
//!
//! ```text
//! event: all          the whole timeline: at first, and where the browser did not keep up
//! event: seen         one more post, which goes on top
//! event: followers    how many follow the user
//! event: end          why nothing more will come
//! ```

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::response::sse::Event;
use futures_core::Stream;
use gridmill::client::{Change, Watch, WatchError};
use gridmill::model::diff::EditKind;
use gridmill::prelude::*;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::module::{FOLLOWERS, Seen, TIMELINES};

/// Events that wait for one browser. Behind them the watches wait, and come to what is then.
const WAITING_MAX: usize = 16;

/// What one browser is shown.
pub(crate) struct Live(mpsc::Receiver<Event>);

impl Live {
    /// Watches the timeline and the followers of a user.
    ///
    /// # Errors
    /// That of the watches.
    pub(crate) async fn of(client: &Client, user: &str) -> Result<Self, WatchError> {
        let timeline = client.watch(TIMELINES.key(user)).await?;
        let followers = client.watch(FOLLOWERS.key(user).len()).await?;
        let (send, events) = mpsc::channel(WAITING_MAX);
        tokio::spawn(async move {
            if let Some(end) = feed(timeline, followers, &send).await {
                // The browser may have left.
                let _ = send.send(Event::default().event("end").data(end)).await;
            }
        });
        Ok(Self(events))
    }
}

impl Stream for Live {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}

/// Sends what the watches bring, until the browser leaves (`None`) or one of them ends, and why.
async fn feed(
    mut timeline: Watch<List<Seen>>,
    mut followers: Watch<u64>,
    to: &mpsc::Sender<Event>,
) -> Option<String> {
    loop {
        let events = tokio::select! {
            change = timeline.next() => change?.map(|change| shown(&change)),
            change = followers.next() => {
                change?.map(|change| vec![event("followers", &change.new.unwrap_or(0))])
            }
            () = to.closed() => return None,
        };
        match events {
            Ok(events) => {
                for event in events {
                    to.send(event).await.ok()?;
                }
            }
            Err(error) => return Some(error.to_string()),
        }
    }
}

/// What a browser has to be told of a change: a post that came on top by itself, else the whole timeline.
fn shown(change: &Change<List<Seen>>) -> Vec<Event> {
    let mut posts = Vec::new();
    for edit in change.diff.edits() {
        match edit.kind() {
            EditKind::Inserted { at: 0, value } => posts.extend(value.decode::<Seen>().ok()),
            // It falls off the end of the browser's list by itself.
            EditKind::ElementRemoved { at } if at > 0 => {}
            _ => return vec![all(change)],
        }
    }
    if change.resync {
        vec![all(change)]
    } else {
        posts.iter().map(|it| event("seen", it)).collect()
    }
}

fn all(change: &Change<List<Seen>>) -> Event {
    event("all", &change.new.clone().unwrap_or_default())
}

fn event(name: &str, data: &impl Serialize) -> Event {
    let text = serde_json::to_string(data).unwrap_or_default();
    Event::default().event(name).data(text)
}
