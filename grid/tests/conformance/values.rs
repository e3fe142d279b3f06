//! Rows 015-017: values of all kinds travel unchanged, keys stand in their natural order.

use std::sync::Arc;

use gridmill::persistence::SimStorage;
use gridmill::prelude::*;
use serde_json::json;

type Test = Result<(), Box<dyn std::error::Error>>;

#[record(key)]
#[derive(Copy)]
enum Colour {
    Red,
    Green,
}

#[record(key)]
struct Seat {
    row: Str,
    number: u32,
}

/// One field of every kind.
#[record]
struct Everything {
    name: Str,
    text: String,
    blob: Bytes,
    id: Uuid,
    flag: bool,
    letter: char,
    tiny: (i8, u8),
    short: (i16, u16),
    medium: (i32, u32),
    long: (i64, u64),
    huge: (i128, u128),
    ratio: f32,
    share: f64,
    nothing: (),
    absent: Option<u64>,
    present: Option<Option<Str>>,
    colour: Colour,
    list: List<Option<Str>>,
    vec: Vec<u16>,
    set: Set<Seat>,
    map: Map<Seat, Map<Colour, List<Set<u8>>>>,
    ids: Map<Uuid, Option<Uuid>>,
    next: List<Seat>,
}

fn full(name: &str) -> Everything {
    let seat = |number| Seat { row: "a\0b".into(), number };
    Everything {
        name: name.into(),
        text: "more than twenty-three bytes of text, with an umlaut: \u{fc}".into(),
        blob: Bytes::from([0, 255, 1]),
        id: Uuid::from_u128(7),
        flag: true,
        letter: '\u{1f9f1}',
        tiny: (i8::MIN, u8::MAX),
        short: (i16::MIN, u16::MAX),
        medium: (i32::MIN, u32::MAX),
        long: (i64::MIN, u64::MAX),
        huge: (i128::MIN, u128::MAX),
        ratio: -0.1,
        share: f64::MIN_POSITIVE,
        nothing: (),
        absent: None,
        present: Some(Some("here".into())),
        colour: Colour::Green,
        list: [None, Some("one".into())].into_iter().collect(),
        vec: vec![1, 2, 65535],
        set: [seat(2), seat(1)].into_iter().collect(),
        map: [(seat(1), [(Colour::Red, nested())].into_iter().collect())].into_iter().collect(),
        ids: [(Uuid::nil(), Some(Uuid::max())), (Uuid::max(), None)].into_iter().collect(),
        next: [seat(9)].into_iter().collect(),
    }
}

fn nested() -> List<Set<u8>> {
    let inner: Set<u8> = [3, 1, 2].into_iter().collect();
    [inner, Set::new()].into_iter().collect()
}

fn empty(name: &str) -> Everything {
    Everything {
        text: String::new(),
        blob: Bytes::new(),
        present: Some(None),
        list: List::new(),
        vec: Vec::new(),
        set: Set::new(),
        map: Map::new(),
        ids: Map::new(),
        next: List::new(),
        ..full(name)
    }
}

const THINGS: Depot<Everything> = Depot::hash_by("all/things", |thing| (&thing.name).into());
const BY_NAME: PState<Map<Str, Everything>> = PState::new("all/by-name");

struct All;

impl Module for All {
    const NAME: &'static str = "all";

    fn define(module: &mut Setup) {
        module.depot(THINGS);
        module.stream("all", BY_NAME).source(THINGS).each(
            |thing: Everything, by_name: &mut Map<Str, Everything>| {
                by_name.insert(thing.name.clone(), thing);
            },
        );
    }
}

async fn has_both(client: &Client) -> Test {
    for expected in [full("full"), empty("empty")] {
        let found = client.select_one(BY_NAME.key(&expected.name)).await?;
        assert_eq!(found.as_ref(), Some(&expected));
        let home = RouteKey::from(&expected.name).partition(4);
        let range = client.depot_info(THINGS).await?.ranges[home as usize];
        let logged = client.depot_read(THINGS, home, range.start..range.end).await?;
        assert!(logged.iter().any(|record| record.event == expected));
    }
    let inside = BY_NAME.key("full").field(Everything::MAP).map_vals().map_vals().all().all();
    assert_eq!(client.select(inside).await?, [1, 2, 3]);
    let ids = client.select(BY_NAME.key("full").field(Everything::IDS).map_vals()).await?;
    assert_eq!(ids, [Some(Uuid::max()), None]);
    Ok(())
}

