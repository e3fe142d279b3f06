//! The conformance vectors for selects, transforms and ranges.
//!
//! What the typed design says in another way:
//!
//! - A null is `None` of `select_one`, or no value; keys of one map have values of one type, so that `q.z` holds numbers.
//! - `sublist` is `range`, `transformed(.. termVal)` is `transformed(|it| .. .set(..))`, `term(f)` is `update`,
//!   `termVoid` is `remove`, `nullToVal` is `or`, `mapKey` is `map_key`, `view(SIZE)` is `len`.
//! - A map has values of one type, so a list of fresh maps is a list of records, made with `or_default`.
//! - A transform without a term does not compile (`tests/compile_fail` of the engine). The removal of the root is an
//!   error of `try_apply`; `apply` leaves it be.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use gridmill_model::path::{Index, PathErrorKind};
use gridmill_model::prelude::*;

type Tree = Map<Str, Map<Str, List<i64>>>;

const D: PState<Tree> = PState::new("vectors/d");
const COUNTS: PState<Map<Str, i64>> = PState::new("vectors/counts");
const SETS: PState<Map<Str, Set<i64>>> = PState::new("vectors/sets");
const M: PState<Map<u32, char>> = PState::new("vectors/m");

/// `{"p": {"x": [4, 7, 2], "y": [5]}, "q": {"z": [8, 9]}}`
fn d() -> Tree {
    let p = [("x".into(), List::from([4, 7, 2])), ("y".into(), List::from([5]))];
    let q = [("z".into(), List::from([8, 9]))];
    [("p".into(), Map::from(p)), ("q".into(), Map::from(q))].into()
}

fn m() -> Map<u32, char> {
    [(1, 'a'), (2, 'b'), (5, 'c'), (9, 'd')].into()
}

fn x(tree: &Tree) -> Vec<i64> {
    D.key("p").key("x").all().select(tree).unwrap()
}

#[test]
fn selects_reach_values_in_order() {
    let d = d();
    let px = || D.key("p").key("x");
    assert_eq!(px().nth(1).select(&d).unwrap(), [7]);
    assert_eq!(D.key("p").map_vals().all().select(&d).unwrap(), [4, 7, 2, 5]);
    assert_eq!(D.key("p").map_vals().all().filter_gt(4).select(&d).unwrap(), [7, 5]);
    assert_eq!(px().len().select(&d).unwrap(), [3]);
    assert_eq!(px().first().select(&d).unwrap(), [4]);
    assert_eq!(px().last().select(&d).unwrap(), [2]);
    let with_five =
        D.map_vals().filter_selected(|inner| inner.map_vals().all().filter_eq(5)).key("x").all();
    assert_eq!(with_five.select(&d).unwrap(), [4, 7, 2]);
}

#[test]
fn missing_values_are_reached_by_nothing() {
    let d = d();
    assert_eq!(D.key("nope").select_one(&d).unwrap(), None);
    assert!(D.key("nope").key("x").first().select(&d).unwrap().is_empty());
    assert!(D.must("nope").select(&d).unwrap().is_empty());
    assert_eq!(D.must("p").must("w").select_one(&d).unwrap(), None);
    assert_eq!(D.key("p").key("w").select_one(&d).unwrap(), None);
    assert!(D.key("p").key("x").nth(3).select(&d).unwrap().is_empty());
    assert!(D.key("p").key("x").nth(-1).select(&d).unwrap().is_empty());
}

#[test]
fn a_default_stands_for_a_missing_value_behind_key_but_not_behind_must() {
    let d = d();
    assert_eq!(D.key("p").key("w").or([1]).nth(0).select(&d).unwrap(), [1]);
    assert_eq!(D.key("nope").key("w").or_default().select(&d).unwrap(), [List::new()]);
    assert!(D.key("p").must("w").or([1]).select(&d).unwrap().is_empty());
    assert_eq!(D.key("nope").key("w").len().select(&d).unwrap(), [0]);
}

