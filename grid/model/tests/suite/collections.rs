//! The collections do what those of the standard library do, and sharing cannot be seen.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use gridmill_model::engine::{ReadStore, RootStore, StoreRange};
use gridmill_model::prelude::*;
use gridmill_model::{Damaged, KeyBytes, Root};
use proptest::prelude::*;

/// A store over a sorted map, as a partition would lend one; a key of `bad` is damaged.
#[derive(Default)]
struct MemoryStore {
    entries: BTreeMap<KeyBytes, Option<u64>>,
}

fn check(key: &[u8]) -> Result<(), Damaged> {
    if key == b"bad" {
        Err(Damaged::new("runs/7.run", 4096, "expected crc 1, got 2"))
    } else {
        Ok(())
    }
}

impl ReadStore<u64> for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Ref<'_, u64>>, Damaged> {
        check(key)?;
        Ok(self.entries.get(key).and_then(Option::as_ref).map(Ref::Borrowed))
    }

    fn len(&self) -> u64 {
        self.entries.values().flatten().count() as u64
    }

    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> StoreRange<'_, u64> {
        let inside = (from.map(<[u8]>::to_vec), to.map(<[u8]>::to_vec));
        let entries = self.entries.iter().filter(move |(key, _)| {
            std::ops::RangeBounds::<Vec<u8>>::contains(&inside, &key.to_vec())
        });
        Box::new(entries.filter_map(|(key, value)| {
            value.as_ref().map(|value| Ok((key.clone(), Ref::Owned(*value))))
        }))
    }
}

impl RootStore<u64> for MemoryStore {
    fn slot_mut(&mut self, key: &[u8]) -> Result<&mut Option<u64>, Damaged> {
        check(key)?;
        Ok(self.entries.entry(KeyBytes::from_slice(key)).or_default())
    }