#[tokio::test]
async fn r015_all_kinds_of_values_round_trip() -> Test {
    // Absence is an `Option`: there is no null beside it.
    let disk = Arc::new(SimStorage::new());
    let start = || Grid::in_memory().storage(Arc::clone(&disk) as _).module::<All>().start();
    let grid = start().await?;
    grid.client().append_many(THINGS, [full("full"), empty("empty")]).await?;
    has_both(&grid.client()).await?;
    grid.halt().await;
    // Out of the log,
    let grid = start().await?;
    has_both(&grid.client()).await?;
    grid.shutdown().await?;
    // and out of the archived runs.
    let grid = start().await?;
    has_both(&grid.client()).await?;
    assert_eq!(grid.stats().total(|partition| partition.replayed), 0);
    Ok(())
}

#[record]
struct Item {
    name: Str,
    pieces: u32,
    price: Option<f64>,
}

#[record]
struct Purchase {
    customer: Str,
    items: List<Item>,
}

const PURCHASES: Depot<Purchase> = Depot::hash_by("shop/purchases", |p| (&p.customer).into());
const LAST: PState<Map<Str, Purchase>> = PState::new("shop/last");

struct Shop;

impl Module for Shop {
    const NAME: &'static str = "shop";

    fn define(module: &mut Setup) {
        module.depot(PURCHASES);
        module.stream("last", LAST).source(PURCHASES).each(
            |purchase: Purchase, last: &mut Map<Str, Purchase>| {
                last.insert(purchase.customer.clone(), purchase);
            },
        );
    }
}

#[tokio::test]
async fn r016_a_record_goes_through_depot_pstate_and_json_unchanged() -> Test {
    // Of the remote client there is the JSON edge so far.
    let grid = Grid::in_memory().partitions(1).module::<Shop>().start().await?;
    let client = grid.client();
    let nails = Item { name: "nails".into(), pieces: 100, price: Some(2.5) };
    let gift = Item { name: "a \"gift\"".into(), pieces: 1, price: None };
    let of_ann = Purchase { customer: "ann".into(), items: [nails, gift].into_iter().collect() };
    client.append(PURCHASES, of_ann.clone()).await?;
    let json = json!({"customer": "bob", "items": [
        {"name": "nails", "pieces": 100, "price": 2.5}, {"name": "a \"gift\"", "pieces": 1},
    ]});
    client.append_json("shop/purchases", &json.to_string()).await?;
    let of_bob = Purchase { customer: "bob".into(), ..of_ann.clone() };

    let logged = client.depot_read(PURCHASES, 0, 0..2).await?;
    assert!(logged.into_iter().map(|record| record.event).eq([of_ann.clone(), of_bob.clone()]));
    assert_eq!(client.select_one(LAST.key("ann")).await?, Some(of_ann));
    assert_eq!(client.select_one(LAST.key("bob")).await?, Some(of_bob));
    let shown = client.select_json("shop/last", r#"[{"key": "ann"}, {"field": "items"}]"#).await?;
    let expected = json!([[
        {"name": "nails", "pieces": 100, "price": 2.5},
        {"name": "a \"gift\"", "pieces": 1, "price": null},
    ]]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&shown)?, expected);
    Ok(())
}

#[record]
enum Entry {
    Number(i64),
    Word(Str),
    Id(Uuid),
    Pair(Str, i8),
}

const ENTRIES: Depot<Entry> = Depot::random("sorted/entries").global();
const NUMBERS: PState<Map<i64, bool>> = PState::new("sorted/numbers").global();
const WORDS: PState<Map<Str, bool>> = PState::new("sorted/words").global();
const IDS: PState<Map<Uuid, bool>> = PState::new("sorted/ids").global();
const PAIRS: PState<Map<(Str, i8), bool>> = PState::new("sorted/pairs").global();

struct Sorted;

type Sorts<'a> = (
    &'a mut Map<i64, bool>,
    &'a mut Map<Str, bool>,
    &'a mut Map<Uuid, bool>,
    &'a mut Map<(Str, i8), bool>,
);

