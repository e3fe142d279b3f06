//! What each row of the features asks of paths. Where the typed design replaces something (a null, a class of the
//! language), the test says in its first line what stands for it.

use gridmill_macros::record;
use gridmill_model::path::{
    Effect, Navigator, Navigators, PathErrorKind, Step, decode_steps, encode_steps,
};
use gridmill_model::prelude::*;
use serde::{Deserialize, Serialize};

type Tree = Map<Str, Map<Str, List<i64>>>;

const D: PState<Tree> = PState::new("rows/d");
const LISTS: PState<Map<Str, List<i64>>> = PState::new("rows/lists");
const COUNTS: PState<Map<Str, i64>> = PState::new("rows/counts");
const SETS: PState<Map<Str, Set<i64>>> = PState::new("rows/sets");
const M: PState<Map<u32, char>> = PState::new("rows/m");
const TODOS: PState<Map<Str, List<Todo>>> = PState::new("rows/todos");
const SHAPES: PState<Map<Str, Shape>> = PState::new("rows/shapes");

#[record(crate = gridmill_model)]
#[derive(Default)]
pub struct Todo {
    pub text: Str,
    pub completed_at: Option<i64>,
}

#[record(crate = gridmill_model)]
pub enum Shape {
    Point,
    Circle(i64),
    Rect { w: i64, h: i64 },
}

/// `{"p": {"x": [4, 7, 2], "y": [5]}, "q": {"z": [8, 9]}}`
fn d() -> Tree {
    let p = [("x".into(), List::from([4, 7, 2])), ("y".into(), List::from([5]))];
    let q = [("z".into(), List::from([8, 9]))];
    [("p".into(), Map::from(p)), ("q".into(), Map::from(q))].into()
}

fn px() -> Path<Tree, List<i64>> {
    D.key("p").key("x")
}

/// `p.x` after a transform of a fresh `D`.
fn x_after<T>(transform: impl FnOnce(&mut Tree) -> T) -> Vec<i64> {
    let mut tree = d();
    transform(&mut tree);
    px().all().select(&tree).unwrap()
}

#[test]
fn r095_paths_select_and_transform() {
    assert_eq!(px().nth(1).select_one(&d()).unwrap(), Some(7));
    assert_eq!(D.key("p").map_vals().all().select(&d()).unwrap(), [4, 7, 2, 5]);
    let x = x_after(|tree| assert_eq!(px().all().filter_gt(3).update(|n| *n *= 10).apply(tree), 2));
    assert_eq!(x, [40, 70, 2]);
}

/// `None` of `select_one` stands for the null of a missing key, and no value at all for zero navigations.
#[test]
fn r096_key_and_must() {
    assert_eq!(D.key("nope").select_one(&d()).unwrap(), None);
    assert!(D.must("nope").select(&d()).unwrap().is_empty());
    // `key` goes on where nothing is, so that a default may stand for it; `must` does not.
    assert_eq!(D.key("nope").key("w").or([1]).select(&d()).unwrap(), [[1]]);
    assert!(D.must("nope").key("w").or([1]).select(&d()).unwrap().is_empty());
    let mut counts = Map::new();
    assert_eq!(COUNTS.must("zz").set(1).try_apply(&mut counts), Ok(0));
    assert_eq!(COUNTS.key("zz").set(1).try_apply(&mut counts), Ok(1));
    assert_eq!(COUNTS.must("zz").set(2).try_apply(&mut counts), Ok(1));
}

/// A path without a term is no `Transform`, so that it cannot be applied: `apply` does not compile.
/// ```compile_fail
/// gridmill_model::PState::<u64>::new("x").apply(&mut 5);
/// ```
#[test]
fn r097_a_transform_needs_a_term() {
    // Data of another origin cannot leave it out either: its end is a part of the step.
    let no_term = serde_json::json!([{"transformed": {"path": ["first"]}}]);
    let error = gridmill_model::path::parse_json_path::<List<i64>>("x", &no_term).unwrap_err();
    assert!(error.expected().contains("one of set, add and remove"), "{error}");
}

