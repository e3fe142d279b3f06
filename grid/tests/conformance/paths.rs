//! Paths: each row's selects and transforms give the same in a running grid, over what is in memory
//! and over what lies in runs, as on plain values.

use std::sync::Arc;

use gridmill::GridBuilder;
use gridmill::model::Root;
use gridmill::model::path::PathErrorKind;
use gridmill::persistence::SimStorage;
use gridmill::prelude::*;
use serde::Serialize;

use crate::path_cases::{
    COUNTS, Case, Counts, LETTERS, Letters, ROWS, SETS, Sets, States, TREE, Tree,
};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What paths start on.
#[derive(Clone, Debug, PartialEq)]
struct Data {
    tree: Tree,
    sets: Sets,
    counts: Counts,
    letters: Letters,
}

impl Data {
    fn new() -> Self {
        let p = Map::from([("x".into(), List::from([4, 7, 2])), ("y".into(), List::from([5]))]);
        let q = Map::from([("z".into(), List::from([8, 9]))]);
        Self {
            tree: [("p".into(), p), ("q".into(), q)].into(),
            sets: [("s".into(), Set::from([1, 2, 3]))].into(),
            counts: [("a".into(), 1), ("b".into(), 2), ("c".into(), 3)].into(),
            letters: [(1, 'a'), (2, 'b'), (5, 'c'), (9, 'd')].into(),
        }
    }

    fn states(&mut self) -> States<'_> {
        (&mut self.tree, &mut self.sets, &mut self.counts, &mut self.letters)
    }
}

#[record]
#[derive(Copy)]
enum Event {
    Reset,
    Change(u32),
}

const EVENTS: Depot<Event> = Depot::random("paths/events").global();

struct Paths;

impl Module for Paths {
    const NAME: &'static str = "paths";

    fn define(module: &mut Setup) {
        module.depot(EVENTS);
        module.stream("change", (TREE, SETS, COUNTS, LETTERS)).source(EVENTS).each(on_event);
    }
}

fn on_event(event: Event, (tree, sets, counts, letters): States<'_>) {
    match event {
        Event::Reset => {
            let data = Data::new();
            (*tree, *sets, *counts, *letters) = (data.tree, data.sets, data.counts, data.letters);
        }
        Event::Change(case) => {
            let (_, case) = cases().nth(case as usize).expect("a case of the table");
            (case.change)((tree, sets, counts, letters));
        }
    }
}

/// All transforms, by row.
fn cases() -> impl Iterator<Item = (&'static str, &'static Case)> {
    let rows = ROWS.iter();
    rows.flat_map(|(row, cases)| cases.iter().map(move |case| (*row, case)))
}

/// Runs the transforms of a row on plain values and in handlers.
async fn transforms(row: &str) -> Result {
    let storage = Arc::new(SimStorage::new());
    let builder = Grid::in_memory().partitions(1).storage(storage).module::<Paths>();
    let mut of_row = 0;
    for (number, (_, case)) in cases().enumerate().filter(|(_, (its, _))| *its == row) {
        of_row += 1;
        let mut data = Data::new();
        (case.change)(data.states());
        assert_eq!(json(&data, case.pstate), case.expected, "plain, case {number}");
        for cold in [false, true] {
            let grid = fresh(&builder, cold).await?;
            let client = grid.client();
            client.append(EVENTS, Event::Change(number as u32)).await?;
            assert_eq!(whole(&client).await?, data, "case {number}, cold: {cold}");
            grid.halt().await;
        }
    }
    assert!(of_row > 0, "row {row} has transforms");
    Ok(())
}

/// A grid that holds the data, in memory or in runs alone.
async fn fresh(builder: &GridBuilder, cold: bool) -> Result<Grid> {
    let grid = builder.clone().start().await?;
    grid.client().append(EVENTS, Event::Reset).await?;
    if !cold {
        return Ok(grid);
    }
    grid.shutdown().await?;
    let grid = builder.clone().start().await?;
    assert_eq!(grid.stats().total(|partition| partition.overlay_bytes), 0);
    Ok(grid)
}

