//! A module whose views are a plain flush of its log, to hold against whatever a crash leaves.

use std::collections::{BTreeMap, HashSet};

use gridmill::client::Recorded;
use gridmill::prelude::*;

/// One entry; `id` is unique in a whole test: who wrote it in the high half, a count in the low.
#[record]
#[derive(Eq)]
pub(crate) enum Entry {
    Put { key: Str, id: u64, padding: Str },
    Drop { key: Str, id: u64 },
}

impl Entry {
    fn key(&self) -> &Str {
        match self {
            Self::Put { key, .. } | Self::Drop { key, .. } => key,
        }
    }

    pub(crate) fn id(&self) -> u64 {
        match self {
            Self::Put { id, .. } | Self::Drop { id, .. } => *id,
        }
    }

    /// The `number`th entry of a writer: mostly puts, over a few dozen keys of several partitions.
    pub(crate) fn of(writer: u32, number: u32, padding: usize) -> Self {
        let id = u64::from(writer) << 32 | u64::from(number);
        let mixed = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let key = format!("key-{}", mixed % 37).into();
        if mixed.is_multiple_of(11) {
            return Self::Drop { key, id };
        }
        Self::Put { key, id, padding: "x".repeat(padding).into() }
    }
}

pub(crate) const ENTRIES: Depot<Entry> =
    Depot::hash_by("ledger/entries", |entry| entry.key().as_str().into());
pub(crate) const IDS: PState<Map<Str, List<u64>>> = PState::new("ledger/ids");
pub(crate) const COUNTS: PState<Map<Str, u64>> = PState::new("ledger/counts");
pub(crate) const LATEST: PState<Map<Str, u64>> = PState::new("ledger/latest");

/// One topology with two PStates.
pub(crate) struct Ledger;

impl Module for Ledger {
    const NAME: &'static str = "ledger";

    fn define(module: &mut Setup) {
        module.depot(ENTRIES);
        module.stream("ids", (IDS, COUNTS)).source(ENTRIES).each(keep_ids);
    }
}

/// The same module with a topology that was added later.
pub(crate) struct GrownLedger;

impl Module for GrownLedger {
    const NAME: &'static str = "ledger";

    fn define(module: &mut Setup) {
        Ledger::define(module);
        module.stream("latest", LATEST).source(ENTRIES).each(keep_latest);
    }
}

fn keep_ids(entry: Entry, (ids, counts): (&mut Map<Str, List<u64>>, &mut Map<Str, u64>)) {
    *counts.entry(entry.key().clone()).or_default() += 1;
    match entry {
        Entry::Put { key, id, .. } => ids.entry(key).or_default().push_back(id),
        Entry::Drop { key, .. } => {
            ids.remove(&key);
        }
    }
}

fn keep_latest(entry: Entry, latest: &mut Map<Str, u64>) {
    latest.insert(entry.key().clone(), entry.id());
}

/// What the views have to hold, computed the plain way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Flush {
    pub(crate) ids: BTreeMap<Str, Vec<u64>>,
    pub(crate) counts: BTreeMap<Str, u64>,
    pub(crate) latest: BTreeMap<Str, u64>,
}

impl Flush {
    pub(crate) fn of<'a>(entries: impl Iterator<Item = &'a Entry>) -> Self {
        let mut flush = Self::default();
        for entry in entries {
            *flush.counts.entry(entry.key().clone()).or_default() += 1;
            flush.latest.insert(entry.key().clone(), entry.id());
            match entry {
                Entry::Put { key, id, .. } => flush.ids.entry(key.clone()).or_default().push(*id),
                Entry::Drop { key, .. } => {
                    flush.ids.remove(key);
                }
            }
        }
        flush
    }
}

/// Reads the whole depot and all views of a grid that nobody writes to, and holds them against each
/// other and against what was acknowledged. Returns the number of records.
pub(crate) async fn check(client: &Client, acked: &HashSet<u64>, grown: bool) -> usize {
    let info = client.depot_info(ENTRIES).await.expect("the depot can be read");
    let mut seen = HashSet::new();
    for (partition, range) in (0..).zip(&info.ranges) {
        let records = client.depot_read(ENTRIES, partition, range.start..range.end).await;
        let records = records.expect("every record can be read");
        check_log(&records, range.start, &mut seen);
        check_views(client, partition, &records, grown).await;
    }
    let lost: Vec<_> = acked.difference(&seen).collect();
    assert!(lost.is_empty(), "acknowledged and not in the log: {lost:x?}");
    seen.len()
}

/// Nothing stands there twice, and each writer's entries stand in the order of their appends.
fn check_log(records: &[Recorded<Entry>], start: u64, seen: &mut HashSet<u64>) {
    let mut newest = BTreeMap::new();
    for (offset, record) in (start..).zip(records) {
        assert_eq!(record.offset, offset, "offsets count up by one");
        let id = record.event.id();
        assert!(seen.insert(id), "record {id:x} stands there twice");
        let before = newest.insert(id >> 32, id);
        assert!(before.is_none_or(|before| before < id), "{id:x} stands after {before:x?}");
    }
}

async fn check_views(client: &Client, partition: u32, records: &[Recorded<Entry>], grown: bool) {
    let flush = Flush::of(records.iter().map(|record| &record.event));
    let ids = client.select_on(partition, IDS.all()).await.expect("the view can be read");
    let ids = ids.into_iter().map(|(key, ids)| (key, ids.iter().copied().collect())).collect();
    let counts = client.select_on(partition, COUNTS.all()).await.expect("the view can be read");
    let counts = counts.into_iter().collect();
    let latest = if grown {
        let latest = client.select_on(partition, LATEST.all()).await;
        latest.expect("the view can be read").into_iter().collect()
    } else {
        flush.latest.clone()
    };
    assert_eq!(Flush { ids, counts, latest }, flush, "partition {partition}");
}
