//! What is called of `im`'s collections, against those of the standard library: large ones, with elements on the
//! heap, alone and shared, at every size at which one becomes another. `sanitize.sh` runs these under a sanitizer.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use gridmill_model::prelude::*;
use proptest::prelude::*;

use crate::list_acts::{Act, Element, act, assert_shows, elements, to_list, to_vec};

thread_local! {
    static ALIVE: Arc<()> = Arc::new(());
}

/// Text, which must be freed once, and is counted as long as it lives.
#[derive(Clone, Debug, PartialEq)]
struct Owned(String, Arc<()>);

impl Element for Owned {
    fn new(number: u32) -> Self {
        Self(number.to_string(), ALIVE.with(Arc::clone))
    }

    fn number(&self) -> u32 {
        self.0.parse().unwrap()
    }
}

fn alive() -> usize {
    ALIVE.with(Arc::strong_count) - 1
}

/// Around what a block, a chunk, and a node of chunks hold.
fn sizes() -> impl Strategy<Value = usize> {
    let around = |size: usize| size.saturating_sub(3)..size + 4;
    prop_oneof![
        Just(0),
        around(64),
        around(128),
        around(256),
        around(256 + 64),
        around(512),
        around(64 * 64),
        around(64 * 64 + 4 * 64),
    ]
}

/// Two trees as one: what `append` joins has been cut and joined before.
fn joined(size: usize) -> (List<Owned>, Vec<Owned>) {
    let model = elements(1, size);
    let mut list: List<Owned> = model[size / 3..].to_vec().into();
    let mut front: List<Owned> = model[..size / 3].to_vec().into();
    front.append(std::mem::take(&mut list));
    (front, model)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_large_list_is_a_vec_alone_and_shared(
        size in sizes(),
        acts in prop::collection::vec((act(), any::<bool>()), 1..40),
    ) {
        {
            let (mut list, mut model) = joined(size);
            let mut shared: Vec<(List<Owned>, Vec<Owned>)> = Vec::new();
            for (act, share) in &acts {
                if *share {
                    shared.push((list.clone(), model.clone()));
                    shared.drain(..shared.len().saturating_sub(4));
                }
                prop_assert_eq!(to_list(&mut list, act), to_vec(&mut model, act), "{:?}", act);
                assert_shows(&list, &model);
            }
            for (list, model) in shared {
                assert_shows(&list, &model);
                let mut ends = (list.into_iter(), model.into_iter());
                prop_assert_eq!(ends.0.nth(100), ends.1.nth(100));
                prop_assert_eq!(ends.0.nth_back(100), ends.1.nth_back(100));
                prop_assert!(ends.0.eq(ends.1));
            }
        }
        prop_assert_eq!(alive(), 0, "each element is dropped, and once");
    }

    #[test]
    fn large_maps_and_sets_are_those_of_the_standard_library(
        size in sizes(), step in 1..40_u64, acts in prop::collection::vec(map_act(), 1..60),
    ) {
        let number = |n: u64| Str::new(format!("a key that is on the heap {:06}", n % 6000));
        let keys = || (0..size as u64).map(|n| number(n * step));
        let mut map: Map<Str, Vec<u64>> = keys().map(|key| (key, vec![1])).collect();
        let mut set: Set<Str> = keys().collect();
        let mut models: (BTreeMap<_, _>, BTreeSet<_>) =
            (keys().map(|key| (key, vec![1])).collect(), keys().collect());
        let mut shared = Vec::new();
        for act in acts {
            match act {
                MapAct::Insert(n, count) => for n in n..n + count {
                    let key = number(n);
                    prop_assert_eq!(set.insert(key.clone()), models.1.insert(key.clone()));
                    let old = models.0.insert(key.clone(), vec![n]);
                    prop_assert_eq!(map.insert(key, vec![n]), old);
                },
                MapAct::Remove(n, count) => for n in n..n + count {
                    let key = number(n);
                    prop_assert_eq!(set.remove(&key), models.1.remove(&key));
                    prop_assert_eq!(map.remove(&key), models.0.remove(&key));
                },
                MapAct::Change(n) => {
                    map.entry(number(n)).or_default().push(n);
                    models.0.entry(number(n)).or_default().push(n);
                    let places = (map.get_mut(number(n + 1)), models.0.get_mut(&number(n + 1)));
                    prop_assert_eq!(places.0.is_some(), places.1.is_some());
                    places.0.into_iter().chain(places.1).for_each(|place| place.push(9));
                }
                MapAct::Extend(n, count) => {
                    let more = || (n..n + count).map(number);
                    set.extend(more());
                    models.1.extend(more());
                    map.extend(more().map(|key| (key, Vec::new())));
                    models.0.extend(more().map(|key| (key, Vec::new())));
                }
                MapAct::Range(from, to) => {
                    let bounds = || (Bound::Excluded(number(from)), Bound::Included(number(to)));
                    if number(from) < number(to) {
                        let range = map.range(bounds()).rev().map(|(key, _)| key);
                        prop_assert!(range.eq(models.0.range(bounds()).rev().map(|e| e.0.clone())));
                        prop_assert!(set.range(bounds()).eq(models.1.range(bounds())));
                    }
                }
                MapAct::Share => shared.push(((map.clone(), set.clone()), models.clone())),
                MapAct::Clear => {
                    map.clear();
                    set.clear();
                    models = (BTreeMap::new(), BTreeSet::new());
                }
            }
        }
        shared.push(((map, set), models));
        for ((map, set), models) in shared {
            prop_assert_eq!((map.len(), set.len()), (models.0.len(), models.1.len()));
            prop_assert!(map.iter().eq(models.0.iter().map(|(k, v)| (k.clone(), Ref::Borrowed(v)))));
            prop_assert!(set.iter().eq(&models.1) && set.iter().rev().eq(models.1.iter().rev()));
            prop_assert_eq!((set.first(), set.last()), (models.1.first(), models.1.last()));
            prop_assert_eq!(&set, &models.1.iter().cloned().collect::<Set<_>>());
            prop_assert!(models.0.keys().all(|key| map.contains_key(key) && set.contains(key) == models.1.contains(key)));
            prop_assert!(map.into_iter().eq(models.0));
            prop_assert!(set.into_iter().rev().eq(models.1.into_iter().rev()));
        }
    }
}