#[test]
fn r098_what_is_removed_leaves_its_collection() {
    assert_eq!(x_after(|tree| px().nth(0).remove().apply(tree)), [7, 2]);
    let mut tree = d();
    D.key("q").key("z").remove().apply(&mut tree);
    assert_eq!(D.key("q").select_one(&tree).unwrap(), Some(Map::new()), "an emptied map stays");
    D.key("q").remove().apply(&mut tree);
    assert_eq!(D.map_keys().select(&tree).unwrap(), ["p"]);
    let mut sets = Map::from([("s".into(), Set::from([1, 2]))]);
    SETS.key("s").elem(1).remove().apply(&mut sets);
    assert_eq!(SETS.key("s").all().select(&sets).unwrap(), [2]);
    assert_eq!(*D.remove().try_apply(&mut d()).unwrap_err().kind(), PathErrorKind::Write);
}

#[test]
fn r099_insert_steps_make_what_is_missing() {
    let mut lists = Map::new();
    LISTS.key("a").after_elem().set(1).apply(&mut lists);
    LISTS.key("b").before_elem().set(2).apply(&mut lists);
    LISTS.key("c").before_index(0).set(3).apply(&mut lists);
    LISTS.key("d").beginning().set([4, 5]).apply(&mut lists);
    LISTS.key("e").end().set([6]).apply(&mut lists);
    assert_eq!(LISTS.map_vals().all().select(&lists).unwrap(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(LISTS.key("f").before_index(1).set(7).apply(&mut lists), 0, "no such place");
    let mut sets = Map::new();
    SETS.key("s").add_elem().set(1).apply(&mut sets);
    assert_eq!(sets, Map::from([("s".into(), Set::from([1]))]));
    // Nothing is made where nothing is put in.
    assert_eq!(LISTS.key("g").end().set([]).apply(&mut lists), 0);
    assert!(!lists.contains_key("g"));
}

#[test]
fn r100_steps_to_elements_values_and_keys() {
    let d = d();
    assert_eq!(px().first().select(&d).unwrap(), [4]);
    assert_eq!(px().last().select(&d).unwrap(), [2]);
    assert!(px().nth(3).select(&d).unwrap().is_empty());
    assert_eq!(D.key("p").map_keys().select(&d).unwrap(), ["x", "y"]);
    assert_eq!(D.key("p").map_key("x").select(&d).unwrap(), ["x"]);
    assert!(D.key("p").map_key("w").select(&d).unwrap().is_empty());
    let mut tree = d.clone();
    assert_eq!(D.key("p").map_key("x").set("k").apply(&mut tree), 1);
    assert_eq!(D.key("p").map_keys().select(&tree).unwrap(), ["k", "y"]);
    assert_eq!(D.key("p").key("k").all().select(&tree).unwrap(), [4, 7, 2]);
    D.key("p").map_key("k").set("y").apply(&mut tree);
    assert_eq!(D.key("p").key("y").all().select(&tree).unwrap(), [4, 7, 2], "what lay there goes");
    D.key("p").map_key("y").remove().apply(&mut tree);
    assert_eq!(D.key("p").len().select(&tree).unwrap(), [0]);
    let numbers = (1, 2_u8, 3_i16, 4_u32, 5_i64, 6_u64, Str::from("seven"));
    const PARTS: PState<(i32, u8, i16, u32, i64, u64, Str)> =
        PState::starting_with("rows/parts", || (0, 0, 0, 0, 0, 0, Str::default()));
    assert_eq!(PARTS.part::<6>().select(&numbers).unwrap(), ["seven"]);
    assert_eq!(PARTS.last().select(&numbers).unwrap(), ["seven"]);
    assert_eq!(PARTS.part::<1>().select(&numbers).unwrap(), [2]);
}

#[test]
fn r101_elements_of_sets() {
    let mut sets = Map::from([("s".into(), Set::from([1, 5]))]);
    assert_eq!(SETS.key("s").elem(5).select(&sets).unwrap(), [5]);
    assert!(SETS.key("s").elem(2).select(&sets).unwrap().is_empty());
    SETS.key("s").elem(5).set(7).apply(&mut sets);
    SETS.key("s").add_elem().set(3).apply(&mut sets);
    assert_eq!(SETS.key("s").all_rev().select(&sets).unwrap(), [7, 3, 1]);
}

#[test]
fn r102_insert_positions() {
    assert_eq!(x_after(|t| px().after_elem().set(9).apply(t)), [4, 7, 2, 9]);
    assert_eq!(x_after(|t| px().before_elem().set(9).apply(t)), [9, 4, 7, 2]);
    assert_eq!(x_after(|t| px().before_index(1).set(9).apply(t)), [4, 9, 7, 2]);
    assert_eq!(x_after(|t| px().before_index(3).set(9).apply(t)), [4, 7, 2, 9]);
    assert_eq!(x_after(|t| assert_eq!(px().before_index(4).set(9).apply(t), 0)), [4, 7, 2]);
    assert_eq!(x_after(|t| px().end().set([8, 9]).apply(t)), [4, 7, 2, 8, 9]);
    assert_eq!(x_after(|t| px().beginning().set([8, 9]).apply(t)), [8, 9, 4, 7, 2]);
    assert!(px().after_elem().select(&d()).unwrap().is_empty(), "a select finds nothing there");
}

#[test]
fn r103_an_index_moves_its_element() {
    assert_eq!(x_after(|t| px().index(2).move_to(0).apply(t)), [2, 4, 7]);
    assert_eq!(x_after(|t| px().index(0).move_to(2).apply(t)), [7, 2, 4]);
    assert_eq!(x_after(|t| assert_eq!(px().index(5).move_to(0).apply(t), 0)), [4, 7, 2]);
}

#[test]
fn r104_indexed_values() {
    assert_eq!(px().indexed_vals().select(&d()).unwrap(), [(0, 4), (1, 7), (2, 2)]);
    assert_eq!(px().indexed_vals().first().select(&d()).unwrap(), [0, 1, 2]);
    let to_front = |t: &mut Tree| {
        px().indexed_vals().filter(|(_, n)| *n == 2).first().set(0_u64).apply(t);
    };
    assert_eq!(x_after(to_front), [2, 4, 7]);
    // Later positions account for earlier moves: each element in its turn goes to the front.
    assert_eq!(x_after(|t| px().indexed_vals().first().set(0_u64).apply(t)), [2, 7, 4]);
    let replaced = |t: &mut Tree| px().indexed_vals().part::<1>().update(|n| *n += 1).apply(t);
    assert_eq!(x_after(replaced), [5, 8, 3]);
    assert_eq!(x_after(|t| px().indexed_vals().filter(|(i, _)| *i > 0).remove().apply(t)), [4]);
    let beyond = px().indexed_vals().first().set(3_u64).try_apply(&mut d()).unwrap_err();
    assert_eq!(*beyond.kind(), PathErrorKind::Write);
}

#[test]
fn r105_parts_are_put_back() {
    assert_eq!(px().range(0..2).select(&d()).unwrap(), [[4, 7]]);
    assert_eq!(px().range(1..9).select(&d()).unwrap(), [[7, 2]], "as far as there is any");
    assert_eq!(px().range(5..).select(&d()).unwrap(), [List::new()]);
    assert_eq!(px().first_n(2).all_rev().select(&d()).unwrap(), [7, 4]);
    assert_eq!(px().last_n(2).select(&d()).unwrap(), [[7, 2]]);
    assert_eq!(x_after(|t| px().range(1..3).set([8]).apply(t)), [4, 8]);
    assert_eq!(x_after(|t| px().range(1..1).set([8, 9]).apply(t)), [4, 8, 9, 7, 2]);
    assert_eq!(x_after(|t| px().first_n(2).remove().apply(t)), [2]);
    assert_eq!(x_after(|t| px().last_n(2).all().add(1).apply(t)), [4, 8, 3]);

    let even = || px().filtered(|n| n.filter(|n| n % 2 == 0));
    let reverse = |list: &mut List<i64>| *list = list.iter().rev().copied().collect();
    assert_eq!(even().select(&d()).unwrap(), [[4, 2]]);
    assert_eq!(x_after(|t| even().update(reverse).apply(t)), [2, 7, 4], "the odd one stays");
    assert_eq!(x_after(|t| even().update(|l| l.truncate(1)).apply(t)), [4, 7]);
    let more = even().update(|list| list.push_back(1)).try_apply(&mut d()).unwrap_err();
    assert_eq!((more.kind(), more.got()), (&PathErrorKind::Write, "3"));

    let mut counts = Map::from([("a".into(), 1), ("b".into(), 2), ("c".into(), 3)]);
    let part = COUNTS.sub_map(["c", "a", "z"]);
    assert_eq!(part.select(&counts).unwrap(), [[("a".into(), 1), ("c".into(), 3)].into()]);
    COUNTS.sub_map(["a", "b"]).set([("b".into(), 9), ("d".into(), 4)]).apply(&mut counts);
    assert_eq!(counts, [("b".into(), 9), ("c".into(), 3), ("d".into(), 4)].into());
    let mut sets = Map::from([("s".into(), Set::from([1, 2, 3]))]);
    assert_eq!(SETS.key("s").subset([3, 1, 7]).select(&sets).unwrap(), [Set::from([1, 3])]);
    SETS.key("s").subset([1, 2]).set([9]).apply(&mut sets);
    assert_eq!(SETS.key("s").all().select(&sets).unwrap(), [3, 9]);
    assert_eq!(SETS.key("none").subset([1]).select(&sets).unwrap(), [Set::new()]);
}

fn m() -> Map<u32, char> {
    [(1, 'a'), (2, 'b'), (5, 'c'), (9, 'd')].into()
}

#[test]
fn r106_sorted_ranges() {
    let m = m();
    let keys = |path: Path<Map<u32, char>, Map<u32, char>>| path.map_keys().select(&m).unwrap();
    assert_eq!(keys(M.key_range(2..9)), [2, 5]);
    assert_eq!(
        keys(M.key_range((std::ops::Bound::Excluded(2), std::ops::Bound::Included(9)))),
        [5, 9]
    );
    assert_eq!(keys(M.key_range_from(2, 2)), [2, 5]);
    assert_eq!(keys(M.key_range_after(2, 2)), [5, 9]);
    assert_eq!(keys(M.key_range_to(9, 2)), [2, 5], "the two closest below");
    assert_eq!(keys(M.key_range(..=9).last_keys(1)), [9]);
    assert_eq!(keys(M.first_keys(1)), [1]);
    assert_eq!(keys(M.last_keys(2)), [5, 9]);
    assert_eq!(M.last_keys(2).map_vals_rev().select(&m).unwrap(), ['d', 'c']);
    assert_eq!(M.key_range_from(2, 9).first_keys(2).len().select(&m).unwrap(), [2]);
    assert_eq!(M.key_range(2..).key(1).select_one(&m).unwrap(), None, "it is not in the range");
    assert_eq!(M.key_range(2..).key_range(..9).map_keys().select(&m).unwrap(), [2, 5]);
    assert_eq!(M.first_keys(0).len().select(&m).unwrap(), [0]);
    // Pages backwards: a feed from its newest entry on, each page by the last key of the one before.
    let (mut feed, mut page) = (Vec::new(), M.last_keys(3).map_keys_rev().select(&m).unwrap());
    while let Some(last) = page.last().copied() {
        feed.append(&mut page);
        page = M.key_range_to(last, 3).map_keys_rev().select(&m).unwrap();
    }
    assert_eq!(feed, [9, 5, 2, 1]);
}

/// `remove` of the range stands for setting it to null.
#[test]
fn r107_a_range_is_deleted() {
    let mut part = m();
    assert_eq!(M.key_range(2..6).remove().apply(&mut part), 1);
    assert_eq!(part, [(1, 'a'), (9, 'd')].into());
}

#[test]
fn r108_filters() {
    let d = d();
    let all = || px().all();
    assert_eq!(all().filter_eq(7).select(&d).unwrap(), [7]);
    assert_eq!(all().filter_ne(7).select(&d).unwrap(), [4, 2]);
    assert_eq!(all().filter_gt(4).select(&d).unwrap(), [7]);
    assert_eq!(all().filter_ge(4).select(&d).unwrap(), [4, 7]);
    assert_eq!(all().filter_lt(4).select(&d).unwrap(), [2]);
    assert_eq!(all().filter_le(4).select(&d).unwrap(), [4, 2]);
    assert_eq!(all().filter(|n| n % 2 == 1).select(&d).unwrap(), [7]);
    let with_five = |it: Path<_, Map<Str, List<i64>>>| it.map_vals().all().filter_eq(5);
    assert_eq!(D.map_vals().filter_selected(with_five).len().select(&d).unwrap(), [2]);
    assert_eq!(D.map_vals().filter_not_selected(with_five).len().select(&d).unwrap(), [1]);
    let x = x_after(|t| all().filter_not_selected(|n| n.filter_eq(7)).remove().apply(t));
    assert_eq!(x, [7]);
}

/// `or` stands for nullToVal, `or_default` for nullToList and nullToSet.
#[test]
fn r109_defaults_for_what_is_missing() {
    let mut counts = Map::new();
    COUNTS.key("r").or(0).update(|n| *n += 1).apply(&mut counts);
    assert_eq!(counts, [("r".into(), 1)].into());
    assert_eq!(LISTS.key("none").or_default().select(&Map::new()).unwrap(), [List::new()]);
    assert_eq!(SETS.key("none").or_default().select(&Map::new()).unwrap(), [Set::new()]);
}

#[test]
fn r110_views_and_transformed_values() {
    let d = d();
    assert_eq!(px().len().select(&d).unwrap(), [3]);
    assert_eq!(px().sum().select(&d).unwrap(), [13]);
    assert_eq!(px().min().select(&d).unwrap(), [2]);
    assert_eq!(px().max().select(&d).unwrap(), [7]);
    assert_eq!(px().avg().select(&d).unwrap(), [13.0 / 3.0]);
    let zero = px().transformed(|it| it.nth(0).set(0));
    assert_eq!(zero.select(&d).unwrap(), [[0, 7, 2]]);
    assert_eq!(d, self::d(), "what it was made of stays");
    assert_eq!(
        px().transformed(|it| it.all().filter_gt(3).remove()).sum().select(&d).unwrap(),
        [2]
    );
    // A transform through it writes the result.
    let x = x_after(|t| px().transformed(|it| it.end().set([9])).nth(0).set(1).apply(t));
    assert_eq!(x, [1, 7, 2, 9]);
    assert_eq!(x_after(|t| assert_eq!(px().sum().set(1).apply(t), 0)), [4, 7, 2], "it is computed");
    // A new record, of which a part is set: `or_default` makes the record that is not there yet.
    let mut todos = Map::new();
    TODOS.key("ann").after_elem().or_default().field(Todo::TEXT).set("buy milk").apply(&mut todos);
    let expected = Todo { text: "buy milk".into(), completed_at: None };
    assert_eq!(TODOS.key("ann").all().select(&todos).unwrap(), [expected]);
}

#[test]
fn r111_branches() {
    let d = d();
    let nine = |it: Path<List<i64>, List<i64>>| it.all().filter_eq(9);
    assert_eq!(px().if_path(nine, |it| it.first(), |it| it.last()).select(&d).unwrap(), [2]);
    assert!(px().when(nine, |it| it.first()).select(&d).unwrap().is_empty());
    assert!(
        px().if_path(|it| it.stop::<i64>(), |it| it, |it| it.stop()).select(&d).unwrap().is_empty()
    );
    let both = D.multi(|it| [it.clone().key("p").key("y").first(), it.key("q").key("z").last()]);
    assert_eq!(both.select(&d).unwrap(), [5, 9]);
    // What follows is walked after each branch; in a condition several are an "or".
    let then = px().multi(|it| [it.clone().first(), it.last()]).filter_gt(3);
    assert_eq!(then.select(&d).unwrap(), [4]);
    let either = |it: Path<List<i64>, List<i64>>| {
        it.multi(|it| [it.clone().all().filter_eq(5), it.all().filter_eq(8)])
    };
    let found = D.map_vals().map_vals().filter_selected(either).select(&d).unwrap();
    assert_eq!(found, [List::from([5]), List::from([8, 9])]);
    // Later branches see what earlier ones did, also where that was made.
    let mut counts = Map::new();
    let twice = COUNTS.multi(|it| [it.clone().key("c").or(0), it.key("c").or(0)]);
    assert_eq!(twice.update(|n| *n += 1).apply(&mut counts), 2);
    assert_eq!(counts, [("c".into(), 2)].into());
    let x =
        x_after(|t| px().all().if_path(|n| n.filter_gt(3), |n| n, |n| n.stop()).remove().apply(t));
    assert_eq!(x, [2]);
    // Where nothing is, the branch is taken that the condition says of nothing.
    let made = LISTS.key("new").if_path(|it| it.all(), |it| it.last(), |it| it.after_elem());
    let mut lists = Map::new();
    made.clone().set(1).apply(&mut lists);
    made.set(2).apply(&mut lists);
    assert_eq!(LISTS.key("new").all().select(&lists).unwrap(), [2]);
    assert_eq!(
        LISTS.key("none").filter_not_selected(|it| it.all()).or([7]).select(&lists).unwrap(),
        [[7]]
    );
}

#[test]
fn r112_what_a_sub_path_reaches_is_one_list_and_is_put_back() {
    let even = |n: &i64| n % 2 == 0;
    let lists = D.key("p").map_vals().subselect(move |it| it.all().filter(even));
    assert_eq!(lists.select(&d()).unwrap(), [List::from([4, 2]), List::new()]);
    let odd = D.subselect(|it| it.map_vals().map_vals().all().filter(|n| n % 2 == 1));
    assert_eq!(odd.clone().sum().select(&d()).unwrap(), [21]);
    assert_eq!(odd.clone().nth(1).select(&d()).unwrap(), [5]);
    let mut tree = d();
    let reversed = odd.clone().update(|list| *list = list.iter().rev().copied().collect());
    assert_eq!(reversed.apply(&mut tree), 3);
    assert_eq!(D.map_vals().map_vals().all().select(&tree).unwrap(), [4, 9, 2, 5, 8, 7]);
    // Values that are missing remove theirs, and more than there were are refused.
    assert_eq!(odd.clone().set([1]).apply(&mut tree), 3);
    assert_eq!(D.map_vals().map_vals().all().select(&tree).unwrap(), [4, 1, 2, 8]);
    let more = odd.set([1, 3]).try_apply(&mut tree).unwrap_err();
    assert_eq!(*more.kind(), PathErrorKind::Write);
    // Lists of lists.
    let nested = D.subselect(|it| it.map_vals().subselect(|it| it.map_vals().first()));
    assert_eq!(nested.select(&d()).unwrap(), [[List::from([4, 5]), List::from([8])]]);
    let passes = |lists: &[&[i64]]| {
        let lists: List<List<i64>> = lists.iter().map(|list| List::from(list.to_vec())).collect();
        nested.clone().filter_eq(lists).select(&d()).unwrap().len()
    };
    let others: [&[&[i64]]; 4] = [&[], &[&[4, 5]], &[&[4, 5], &[]], &[&[], &[4, 5, 8]]];
    assert_eq!(passes(&[&[4, 5], &[8]]), 1);
    let removed = nested.clone().transformed(|lists| lists.remove());
    assert_eq!(removed.clone().len().select(&d()).unwrap(), [0]);
    assert_eq!(removed.select(&d()).unwrap(), [List::new()]);
    assert!(others.into_iter().all(|other| passes(other) == 0));
}

#[test]
fn r113_values_are_collected() {
    let with_y = D.collect_one(|it| it.key("p").key("y").first()).key("p").key("x").all();
    assert_eq!(with_y.select(&d()).unwrap(), [(5, 4), (5, 7), (5, 2)]);
    let path = D.put(Str::from("ab")).collect(|it| it.key("q").key("z").all()).key("p").map_keys();
    let z = List::from([8, 9]);
    assert_eq!(
        path.select(&d()).unwrap(),
        [("ab".into(), z.clone(), "x".into()), ("ab".into(), z, "y".into())]
    );
    let forgotten = D.put(1_u8).dispense().put(2_u8).key("p").map_keys();
    assert_eq!(forgotten.select(&d()).unwrap(), [(2, "x".into()), (2, "y".into())]);
    let error = px().collect_one(|it| it.all()).len().select(&d()).unwrap_err();
    assert_eq!((error.kind(), error.got()), (&PathErrorKind::ManyValues, "3 values"));
    let one = px().collect_one(|it| it.max()).first().select_one(&d()).unwrap();
    assert_eq!(one, Some((7, 4)));
}

/// Every so manieth element.
#[derive(Serialize, Deserialize)]
struct Every(usize);

impl Navigator for Every {
    const NAME: &'static str = "rows/every";
    type From = List<i64>;
    type To = i64;

    fn select(&self, from: &List<i64>, next: &mut dyn FnMut(&i64)) {
        from.iter().step_by(self.0.max(1)).for_each(next);
    }

    fn change(&self, from: &mut List<i64>, next: &mut dyn FnMut(&mut i64) -> Effect) -> Effect {
        let effects = from.iter_mut().step_by(self.0.max(1)).map(next);
        effects.fold(Effect::Kept, |all, one| if one == Effect::Kept { all } else { one })
    }
}

#[test]
fn r114_navigators_of_ones_own() {
    assert_eq!(px().own(Every(2)).filter_gt(3).select(&d()).unwrap(), [4]);
    assert_eq!(x_after(|t| px().own(Every(2)).add(1).apply(t)), [5, 7, 3]);
}

#[test]
fn r115_only_data_travels() {
    let known = Navigators::new().with::<Every>();
    let path = px().own(Every(2));
    let bytes = encode_steps("rows/d", path.steps()).unwrap();
    let mut steps = decode_steps("rows/d", &bytes).unwrap();
    assert_eq!(steps.as_slice(), path.steps());
    // Without its code it is refused, by whoever looks at it.
    let unknown = gridmill_model::path::check_steps::<Tree>("rows/d", &steps).unwrap_err();
    assert_eq!((unknown.step_number(), unknown.got()), (3, "\"rows/every\""));
    assert!(Navigators::new().resolve("rows/d", &mut steps).is_err());
    known.resolve("rows/d", &mut steps).unwrap();
    gridmill_model::path::check_steps::<Tree>("rows/d", &steps).unwrap();
    // Code without a name does not travel, and the error says which step it is.
    let code = encode_steps("rows/d", px().all().filter(|n| *n > 1).steps()).unwrap_err();
    assert_eq!((code.step_number(), code.got()), (4, "a function of this process"));
    // A step that nobody knows is refused when it is read.
    let unknown = postcard::to_allocvec(&vec![250_u8]).unwrap();
    assert!(decode_steps("rows/d", &unknown).is_err());
    let json = serde_json::json!([{"key": "p"}, {"key": "x"}, {"rows/every": 2}]);
    let parse = gridmill_model::path::parse_json_path_with::<Tree>;
    assert_eq!(parse("rows/d", &json, &known).unwrap().steps.as_slice(), path.steps());
    let error = parse("rows/d", &json, &Navigators::new()).unwrap_err();
    assert!(error.expected().contains("filter_selected"), "all steps are listed: {error}");
}

/// A path on a value in memory starts at a `PState` that names its type; nothing is stored under that name.
#[test]
fn r116_paths_on_values_in_memory() {
    const VALUE: PState<List<(Str, i64)>> = PState::new("a list");
    let mut value = List::from([(Str::from("a"), 1), (Str::from("b"), 2)]);
    assert_eq!(
        VALUE.all().filter_selected(|it| it.last().filter_gt(1)).first().select(&value).unwrap(),
        ["b"]
    );
    VALUE.nth(0).last().set(5).apply(&mut value);
    assert_eq!(VALUE.subselect(|it| it.all().last()).sum().select(&value).unwrap(), [7]);
}

#[test]
fn r133_views_of_nothing() {
    let none = Map::new();
    assert_eq!(LISTS.key("none").sum().select(&none).unwrap(), [0]);
    assert_eq!(LISTS.key("none").len().select(&none).unwrap(), [0]);
    assert!(LISTS.key("none").min().select(&none).unwrap().is_empty());
    assert!(LISTS.key("none").avg().select(&none).unwrap().is_empty());
    assert_eq!(LISTS.subselect(|it| it.map_vals().all()).select(&none).unwrap(), [List::new()]);
    assert_eq!(LISTS.subselect(|it| it.map_vals().all()).sum().select(&none).unwrap(), [0]);
    assert_eq!(LISTS.subselect(|it| it.map_vals().all()).len().select(&none).unwrap(), [0]);
}

#[test]
fn variants_of_enums_are_places() {
    let mut shapes =
        Map::from([("a".into(), Shape::Rect { w: 2, h: 3 }), ("b".into(), Shape::Point)]);
    let a = || SHAPES.key("a");
    assert_eq!(a().variant(Shape::RECT).select(&shapes).unwrap(), [(2, 3)]);
    assert_eq!(a().variant(Shape::CIRCLE).select_one(&shapes).unwrap(), None);
    assert_eq!(a().variant(Shape::CIRCLE).or(7).select_one(&shapes).unwrap(), Some(7));
    assert_eq!(SHAPES.map_vals().variant(Shape::POINT).select(&shapes).unwrap(), [()]);
    a().variant(Shape::RECT).part::<1>().update(|h| *h += 1).apply(&mut shapes);
    assert_eq!(a().select_one(&shapes).unwrap(), Some(Shape::Rect { w: 2, h: 4 }));
    assert_eq!(a().variant(Shape::CIRCLE).update(|r| *r += 1).apply(&mut shapes), 0);
    a().variant(Shape::CIRCLE).set(5).apply(&mut shapes);
    assert_eq!(a().select_one(&shapes).unwrap(), Some(Shape::Circle(5)));
    SHAPES.key("new").variant(Shape::RECT).set((1, 1)).apply(&mut shapes);
    assert_eq!(SHAPES.key("new").select_one(&shapes).unwrap(), Some(Shape::Rect { w: 1, h: 1 }));
    let removed = a().variant(Shape::CIRCLE).remove().try_apply(&mut shapes).unwrap_err();
    assert_eq!(*removed.kind(), PathErrorKind::Write);
    let json = serde_json::json!([{"key": "a"}, {"variant": "Circle"}]);
    let parsed = gridmill_model::path::parse_json_path::<Map<Str, Shape>>("s", &json).unwrap();
    assert_eq!(parsed.steps.as_slice(), a().variant(Shape::CIRCLE).steps());
    assert!(matches!(parsed.steps[1], Step::Variant(1)));
}

/// A sum that its type cannot hold is an error, and leaves what was there.
#[test]
fn numbers_are_added_up_to_what_their_type_holds() {
    const BYTES: PState<Map<Str, u8>> = PState::new("rows/bytes");
    let mut bytes = Map::from([("a".into(), 250_u8)]);
    BYTES.key("a").add(5).apply(&mut bytes);
    let error = BYTES.key("a").add(1).try_apply(&mut bytes).unwrap_err();
    assert_eq!((error.kind(), error.got()), (&PathErrorKind::Write, "255 + 1"));
    assert_eq!(bytes, [("a".into(), 255)].into());
    BYTES.key("b").add(3).apply(&mut bytes);
    assert_eq!(BYTES.key("b").select_one(&bytes).unwrap(), Some(3));
    let lists = Map::from([("a".into(), List::from([i64::MAX, 1]))]);
    let error = LISTS.key("a").sum().select(&lists).unwrap_err();
    assert!(error.expected().contains("a sum"), "{error}");
}