    fn clear(&mut self) {
        self.entries.clear();
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

fn root() -> Map<Str, u64> {
    Map::from_root(Box::new(MemoryStore::default()))
}

/// The same entries, as the root of a PState holds them.
pub(crate) fn root_of(map: &Map<Str, u64>) -> Map<Str, u64> {
    let mut root = root();
    root.extend(map.clone());
    root
}

#[derive(Debug, Clone)]
enum Op {
    Insert(String, u64),
    Remove(String),
    Add(String, u64),
    Change(String),
    Modify(String),
    Clear,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let key = || "[a-d]{0,2}";
    let op = prop_oneof![
        4 => (key(), any::<u64>()).prop_map(|(key, value)| Op::Insert(key, value)),
        2 => key().prop_map(Op::Remove),
        2 => (key(), 0_u64..9).prop_map(|(key, value)| Op::Add(key, value)),
        1 => key().prop_map(Op::Change),
        1 => key().prop_map(Op::Modify),
        1 => Just(Op::Clear),
    ];
    prop::collection::vec(op, 0..40)
}

/// Applies one operation to the map and to its model, and compares what they answer.
fn apply(map: &mut Map<Str, u64>, model: &mut BTreeMap<String, u64>, op: &Op) {
    match op.clone() {
        Op::Insert(key, value) => {
            assert_eq!(map.insert(key.as_str().into(), value), model.insert(key, value));
        }
        Op::Remove(key) => assert_eq!(map.remove(key.as_str()), model.remove(&key)),
        Op::Add(key, value) => {
            let entry = map.entry(key.as_str().into());
            assert_eq!(entry.key(), key.as_str());
            *entry.or_default() ^= value;
            *model.entry(key).or_default() ^= value;
        }
        Op::Change(key) => {
            let (own, other) = (map.get_mut(key.as_str()), model.get_mut(&key));
            assert_eq!(own.is_some(), other.is_some());
            own.into_iter().chain(other).for_each(|value| *value = value.wrapping_add(1));
        }
        Op::Modify(key) => {
            map.entry(key.as_str().into()).and_modify(|value| *value ^= 1).or_insert(8);
            model.entry(key).and_modify(|value| *value ^= 1).or_insert(8);
        }
        Op::Clear => {
            map.clear();
            model.clear();
        }
    }
}

fn compare(map: &Map<Str, u64>, model: &BTreeMap<String, u64>) {
    let entries: Vec<_> = model.iter().map(|(key, value)| (Str::new(key), *value)).collect();
    let own: Vec<_> = map.iter().map(|(key, value)| (key, *value)).collect();
    assert_eq!(own, entries);
    let mut reversed: Vec<_> = map.iter().rev().map(|(key, value)| (key, *value)).collect();
    reversed.reverse();
    assert_eq!(reversed, entries);
    assert_eq!(map.len(), model.len());
    assert_eq!(map.is_empty(), model.is_empty());
    assert_eq!(map.first().map(|(key, _)| key), entries.first().map(|(key, _)| key.clone()));
    assert_eq!(map.last().map(|(key, _)| key), entries.last().map(|(key, _)| key.clone()));
    assert_eq!(map.keys().count(), map.values().count());
    for (key, value) in &entries {
        assert_eq!(map.get(key).as_deref(), Some(value));
        assert!(map.contains_key(key));
    }
}

proptest! {
    #[test]
    fn maps_equal_their_model(ops in ops()) {
        let (mut plain, mut stored, mut model) = (Map::new(), root(), BTreeMap::new());
        for op in &ops {
            let before = (plain.clone(), plain.iter().map(|(_, v)| *v).collect::<Vec<_>>());
            apply(&mut plain, &mut model.clone(), op);
            apply(&mut stored, &mut model, op);
            prop_assert_eq!(before.0.values().map(|v| *v).collect::<Vec<_>>(), before.1);
        }
        compare(&plain, &model);
        compare(&stored, &model);
        prop_assert_eq!(&plain, &stored);
        prop_assert_eq!(stored.clone().into_entries(), stored.into_entries());
    }

    #[test]
    fn ranges_equal_their_model(
        keys in prop::collection::btree_set(0_u8..20, 0..12),
        from in 0_u8..20, to in 0_u8..20, ends in 0..4,
    ) {
        let map: Map<u8, u64> = keys.iter().map(|key| (*key, 1)).collect();
        let set: Set<u8> = keys.iter().copied().collect();
        let bound = |open, key| if open { Bound::Excluded(key) } else { Bound::Included(key) };
        let bounds = (bound(ends & 1 == 0, from), bound(ends & 2 == 0, to));
        let model: Vec<u8> = keys
            .iter()
            .copied()
            .filter(|key| std::ops::RangeBounds::contains(&bounds, key))
            .collect();
        prop_assert_eq!(map.range(bounds).map(|(key, _)| key).collect::<Vec<_>>(), model.clone());
        prop_assert_eq!(set.range(bounds).copied().collect::<Vec<_>>(), model);
    }

    #[test]
    fn sets_equal_their_model(values in prop::collection::vec((any::<bool>(), 0_u8..9), 0..40)) {
        let (mut set, mut model) = (Set::new(), BTreeSet::new());
        for (add, value) in values {
            if add {
                prop_assert_eq!(set.insert(value), model.insert(value));
            } else {
                prop_assert_eq!(set.remove(value), model.remove(&value));
            }
        }
        prop_assert!(set.iter().eq(&model));
        prop_assert_eq!((set.first(), set.last()), (model.first(), model.last()));
    }

    #[test]
    fn lists_equal_their_model(
        values in prop::collection::vec((0_u8..7, 0_usize..12, any::<u16>()), 0..60),
    ) {
        let (mut list, mut model) = (List::new(), Vec::new());
        for (op, index, value) in values {
            let before = list.clone();
            let copy = model.clone();
            edit(&mut list, &mut model, op, index, value);
            prop_assert!(list.iter().eq(&model), "{:?} and {:?}", list, model);
            prop_assert!(before.iter().eq(&copy));
        }
    }
}

fn edit(list: &mut List<u16>, model: &mut Vec<u16>, op: u8, index: usize, value: u16) {
    match op {
        0 => (list.push_back(value), model.push(value)).0,
        1 => (list.push_front(value), model.insert(0, value)).0,
        2 => {
            assert_eq!(list.insert(index, value), index <= model.len());
            if index <= model.len() {
                model.insert(index, value);
            }
        }
        3 => {
            let removed = (index < model.len()).then(|| model.remove(index));
            assert_eq!(list.remove(index), removed);
        }
        4 => {
            let to = usize::from(value) % 12;
            let fits = index < model.len() && to < model.len();
            assert_eq!(list.move_to(index, to), fits);
            if fits {
                let moved = model.remove(index);
                model.insert(to, moved);
            }
        }
        5 => {
            let old = model.get_mut(index).map(|place| std::mem::replace(place, value));
            assert_eq!(list.set(index, value), old);
        }
        _ => (list.truncate(index), model.truncate(index)).0,
    }
}

#[test]
fn damage_unwinds_with_itself() {
    let mut map = root();
    assert!(map.try_get("bad").is_err());
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        map.insert("bad".into(), 1);
    }));
    let damaged = caught.unwrap_err().downcast::<Damaged>().unwrap();
    assert_eq!(
        damaged.to_string(),
        "damaged data in runs/7.run at byte 4096: expected crc 1, got 2"
    );
}