#[test]
fn one_value_is_asked_for_and_several_are_an_error() {
    let error = D.key("p").key("x").all().select_one(&d()).unwrap_err();
    assert_eq!(*error.kind(), PathErrorKind::ManyValues);
    assert_eq!(error.pstate(), "vectors/d");
}

#[test]
fn an_index_moves_the_element() {
    for (from, to, expected) in [(2, 0, [2, 4, 7]), (0, 2, [7, 2, 4]), (1, 1, [4, 7, 2])] {
        let mut tree = d();
        assert_eq!(D.key("p").key("x").index(from).move_to(to).apply(&mut tree), 1);
        assert_eq!(x(&tree), expected);
    }
    assert_eq!(D.key("p").key("x").index(2).select(&d()).unwrap(), [Index(2)]);
}

#[test]
fn a_move_from_nowhere_does_nothing_and_a_move_to_nowhere_is_an_error() {
    let mut tree = d();
    assert_eq!(D.key("p").key("x").index(5).move_to(0).try_apply(&mut tree), Ok(0));
    let beyond = || D.key("p").key("x").index(0).move_to(3);
    let error = beyond().try_apply(&mut tree).unwrap_err();
    assert_eq!(*error.kind(), PathErrorKind::Write);
    assert_eq!((error.step_number(), error.got()), (3, "3"));
    assert_eq!(beyond().apply(&mut tree), 0);
    assert_eq!(tree, d());
}

#[test]
fn elements_are_removed_added_and_changed() {
    let px = || D.key("p").key("x");
    let mut tree = d();
    assert_eq!(px().nth(0).remove().apply(&mut tree), 1);
    assert_eq!(x(&tree), [7, 2]);
    px().after_elem().set(9).apply(&mut tree);
    px().before_elem().set(8).apply(&mut tree);
    assert_eq!(x(&tree), [8, 7, 2, 9]);
    assert_eq!(px().all().filter_lt(8).remove().apply(&mut tree), 2);
    assert_eq!(x(&tree), [8, 9]);
    assert_eq!(px().all().update(|v| *v += 1).apply(&mut tree), 2);
    assert_eq!(x(&tree), [9, 10]);
    assert_eq!(px().nth(2).set(1).apply(&mut tree), 0);
}

#[test]
fn keys_are_renamed_and_removed() {
    let mut tree = d();
    D.key("p").map_keys().filter_eq("x").set("k").apply(&mut tree);
    let keys: Vec<Str> = D.key("p").map_keys().select(&tree).unwrap();
    assert_eq!(keys, ["k", "y"]);
    D.key("q").key("z").remove().apply(&mut tree);
    assert_eq!(D.key("q").select_one(&tree).unwrap(), Some(Map::new()));
    D.key("q").remove().apply(&mut tree);
    assert_eq!(D.map_keys().select(&tree).unwrap(), ["p"]);
}

#[test]
fn of_entries_renamed_alike_the_later_stays() {
    let mut counts: Map<Str, i64> = [("a".into(), 1), ("b".into(), 2), ("c".into(), 3)].into();
    COUNTS.map_keys().filter_eq("a").set("b").apply(&mut counts);
    assert_eq!(counts, [("b".into(), 2), ("c".into(), 3)].into());
    COUNTS.map_keys().filter_eq("c").set("b").apply(&mut counts);
    assert_eq!(counts, [("b".into(), 3)].into());
    let mut counts: Map<Str, i64> = [("a".into(), 1), ("b".into(), 2)].into();
    COUNTS.map_keys().set("z").apply(&mut counts);
    assert_eq!(counts, [("z".into(), 2)].into());
}

