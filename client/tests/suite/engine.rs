//! An engine without partitions: what is submitted waits for the test to answer it.

use std::any::{Any, TypeId, type_name};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use crate::appends::BY_NAME;
use gridmill_client::engine::{
    AnyRoot, DepotEntry, Engine, Held, JsonEvent, PStateEntry, StoredEvent, Submission, ViewRoot,
};
use gridmill_client::{
    AppendErrorKind, BatchReceipt, Client, DepotError, DepotRange, Gate, ReadError, json_event,
};
use gridmill_model::engine::{ReadStore, StoreRange};
use gridmill_model::{Damaged, Depot, Event, Key, KeyBytes, PState, Ref, Root};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// The largest event of every depot, in bytes.
pub(crate) const EVENT_BYTES_MAX: usize = 32;

/// The topologies that read every depot.
pub(crate) const TOPOLOGIES: [&str; 3] = ["greeter", "counter", "silent"];

/// What the test holds: the client, the way to what it submits, and the gates.
pub(crate) struct Fixture {
    pub(crate) client: Client,
    pub(crate) engine: Arc<Fake>,
    submitted: UnboundedReceiver<Submission>,
}

impl Fixture {
    /// An engine of that many partitions.
    pub(crate) fn new(set_up: impl FnOnce(&mut Fake)) -> Self {
        let (sender, submitted) = mpsc::unbounded_channel();
        let mut fake = Fake {
            depots: HashMap::new(),
            pstates: HashMap::new(),
            views: HashMap::new(),
            records: Vec::new(),
            catching_up: false,
            submissions: Mutex::new(Some(sender)),
        };
        set_up(&mut fake);
        let engine = Arc::new(fake);
        let client = Client::new(engine.clone());
        Self { client, engine, submitted }
    }

    /// The next submission.
    pub(crate) async fn next(&mut self) -> Submission {
        self.submitted.recv().await.expect("the engine is open")
    }

    /// The next submission if it has come.
    pub(crate) fn try_next(&mut self) -> Option<Submission> {
        self.submitted.try_recv().ok()
    }
}

/// The engine.
pub(crate) struct Fake {
    depots: HashMap<String, Arc<DepotEntry>>,
    pstates: HashMap<String, Arc<PStateEntry>>,
    views: HashMap<(usize, u32), AnyRoot>,
    /// What every partition of every depot holds.
    pub(crate) records: Vec<StoredEvent>,
    /// Whether views are partial.
    pub(crate) catching_up: bool,
    submissions: Mutex<Option<UnboundedSender<Submission>>>,
}

impl Fake {
    /// Declares a depot with room for `room` bytes in each mailbox.
    pub(crate) fn depot<E: Event>(&mut self, depot: Depot<E>, partitions: u32, room: u32) {
        let entry = DepotEntry {
            id: self.depots.len(),
            name: depot.name().into(),
            event: TypeId::of::<E>(),
            event_name: type_name::<E>(),
            partitions,
            topologies: TOPOLOGIES.map(str::to_owned).into(),
            event_bytes_max: EVENT_BYTES_MAX,
            gates: (0..partitions).map(|_| Gate::new(room)).collect(),
        };
        self.depots.insert(entry.name.clone(), Arc::new(entry));
    }

    /// Declares a PState with these entries on each partition.
    pub(crate) fn pstate<R: Root>(
        &mut self,
        pstate: PState<R>,
        partitions: Vec<Vec<(R::Key, R::Value)>>,
    ) {
        let id = self.pstates.len();
        let entry = PStateEntry {
            id,
            name: pstate.name().into(),
            root: TypeId::of::<R>(),
            schema: R::schema(),
            partitions: partitions.len() as u32,
            module: 0,
            module_partitions: 4,
            private: pstate.is_private(),
        };
        for (partition, entries) in (0..).zip(partitions) {
            let store: Box<dyn ReadStore<R::Value> + Send + Sync> = Box::new(Store::new(entries));
            self.views.insert((id, partition), Arc::new(ViewRoot(store)));
        }
        self.pstates.insert(entry.name.clone(), Arc::new(entry));
    }

    /// The gate of a depot's partition.
    pub(crate) fn gate(&self, depot: &str, partition: usize) -> &Gate {
        &self.depots[depot].gates[partition]
    }
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fake")
    }
}

impl Engine for Fake {
    fn depot(&self, name: &str) -> Option<Arc<DepotEntry>> {
        self.depots.get(name).cloned()
    }

    fn pstate(&self, name: &str) -> Option<Arc<PStateEntry>> {
        self.pstates.get(name).cloned()
    }