#[test]
fn an_assigned_root_is_seen() {
    let mut map = root();
    map.insert("a".into(), 1);
    assert!(map.store_mut().is_some());
    let taken = std::mem::take(&mut map);
    assert!(map.store_mut().is_none());
    assert_eq!(taken.into_plain(), [("a".into(), 1)].into());
}

#[test]
fn a_missing_entry_is_not_written_by_looking() {
    let mut map = root();
    assert!(map.get_mut("a").is_none());
    assert!(map.remove("a").is_none());
    let store = map.root_mut().unwrap().as_any_mut().downcast_mut::<MemoryStore>().unwrap();
    assert!(store.entries.is_empty());
}

/// What can be done to a list.
#[derive(Clone, Debug)]
enum Act {
    Extend(usize),
    Insert(usize, u16),
    Remove(usize),
    Move(usize, usize),
    Truncate(usize),
    Set(usize, u16),
    Share,
}

fn act() -> impl Strategy<Value = Act> {
    let at = 0..700_usize;
    prop_oneof![
        (0..200_usize).prop_map(Act::Extend),
        (at.clone(), any::<u16>()).prop_map(|(index, value)| Act::Insert(index, value)),
        at.clone().prop_map(Act::Remove),
        (at.clone(), at.clone()).prop_map(|(from, to)| Act::Move(from, to)),
        at.clone().prop_map(Act::Truncate),
        (at, any::<u16>()).prop_map(|(index, value)| Act::Set(index, value)),
        Just(Act::Share),
    ]
}

proptest! {
    /// A list is a `Vec` in either of its forms and where it changes from one to the other; what
    /// was cloned stays as it was.
    #[test]
    fn a_list_is_a_vec_in_both_forms(acts in prop::collection::vec(act(), 1..60)) {
        let (mut list, mut model) = (List::new(), Vec::new());
        let mut shared: Vec<(List<u16>, Vec<u16>)> = Vec::new();
        for act in acts {
            match act {
                Act::Extend(count) => {
                    let more = (0..count as u16).map(|n| n.wrapping_mul(31));
                    list.extend(more.clone());
                    model.extend(more);
                }
                Act::Insert(at, value) => {
                    prop_assert_eq!(list.insert(at, value), at <= model.len());
                    if at <= model.len() {
                        model.insert(at, value);
                    }
                }
                Act::Remove(at) => {
                    let gone = (at < model.len()).then(|| model.remove(at));
                    prop_assert_eq!(list.remove(at), gone);
                }
                Act::Move(from, to) => {
                    let fits = from < model.len() && to < model.len();
                    prop_assert_eq!(list.move_to(from, to), fits);
                    if fits {
                        let value = model.remove(from);
                        model.insert(to, value);
                    }
                }
                Act::Truncate(len) => {
                    list.truncate(len);
                    model.truncate(len);
                }
                Act::Set(at, value) => {
                    let old = model.get_mut(at).map(|place| std::mem::replace(place, value));
                    prop_assert_eq!(list.set(at, value), old);
                }
                Act::Share => shared.push((list.clone(), model.clone())),
            }
            prop_assert_eq!(&list, &model[..]);
        }
        for (list, model) in &shared {
            prop_assert_eq!(list, &model[..]);
            prop_assert!(list.iter().rev().eq(model.iter().rev()));
            prop_assert!(list.clone().into_iter().eq(model.iter().copied()));
        }
        let joined = shared.iter().fold(List::new(), |mut all, (list, _)| {
            all.append(list.clone());
            all
        });
        let whole: Vec<u16> = shared.iter().flat_map(|(_, model)| model.iter().copied()).collect();
        prop_assert_eq!(&joined, &whole[..]);
    }
}
