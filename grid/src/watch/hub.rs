//! What is watched on a partition, and what of it is to be looked at again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gridmill_client::WatchError;
use gridmill_client::engine::{Evaluated, Scope, Topic, TopicName, WatchOrder};

use crate::state::marks::{Mark, ScopeId};
use crate::sync::Mutex;

use super::pace::wait;

/// The number of a topic. No number is given twice.
pub(crate) type TopicId = u64;

/// What is watched on a partition, by whom, and what is to be evaluated.
///
/// No user code runs under its lock, and nothing that takes long: the writer takes it when a view is shown.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    /// Whether something is to be evaluated, to be looked at without the lock.
    is_due: AtomicBool,
}

#[derive(Debug)]
struct State {
    watches_max: usize,
    /// How many watches there are.
    watches: usize,
    /// The next number of a scope or topic.
    next: u64,
    scopes: BTreeMap<ScopeId, Scoped>,
    /// Scopes by what they are.
    known: HashMap<ScopeKey, ScopeId>,
    topics: BTreeMap<TopicId, Entry>,
    /// Topics that others may share.
    names: HashMap<(usize, TopicName), TopicId>,
    /// What the writer has to enter or to forget.
    orders: Vec<Mark>,
    /// It was told that there is something.
    told: bool,
    /// Topics to be evaluated, by when.
    due: BTreeSet<(Duration, TopicId)>,
    /// Somebody evaluates what is due.
    working: bool,
    /// When somebody will look what is due.
    alarm: Option<Duration>,
    /// Why there will be no more values.
    ended: Option<WatchError>,
    figures: Figures,
}

/// What the hub has done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// How many watches there are.
    pub(crate) watches: usize,
    /// How many distinct paths they watch.
    pub(crate) paths: usize,
    /// How often a path was evaluated.
    pub(crate) evaluated: u64,
}

/// A scope with what makes it one.
#[derive(Debug)]
struct Scoped {
    pstate: usize,
    scope: Scope,
    /// The writer tells of what is touched in it, from the view on that is published.
    begun: bool,
    topics: Vec<TopicId>,
}

/// What makes two scopes one. Ranges are told apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum ScopeKey {
    Keys(usize, Arc<[gridmill_model::KeyBytes]>),
    Root(usize),
}

#[derive(Debug)]
struct Entry {
    topic: Arc<dyn Topic>,
    pstate: usize,
    /// The PState's topology.
    topology: usize,
    scope: ScopeId,
    name: Option<(usize, TopicName)>,
    watches: usize,
    /// When it is to be evaluated, where it is.
    due: Option<Duration>,
    /// Not before that.
    not_before: Duration,
    /// It is being evaluated.
    running: bool,
    /// It was touched while it was.
    touched: bool,
    /// It was evaluated since its scope has begun.
    known: bool,
}

/// A watch, by which it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key(TopicId);

/// A topic to be evaluated.
pub(crate) struct Due {
    pub(crate) id: TopicId,
    pub(crate) topic: Arc<dyn Topic>,
    pub(crate) pstate: usize,
    pub(crate) topology: usize,
}

/// What there is to do.
pub(crate) enum Next {
    Evaluate(Due),
    /// Nothing yet, or nothing at all.
    Nothing,
}

impl Hub {
    /// A hub that takes so many watches.
    pub(crate) fn new(watches_max: usize) -> Self {
        let state = Mutex::new(State {
            watches_max,
            watches: 0,
            next: 1,
            scopes: BTreeMap::new(),
            known: HashMap::new(),
            topics: BTreeMap::new(),
            names: HashMap::new(),
            orders: Vec::new(),
            told: false,
            due: BTreeSet::new(),
            working: false,
            alarm: None,
            ended: None,
            figures: Figures::default(),
        });
        Self { state, is_due: AtomicBool::new(false) }
    }