async fn whole(client: &Client) -> Result<Data> {
    Ok(Data {
        tree: client.select_one(TREE).await?.unwrap_or_default(),
        sets: client.select_one(SETS).await?.unwrap_or_default(),
        counts: client.select_one(COUNTS).await?.unwrap_or_default(),
        letters: client.select_one(LETTERS).await?.unwrap_or_default(),
    })
}

fn json(data: &Data, pstate: &str) -> String {
    fn text(root: &impl Serialize) -> String {
        serde_json::to_string(root).expect("state has a JSON form")
    }
    match pstate {
        "tree" => text(&data.tree),
        "sets" => text(&data.sets),
        "counts" => text(&data.counts),
        _ => text(&data.letters),
    }
}

/// Clients of grids that hold the data, in memory and in runs, beside the plain data.
struct Selects {
    data: Data,
    grids: Vec<Grid>,
}

impl Selects {
    async fn new() -> Result<Self> {
        let mut grids = Vec::new();
        for cold in [false, true] {
            let storage = Arc::new(SimStorage::new());
            let builder = Grid::in_memory().partitions(1).storage(storage).module::<Paths>();
            grids.push(fresh(&builder, cold).await?);
        }
        Ok(Self { data: Data::new(), grids })
    }

    /// What `path` selects, everywhere the same.
    async fn select<N>(&self, path: N) -> Result<Vec<N::Leaf>>
    where
        N: Navigate<Carried = ()> + Clone,
        N::Root: Plain,
        N::Leaf: PartialEq + std::fmt::Debug,
    {
        let found = path.clone().into_path().select(N::Root::of(&self.data))?;
        for grid in &self.grids {
            assert_eq!(grid.client().select(path.clone()).await?, found);
        }
        Ok(found)
    }
}

/// The plain value that stands for a PState.
trait Plain: Root {
    fn of(data: &Data) -> &Self;
}

macro_rules! plain {
    ($($root:ty => $field:ident),*) => {
        $(impl Plain for $root {
            fn of(data: &Data) -> &Self {
                &data.$field
            }
        })*
    };
}

plain!(Tree => tree, Sets => sets, Counts => counts, Letters => letters);

#[tokio::test]
async fn r096_key_and_must() -> Result {
    // A missing key is `None`, the design's null; with `must` it stays so whatever follows.
    let on = Selects::new().await?;
    assert!(on.select(TREE.key("nope")).await?.is_empty());
    assert_eq!(on.select(TREE.key("p").key("nope").or([1])).await?, [List::from([1])]);
    assert!(on.select(TREE.must("p").must("nope").or([1])).await?.is_empty());
    assert_eq!(on.select(TREE.must("p").must("y").all()).await?, [5]);
    assert_eq!(on.grids[0].client().select_one(TREE.key("nope")).await?, None);
    transforms("096").await
}

#[tokio::test]
async fn r098_removal_in_maps_lists_and_sets() -> Result {
    let error = COUNTS.remove().try_apply(&mut Data::new().counts).expect_err("the root stays");
    assert_eq!(*error.kind(), PathErrorKind::Write);
    transforms("098").await
}

#[tokio::test]
async fn r099_missing_collections_are_made() -> Result {
    // A missing collection is the design's null.
    let on = Selects::new().await?;
    assert!(on.select(TREE.key("nope").key("x").all()).await?.is_empty());
    assert_eq!(on.select(TREE.key("nope").key("x").len()).await?, [0]);
    transforms("099").await
}

#[tokio::test]
async fn r100_elements_values_and_keys() -> Result {
    let on = Selects::new().await?;
    let x = || TREE.key("p").key("x");
    assert_eq!(on.select(x().nth(1)).await?, [7]);
    assert!(on.select(x().nth(3)).await?.is_empty());
    assert_eq!(on.select(x().first()).await?, [4]);
    assert_eq!(on.select(x().last()).await?, [2]);
    assert_eq!(on.select(x().all()).await?, [4, 7, 2]);
    assert_eq!(on.select(TREE.key("p").map_vals().all()).await?, [4, 7, 2, 5]);
    assert_eq!(on.select(TREE.map_keys()).await?, ["p", "q"]);
    assert_eq!(on.select(TREE.map_key("q")).await?, ["q"]);
    assert_eq!(on.select(TREE.map_keys_rev()).await?, ["q", "p"]);
    let pairs = [("a".into(), 1), ("b".into(), 2), ("c".into(), 3)];
    assert_eq!(on.select(COUNTS.all()).await?, pairs);
    assert_eq!(on.select(COUNTS.all().first()).await?, ["a", "b", "c"]);
    transforms("100").await
}

