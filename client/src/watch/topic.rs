//! A path that is watched, evaluated once for all who watch it.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use gridmill_model::diff::Diff;
use gridmill_model::path::{Carry, Limits, Path, Walk};
use gridmill_model::{Root, State};
use parking_lot::Mutex;

use crate::engine::{Evaluated, Newest, Topic};
use crate::error::{ReadError, WatchError};
use crate::select::{failed, store_of};

use super::inbox::{Inbox, Seen};

/// How often in a row a path may fail before its watches end.
pub(super) const TRIES: u32 = 10;

/// A path on one partition, with those who watch it.
pub(super) struct Watched<R: Root, L: Walk, C: Carry> {
    path: Path<R, L, C>,
    partition: u32,
    limits: Limits,
    watchers: Mutex<Watchers<C::With<L>>>,
}

struct Watchers<V> {
    /// The value that all of them know, with the position behind what it shows.
    last: Option<(Seen<V>, u64)>,
    all: BTreeMap<u64, Arc<Inbox<V>>>,
    /// Those who know none yet.
    joining: Vec<(u64, Arc<Inbox<V>>)>,
    /// The number of the next who joins.
    next: u64,
    /// How often in a row it failed.
    failed: u32,
    ended: Option<WatchError>,
}

impl<R: Root, L: Walk, C: Carry> Watched<R, L, C>
where
    C::With<L>: State,
{
    pub(super) fn new(path: Path<R, L, C>, partition: u32, limits: Limits) -> Self {
        let watchers = Watchers {
            last: None,
            all: BTreeMap::new(),
            joining: Vec::new(),
            next: 0,
            failed: 0,
            ended: None,
        };
        Self { path, partition, limits, watchers: Mutex::new(watchers) }
    }

    /// Adds a watcher, who waits for a first value; returns its number.
    pub(super) fn join(&self, inbox: &Arc<Inbox<C::With<L>>>) -> u64 {
        let mut watchers = self.watchers.lock();
        let number = watchers.next;
        watchers.next += 1;
        match &watchers.ended {
            Some(error) => inbox.end(error),
            None => watchers.joining.push((number, Arc::clone(inbox))),
        }
        number
    }

    /// Takes a watcher out.
    pub(super) fn leave(&self, number: u64) {
        let mut watchers = self.watchers.lock();
        if watchers.all.remove(&number).is_none() {
            watchers.joining.retain(|(joining, _)| *joining != number);
        }
    }

    fn look(&self, root: &dyn Any, going: &dyn Fn() -> bool) -> Result<Option<C::With<L>>, Fault> {
        let Some(store) = store_of::<R>(root) else {
            let reason = "it lent no such view".to_owned();
            return Err(Fault::Read(ReadError::Stopped { partition: self.partition, reason }));
        };
        let walk = || self.path.one_view(store, self.limits, going);
        // What the path's own steps do is the user's.
        match catch_unwind(AssertUnwindSafe(walk)) {
            Ok(walked) => walked.map_err(|error| Fault::Read(failed(error, &self.path))),
            Err(panic) => Err(Fault::Panic(said(&*panic))),
        }
    }

    fn fault(&self, fault: Fault, tries: u32) -> WatchError {
        let path = self.path.to_string();
        match fault {
            Fault::Read(error) => WatchError::Failed { path, tries, error },
            Fault::Panic(message) => WatchError::Panicked { path, tries, message },
        }
    }
}

/// The value for those who know the last one, and what changed of it. Nobody else changes what they know.
fn changed<V: State>(value: Option<V>, last: Option<(Seen<V>, u64)>) -> (Seen<V>, Option<Diff>) {
    let Some((last, _)) = last else { return (Arc::new(value), None) };
    let diff = Diff::between((*last).as_ref(), value.as_ref());
    if diff.is_empty() { (last, None) } else { (Arc::new(value), Some(diff)) }
}

/// Why a path has no value.
enum Fault {
    Read(ReadError),
    Panic(String),
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("something that is no text").to_owned()
}

impl<V: State> Watchers<V> {
    /// All know this value now, as of `at`, also those who joined before number `before`.
    fn know(&mut self, value: Seen<V>, diff: Option<Diff>, at: u64, before: u64) {
        self.failed = 0;
        if let Some(diff) = diff.map(Arc::new) {
            self.all.values().for_each(|inbox| inbox.change(&diff, Arc::clone(&value), at));
        }
        self.last = Some((value, at));
        self.admit(|number| number < before);
    }

    /// Gives those who wait for a first value the last one.
    fn admit(&mut self, who: impl Fn(u64) -> bool) {
        let Some((value, at)) = &self.last else { return };
        for (number, inbox) in self.joining.extract_if(.., |(number, _)| who(*number)) {
            inbox.begin(Arc::clone(value), *at);
            self.all.insert(number, inbox);
        }
    }

    fn end(&mut self, error: &WatchError) {
        self.ended = Some(error.clone());
        let joining = self.joining.drain(..).map(|(_, inbox)| inbox);
        let all = std::mem::take(&mut self.all).into_values();
        all.chain(joining).for_each(|inbox| inbox.end(error));
    }
}

impl<R: Root, L: Walk, C: Carry> Topic for Watched<R, L, C>
where
    C::With<L>: State,
{
    fn joined(&self) -> u64 {
        self.watchers.lock().next
    }

    fn evaluate(
        &self,
        Newest { root, at }: Newest<'_>,
        joined: u64,
        going: &dyn Fn() -> bool,
    ) -> Evaluated {
        let last = self.watchers.lock().last.clone();
        let looked = self.look(root, going).map(|value| changed(value, last));
        let mut watchers = self.watchers.lock();
        match looked {
            Ok((value, diff)) => {
                watchers.know(value, diff, at, joined);
                Evaluated::Well
            }
            Err(fault) => {
                watchers.failed += 1;
                if watchers.failed < TRIES {
                    return Evaluated::Failed;
                }
                let error = self.fault(fault, watchers.failed);
                watchers.end(&error);
                Evaluated::Ended
            }
        }
    }

    fn admit(&self, watcher: u64) {
        self.watchers.lock().admit(|number| number == watcher);
    }

    fn end(&self, error: &WatchError) {
        self.watchers.lock().end(error);
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl<R: Root, L: Walk, C: Carry> fmt::Debug for Watched<R, L, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("path", &self.path.to_string()).finish_non_exhaustive()
    }
}
