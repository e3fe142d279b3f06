//! Transforms by row: each with the JSON of the PState that it changed.
//!
//! They start from `{"p": {"x": [4, 7, 2], "y": [5]}, "q": {"z": [8, 9]}}` in the tree,
//! `{"s": [1, 2, 3]}` in the sets, `{"a": 1, "b": 2, "c": 3}` in the counts, and
//! `{1: a, 2: b, 5: c, 9: d}` in the letters.

use gridmill::prelude::*;

pub(crate) type Tree = Map<Str, Map<Str, List<i64>>>;
pub(crate) type Sets = Map<Str, Set<i64>>;
pub(crate) type Counts = Map<Str, i64>;
pub(crate) type Letters = Map<u32, char>;

pub(crate) const TREE: PState<Tree> = PState::new("paths/tree").global();
pub(crate) const SETS: PState<Sets> = PState::new("paths/sets").global();
pub(crate) const COUNTS: PState<Counts> = PState::new("paths/counts").global();
pub(crate) const LETTERS: PState<Letters> = PState::new("paths/letters").global();

pub(crate) type States<'a> = (&'a mut Tree, &'a mut Sets, &'a mut Counts, &'a mut Letters);

/// A transform and the JSON of the PState that it changed.
pub(crate) struct Case {
    pub(crate) change: fn(States<'_>) -> usize,
    pub(crate) pstate: &'static str,
    pub(crate) expected: &'static str,
}

const fn case(
    change: fn(States<'_>) -> usize,
    pstate: &'static str,
    expected: &'static str,
) -> Case {
    Case { change, pstate, expected }
}

pub(crate) const ROWS: &[(&str, &[Case])] = &[
    (
        "096",
        &[
            case(
                |(.., counts, _)| COUNTS.key("r").or(0).update(|n| *n += 1).apply(counts),
                "counts",
                r#"{"a":1,"b":2,"c":3,"r":1}"#,
            ),
            case(
                |(.., counts, _)| COUNTS.key("r").set(5).apply(counts),
                "counts",
                r#"{"a":1,"b":2,"c":3,"r":5}"#,
            ),
            case(
                |(.., counts, _)| COUNTS.must("r").set(5).apply(counts),
                "counts",
                r#"{"a":1,"b":2,"c":3}"#,
            ),
            case(
                |(.., counts, _)| COUNTS.must("b").set(5).apply(counts),
                "counts",
                r#"{"a":1,"b":5,"c":3}"#,
            ),
            case(
                |(.., counts, _)| COUNTS.must("r").or(0).update(|n| *n += 1).apply(counts),
                "counts",
                r#"{"a":1,"b":2,"c":3}"#,
            ),
        ],
    ),
    (
        "098",
        &[
            case(
                |(tree, ..)| TREE.key("q").remove().apply(tree),
                "tree",
                r#"{"p":{"x":[4,7,2],"y":[5]}}"#,
            ),
            case(
                |(tree, ..)| TREE.key("q").key("z").remove().apply(tree),
                "tree",
                r#"{"p":{"x":[4,7,2],"y":[5]},"q":{}}"#,
            ),
            case(
                |(tree, ..)| TREE.key("p").key("x").nth(0).remove().apply(tree),
                "tree",
                r#"{"p":{"x":[7,2],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(tree, ..)| TREE.map_vals().map_vals().all().filter_lt(8).remove().apply(tree),
                "tree",
                r#"{"p":{"x":[],"y":[]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(_, sets, ..)| SETS.key("s").elem(2).remove().apply(sets),
                "sets",
                r#"{"s":[1,3]}"#,
            ),
            // The root stays: nothing is written.
            case(
                |(.., counts, _)| COUNTS.remove().apply(counts),
                "counts",
                r#"{"a":1,"b":2,"c":3}"#,
            ),
        ],
    ),
    (
        "099",
        &[
            case(
                |(tree, ..)| TREE.key("q").key("new").after_elem().set(1).apply(tree),
                "tree",
                r#"{"p":{"x":[4,7,2],"y":[5]},"q":{"new":[1],"z":[8,9]}}"#,
            ),
            case(
                |(tree, ..)| TREE.key("a").key("b").before_elem().set(1).apply(tree),
                "tree",
                r#"{"a":{"b":[1]},"p":{"x":[4,7,2],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(_, sets, ..)| SETS.key("t").add_elem().set(1).apply(sets),
                "sets",
                r#"{"s":[1,2,3],"t":[1]}"#,
            ),
            // What is missing has no first element, and none is made.
            case(
                |(tree, ..)| TREE.key("a").key("b").first().set(1).apply(tree),
                "tree",
                r#"{"p":{"x":[4,7,2],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
        ],
    ),
    (
        "100",
        &[
            case(
                |(tree, ..)| TREE.key("p").key("x").nth(1).set(0).apply(tree),
                "tree",
                r#"{"p":{"x":[4,0,2],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(tree, ..)| TREE.map_vals().map_vals().first().set(0).apply(tree),
                "tree",
                r#"{"p":{"x":[0,7,2],"y":[0]},"q":{"z":[0,9]}}"#,
            ),
            case(
                |(tree, ..)| TREE.key("p").key("x").last().remove().apply(tree),
                "tree",
                r#"{"p":{"x":[4,7],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(tree, ..)| TREE.key("p").key("x").all().update(|n| *n += 1).apply(tree),
                "tree",
                r#"{"p":{"x":[5,8,3],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(.., counts, _)| COUNTS.map_vals().update(|n| *n *= 2).apply(counts),
                "counts",
                r#"{"a":2,"b":4,"c":6}"#,
            ),
            case(
                |(.., counts, _)| COUNTS.map_keys().filter_eq("a").set("z").apply(counts),
                "counts",
                r#"{"b":2,"c":3,"z":1}"#,
            ),
            // Of two entries renamed alike the later stays.
            case(
                |(.., counts, _)| COUNTS.map_keys().set("z").apply(counts),
                "counts",
                r#"{"z":3}"#,
            ),
            case(
                |(.., counts, _)| {
                    COUNTS.all().filter_selected(|it| it.last().filter_gt(1)).remove().apply(counts)
                },
                "counts",
                r#"{"a":1}"#,
            ),
            case(
                |(.., counts, _)| COUNTS.map_key("a").set("c").apply(counts),
                "counts",
                r#"{"b":2,"c":1}"#,
            ),
        ],
    ),
    (
        "101",
        &[
            case(
                |(_, sets, ..)| SETS.key("s").add_elem().set(9).apply(sets),
                "sets",
                r#"{"s":[1,2,3,9]}"#,
            ),
            case(
                |(_, sets, ..)| SETS.key("s").add_elem().set(2).apply(sets),
                "sets",
                r#"{"s":[1,2,3]}"#,
            ),
            case(
                |(_, sets, ..)| SETS.key("s").elem(2).set(7).apply(sets),
                "sets",
                r#"{"s":[1,3,7]}"#,
            ),
            case(
                |(_, sets, ..)| SETS.key("s").elem(8).set(7).apply(sets),
                "sets",
                r#"{"s":[1,2,3]}"#,
            ),
            case(
                |(_, sets, ..)| SETS.key("s").all().filter_ge(2).remove().apply(sets),
                "sets",
                r#"{"s":[1]}"#,
            ),
        ],
    ),
    (
        "102",
        &[
            case(
                |(tree, ..)| TREE.key("p").key("x").after_elem().set(9).apply(tree),
                "tree",
                r#"{"p":{"x":[4,7,2,9],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(tree, ..)| TREE.key("p").map_vals().before_elem().set(9).apply(tree),
                "tree",
                r#"{"p":{"x":[9,4,7,2],"y":[9,5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(tree, ..)| TREE.key("p").key("x").before_index(1).set(9).apply(tree),
                "tree",
                r#"{"p":{"x":[4,9,7,2],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(tree, ..)| TREE.key("p").key("x").beginning().set([8, 9]).apply(tree),
                "tree",
                r#"{"p":{"x":[8,9,4,7,2],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(tree, ..)| TREE.key("p").key("x").end().set([8, 9]).apply(tree),
                "tree",
                r#"{"p":{"x":[4,7,2,8,9],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
        ],
    ),
    (
        "103",
        &[
            case(
                |(tree, ..)| TREE.key("p").key("x").index(2).move_to(0).apply(tree),
                "tree",
                r#"{"p":{"x":[2,4,7],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(tree, ..)| TREE.key("p").key("x").index(0).move_to(2).apply(tree),
                "tree",
                r#"{"p":{"x":[7,2,4],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(tree, ..)| TREE.key("p").key("x").index(5).move_to(0).apply(tree),
                "tree",
                r#"{"p":{"x":[4,7,2],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            // The guard of the seed's reordering: a target past the end moves nothing.
            case(
                |(tree, ..)| {
                    let list = TREE.key("p").must("x");
                    list.filter_selected(|list| list.len().filter_gt(3))
                        .index(0)
                        .move_to(3)
                        .apply(tree)
                },
                "tree",
                r#"{"p":{"x":[4,7,2],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
        ],
    ),
    (
        "106",
        &[
            case(
                |(.., letters)| LETTERS.key_range(2..6).remove().apply(letters),
                "letters",
                r#"{"1":"a","9":"d"}"#,
            ),
            case(
                |(.., letters)| LETTERS.key_range(..5).set([(3, 'x')]).apply(letters),
                "letters",
                r#"{"3":"x","5":"c","9":"d"}"#,
            ),
            case(
                |(.., letters)| LETTERS.last_keys(2).map_vals().set('z').apply(letters),
                "letters",
                r#"{"1":"a","2":"b","5":"z","9":"z"}"#,
            ),
            case(
                |(_, sets, ..)| SETS.key("s").key_range(2..).remove().apply(sets),
                "sets",
                r#"{"s":[1]}"#,
            ),
        ],
    ),
    (
        "108",
        &[
            case(
                |(.., counts, _)| COUNTS.map_vals().filter_gt(1).set(0).apply(counts),
                "counts",
                r#"{"a":1,"b":0,"c":0}"#,
            ),
            case(
                |(tree, ..)| {
                    let short =
                        TREE.map_vals().map_vals().filter_selected(|it| it.len().filter_lt(3));
                    short.all().set(0).apply(tree)
                },
                "tree",
                r#"{"p":{"x":[4,7,2],"y":[0]},"q":{"z":[0,0]}}"#,
            ),
        ],
    ),
    (
        "109",
        &[
            case(
                |(.., counts, _)| COUNTS.key("n").or(7).update(|n| *n += 1).apply(counts),
                "counts",
                r#"{"a":1,"b":2,"c":3,"n":8}"#,
            ),
            case(
                |(.., counts, _)| COUNTS.key("a").or(7).update(|n| *n += 1).apply(counts),
                "counts",
                r#"{"a":2,"b":2,"c":3}"#,
            ),
            case(
                |(tree, ..)| {
                    TREE.key("p").key("n").or_default().update(|list| list.push_back(1)).apply(tree)
                },
                "tree",
                r#"{"p":{"n":[1],"x":[4,7,2],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(_, sets, ..)| SETS.key("n").or_default().set([4]).apply(sets),
                "sets",
                r#"{"n":[4],"s":[1,2,3]}"#,
            ),
        ],
    ),
    (
        "104",
        &[
            case(
                |(tree, ..)| {
                    TREE.key("p")
                        .key("x")
                        .indexed_vals()
                        .filter(|(_, n)| *n == 2)
                        .first()
                        .set(0_u64)
                        .apply(tree)
                },
                "tree",
                r#"{"p":{"x":[2,4,7],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(tree, ..)| TREE.key("p").key("x").indexed_vals().last().add(1).apply(tree),
                "tree",
                r#"{"p":{"x":[5,8,3],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
        ],
    ),
    (
        "105",
        &[
            case(
                |(tree, ..)| TREE.key("p").key("x").range(1..3).set([8]).apply(tree),
                "tree",
                r#"{"p":{"x":[4,8],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(tree, ..)| {
                    let even = TREE.key("p").key("x").filtered(|n| n.filter(|n| n % 2 == 0));
                    even.update(|l| *l = l.iter().rev().copied().collect()).apply(tree)
                },
                "tree",
                r#"{"p":{"x":[2,7,4],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(tree, ..)| TREE.key("p").key("x").last_n(2).remove().apply(tree),
                "tree",
                r#"{"p":{"x":[4],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(.., counts, _)| COUNTS.sub_map(["a", "b"]).set([("b".into(), 9)]).apply(counts),
                "counts",
                r#"{"b":9,"c":3}"#,
            ),
            case(
                |(_, sets, ..)| SETS.key("s").subset([1, 2]).set([9]).apply(sets),
                "sets",
                r#"{"s":[3,9]}"#,
            ),
        ],
    ),
    (
        "107",
        &[
            case(
                |(.., letters)| LETTERS.key_range(2..6).remove().apply(letters),
                "letters",
                r#"{"1":"a","9":"d"}"#,
            ),
            case(
                |(.., letters)| LETTERS.last_keys(1).set([(7, 'x')]).apply(letters),
                "letters",
                r#"{"1":"a","2":"b","5":"c","7":"x"}"#,
            ),
        ],
    ),
    (
        "110",
        &[
            case(
                |(tree, ..)| {
                    TREE.key("p")
                        .key("x")
                        .transformed(|it| it.end().set([9]))
                        .nth(0)
                        .set(1)
                        .apply(tree)
                },
                "tree",
                r#"{"p":{"x":[1,7,2,9],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(tree, ..)| TREE.key("p").key("x").sum().set(1).apply(tree),
                "tree",
                r#"{"p":{"x":[4,7,2],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(.., counts, _)| COUNTS.map_vals().add(1).apply(counts),
                "counts",
                r#"{"a":2,"b":3,"c":4}"#,
            ),
        ],
    ),
    (
        "111",
        &[
            case(
                |(tree, ..)| {
                    TREE.key("p")
                        .key("x")
                        .all()
                        .when(|n| n.filter_gt(3), |n| n)
                        .remove()
                        .apply(tree)
                },
                "tree",
                r#"{"p":{"x":[2],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
            case(
                |(.., counts, _)| {
                    let twice = COUNTS.multi(|it| [it.clone().key("n").or(0), it.key("n").or(0)]);
                    twice.update(|n| *n += 1).apply(counts)
                },
                "counts",
                r#"{"a":1,"b":2,"c":3,"n":2}"#,
            ),
            case(
                |(tree, ..)| TREE.stop::<i64>().set(1).apply(tree),
                "tree",
                r#"{"p":{"x":[4,7,2],"y":[5]},"q":{"z":[8,9]}}"#,
            ),
        ],
    ),
    (
        "112",
        &[case(
            |(tree, ..)| {
                let odd =
                    |it: Path<Tree, Tree>| it.map_vals().map_vals().all().filter(|n| n % 2 == 1);
                let reverse = |l: &mut List<i64>| *l = l.iter().rev().copied().collect();
                TREE.subselect(odd).update(reverse).apply(tree)
            },
            "tree",
            r#"{"p":{"x":[4,9,2],"y":[5]},"q":{"z":[8,7]}}"#,
        )],
    ),
];