#[tokio::test]
async fn r101_members_of_sets() -> Result {
    let on = Selects::new().await?;
    assert_eq!(on.select(SETS.key("s").elem(2)).await?, [2]);
    assert!(on.select(SETS.key("s").elem(8)).await?.is_empty());
    assert_eq!(on.select(SETS.key("s").all()).await?, [1, 2, 3]);
    transforms("101").await
}

#[tokio::test]
async fn r102_inserts_at_both_ends_and_between() -> Result {
    transforms("102").await
}

#[tokio::test]
async fn r103_an_index_moves_its_element() -> Result {
    transforms("103").await
}

#[tokio::test]
async fn r106_ranges_of_keys() -> Result {
    let on = Selects::new().await?;
    let some = |letters: &[(u32, char)]| vec![letters.iter().copied().collect::<Letters>()];
    let open_start = (std::ops::Bound::Excluded(2), std::ops::Bound::Included(9));
    assert_eq!(on.select(LETTERS.key_range(2..9)).await?, some(&[(2, 'b'), (5, 'c')]));
    assert_eq!(on.select(LETTERS.key_range(open_start)).await?, some(&[(5, 'c'), (9, 'd')]));
    assert_eq!(on.select(LETTERS.key_range_from(2, 2)).await?, some(&[(2, 'b'), (5, 'c')]));
    assert_eq!(on.select(LETTERS.key_range_to(9, 2)).await?, some(&[(2, 'b'), (5, 'c')]));
    assert_eq!(on.select(LETTERS.key_range(..=9).last_keys(1)).await?, some(&[(9, 'd')]));
    assert_eq!(on.select(LETTERS.first_keys(1)).await?, some(&[(1, 'a')]));
    assert_eq!(on.select(LETTERS.last_keys(2)).await?, some(&[(5, 'c'), (9, 'd')]));
    assert_eq!(on.select(LETTERS.key_range_from(100, 5)).await?, some(&[]));
    assert_eq!(on.select(SETS.key("nope").key_range(1..)).await?, [Set::new()]);
    assert_eq!(on.select(SETS.key("s").key_range_to(3, 1)).await?, [Set::from([2])]);
    transforms("106").await
}

#[tokio::test]
async fn r108_filters() -> Result {
    let on = Selects::new().await?;
    let x = || TREE.key("p").key("x").all();
    assert_eq!(on.select(x().filter_eq(4)).await?, [4]);
    assert_eq!(on.select(x().filter_ne(4)).await?, [7, 2]);
    assert_eq!(on.select(x().filter_gt(4)).await?, [7]);
    assert_eq!(on.select(x().filter_ge(4)).await?, [4, 7]);
    assert_eq!(on.select(x().filter_lt(4)).await?, [2]);
    assert_eq!(on.select(x().filter_le(4)).await?, [4, 2]);
    let with_five = |inner: Path<_, Map<Str, List<i64>>>| inner.map_vals().all().filter_eq(5);
    assert_eq!(on.select(TREE.map_vals().filter_selected(with_five).map_keys()).await?, ["x", "y"]);
    assert_eq!(on.select(TREE.map_vals().filter_not_selected(with_five).map_keys()).await?, ["z"]);
    assert_eq!(on.select(x().filter(|n| n % 2 == 1)).await?, [7]);
    transforms("108").await
}

#[tokio::test]
async fn r109_values_for_what_is_missing() -> Result {
    let on = Selects::new().await?;
    assert_eq!(on.select(COUNTS.key("n").or(7)).await?, [7]);
    assert_eq!(on.select(COUNTS.key("a").or(7)).await?, [1]);
    assert_eq!(on.select(TREE.key("n").key("n").or_default()).await?, [List::new()]);
    assert_eq!(on.select(SETS.key("n").or_default()).await?, [Set::new()]);
    transforms("109").await
}