#[derive(Clone, Debug)]
enum MapAct {
    Insert(u64, u64),
    Remove(u64, u64),
    Change(u64),
    Extend(u64, u64),
    Range(u64, u64),
    Share,
    Clear,
}

fn map_act() -> impl Strategy<Value = MapAct> {
    let (n, count) = (0..6000_u64, 1..200_u64);
    prop_oneof![
        4 => (n.clone(), count.clone()).prop_map(|(n, count)| MapAct::Insert(n, count)),
        4 => (n.clone(), count.clone()).prop_map(|(n, count)| MapAct::Remove(n, count)),
        3 => n.clone().prop_map(MapAct::Change),
        1 => (n.clone(), count).prop_map(|(n, count)| MapAct::Extend(n, count)),
        3 => (n.clone(), n).prop_map(|(from, to)| MapAct::Range(from, to)),
        4 => Just(MapAct::Share),
        1 => Just(MapAct::Clear),
    ]
}

/// What `Vector::retain` of imbl 7.0.2 does to other elements, and frees twice.
#[test]
fn retain_keeps_what_it_is_told_after_the_front_was_taken_off() {
    for len in [200, 257, 300, 4_500, 20_000_u32] {
        for shared in [false, true] {
            let mut list: List<Owned> = elements::<Owned>(0, len as usize).into();
            let mut model = elements::<Owned>(0, len as usize);
            assert_eq!(list.pop_front(), Some(model.remove(0)));
            let before = shared.then(|| list.clone());
            for act in [Act::Retain(7), Act::PopFront, Act::Sort, Act::Retain(5)] {
                assert_eq!(to_list(&mut list, &act), to_vec(&mut model, &act));
                assert_shows(&list, &model);
            }
            drop((list, before, model));
            assert_eq!(alive(), 0);
        }
    }
}

/// The same by a path that removes.
#[test]
fn a_path_removes_the_elements_that_its_filter_passes() {
    const NUMBERS: PState<Map<Str, List<u64>>> = PState::new("numbers");
    let mut list: List<u64> = (0..300).collect();
    list.pop_front();
    let mut root = Map::from([("a".into(), list)]);
    let path = NUMBERS.key("a").all().filter_lt(200_u64);
    assert_eq!(path.remove().apply(&mut root), 199);
    assert!(root.get("a").unwrap().iter().copied().eq(200..300));
}

#[test]
fn elements_of_a_large_list_may_have_any_size_and_alignment() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(align(64))]
    struct Wide(u16);

    let mut wide: List<Wide> = (0..1000).map(Wide).collect();
    let before = wide.clone();
    wide.pop_front();
    wide.retain(|wide| wide.0 % 2 == 0);
    wide.move_to(400, 3);
    assert!(wide.iter().chain(&before).all(|wide| std::ptr::from_ref(wide).addr() % 64 == 0));
    assert_eq!((wide[2], wide[3], wide[4], before[1]), (Wide(6), Wide(802), Wide(8), Wide(1)));

    let mut nothing: List<()> = (0..1000).map(|_| ()).collect();
    let before = nothing.clone();
    nothing.truncate(700);
    nothing.retain(|()| true);
    nothing.append(before.clone());
    assert_eq!((nothing.len(), before.iter().count()), (1700, 1000));
}

/// Moves and joins do not make a tree that gets deeper for good: each look-up would take longer.
#[test]
fn a_large_list_stays_what_it_is_through_many_moves() {
    let (mut list, mut model) = joined(5_000);
    let mut seed = 1_u64;
    for _ in 0..3_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (from, to) = ((seed >> 33) as usize % 5_000, (seed >> 45) as usize % 5_000);
        assert!(list.move_to(from, to));
        let moved = model.remove(from);
        model.insert(to, moved);
    }
    assert_shows(&list, &model);
}
