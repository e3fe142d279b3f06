//! Memory: what a grid takes follows its budgets, whatever its values look like; and an event costs what it
//! changes, whatever the value holds that it changes.

#[path = "../../../persistence/tests/counting/mod.rs"]
mod counting;

use std::process::Command;
use std::sync::atomic::Ordering;

use gridmill::prelude::*;

use counting::{ALLOCATED, LIVE, PEAK};

/// One change of a value of some shape.
#[record]
struct Grow {
    shape: Str,
    key: u64,
    step: u64,
}

#[record]
struct Person {
    name: String,
    notes: List<Str>,
}

#[record]
#[derive(Default)]
enum Contact {
    #[default]
    Unknown,
    Known {
        person: Person,
        since: u64,
    },
}

const GROWS: Depot<Grow> = Depot::hash_by("memory/grows", |grow| grow.key.into());
const COUNTERS: PState<Map<u64, u64>> = PState::new("memory/counters");
const TEXTS: PState<Map<u64, Str>> = PState::new("memory/texts");
const LISTS: PState<Map<u64, List<Str>>> = PState::new("memory/lists");
const MAPS: PState<Map<u64, Shelf>> = PState::new("memory/maps");
const CONTACTS: PState<Map<u64, (Option<Contact>, u8)>> = PState::new("memory/contacts");

/// Maps of maps.
type Shelf = Map<u64, Map<Str, Str>>;
type Maps<'a> = &'a mut Map<u64, Shelf>;
type Views<'a> = (
    &'a mut Map<u64, u64>,
    &'a mut Map<u64, Str>,
    &'a mut Map<u64, List<Str>>,
    Maps<'a>,
    &'a mut Map<u64, (Option<Contact>, u8)>,
);

struct Memory;

impl Module for Memory {
    const NAME: &'static str = "memory";

    fn define(module: &mut Setup) {
        module.depot(GROWS);
        let views = (COUNTERS, TEXTS, LISTS, MAPS, CONTACTS);
        module.stream("grow", views).source(GROWS).each(grow);
    }
}

fn text(step: u64, bytes: usize) -> Str {
    format!("{step:0bytes$}").into()
}

fn grow(grow: Grow, (counters, texts, lists, maps, contacts): Views<'_>) {
    let Grow { shape, key, step } = grow;
    match shape.as_str() {
        "counters" => *counters.entry(key).or_default() += 1,
        "texts" => drop(texts.insert(key, text(step, 2000))),
        "lists" | "huge" => lists.entry(key).or_default().push_back(text(step, 180)),
        "maps" => {
            let inner = maps.entry(key).or_default().entry(step % 10).or_default();
            inner.insert(text(step, 20), text(step, 200));
        }
        _ => {
            let (contact, _) = contacts.entry(key).or_default();
            if !matches!(contact, Some(Contact::Known { .. })) {
                let person = Person { name: text(key, 100).to_string(), notes: List::new() };
                *contact = Some(Contact::Known { person, since: step });
            }
            if let Some(Contact::Known { person, .. }) = contact {
                person.notes.push_back(text(step, 400));
            }
        }
    }
}

const SHAPE: &str = "GRIDMILL_TEST_MEMORY_SHAPE";
/// Of either kind.
const BUDGET: usize = 1 << 20;
/// What a grid takes beside its budgets: events under way, what a batch touches, and what writes a run.
const CONSTANT: usize = 4 << 20;

/// Keys, and changes of each: the state is three times both budgets, and more.
fn extent(shape: &str) -> (u64, u64) {
    match shape {
        "counters" => (40_000, 2),
        "texts" => (3_500, 1),
        "lists" => (300, 100),
        "huge" => (1, 10_000),
        "maps" => (300, 60),
        _ => (300, 50),
    }
}

/// What fills a grid; a test only because it has to be alone in its process.
#[tokio::test]
async fn child_that_is_measured() {
    let Ok(shape) = std::env::var(SHAPE) else { return };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let builder = Grid::builder(folder.path()).module::<Memory>().partitions(2).threads(1);
    // A cache for each of five PStates on two partitions, of which one is used.
    let builder = builder.overlay_bytes_max(BUDGET).cache_bytes_max(5 * BUDGET);
    let builder = builder.durability(Durability::Os).mailbox_bytes_max(64 << 10);
    let grid = builder.start().await.expect("a fresh folder");
    let client = grid.client();
    let (keys, steps) = extent(&shape);
    // A key's changes come apart from each other: its value has left the cache meanwhile, or grows in it.
    let all: Vec<Grow> = (0..steps)
        .flat_map(|step| (0..keys).map(move |key| (key, step)))
        .map(|(key, step)| Grow { shape: shape.as_str().into(), key, step })
        .collect();
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    for some in all.chunks(500) {
        client.append_many(GROWS, some.to_vec()).await.expect("nothing is wrong with the disk");
    }
    grid.processed().await;
    // Threads and queues are there before, and the events are the test's own.
    let peak = PEAK.load(Ordering::Relaxed) - before;
    assert!(grid.stats().total(|partition| partition.flushes) > 1, "the state does not fit");
    check(&client, &shape).await;
    println!("\npeak {peak}");
}