#[test]
fn key_creates_and_must_stops() {
    let mut counts = Map::new();
    assert_eq!(COUNTS.key("r").update(|n| *n += 1).apply(&mut counts), 0);
    assert_eq!(COUNTS.must("r").or(0).update(|n| *n += 1).apply(&mut counts), 0);
    assert!(counts.is_empty());
    COUNTS.key("r").or(0).update(|n| *n += 1).apply(&mut counts);
    COUNTS.key("r").or_default().update(|n| *n += 1).apply(&mut counts);
    assert_eq!(counts, [("r".into(), 2)].into());
    assert_eq!(COUNTS.key("s").or(0).remove().apply(&mut counts), 0);
    assert_eq!(COUNTS.key("s").or(0).filter_gt(1).set(3).apply(&mut counts), 0);
    assert_eq!(counts.len(), 1);
}

#[test]
fn what_is_missing_is_made_by_insert_steps_only() {
    let mut tree = Tree::new();
    assert_eq!(D.key("a").key("b").first().set(1).apply(&mut tree), 0);
    assert_eq!(D.key("a").key("b").index(0).move_to(1).apply(&mut tree), 0);
    assert!(tree.is_empty());
    D.key("a").key("b").after_elem().set(1).apply(&mut tree);
    assert_eq!(D.key("a").key("b").select_one(&tree).unwrap(), Some([1].into()));
}

#[test]
fn sets_take_elements_in_and_out() {
    let mut sets = Map::new();
    SETS.key("s").add_elem().set(1).apply(&mut sets);
    SETS.key("s").add_elem().set(5).apply(&mut sets);
    assert_eq!(SETS.key("s").all().select(&sets).unwrap(), [1, 5]);
    assert_eq!(SETS.key("s").elem(2).select_one(&sets).unwrap(), None);
    SETS.key("s").elem(1).set(7).apply(&mut sets);
    assert_eq!(SETS.key("s").select_one(&sets).unwrap(), Some([5, 7].into()));
    SETS.key("s").elem(7).remove().apply(&mut sets);
    assert_eq!(SETS.key("s").len().select_one(&sets).unwrap(), Some(1));
    assert_eq!(SETS.key("none").len().select_one(&sets).unwrap(), Some(0));
}

#[test]
fn the_root_stays() {
    let mut counts: Map<Str, i64> = [("a".into(), 1)].into();
    let error = COUNTS.remove().try_apply(&mut counts).unwrap_err();
    assert_eq!(*error.kind(), PathErrorKind::Write);
    assert_eq!(COUNTS.remove().apply(&mut counts), 0);
    assert_eq!(counts.len(), 1);
    assert_eq!(COUNTS.set(Map::new()).apply(&mut counts), 1);
    assert!(counts.is_empty());
}

#[test]
fn ranges_are_one_map() {
    let m = m();
    let part = |path: Path<_, _>| path.select_one(&m).unwrap().unwrap();
    assert_eq!(part(M.key_range(2..9)), [(2, 'b'), (5, 'c')].into());
    let bounds = (std::ops::Bound::Excluded(2), std::ops::Bound::Included(9));
    assert_eq!(part(M.key_range(bounds)), [(5, 'c'), (9, 'd')].into());
    assert_eq!(part(M.key_range_from(2, 2)), [(2, 'b'), (5, 'c')].into());
    assert_eq!(part(M.key_range(..9)), [(1, 'a'), (2, 'b'), (5, 'c')].into());
    assert_eq!(part(M.key_range_to(9, 2)), [(2, 'b'), (5, 'c')].into());
    assert_eq!(part(M.key_range(..=9).last_keys(1)), [(9, 'd')].into());
    assert_eq!(part(M.first_keys(1)), [(1, 'a')].into());
    assert_eq!(part(M.last_keys(2)), [(5, 'c'), (9, 'd')].into());
    assert_eq!(part(M.key_range_from(100, 5)), Map::new());
    let (start, end) = (9, 2);
    assert_eq!(part(M.key_range(start..end)), Map::new());
    assert_eq!(part(M.first_keys(0)), Map::new());
}

#[test]
fn a_range_of_nothing_is_an_empty_collection() {
    let path = SETS.key("none").key_range(1..);
    assert_eq!(path.select_one(&Map::new()).unwrap(), Some(Set::new()));
    let tree = Tree::new();
    assert_eq!(D.key("none").first_keys(3).select(&tree).unwrap(), [Map::new()]);
}

