//! A memtable beside plain maps: every cut goes on saying what it said when it was made.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use gridmill_model::prelude::List;

use super::*;

type Model = BTreeMap<Vec<u8>, Option<List<u64>>>;

/// Numbers that look random.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn key(number: u64) -> Vec<u8> {
    // Some do not fit where short keys lie.
    format!("key-{number}{}", "x".repeat(number as usize % 40)).into_bytes()
}

/// Adds a batch of up to `most` entries; tells `known` spots where it draws so.
fn add(
    cut: &MemtableView<List<u64>>,
    model: &mut Model,
    known: &mut BTreeMap<Vec<u8>, Spot>,
    draw: &mut Draw,
    most: u64,
) -> Arc<MemtableView<List<u64>>> {
    let count = draw.below(most) + 1;
    let changed: BTreeMap<Vec<u8>, Option<List<u64>>> = (0..count)
        .map(|_| {
            let value = (draw.below(4) > 0).then(|| (0..draw.below(5)).collect());
            (key(draw.below(300)), value)
        })
        .collect();
    let mut appender = cut.append(changed.len());
    for (key, value) in changed {
        let before = known.get(&key).copied().filter(|_| draw.below(2) == 0);
        let spot =
            appender.add(hash_key(&key), &key, value.clone(), Room::of(value.as_ref()), before);
        known.insert(key.clone(), spot.expect("there is room"));
        model.insert(key, value);
    }
    appender.finish()
}

fn check(cut: &MemtableView<List<u64>>, model: &Model) {
    for number in 0..300 {
        let key = key(number);
        assert_eq!(cut.get(&key, hash_key(&key)), model.get(&key).cloned());
        let contains = model.get(&key).map(Option::is_some);
        assert_eq!(cut.contains(&key, hash_key(&key)), contains);
    }
}

/// The entries by the sorted lists.
fn walked(cut: &MemtableView<List<u64>>) -> Model {
    let key = |spot: &Spot| cut.entry(*spot).key();
    let mut entries = Model::new();
    for list in cut.sorted() {
        assert!(list.is_sorted_by(|one, other| key(one) < key(other)));
        let seen = list.iter().map(|spot| cut.entry(*spot));
        let value = |entry| cut.read(entry, |value| value.cloned());
        for (key, value) in seen.filter_map(|entry| Some((entry.key().to_vec(), value(entry)?))) {
            assert!(entries.insert(key, value).is_none(), "lists share no key");
        }
    }
    entries
}

#[test]
fn every_cut_stays_what_it_was() {
    for seed in 1..=20 {
        let mut draw = Draw(seed);
        let (mut model, mut known) = (Model::new(), BTreeMap::new());
        let mut newest = Memtable::start(false);
        let mut held = vec![(Arc::clone(&newest), model.clone())];
        for _ in 0..100 {
            newest = add(&newest, &mut model, &mut known, &mut draw, 60);
            held.push((Arc::clone(&newest), model.clone()));
            if draw.below(2) == 0 {
                held.swap_remove(draw.below(held.len() as u64) as usize);
            }
            if draw.below(4) == 0 {
                let (cut, model) = &held[draw.below(held.len() as u64) as usize];
                check(cut, model);
                assert_eq!(walked(cut), *model);
            }
        }
        for (cut, model) in &held {
            check(cut, model);
            assert_eq!(walked(cut), *model);
        }
        let sorted = newest.sorted_at_once();
        let keys: Vec<&[u8]> = sorted.iter().map(|spot| newest.entry(*spot).key()).collect();
        assert!(keys.iter().eq(model.keys()));
        check(&Memtable::start(false).with(&newest), &model);
    }
}

#[test]
fn what_no_cut_sees_is_dropped() {
    let key = b"key";
    // Held all the time, and no reason to keep anything: it sees nothing.
    let before = Memtable::start(false).append(0).finish();
    let mut cut = Arc::clone(&before);
    let mut held = None;
    let large: List<u64> = (0..200).collect();
    for round in 0..1000 {
        let mut appender = cut.append(1);
        let value: List<u64> = large.iter().copied().collect();
        let room = Room::of(Some(&value));
        appender.add(hash_key(key), key, Some(value), room, None);
        cut = appender.finish();
        if round == 500 {
            held = Some(Arc::clone(&cut));
        }
        if round == 499 {
            assert!(cut.weight() < 1000 + 4 * large.weight(), "{}", cut.weight());
        }
    }
    let held = held.expect("round 500 was there");
    assert_eq!(held.get(key, hash_key(key)), Some(Some(large)));
    assert_eq!((before.seen().count(), cut.seen().count()), (0, 1));
}

#[test]
fn a_block_has_an_end_and_the_batch_goes_on() {
    let mut cut = Memtable::start(false);
    for value in [1, 2] {
        let mut batch = cut.append(70_000);
        for number in 0..70_000_u64 {
            let key = number.to_be_bytes();
            batch.add(hash_key(&key), &key, Some(number * value), Room::default(), None);
        }
        cut = batch.finish();
    }
    assert_eq!(cut.sorted_at_once().len(), 70_000);
    let key = 69_999_u64.to_be_bytes();
    assert_eq!(cut.get(&key, hash_key(&key)), Some(Some(2 * 69_999)));
}

#[test]
fn readers_see_whole_batches_while_a_writer_goes_on() {
    let newest: Mutex<Arc<MemtableView<List<u64>>>> = Mutex::new(Memtable::start(false));
    let done = AtomicBool::new(false);
    let read = || {
        let mut last = 0;
        while !done.load(Ordering::Acquire) {
            let cut = Arc::clone(&newest.lock().expect("no reader fails"));
            let value = |number: u64| {
                let key = key(number);
                cut.get(&key, hash_key(&key)).flatten().map_or(0, |list| list[0])
            };
            let values: Vec<u64> = (0..100).map(value).collect();
            assert!(values.iter().all(|value| *value == values[0] && *value >= last));
            last = values[0];
        }
    };
    std::thread::scope(|threads| {
        threads.spawn(read);
        threads.spawn(read);
        for batch in 1..=500_u64 {
            let cut = Arc::clone(&newest.lock().expect("no reader fails"));
            let mut appender = cut.append(100);
            for number in 0..100 {
                let key = key(number);
                let value = List::from([batch]);
                let room = Room::of(Some(&value));
                appender.add(hash_key(&key), &key, Some(value), room, None);
            }
            let cut = appender.finish();
            *newest.lock().expect("no reader fails") = cut;
        }
        done.store(true, Ordering::Release);
    });
}