impl Module for Sorted {
    const NAME: &'static str = "sorted";

    fn define(module: &mut Setup) {
        module.depot(ENTRIES);
        module.stream("sorted", (NUMBERS, WORDS, IDS, PAIRS)).source(ENTRIES).each(sort_in);
    }
}

fn sort_in(entry: Entry, (numbers, words, ids, pairs): Sorts<'_>) {
    match entry {
        Entry::Number(number) => _ = numbers.insert(number, true),
        Entry::Word(word) => _ = words.insert(word, true),
        Entry::Id(id) => _ = ids.insert(id, true),
        Entry::Pair(word, number) => _ = pairs.insert((word, number), true),
    }
}

/// A version 7 UUID of a moment, in milliseconds since 1970.
fn v7(millis: u64, rest: u64) -> Uuid {
    Uuid::from_u128(u128::from(millis) << 80 | 7 << 76 | 2 << 62 | u128::from(rest))
}

const SORTED_NUMBERS: [i64; 9] = [i64::MIN, -300, -256, -255, -1, 0, 1, 256, i64::MAX];
const SORTED_WORDS: [&str; 8] = ["", "a", "a\0", "a\0b", "aa", "b", "z", "\u{fc}"];
const SORTED_PAIRS: [(&str, i8); 6] =
    [("", 5), ("a", -2), ("a", 1), ("a\0", -9), ("a\0", 0), ("b", -1)];

fn sorted_ids() -> [Uuid; 4] {
    [v7(1_000, 9), v7(1_001, 1), v7(1_001, 2), v7(1 << 40, 0)]
}

async fn is_sorted(client: &Client) -> Test {
    assert_eq!(client.select(NUMBERS.map_keys()).await?, SORTED_NUMBERS);
    let around_zero = client.select(NUMBERS.key_range(-256..=1).map_keys()).await?;
    assert_eq!(around_zero, [-256, -255, -1, 0, 1]);
    let negative = client.select(NUMBERS.key_range(..0).map_keys()).await?;
    assert_eq!(negative, SORTED_NUMBERS[..5]);
    assert_eq!(client.select(NUMBERS.key_range_to(0, 2).map_keys()).await?, [-255, -1]);

    assert_eq!(client.select(WORDS.map_keys()).await?, SORTED_WORDS);
    let words = client.select(WORDS.key_range("a\0".."b").map_keys()).await?;
    assert_eq!(words, ["a\0", "a\0b", "aa"]);

    assert_eq!(client.select(IDS.map_keys()).await?, sorted_ids());
    let second = v7(1_001, 0)..v7(1_002, 0);
    assert_eq!(client.select(IDS.key_range(second).map_keys()).await?, sorted_ids()[1..3]);

    let pairs = client.select(PAIRS.map_keys()).await?;
    assert!(pairs.iter().map(|(word, number)| (word.as_str(), *number)).eq(SORTED_PAIRS));
    Ok(())
}

#[tokio::test]
async fn r017_ranges_of_keys_come_in_natural_order() -> Test {
    let disk = Arc::new(SimStorage::new());
    let start = || Grid::in_memory().storage(Arc::clone(&disk) as _).module::<Sorted>().start();
    let grid = start().await?;
    let mut entries: Vec<Entry> = SORTED_NUMBERS.map(Entry::Number).into();
    entries.extend(SORTED_WORDS.map(|word| Entry::Word(word.into())));
    entries.extend(sorted_ids().map(Entry::Id));
    entries.extend(SORTED_PAIRS.map(|(word, number)| Entry::Pair(word.into(), number)));
    // Any order will do to write them, several layers of state too.
    let count = entries.len();
    let scrambled = (0..count).map(|step| entries[step * 10 % count].clone());
    assert_ne!(count % 2, 0, "a step of 10 has to reach all of them");
    assert_ne!(count % 5, 0, "a step of 10 has to reach all of them");
    for entry in scrambled {
        grid.client().append(ENTRIES, entry).await?;
    }
    is_sorted(&grid.client()).await?;
    grid.shutdown().await?;
    let grid = start().await?;
    is_sorted(&grid.client()).await?;
    Ok(())
}
