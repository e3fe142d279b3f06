//! Instant open: what a start reads before it answers.

use gridmill::prelude::*;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

#[record]
struct Note {
    title: Str,
    text: String,
}

const NOTES: Depot<(u64, Note)> = Depot::hash_by("open/notes", |note| note.0.into());
const BY_ID: PState<Map<u64, Note>> = PState::new("open/by-id");
const TITLES: PState<Map<u64, Str>> = PState::new("open/titles");

struct Notes;

impl Module for Notes {
    const NAME: &'static str = "notes";

    fn define(module: &mut Setup) {
        module.depot(NOTES);
        module.stream("notes", (BY_ID, TITLES)).source(NOTES).each(
            |(id, note): (u64, Note),
             (notes, titles): (&mut Map<u64, Note>, &mut Map<u64, Str>)| {
                titles.insert(id, note.title.clone());
                notes.insert(id, note);
            },
        );
    }
}

fn note(id: u64) -> (u64, Note) {
    let title = format!("note {id}").into();
    (id, Note { title, text: format!("{id} ").repeat(60) })
}

/// What a start and a first read of a clean folder with that many notes cost.
struct Cost {
    replayed: u64,
    pages_at_start: u64,
    pages_of_a_read: u64,
    pages: u64,
    runs: u64,
}

async fn cost(notes: u64) -> Result<Cost> {
    let folder = tempfile::tempdir()?;
    let builder = Grid::builder(folder.path()).partitions(2).module::<Notes>();
    let builder = builder.durability(Durability::Os);
    let grid = builder.clone().start().await?;
    for from in (0..notes).step_by(10_000) {
        let to = notes.min(from + 10_000);
        grid.client().append_many(NOTES, (from..to).map(note)).await?;
    }
    grid.shutdown().await?;
    let grid = builder.start().await?;
    let at_start = grid.stats();
    let found = grid.client().select_one(BY_ID.key(notes / 2)).await?;
    assert_eq!(found, Some(note(notes / 2).1));
    let after = grid.stats();
    let total = |figure: fn(&gridmill::PartitionStats) -> u64| at_start.total(figure);
    Ok(Cost {
        replayed: total(|partition| partition.replayed),
        pages_at_start: total(|partition| partition.run_pages_read),
        pages_of_a_read: after.total(|partition| partition.run_pages_read),
        pages: total(|partition| partition.run_bytes).div_ceil(16 << 10),
        runs: total(|partition| partition.runs),
    })
}

#[tokio::test]
async fn r219_a_start_costs_the_same_at_any_size() -> Result {
    // The 50 ms with 1 GB of state belong to the benches; here it is counted what is read.
    let (small, large) = (cost(500).await?, cost(100_000).await?);
    assert!(large.pages > 50 * small.pages, "{} and {} pages", small.pages, large.pages);
    for cost in [small, large] {
        assert_eq!(cost.replayed, 0);
        // A start asks some keys of the oldest run of each PState where they belong: one page.
        assert!(cost.pages_at_start <= cost.runs, "{} pages", cost.pages_at_start);
        // An index page and at most two entry pages in each run of one PState.
        let most = 4 * cost.runs;
        assert!((1..=most).contains(&cost.pages_of_a_read), "{} pages", cost.pages_of_a_read);
    }
    Ok(())
}

#[tokio::test]
async fn r219_after_a_halt_only_the_tail_is_replayed() -> Result {
    let folder = tempfile::tempdir()?;
    let builder = Grid::builder(folder.path()).partitions(1).module::<Notes>();
    let grid = builder.clone().start().await?;
    grid.client().append_many(NOTES, (0..5_000).map(note)).await?;
    grid.shutdown().await?;
    let grid = builder.clone().start().await?;
    grid.client().append_many(NOTES, (5_000..5_030).map(note)).await?;
    grid.halt().await;
    let grid = builder.start().await?;
    assert_eq!(grid.stats().total(|partition| partition.replayed), 30);
    assert_eq!(grid.client().select_one(TITLES.key(5_029)).await?, Some("note 5029".into()));
    assert_eq!(grid.client().select_one(TITLES.key(7)).await?, Some("note 7".into()));
    assert_eq!(grid.client().select_all(BY_ID.len()).await?, [5_030]);
    Ok(())
}
