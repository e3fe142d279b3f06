//! Observers: watches that begin at any time and go on through all that happens to a grid. Each sees lists that only
//! grow, one after the other, and at rest the one that readers see.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use gridmill_client::{Change, ReadError, Watch, WatchError};

use crate::model::prelude::*;

use super::choices::Choices;
use super::clients::{Common, KEYS};
use super::inspect::now;
use super::ledger::{COUNTS, LISTS};
use super::tasks::pause;

/// What observers of one life of a grid watch.
#[derive(Clone, Default)]
pub(super) struct Observers(Rc<RefCell<Vec<Observer>>>);

struct Observer {
    key: u64,
    list: Watch<List<u64>>,
    len: Watch<u64>,
    /// The partition stopped for good, and the watches with it.
    ended: bool,
}

/// Begins to watch keys, again and again; some watches end, the others stay.
pub(super) async fn observe(common: Common, mut choices: Choices, times: u64) {
    for _ in 0..times {
        let key = choices.below(KEYS as usize) as u64;
        let list = common.client.watch(LISTS.key(key)).await;
        let len = common.client.watch(LISTS.key(key).len()).await;
        let counts = common.client.watch(COUNTS.key(key)).await;
        if let (Ok(list), Ok(len)) = (list, len) {
            let observer = Observer { key, list, len, ended: false };
            common.observers.0.borrow_mut().push(observer);
        }
        for _ in 0..choices.below(6) {
            common.observers.look(&common);
            pause().await;
        }
        drop(counts);
        if choices.once_in(3) {
            let mut observers = common.observers.0.borrow_mut();
            let one = choices.below(observers.len().max(1));
            if one < observers.len() {
                observers.swap_remove(one);
            }
        }
    }
}

impl Observers {
    /// Takes out what has come to them.
    fn look(&self, common: &Common) {
        for observer in self.0.borrow_mut().iter_mut() {
            if let Err(wrong) = observer.look() {
                let text = format!("a watch of key {}: {wrong}", observer.key);
                common.oracle.borrow_mut().wrong(text);
            }
        }
    }

    /// At rest, all of them know what readers see.
    pub(super) fn check(&self, client: &crate::client::Client) -> Result<(), String> {
        for observer in self.0.borrow_mut().iter_mut() {
            let key = observer.key;
            observer.look().map_err(|wrong| format!("a watch of key {key}: {wrong}"))?;
            if observer.ended {
                continue;
            }
            let seen =
                now(client.select_one(LISTS.key(key)))?.map_err(|error| error.to_string())?;
            let (list, len) = (observer.list.value(), observer.len.value());
            let all = seen.as_ref().map_or(0, List::len) as u64;
            if list != seen.as_ref() || len != Some(&all) {
                return Err(format!(
                    "at rest, watches of key {key} have {list:x?} and length {len:?}, readers see {seen:x?}"
                ));
            }
        }
        Ok(())
    }
}

impl Observer {
    fn look(&mut self) -> Result<(), String> {
        while !self.ended {
            let Some(item) = taken(&mut self.list) else { break };
            let Some(change) = self.known(item)? else { break };
            let (old, new) = (change.old.unwrap_or_default(), change.new.unwrap_or_default());
            if new.len() < old.len() || !old.iter().eq(new.iter().take(old.len())) {
                return Err(format!("{new:x?} comes after {old:x?}"));
            }
        }
        while !self.ended {
            let Some(item) = taken(&mut self.len) else { break };
            let Some(change) = self.known(item)? else { break };
            if change.new < change.old {
                return Err(format!("length {:?} comes after {:?}", change.new, change.old));
            }
        }
        Ok(())
    }

    /// What an item brings; nothing where the watch has ended.
    fn known<V: State + PartialEq + std::fmt::Debug>(
        &mut self,
        item: Result<Change<V>, WatchError>,
    ) -> Result<Option<Change<V>>, String> {
        let change = match item {
            Ok(change) => change,
            Err(WatchError::Read(ReadError::Stopped { .. })) => {
                self.ended = true;
                return Ok(None);
            }
            Err(error) => return Err(error.to_string()),
        };
        if !change.resync {
            let mut value = change.old.clone();
            change.diff.apply(&mut value).map_err(|error| error.to_string())?;
            if value != change.new {
                return Err(format!("{:?} does not lead to {:x?}", change.diff, change.new));
            }
        }
        Ok(Some(change))
    }
}

/// What has come to a watch, if anything.
fn taken<V: State>(watch: &mut Watch<V>) -> Option<Result<Change<V>, WatchError>> {
    let next = std::pin::pin!(watch.next());
    match next.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(item) => item,
        Poll::Pending => None,
    }
}