    fn depot_names(&self) -> Vec<String> {
        self.depots.keys().cloned().collect()
    }

    fn pstate_names(&self) -> Vec<String> {
        self.pstates.keys().cloned().collect()
    }

    fn submit(&self, submission: Submission) {
        let sender = self.submissions.lock().expect("no test panics in here");
        sender.as_ref().expect("the engine is open").send(submission).expect("the test listens");
    }

    fn view(
        &self,
        pstate: usize,
        partition: u32,
        partial: bool,
        read: &mut dyn FnMut(&dyn Any),
    ) -> Result<(), ReadError> {
        if self.catching_up && !partial {
            return Err(ReadError::CatchingUp { pstate: "it".into(), done: 1, total: 2 });
        }
        read(&*self.views[&(pstate, partition)]);
        Ok(())
    }

    fn hold(&self, _: usize, partition: u32) -> Result<Held, ReadError> {
        Ok(Held { state: Arc::new(partition), end: 0 })
    }

    fn held_root(&self, held: &Held, pstate: usize, partial: bool) -> Result<AnyRoot, ReadError> {
        let partition: &u32 = held.state.downcast_ref().expect("it was held here");
        self.view(pstate, *partition, partial, &mut |_| {})?;
        Ok(Arc::clone(&self.views[&(pstate, *partition)]))
    }

    fn depot_range(&self, _: usize, _: u32) -> Result<DepotRange, DepotError> {
        Ok(DepotRange { start: 0, end: self.records.len() as u64 })
    }

    fn depot_read(
        &self,
        _: usize,
        _: u32,
        from: u64,
        to: u64,
    ) -> Result<Vec<StoredEvent>, DepotError> {
        Ok(self.records[from as usize..to as usize].to_vec())
    }

    fn decode_json(&self, _: usize, json: &str) -> Result<JsonEvent, AppendErrorKind> {
        json_event(&BY_NAME, &self.depots[BY_NAME.name()], json)
    }

    fn select_json(&self, _: usize, path: &str, _: &dyn Fn() -> bool) -> Result<String, ReadError> {
        Ok(path.to_owned())
    }
}

/// What an engine answers that logged everything at the start of a depot.
pub(crate) fn logged(submission: &Submission) -> BatchReceipt {
    BatchReceipt {
        partition: submission.partition,
        count: submission.encoded.len() as u64,
        first_offset: 100,
        first_position: 2000,
        ..BatchReceipt::default()
    }
}

/// Answers a submission, if an answer was asked for.
pub(crate) fn answer(submission: Submission, result: Result<BatchReceipt, AppendErrorKind>) {
    match (submission.done, result) {
        (Some(done), Ok(receipt)) => done.answer(receipt),
        (Some(done), Err(kind)) => done.fail(kind, None),
        (None, _) => {}
    }
}

/// Gives the events back and answers that nothing was logged.
pub(crate) fn refuse(submission: Submission, kind: AppendErrorKind) {
    if let Some(done) = submission.done {
        done.fail(kind, Some(submission.events));
    }
}

/// The decoded events of a submission.
pub(crate) fn events<E: Event>(submission: &Submission) -> Vec<E> {
    let decode = |(variant, bytes)| E::decode_fields(usize::from(variant), bytes);
    submission.encoded.iter().map(decode).collect::<Result<_, _>>().expect("it decodes")
}

/// A view in memory. The key that is empty of `poison` cannot be read.
struct Store<V>(BTreeMap<KeyBytes, V>);

impl<V> Store<V> {
    fn new<K: Key>(entries: Vec<(K, V)>) -> Self {
        let encode = |(key, value): (K, V)| {
            let mut bytes = KeyBytes::new();
            key.encode_key(&mut bytes);
            (bytes, value)
        };
        Self(entries.into_iter().map(encode).collect())
    }
}

/// The key whose entry is damaged, in every view.
pub(crate) const DAMAGED: &str = "damaged";

impl<V: Send + Sync> ReadStore<V> for Store<V> {
    fn get(&self, key: &[u8]) -> Result<Option<Ref<'_, V>>, Damaged> {
        if key == DAMAGED.as_bytes() {
            return Err(Damaged::new("runs/7", 4096, "its checksum is wrong"));
        }
        Ok(self.0.get(key).map(Ref::Borrowed))
    }

    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> StoreRange<'_, V> {
        let entries = self.0.range::<[u8], _>((from, to));
        Box::new(entries.map(|(key, value)| Ok((key.clone(), Ref::Borrowed(value)))))
    }
}