#[tokio::test]
async fn r104_elements_with_their_positions() -> Result {
    let on = Selects::new().await?;
    let x = || TREE.key("p").key("x");
    assert_eq!(on.select(x().indexed_vals()).await?, [(0, 4), (1, 7), (2, 2)]);
    assert_eq!(
        on.select(x().indexed_vals().filter_selected(|it| it.last().filter_gt(4)).first()).await?,
        [1]
    );
    transforms("104").await
}

#[tokio::test]
async fn r105_parts_of_lists_maps_and_sets() -> Result {
    let on = Selects::new().await?;
    let x = || TREE.key("p").key("x");
    assert_eq!(on.select(x().range(0..2)).await?, [[4, 7]]);
    assert_eq!(on.select(x().range(1..)).await?, [[7, 2]]);
    assert_eq!(on.select(x().last_n(2).all_rev()).await?, [2, 7]);
    assert_eq!(on.select(x().filtered(|n| n.filter_gt(3))).await?, [[4, 7]]);
    assert_eq!(on.select(TREE.key("nope").key("x").first_n(2)).await?, [List::new()]);
    assert_eq!(on.select(COUNTS.sub_map(["a", "c", "z"]).map_vals()).await?, [1, 3]);
    assert_eq!(on.select(SETS.key("s").subset([3, 7])).await?, [Set::from([3])]);
    transforms("105").await
}

#[tokio::test]
async fn r107_ranges_are_deleted_and_replaced() -> Result {
    // Removing a range stands for setting it to null.
    transforms("107").await
}

#[tokio::test]
async fn r110_views_and_transformed_values() -> Result {
    let on = Selects::new().await?;
    let x = || TREE.key("p").key("x");
    assert_eq!(on.select(x().sum()).await?, [13]);
    assert_eq!(on.select(x().min()).await?, [2]);
    assert_eq!(on.select(x().max()).await?, [7]);
    assert_eq!(on.select(SETS.key("s").avg()).await?, [2.0]);
    assert_eq!(on.select(x().transformed(|it| it.nth(0).set(0))).await?, [[0, 7, 2]]);
    assert_eq!(on.select(x()).await?, [[4, 7, 2]]);
    transforms("110").await
}

#[tokio::test]
async fn r111_branches() -> Result {
    let on = Selects::new().await?;
    let x = || TREE.key("p").key("x");
    let nine = |it: Path<List<i64>, List<i64>>| it.all().filter_eq(9);
    assert_eq!(on.select(x().if_path(nine, |it| it.first(), |it| it.last())).await?, [2]);
    assert!(on.select(x().when(nine, |it| it.first())).await?.is_empty());
    let both = TREE.multi(|it| [it.clone().key("p").key("y").first(), it.key("q").key("z").last()]);
    assert_eq!(on.select(both).await?, [5, 9]);
    assert!(on.select(TREE.map_vals().stop::<u8>()).await?.is_empty());
    transforms("111").await
}

#[tokio::test]
async fn r112_what_a_sub_path_reaches_is_one_list() -> Result {
    let on = Selects::new().await?;
    let even = TREE.key("p").map_vals().subselect(|it| it.all().filter(|n| n % 2 == 0));
    assert_eq!(on.select(even).await?, [List::from([4, 2]), List::new()]);
    let all = |it: Path<Tree, Tree>| it.map_vals().map_vals().all();
    assert_eq!(on.select(TREE.subselect(all).sum()).await?, [35]);
    assert_eq!(on.select(TREE.subselect(all).last_n(2)).await?, [[8, 9]]);
    transforms("112").await
}

#[tokio::test]
async fn r113_values_are_collected() -> Result {
    let data = Data::new();
    let path = || TREE.collect_one(|it| it.key("p").key("y").first()).key("p").key("x").all();
    let expected = [(5, 4), (5, 7), (5, 2)];
    assert_eq!(path().select(&data.tree)?, expected);
    for grid in &Selects::new().await?.grids {
        assert_eq!(grid.client().select(path()).await?, expected);
        let json =
            r#"[{"collect_one": [{"key": "p"}, {"key": "y"}, "first"]}, {"key": "q"}, "map_keys"]"#;
        assert_eq!(grid.client().select_json("paths/tree", json).await?, r#"[[5,"z"]]"#);
    }
    Ok(())
}