    /// Does something with the state, under its lock.
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let changed = change(&mut state);
        self.is_due.store(!state.due.is_empty(), Ordering::Release);
        changed
    }

    /// Enters a watch of a PState, whose number in its module and whose topology are `of`.
    ///
    /// Between a look at the newest view and the first hit of a batch behind it there is no gap: a topic whose scope
    /// has not begun is evaluated when it does, and one whose scope has is touched by all that is not shown yet.
    pub(crate) fn watch(
        &self,
        order: WatchOrder,
        partition: u32,
        of: (usize, usize),
    ) -> Result<Key, WatchError> {
        let (id, topic, join) = self.with(|state| state.enter(order, partition, of))?;
        // Not under the lock: the topic may be telling thousands of watchers of a change.
        let watcher = join(Arc::clone(&topic));
        if self.with(|state| state.joined(id)) {
            topic.admit(watcher);
        }
        Ok(Key(id))
    }

    /// A watch ends.
    pub(crate) fn leave(&self, Key(id): Key) {
        // What it holds may be large: it is dropped outside of the lock.
        drop(self.with(|state| state.leave(id)));
    }

    /// Whether the writer is to be told, once, that it has something to enter or to forget.
    pub(crate) fn tell(&self) -> bool {
        self.with(|state| !state.orders.is_empty() && !std::mem::replace(&mut state.told, true))
    }

    /// What the writer has to enter or to forget.
    pub(crate) fn take_orders(&self) -> Vec<Mark> {
        self.with(|state| {
            state.told = false;
            std::mem::take(&mut state.orders)
        })
    }

    /// All that a new writer has to enter.
    pub(crate) fn all(&self) -> Vec<Mark> {
        drop(self.take_orders());
        let state = self.state.lock();
        state.scopes.iter().map(|(scope, scoped)| scoped.mark(*scope, true)).collect()
    }

    /// All of a PState that a new writer has to enter.
    pub(crate) fn all_of(&self, pstates: &[usize]) -> Vec<Mark> {
        let state = self.state.lock();
        let of = state.scopes.iter().filter(|(_, scoped)| pstates.contains(&scoped.pstate));
        of.map(|(scope, scoped)| scoped.mark(*scope, true)).collect()
    }

    /// The newest view shows what touched these.
    pub(crate) fn touched(&self, scopes: &[ScopeId]) {
        self.with(|state| scopes.iter().for_each(|scope| state.touched(*scope)));
    }

    /// Whatever the newest view does not show will touch these.
    pub(crate) fn begun(&self, scopes: &[ScopeId]) {
        self.with(|state| {
            for scope in scopes {
                if let Some(scoped) = state.scopes.get_mut(scope) {
                    scoped.begun = true;
                    state.touched(*scope);
                }
            }
        });
    }

    /// Whether something is to be evaluated, now or later.
    pub(crate) fn is_due(&self) -> bool {
        self.is_due.load(Ordering::Acquire)
    }

    /// Whether somebody should begin to work, who then has to go on until there is nothing.
    pub(crate) fn begin_work(&self, now: Duration) -> bool {
        self.with(|state| {
            let is_due = state.due.first().is_some_and(|(at, _)| *at <= now);
            is_due && !std::mem::replace(&mut state.working, true)
        })
    }

    /// How long it is until something is due, where nobody will look by then: the caller will.
    pub(crate) fn set_alarm(&self, now: Duration) -> Option<Duration> {
        self.with(|state| {
            let (at, _) = *state.due.first()?;
            let is_set = state.working || state.alarm.is_some_and(|alarm| alarm <= at);
            (!is_set).then(|| {
                state.alarm = Some(at);
                at.saturating_sub(now)
            })
        })
    }

    /// Somebody looks what is due.
    pub(crate) fn rang(&self) {
        self.with(|state| state.alarm = None);
    }

    /// Nobody works after all.
    pub(crate) fn put_off(&self) {
        self.with(|state| state.working = false);
    }

    /// What to evaluate at this time. Where that is nothing, the work has ended.
    pub(crate) fn next(&self, now: Duration) -> Next {
        self.with(|state| {
            let is_due = state.due.first().is_some_and(|(at, _)| *at <= now);
            let due = if is_due { state.take_due() } else { None };
            state.working = due.is_some();
            due.map_or(Next::Nothing, Next::Evaluate)
        })
    }

    /// A topic was evaluated: what came of it, and how long it took. `None` where its PState is not there yet.
    pub(crate) fn evaluated(
        &self,
        id: TopicId,
        evaluated: Option<Evaluated>,
        took: Duration,
        now: Duration,
    ) {
        drop(self.with(|state| state.evaluated(id, evaluated, took, now)));
    }

    /// Whether a topic is watched still.
    pub(crate) fn is_wanted(&self, id: TopicId) -> bool {
        self.state.lock().topics.contains_key(&id)
    }

    /// There will be no more values, and no more watches.
    pub(crate) fn end(&self, error: &WatchError) {
        let topics = self.with(|state| {
            state.ended.get_or_insert_with(|| error.clone());
            state.due.clear();
            std::mem::take(&mut state.topics)
        });
        topics.into_values().for_each(|entry| entry.topic.end(error));
    }

    pub(crate) fn figures(&self) -> Figures {
        let state = self.state.lock();
        Figures { watches: state.watches, paths: state.topics.len(), ..state.figures }
    }
}

