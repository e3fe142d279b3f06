//! What is absent stays absent where it is removed: nothing is made, and no place is counted.

use gridmill_macros::record;
use gridmill_model::path::{Terminal, Transform, Walk};
use gridmill_model::prelude::*;

use crate::paths::Store;

/// One part for each kind of navigator.
#[record(crate = gridmill_model)]
#[derive(Default)]
pub struct Parts {
    pub list: List<u32>,
    pub vec: Vec<u32>,
    pub map: Map<Str, Map<Str, u32>>,
    pub set: Set<u32>,
    pub option: Option<u32>,
    pub nested: Option<Map<Str, u32>>,
    pub pair: (Option<u32>, List<u32>),
}

type Counts = Map<Str, u32>;

const LISTS: PState<Map<Str, List<u32>>> = PState::new("absent/lists");
const VECS: PState<Map<Str, Vec<u32>>> = PState::new("absent/vecs");
const MAPS: PState<Map<Str, Map<Str, Counts>>> = PState::new("absent/maps");
const SETS: PState<Map<Str, Set<u32>>> = PState::new("absent/sets");
const OPTIONS: PState<Map<Str, Option<Counts>>> = PState::new("absent/options");
const RECORDS: PState<Map<Str, Parts>> = PState::new("absent/records");
const PAIRS: PState<Map<Str, (u32, List<u32>)>> = PState::new("absent/pairs");

/// Applies it to a map in memory and to a partition's root: neither changes.
fn removes_nothing<V, L, T>(root: &Map<Str, V>, removal: impl Fn() -> Transform<Map<Str, V>, L, T>)
where
    V: State,
    L: Walk,
    T: Terminal,
{
    let mut stored = Map::from_root(Box::new(Store::new(root.clone())));
    for form in [&mut root.clone(), &mut stored] {
        assert_eq!(removal().apply(form), 0, "{:?}", removal());
        assert_eq!(form, root, "{:?}", removal());
        assert_eq!(removal().try_apply(form).unwrap(), 0, "{:?}", removal());
        assert_eq!(form, root, "{:?}", removal());
    }
}

macro_rules! nothing {
    ($root:expr; $($path:expr),* $(,)?) => {
        let root = $root;
        $(removes_nothing(&root, || $path.remove());)*
    };
}

#[test]
fn in_a_missing_entry() {
    nothing!(Map::new(); LISTS.key("a"), LISTS.must("a"), LISTS.key_range("a".."c"), LISTS.first_keys(3),
        LISTS.map_vals(), LISTS.map_keys(), LISTS.all(), LISTS.key("a").nth(0), LISTS.key("a").index(0),
        LISTS.key("a").first(), LISTS.key("a").last(), LISTS.key("a").all(), LISTS.key("a").after_elem(),
        LISTS.key("a").before_elem(), LISTS.key("a").filter_eq([1]), LISTS.key("a").or_default(),
        LISTS.key("a").or([1]), LISTS.key("a").or([1]).nth(1), LISTS.key("a").or_default().all(),
        LISTS.key("a").filter_selected(|list| list.all()), LISTS.key("a").filter_selected(|list| list.len()));
    nothing!(Map::new(); VECS.key("a").nth(0), VECS.key("a").after_elem(), VECS.key("a").all());
    nothing!(Map::new(); MAPS.key("a").key("b"), MAPS.key("a").key("b").key("c"), MAPS.key("a").map_vals(),
        MAPS.key("a").map_keys(), MAPS.key("a").all(), MAPS.key("a").must("b"), MAPS.key("a").last_keys(1),
        MAPS.key("a").key_range("b".."c"), MAPS.key("a").key_range_from("b", 2),
        MAPS.key("a").key_range_to("b", 2), MAPS.key("a").key("b").key_range("x"..),
        MAPS.key("a").key_range("b"..).key("b"), MAPS.key("a").key_range("b"..).key_range(.."c"),
        MAPS.key("a").key_range("b"..).filter_selected(|part| part.len().filter_eq(0)),
        MAPS.key("a").or_default().key_range("b"..), MAPS.key("a").or_default().key("b").first_keys(1));
    nothing!(Map::new(); SETS.key("a"), SETS.key("a").elem(1), SETS.key("a").all(), SETS.key("a").add_elem(),
        SETS.key("a").key_range(1..3), SETS.key("a").first_keys(1), SETS.key("a").last_keys(1),
        SETS.key("a").or_default().key_range(..5_u32));
    nothing!(Map::new(); OPTIONS.key("a"), OPTIONS.key("a").some(), OPTIONS.key("a").some().key("b"),
        OPTIONS.key("a").some().key_range("b"..));
    nothing!(Map::new(); RECORDS.key("a").field(Parts::LIST).all(), RECORDS.key("a").field(Parts::OPTION),
        RECORDS.key("a").field(Parts::SET).first_keys(1));
    nothing!(Map::new(); PAIRS.key("a").last().all(), PAIRS.key("a").last().after_elem());
}