async fn check(client: &Client, shape: &str) {
    let (keys, steps) = extent(shape);
    for key in [0, keys / 2, keys - 1] {
        let found = match shape {
            "counters" => client.select_one(COUNTERS.key(key)).await.expect("it runs"),
            "texts" => client.select_one(TEXTS.key(key)).await.expect("it runs").map(|_| 1),
            "lists" | "huge" => {
                let list = client.select_one(LISTS.key(key)).await.expect("it runs");
                list.map(|list| list.len() as u64)
            }
            "maps" => {
                let maps = client.select_one(MAPS.key(key)).await.expect("it runs");
                maps.map(|maps| maps.values().map(|map| map.len() as u64).sum())
            }
            _ => match client.select_one(CONTACTS.key(key)).await.expect("it runs") {
                Some((Some(Contact::Known { person, .. }), _)) => Some(person.notes.len() as u64),
                _ => None,
            },
        };
        assert_eq!(found, Some(steps), "key {key}");
    }
}

// Row 229: state several times as large as the budgets, of whatever shape, takes no more heap than half as
// much again as these, and a constant.
#[test]
fn r229_heap_stays_within_the_budgets() {
    for shape in ["counters", "texts", "lists", "huge", "maps", "contacts"] {
        let peak = figure(&said_by("child_that_is_measured", shape), "peak");
        // The largest value is there as readers see it, as the writer has it, and as an archive.
        let value = if shape == "huge" { 3 * 10_000 * 250 } else { 0 };
        let most = 2 * BUDGET * 3 / 2 + CONSTANT + value;
        assert!(peak <= most, "{shape}: {peak} bytes of heap, {most} are allowed");
    }
}

const SEEN: PState<Set<u64>> = PState::new("roots/seen");
const NOTES: PState<List<Str>> = PState::new("roots/notes");
const BOOK: PState<Book> = PState::new("roots/book");
const NUMBERS: Depot<u64> = Depot::random("roots/numbers");

/// A record at the root, with entries of its own.
#[record]
#[derive(Default)]
struct Book {
    count: u64,
    lines: Map<u64, Str>,
    authors: Set<Str>,
}

struct Roots;

impl Module for Roots {
    const NAME: &'static str = "roots";

    fn define(module: &mut Setup) {
        module.depot(NUMBERS);
        module.stream("roots", (SEEN, NOTES, BOOK)).source(NUMBERS).each(note);
    }
}

/// Adds a number, in a place that is not the end, and changes what is there.
fn note(number: u64, (seen, notes, book): (&mut Set<u64>, &mut List<Str>, &mut Book)) {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    seen.insert(mixed);
    notes.push_back(text(number, 30));
    let middle = notes.len() / 2;
    notes.set(middle, text(number, 31));
    book.count += 1;
    book.lines.insert(mixed, text(number, 30));
    book.authors.insert(text(mixed % 1000, 30));
}

/// The least that an event allocated, of some.
async fn least(client: &Client, numbers: std::ops::Range<u64>) -> usize {
    let mut least = usize::MAX;
    for number in numbers {
        let before = ALLOCATED.load(Ordering::Relaxed);
        client.append(NUMBERS, number).await.expect("nothing is wrong");
        least = least.min(ALLOCATED.load(Ordering::Relaxed) - before);
    }
    least
}

/// Counts what events allocate; a test only because it has to be alone in its process.
#[tokio::test]
async fn child_that_is_counted() {
    if std::env::var(SHAPE).is_err() {
        return;
    }
    let storage = std::sync::Arc::new(gridmill::persistence::SimStorage::new());
    let builder = Grid::builder("sim").storage(storage).module::<Roots>().partitions(1).threads(1);
    let grid = builder.durability(Durability::Os).start().await.expect("a fresh disk");
    let client = grid.client();
    client.append_many(NUMBERS, 0..1_000).await.expect("nothing is wrong");
    let small = least(&client, 1_000..1_100).await;
    for first in (2_000..100_000).step_by(1_000) {
        client.append_many(NUMBERS, first..first + 1_000).await.expect("nothing is wrong");
    }
    let large = least(&client, 100_000..100_100).await;
    println!("\nsmall {small}\nlarge {large}");
}

// Row 051: an event costs what it changes, also where the root is one value of a hundred thousand parts.
// Whatever looks at all parts, or copies them, allocates for it.
#[test]
fn r051_a_large_root_costs_what_is_changed() {
    let said = said_by("child_that_is_counted", "roots");
    let (small, large) = (figure(&said, "small"), figure(&said, "large"));
    assert!(large < 4 * small, "{large} bytes where a hundred times fewer parts take {small}");
}

/// What a test says that is alone in its process.
fn said_by(child: &str, shape: &str) -> String {
    let program = std::env::current_exe().expect("a test knows its program");
    let mut command = Command::new(program);
    command.args([&format!("memory::{child}"), "--exact", "--nocapture"]);
    let output = command.env(SHAPE, shape).output().expect("the program can be started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shape}: {said}{errors}");
    said
}

/// A figure that it names.
fn figure(said: &str, name: &str) -> usize {
    let of = |line: &str| line.strip_prefix(name)?.trim().parse().ok();
    said.lines().find_map(of).unwrap_or_else(|| panic!("it says no `{name}`: {said}"))
}