type Join = Box<dyn FnOnce(Arc<dyn Topic>) -> u64 + Send>;

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn enter(
        &mut self,
        order: WatchOrder,
        partition: u32,
        (pstate, topology): (usize, usize),
    ) -> Result<(TopicId, Arc<dyn Topic>, Join), WatchError> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        if self.watches >= self.watches_max {
            return Err(WatchError::TooMany { partition, limit: self.watches_max });
        }
        let WatchOrder { scope, name, topic, join, .. } = order;
        self.watches += 1;
        let name = name.map(|name| (pstate, name));
        let known = name.as_ref().and_then(|name| self.names.get(name)).copied();
        if let Some((id, entry)) = known.and_then(|id| Some((id, self.topics.get_mut(&id)?))) {
            entry.watches += 1;
            return Ok((id, Arc::clone(&entry.topic), join));
        }
        let (scope, topic, id) = (self.scope(pstate, scope), topic(), self.number());
        if let Some(scoped) = self.scopes.get_mut(&scope) {
            scoped.topics.push(id);
        }
        if let Some(name) = &name {
            self.names.insert(name.clone(), id);
        }
        let entry = Entry {
            topic: Arc::clone(&topic),
            pstate,
            topology,
            scope,
            name,
            watches: 1,
            due: None,
            not_before: Duration::ZERO,
            running: false,
            touched: false,
            known: false,
        };
        self.topics.insert(id, entry);
        Ok((id, topic, join))
    }

    /// The number of a scope, which the writer is to enter where it is new.
    fn scope(&mut self, pstate: usize, scope: Scope) -> ScopeId {
        let key = ScopeKey::of(pstate, &scope);
        if let Some(known) = key.as_ref().and_then(|key| self.known.get(key)) {
            return *known;
        }
        let id = self.number();
        let scoped = Scoped { pstate, scope, begun: false, topics: Vec::new() };
        self.orders.push(scoped.mark(id, true));
        if let Some(key) = key {
            self.known.insert(key, id);
        }
        self.scopes.insert(id, scoped);
        id
    }

    /// A watcher has joined; whether the topic's last value is as of now. Else it is evaluated, now or when its scope has begun.
    fn joined(&mut self, id: TopicId) -> bool {
        let Some(entry) = self.topics.get_mut(&id) else { return false };
        if entry.known && entry.due.is_none() && !entry.running {
            return true;
        }
        if self.scopes.get(&entry.scope).is_some_and(|scoped| scoped.begun) {
            self.touch(id);
        }
        false
    }

    fn touched(&mut self, scope: ScopeId) {
        let Some(scoped) = self.scopes.get_mut(&scope) else { return };
        let topics = std::mem::take(&mut scoped.topics);
        topics.iter().for_each(|id| self.touch(*id));
        if let Some(scoped) = self.scopes.get_mut(&scope) {
            scoped.topics = topics;
        }
    }

    fn touch(&mut self, id: TopicId) {
        let Some(entry) = self.topics.get_mut(&id) else { return };
        if entry.running {
            entry.touched = true;
        } else if entry.due.is_none() {
            self.make_due(id);
        }
    }

    fn make_due(&mut self, id: TopicId) {
        let Some(entry) = self.topics.get_mut(&id) else { return };
        entry.due = Some(entry.not_before);
        self.due.insert((entry.not_before, id));
    }

    fn take_due(&mut self) -> Option<Due> {
        while let Some((_, id)) = self.due.pop_first() {
            let Some(entry) = self.topics.get_mut(&id) else { continue };
            (entry.due, entry.running, entry.touched) = (None, true, false);
            self.figures.evaluated += 1;
            let Entry { topic, pstate, topology, .. } = entry;
            let topic = Arc::clone(topic);
            return Some(Due { id, topic, pstate: *pstate, topology: *topology });
        }
        None
    }

    fn evaluated(
        &mut self,
        id: TopicId,
        evaluated: Option<Evaluated>,
        took: Duration,
        now: Duration,
    ) -> Option<Entry> {
        let entry = self.topics.get_mut(&id)?;
        entry.running = false;
        let Some(evaluated) = evaluated else {
            // When it comes it touches all.
            return None;
        };
        if evaluated == Evaluated::Ended {
            return self.forget(id);
        }
        entry.known |= evaluated == Evaluated::Well;
        entry.not_before = now + wait(evaluated, took);
        if entry.touched || evaluated == Evaluated::Failed {
            self.make_due(id);
        }
        None
    }

    fn leave(&mut self, id: TopicId) -> Option<Entry> {
        self.watches = self.watches.saturating_sub(1);
        let entry = self.topics.get_mut(&id)?;
        entry.watches -= 1;
        if entry.watches > 0 { None } else { self.forget(id) }
    }

    /// Takes a topic out, and its scope where that was the last.
    fn forget(&mut self, id: TopicId) -> Option<Entry> {
        let entry = self.topics.remove(&id)?;
        if let Some(name) = &entry.name {
            self.names.remove(name);
        }
        if let Some(at) = entry.due {
            self.due.remove(&(at, id));
        }
        let scoped = self.scopes.get_mut(&entry.scope)?;
        scoped.topics.retain(|topic| *topic != id);
        if scoped.topics.is_empty() {
            let scoped = self.scopes.remove(&entry.scope)?;
            if let Some(key) = ScopeKey::of(scoped.pstate, &scoped.scope) {
                self.known.remove(&key);
            }
            self.orders.push(scoped.mark(entry.scope, false));
        }
        Some(entry)
    }
}

impl Scoped {
    fn mark(&self, scope: ScopeId, enters: bool) -> Mark {
        Mark { pstate: self.pstate, scope, what: self.scope.clone(), enters }
    }
}

impl ScopeKey {
    fn of(pstate: usize, scope: &Scope) -> Option<Self> {
        match scope {
            Scope::Keys(keys) => Some(Self::Keys(pstate, Arc::clone(keys))),
            Scope::Range(_) => None,
            Scope::Root => Some(Self::Root(pstate)),
        }
    }
}
