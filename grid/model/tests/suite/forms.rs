//! A collection may lie in memory in several forms: as it came to be, shared, decoded, as a partition's root.
//! Nobody can tell which: what is done to it, and what it then says, is the same.

use std::hash::{DefaultHasher, Hash, Hasher};

use gridmill_model::Root;
use gridmill_model::archive::ArchiveBuf;
use gridmill_model::prelude::*;
use proptest::prelude::*;

use crate::collections::root_of;
use crate::list_acts::{Act, Element, act, assert_shows, elements, to_list, to_vec};

impl Element for (u8, u32) {
    fn new(number: u32) -> Self {
        (number as u8, number)
    }

    fn number(&self) -> u32 {
        self.1
    }
}

/// Through the bytes of a log, those of a run, and JSON.
fn decoded<T: State>(value: &T) -> [T; 3] {
    let bytes = postcard::to_stdvec(value).unwrap();
    let json = serde_json::to_string(value).unwrap();
    [
        postcard::from_bytes(&bytes).unwrap(),
        T::unarchive(archived(value).as_slice()).unwrap(),
        serde_json::from_str(&json).unwrap(),
    ]
}

fn archived(value: &impl State) -> ArchiveBuf {
    let mut out = ArchiveBuf::new();
    value.archive(&mut out).unwrap();
    out
}

