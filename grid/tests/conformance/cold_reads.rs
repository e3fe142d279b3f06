//! What a read costs that asks for a part, what is too large to be asked for, and reads of one moment.

use gridmill::client::ReadError;
use gridmill::model::path::PathErrorKind;
use gridmill::prelude::*;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

#[record]
struct Line {
    at: u64,
    amount: i64,
    note: Str,
}

/// A key, and how many lines it gets.
const FILLED: Depot<(Str, u32)> = Depot::hash_by("cold/filled", |fill| fill.0.as_str().into());
const LINES: PState<Map<Str, List<Line>>> = PState::new("cold/lines");
const COUNTS: PState<Map<Str, u64>> = PState::new("cold/counts");

struct Fill;

impl Module for Fill {
    const NAME: &'static str = "fill";

    fn define(module: &mut Setup) {
        module.depot(FILLED);
        module.stream("fill", (LINES, COUNTS)).source(FILLED).each(
            |(key, count): (Str, u32),
             (lines, counts): (&mut Map<Str, List<Line>>, &mut Map<Str, u64>)| {
                let line = |n: u32| Line {
                    at: n.into(),
                    amount: i64::from(n) - 5,
                    note: format!("line {n}").into(),
                };
                lines.insert(key.clone(), (0..count).map(line).collect());
                *counts.entry(key).or_default() += u64::from(count);
            },
        );
    }
}

/// A grid whose one list of so many lines lies in a run.
async fn cold(folder: &std::path::Path, count: u32) -> Result<Grid> {
    let builder = Grid::builder(folder).partitions(1).module::<Fill>();
    let grid = builder.clone().start().await?;
    grid.client().append(FILLED, ("ann".into(), count)).await?;
    grid.shutdown().await?;
    Ok(builder.start().await?)
}

fn pages_read(grid: &Grid) -> u64 {
    grid.stats().total(|partition| partition.run_pages_read)
}

#[tokio::test]
async fn r234_one_field_of_one_element_touches_a_handful_of_pages() -> Result {
    const LEN: u32 = 300_000;
    let folder = tempfile::tempdir()?;
    let grid = cold(folder.path(), LEN).await?;
    let client = grid.client();
    let pages = grid.stats().total(|partition| partition.run_bytes).div_ceil(16 << 10);
    assert!(pages > 400, "{pages} pages");
    let mut before = pages_read(&grid);
    let mut read = || {
        let now = pages_read(&grid);
        now - std::mem::replace(&mut before, now)
    };
    let line = |at: u32| LINES.key("ann").nth(at);
    assert_eq!(
        client.select_one(line(LEN / 2).field(Line::AMOUNT)).await?,
        Some(i64::from(LEN / 2) - 5)
    );
    assert!(read() <= 8, "an index page, the head and the end of the entry, and the element");
    assert_eq!(client.select_one(line(7).field(Line::NOTE)).await?, Some("line 7".into()));
    assert_eq!(client.select_one(LINES.key("ann").len()).await?, Some(LEN.into()));
    assert!(read() <= 3);
    let newest = client.select(LINES.key("ann").last_n(3).all_rev().field(Line::AT)).await?;
    assert_eq!(newest, [u64::from(LEN) - 1, u64::from(LEN) - 2, u64::from(LEN) - 3]);
    assert!(read() <= 2);
    assert_eq!(client.select_all(LINES.map_keys()).await?, ["ann"]);
    assert_eq!(read(), 0, "keys lie apart from values of that size");
    Ok(())
}

#[tokio::test]
async fn r064_what_is_too_large_is_asked_for_in_parts() -> Result {
    let folder = tempfile::tempdir()?;
    let grid = cold(folder.path(), 300_000).await?;
    let client = grid.client().with_bytes(1 << 20);
    let before = pages_read(&grid);
    let ReadError::Path(error) = client.select_one(LINES.key("ann")).await.expect_err("too large")
    else {
        panic!("a limit is an error of the path")
    };
    assert_eq!(*error.kind(), PathErrorKind::Limit);
    assert_eq!(error.expected(), "at most 1048576 bytes of values");
    assert!(error.help().contains("`range`"), "{error}");
    assert!(pages_read(&grid) - before < 8, "it is refused before it is read");
    // The advice works.
    let part = client.select_one(LINES.key("ann").range(1_000..2_000)).await?.expect("it is there");
    assert_eq!((part.len(), part.front().map(|line| line.at)), (1_000, Some(1_000)));
    assert_eq!(
        grid.client().select_one(LINES.key("ann")).await?.map(|list| list.len()),
        Some(300_000)
    );
    // Many values count together.
    let error = client.select(LINES.key("ann").all()).await.expect_err("too many bytes");
    assert!(error.to_string().contains("bytes of values"), "{error}");
    Ok(())
}

#[tokio::test]
async fn r071_several_paths_and_pstates_are_read_as_of_one_moment() -> Result {
    let grid = Grid::in_memory().partitions(4).module::<Fill>().start().await?;
    let client = grid.client();
    let first = client.append(FILLED, ("ann".into(), 3)).await?;
    let view = client.view_of("ann");
    assert_eq!(view.select_one(LINES.key("ann").len()).await?, Some(3));
    let second = client.append(FILLED, ("ann".into(), 5)).await?;
    assert_eq!(client.select_one(COUNTS.key("ann")).await?, Some(8));
    let end = view.end(COUNTS).await?;
    assert!(first.position < end && end <= second.position, "{end}");
    // The view is as of its first select, in all PStates of the module.
    assert_eq!(view.select_one(COUNTS.key("ann")).await?, Some(3));
    assert_eq!(view.select(LINES.key("ann").all().field(Line::AT)).await?, [0, 1, 2]);
    // Without a key it is the partition of the view.
    assert_eq!(view.select(COUNTS.map_keys()).await?, ["ann"]);
    let home = RouteKey::from("ann").partition(4);
    let elsewhere = ["bob", "cat", "dan", "eve"];
    let other = elsewhere.into_iter().find(|key| RouteKey::from(*key).partition(4) != home);
    let other = other.expect("not all lie there");
    let error = view.select(COUNTS.key(other)).await.expect_err("another moment");
    assert!(
        matches!(error, ReadError::OtherPartition { partition, .. } if partition == home),
        "{error}"
    );
    assert_eq!(client.view_of("ann").select_one(COUNTS.key("ann")).await?, Some(8));
    Ok(())
}

#[tokio::test]
async fn a_pstate_is_found_once_for_many_reads() -> Result {
    let grid = Grid::in_memory().partitions(4).module::<Fill>().start().await?;
    let client = grid.client();
    client.append(FILLED, ("ann".into(), 3)).await?;
    let counts = client.reader(COUNTS)?;
    assert_eq!(counts.partitions(), 4);
    assert_eq!(counts.select_one(|counts| counts.key("ann")).await?, Some(3));
    assert_eq!(counts.select(|counts| counts.key("bob")).await?, [0; 0]);
    assert_eq!(counts.select_all(|counts| counts.map_keys()).await?, ["ann"]);
    let unknown =
        client.reader(PState::<Map<Str, u64>>::new("cold/none")).expect_err("there is none");
    assert!(matches!(unknown, ReadError::UnknownPState { .. }));
    let wrong =
        client.reader(PState::<Map<Str, i64>>::new("cold/counts")).expect_err("another type");
    assert!(matches!(wrong, ReadError::WrongRoot { .. }));
    Ok(())
}