#[test]
fn ranges_are_replaced_and_deleted() {
    let mut part = m();
    assert_eq!(M.key_range(2..6).remove().apply(&mut part), 1);
    assert_eq!(part, [(1, 'a'), (9, 'd')].into());
    M.key_range(..5).set([(3, 'x'), (4, 'y')]).apply(&mut part);
    assert_eq!(part, [(3, 'x'), (4, 'y'), (9, 'd')].into());
    M.last_keys(2).map_vals().set('z').apply(&mut part);
    assert_eq!(part, [(3, 'x'), (4, 'z'), (9, 'z')].into());
    let mut sets: Map<Str, Set<i64>> = [("s".into(), [1, 2, 3, 4].into())].into();
    SETS.key("s").key_range(2..=3).remove().apply(&mut sets);
    assert_eq!(SETS.key("s").all().select(&sets).unwrap(), [1, 4]);
}

/// The rest of the table of selects.
#[test]
fn branches_parts_and_collected_values_are_selected() {
    let d = d();
    let px = || D.key("p").key("x");
    assert_eq!(px().range(0..2).select(&d).unwrap(), [[4, 7]]);
    assert_eq!(px().transformed(|it| it.nth(0).set(0)).select(&d).unwrap(), [[0, 7, 2]]);
    let nine = |it: Path<List<i64>, List<i64>>| it.all().filter_eq(9);
    assert_eq!(px().if_path(nine, |it| it.first(), |it| it.last()).select(&d).unwrap(), [2]);
    let nothing = px().if_path(|it| it.stop::<i64>(), |it| it, |it| it.stop());
    assert!(nothing.select(&d).unwrap().is_empty());
    let both = D.multi(|it| [it.clone().key("p").key("y").first(), it.key("q").key("z").last()]);
    assert_eq!(both.select(&d).unwrap(), [5, 9]);
    let even = D.key("p").map_vals().subselect(|it| it.all().filter(|n| n % 2 == 0));
    assert_eq!(even.select(&d).unwrap(), [List::from([4, 2]), List::new()]);
    let with_five = D.collect_one(|it| it.key("p").key("y").first()).key("p").key("x").all();
    assert_eq!(with_five.select(&d).unwrap(), [(5, 4), (5, 7), (5, 2)]);
    let error = D.key("q").key("z").collect_one(|it| it.all()).select(&d).unwrap_err();
    assert_eq!(*error.kind(), PathErrorKind::ManyValues);
}

/// The rest of the table of transforms, each on a fresh `D`.
#[test]
fn parts_and_branches_are_transformed() {
    let px = || D.key("p").key("x");
    let even = || px().filtered(|n| n.filter(|n| n % 2 == 0));
    type Change<'a> = (&'a dyn Fn(&mut Tree) -> usize, &'a [i64]);
    let changes: [Change<'_>; 7] = [
        (&|t| px().before_index(1).set(9).apply(t), &[4, 9, 7, 2]),
        (&|t| px().end().set([8, 9]).apply(t), &[4, 7, 2, 8, 9]),
        (&|t| even().update(|l| *l = l.iter().rev().copied().collect()).apply(t), &[2, 7, 4]),
        (&|t| px().range(1..3).set([8]).apply(t), &[4, 8]),
        (&|t| px().all().filter(|n| n % 2 == 0).remove().apply(t), &[7]),
        (&|t| D.must("zz").key("x").set([1]).apply(t), &[4, 7, 2]),
        (&|t| D.key("p").map_key("x").set("k").apply(t), &[]),
    ];
    for (change, expected) in changes {
        let mut tree = d();
        change(&mut tree);
        assert_eq!(x(&tree), expected);
    }
    let mut counts = Map::new();
    let twice = COUNTS.multi(|it| [it.clone().key("c").or(0), it.key("c").or(0)]);
    twice.update(|n| *n += 1).apply(&mut counts);
    assert_eq!(counts, [("c".into(), 2)].into());
}