/// All that can be seen of a value from outside.
fn seen(value: &impl State) -> (String, Vec<u8>, Vec<u8>, String) {
    let json = serde_json::to_string(value).unwrap();
    let archive = archived(value).as_slice().to_vec();
    (format!("{value:?}"), postcard::to_stdvec(value).unwrap(), archive, json)
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The same list in every form that it may have, and what has to stay alive for that.
fn list_forms<E: Element + State + Ord>(model: &[E]) -> (Vec<List<E>>, Vec<List<E>>) {
    let grown: List<E> = model.iter().cloned().collect();
    // It once was large.
    let mut shrunk: List<E> = model.iter().cloned().chain(elements(7, 300)).collect();
    shrunk.truncate(model.len());
    let mut from_front: List<E> = elements::<E>(9, 300).into();
    from_front.append(model.to_vec().into());
    (0..300).for_each(|_| drop(from_front.pop_front()));
    // All was changed, and changed back.
    let mut changed = shrunk.clone();
    changed.iter_mut().for_each(|place| *place = E::new(0));
    changed.iter_mut().zip(model).for_each(|(place, element)| *place = element.clone());
    // One element is a patch over a shared block.
    let mut patched: List<E> = List::new();
    model.iter().cloned().for_each(|element| patched.push_back(element));
    let patch = model.len() / 2;
    let last = patched.set(patch, E::new(0));
    let below = patched.clone();
    last.into_iter().for_each(|element| drop(patched.set(patch, element)));
    let mut forms =
        vec![shrunk.clone(), from_front, changed.clone(), patched, model.to_vec().into()];
    forms.extend(decoded(&grown));
    forms.extend(decoded(&shrunk));
    (forms, vec![grown, shrunk, changed, below])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_form_of_a_list_cannot_be_told(
        size in prop_oneof![0..12_usize, 120..140_usize, 250..262_usize, 500..520_usize],
        acts in prop::collection::vec(act(), 0..8),
        last in act(),
        clear in any::<bool>(),
    ) {
        let mut model: Vec<(u8, u32)> = elements(3, size);
        let (mut forms, alive) = list_forms(&model);
        let last = if clear { Act::Clear } else { last };
        for act in acts.iter().chain([&Act::Sort, &last]) {
            let said = to_vec(&mut model, act);
            for list in &mut forms {
                prop_assert_eq!(to_list(list, act), said, "{:?}", act);
            }
            for list in &forms {
                assert_shows(list, &model);
            }
        }
        let told = seen(&forms[0]);
        let larger: List<_> = forms[0].iter().copied().chain([(1, 1)]).collect();
        for list in &forms {
            for other in &forms {
                prop_assert!(list == other && list.cmp(other).is_eq() && hash(list) == hash(other));
            }
            prop_assert_eq!(&seen(list), &told);
            prop_assert_ne!(list, &larger);
            prop_assert!(*list < larger);
            prop_assert!(larger > *list);
            prop_assert!(model.iter().step_by(97).all(|element| list.contains(element)) && !list.contains(&(9, 1 << 31)));
            prop_assert!(list.clone().into_iter().eq(model.iter().copied()));
        }
        prop_assert!(alive.iter().all(|list| list.len() == size));
    }
}

/// `NaN` equals nothing, also not itself in another clone, or in the same memory.
#[test]
fn equality_does_not_depend_on_shared_memory() {
    for len in [1, 3, 300] {
        let list: List<f64> = vec![f64::NAN; len].into();
        assert_ne!(list, list.clone());
        assert_ne!(list, List::unarchive(archived(&list).as_slice()).unwrap());
        let map: Map<u64, f64> = (0..len as u64).map(|key| (key, f64::NAN)).collect();
        assert_ne!(map, map.clone());
        assert_ne!(map, Map::unarchive(archived(&map).as_slice()).unwrap());
    }
}

#[derive(Clone, Debug)]
enum MapAct {
    Insert(u8, u64),
    Remove(u8),
    Change(u8),
    Fill(u8),
    Modify(u8),
    ChangeAll(u64),
    Extend(u8, u8),
    Clear,
}

fn map_act() -> impl Strategy<Value = MapAct> {
    let (key, n) = (any::<u8>, any::<u64>);
    prop_oneof![
        4 => (key(), n()).prop_map(|(key, n)| MapAct::Insert(key, n)),
        4 => key().prop_map(MapAct::Remove),
        2 => key().prop_map(MapAct::Change),
        2 => key().prop_map(MapAct::Fill),
        2 => key().prop_map(MapAct::Modify),
        1 => n().prop_map(MapAct::ChangeAll),
        2 => (key(), key()).prop_map(|(from, to)| MapAct::Extend(from, to)),
        1 => Just(MapAct::Clear),
    ]
}

fn key(n: u8) -> Str {
    Str::new(format!("{n:03}"))
}

/// Does it to a map. The answer is what the map said.
fn to_map(map: &mut Map<Str, u64>, act: &MapAct) -> Option<u64> {
    match *act {
        MapAct::Insert(n, value) => return map.insert(key(n), value),
        MapAct::Remove(n) => return map.remove(key(n)),
        MapAct::Change(n) => return map.get_mut(key(n)).map(|value| std::mem::replace(value, 5)),
        MapAct::Fill(n) => *map.entry(key(n)).or_insert_with(|| 3) ^= 1,
        MapAct::Modify(n) => *map.entry(key(n)).and_modify(|value| *value ^= 8).or_default() ^= 2,
        MapAct::ChangeAll(n) => map.for_each_mut(|_, value| *value ^= n),
        MapAct::Extend(from, to) => map.extend((from..to).map(|n| (key(n), n.into()))),
        MapAct::Clear => map.clear(),
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_form_of_a_map_and_of_a_set_cannot_be_told(
        keys in prop::collection::btree_set(any::<u8>(), 0..200),
        acts in prop::collection::vec(map_act(), 0..30),
        from in any::<u8>(), to in any::<u8>(),
    ) {
        let grown: Map<Str, u64> = keys.iter().map(|n| (key(*n), 1)).collect();
        let mut shrunk: Map<Str, u64> = (0..=255).rev().map(|n| (key(n), 1)).collect();
        for n in (0..=255).filter(|n| !keys.contains(n)) {
            shrunk.remove(key(n));
        }
        let mut forms = vec![grown.clone(), shrunk.clone(), root_of(&grown)];
        forms.extend(decoded(&grown));
        for act in &acts {
            let said = to_map(&mut forms[0], act);
            for map in &mut forms[1..] {
                prop_assert_eq!(to_map(map, act), said, "{:?}", act);
            }
        }
        prop_assert_eq!(grown.len(), keys.len());
        let told = seen(&forms[0]);
        let bounds = || key(from)..=key(to);
        let range: Vec<_> = forms[0].range(bounds()).map(|(key, value)| (key, *value)).collect();
        for map in &forms {
            for other in &forms {
                prop_assert_eq!(map, other);
            }
            prop_assert_eq!(&seen(map), &told);
            prop_assert_eq!((map.len(), map.is_empty()), (forms[0].len(), forms[0].is_empty()));
            prop_assert_eq!((map.first(), map.last()), (forms[0].first(), forms[0].last()));
            prop_assert_eq!(map.get(key(from)), forms[0].get(key(from)));
            prop_assert_eq!(map.contains_key(key(to)), forms[0].contains_key(key(to)));
            prop_assert!(map.range(bounds()).rev().eq(range.iter().rev().map(|(k, v)| (k.clone(), Ref::Borrowed(v)))));
            prop_assert!(map.keys().eq(forms[0].keys()) && map.values().rev().eq(forms[0].values().rev()));
            prop_assert_eq!(map.clone().into_entries(), forms[0].clone().into_entries());
            prop_assert!(map.clone().into_iter().eq(forms[0].clone()));
        }
        let mut sets: Vec<Set<Str>> = forms.iter().map(|map| map.keys().collect()).collect();
        sets.push(forms[0].keys().rev().collect());
        sets.extend(decoded(&sets[0].clone()));
        let kept = sets[0].clone();
        let insert = [sets.iter_mut().map(|set| set.insert(key(from))).collect::<Vec<_>>()];
        let remove = [sets.iter_mut().map(|set| set.remove(key(to))).collect::<Vec<_>>()];
        for said in insert.iter().chain(&remove) {
            prop_assert!(said.iter().all(|one| *one == said[0]));
        }
        let told = seen(&sets[0]);
        for set in &sets {
            prop_assert!(sets.iter().all(|other| set == other));
            prop_assert_eq!(&seen(set), &told);
            prop_assert_eq!((set.len(), set.first(), set.last()), (sets[0].len(), sets[0].first(), sets[0].last()));
            prop_assert!(set.range(bounds()).rev().eq(sets[0].range(bounds()).rev()));
            prop_assert!(set.clone().into_iter().eq(sets[0].iter().cloned()));
        }
        prop_assert_eq!(kept.len(), forms[0].len());
    }
}