#[test]
fn in_an_entry_that_is_empty() {
    nothing!([("a".into(), List::new())].into(); LISTS.key("b"), LISTS.key("a").nth(0), LISTS.key("a").all(),
        LISTS.key("a").after_elem(), LISTS.key("a").index(0), LISTS.key("a").last(), LISTS.must("b"),
        LISTS.key_range("b"..), LISTS.key_range("b".."a"), LISTS.first_keys(0), LISTS.map_vals().all());
    nothing!([("a".into(), Map::new())].into(); MAPS.key("a").key("b"), MAPS.key("a").key_range("b".."c"),
        MAPS.key("a").first_keys(2), MAPS.key("a").map_vals(), MAPS.key("a").all(),
        MAPS.map_vals().key_range("b"..), MAPS.key("a").key("b").key_range("c"..));
    nothing!([("a".into(), Set::from([7]))].into(); SETS.key("a").elem(1), SETS.key("a").key_range(1..3),
        SETS.key("a").add_elem(), SETS.key("a").first_keys(0), SETS.map_vals().key_range(8_u32..));
    nothing!([("a".into(), None)].into(); OPTIONS.key("a").some(), OPTIONS.key("a").some().key("b"),
        OPTIONS.key("a").some().key_range("b"..));
    let part = || RECORDS.key("a");
    nothing!([("a".into(), Parts::default())].into(); part().field(Parts::LIST).nth(0),
        part().field(Parts::VEC).all(), part().field(Parts::MAP).key("b").key_range("c"..),
        part().field(Parts::MAP).key_range("c"..), part().field(Parts::SET).key_range(1_u32..),
        part().field(Parts::OPTION), part().field(Parts::OPTION).some(), part().field(Parts::NESTED),
        part().field(Parts::NESTED).some().first_keys(1), part().field(Parts::PAIR).first(),
        part().field(Parts::PAIR).last().all());
}

/// The count of a removal is that of the places that were there.
#[test]
fn what_is_there_goes_and_is_counted() {
    let mut maps: Map<Str, Map<Str, Map<Str, u32>>> = Map::new();
    for (key, inner) in [("a", "x"), ("a", "y"), ("b", "x")] {
        maps.entry(key.into()).or_default().insert(inner.into(), Map::new());
    }
    assert_eq!(MAPS.map_vals().key_range("y"..).remove().apply(&mut maps), 1);
    assert_eq!(MAPS.key("a").key_range(.."y").remove().apply(&mut maps), 1);
    assert_eq!(maps.get("a").as_deref(), Some(&Map::new()), "what was emptied stays");
    assert_eq!(MAPS.key_range("a"..).remove().apply(&mut maps), 1);
    assert!(maps.is_empty());

    let mut records = Map::from([("a".into(), Parts { option: Some(1), ..Parts::default() })]);
    assert_eq!(RECORDS.key("a").field(Parts::OPTION).remove().apply(&mut records), 1);
    assert_eq!(RECORDS.key("a").field(Parts::OPTION).remove().apply(&mut records), 0);
    assert_eq!(SETS.key("a").key_range(1_u32..).set([3]).apply(&mut Map::new()), 1);
}

/// A range that is set, and not removed, follows the same rule: nothing in the place of nothing is no change.
#[test]
fn an_empty_range_that_stays_empty_makes_nothing() {
    let mut sets = Map::new();
    assert_eq!(SETS.key("a").key_range(1_u32..).set([]).apply(&mut sets), 0);
    assert_eq!(SETS.key("a").key_range(1_u32..).update(Set::clear).apply(&mut sets), 0);
    assert!(sets.is_empty());
    let add = |set: &mut Set<u32>| {
        set.insert(4);
    };
    assert_eq!(SETS.key("a").key_range(1_u32..).update(add).apply(&mut sets), 1);
    assert_eq!(sets, [("a".into(), Set::from([4]))].into());
}
