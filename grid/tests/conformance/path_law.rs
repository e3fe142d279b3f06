//! A transform through a path and the same in plain Rust give equal states, inside handlers.

use gridmill::prelude::*;
use proptest::prelude::*;

type Lists = Map<Str, List<u32>>;

/// A change, made through a path in one PState and by hand in another.
#[record]
enum Change {
    Append(Str, u32),
    Prepend(Str, u32),
    Move(Str, u32, u32),
    Bump(Str),
    RemoveAbove(u32),
    RemoveNth(Str, u32),
    RemoveKeys(Str, Str),
    Replace(Str, List<u32>),
    Rename(Str, Str),
    Forget(Str),
    Clear,
}

const CHANGES: Depot<Change> = Depot::random("law/changes").global();
const BY_PATH: PState<Lists> = PState::new("law/by-path").global();
const BY_HAND: PState<Lists> = PState::new("law/by-hand").global();

struct Law;

impl Module for Law {
    const NAME: &'static str = "law";

    fn define(module: &mut Setup) {
        module.depot(CHANGES);
        module.stream("change", (BY_PATH, BY_HAND)).source(CHANGES).each(
            |change: Change, (one, other): (&mut Lists, &mut Lists)| {
                by_path(change.clone(), one);
                by_hand(change, other);
            },
        );
    }
}

fn by_path(change: Change, lists: &mut Lists) {
    match change {
        Change::Append(key, value) => BY_PATH.key(key).after_elem().set(value).apply(lists),
        Change::Prepend(key, value) => BY_PATH.key(key).before_elem().set(value).apply(lists),
        Change::Move(key, from, to) => BY_PATH.must(key).index(from).move_to(to).apply(lists),
        Change::Bump(key) => BY_PATH.key(key).all().update(|n| *n += 1).apply(lists),
        Change::RemoveAbove(most) => BY_PATH.map_vals().all().filter_gt(most).remove().apply(lists),
        Change::RemoveNth(key, at) => BY_PATH.key(key).nth(at).remove().apply(lists),
        Change::RemoveKeys(from, to) => BY_PATH.key_range(from..to).remove().apply(lists),
        Change::Replace(key, list) => BY_PATH.key(key).set(list).apply(lists),
        Change::Rename(from, to) => BY_PATH.map_keys().filter_eq(from).set(to).apply(lists),
        Change::Forget(key) => BY_PATH.key(key).remove().apply(lists),
        Change::Clear => BY_PATH.set(Map::new()).apply(lists),
    };
}

fn by_hand(change: Change, lists: &mut Lists) {
    match change {
        Change::Append(key, value) => lists.entry(key).or_default().push_back(value),
        Change::Prepend(key, value) => lists.entry(key).or_default().push_front(value),
        Change::Move(key, from, to) => {
            if let Some(list) = lists.get_mut(key) {
                list.move_to(from as usize, to as usize);
            }
        }
        Change::Bump(key) => {
            if let Some(list) = lists.get_mut(key) {
                list.iter_mut().for_each(|n| *n += 1);
            }
        }
        Change::RemoveAbove(most) => {
            for key in lists.keys().collect::<Vec<_>>() {
                if let Some(list) = lists.get_mut(key) {
                    list.retain(|n| *n <= most);
                }
            }
        }
        Change::RemoveNth(key, at) => {
            lists.get_mut(key).and_then(|list| list.remove(at as usize));
        }
        Change::RemoveKeys(from, to) => {
            for key in lists.keys().filter(|key| from <= *key && *key < to).collect::<Vec<_>>() {
                lists.remove(key);
            }
        }
        Change::Replace(key, list) => drop(lists.insert(key, list)),
        Change::Rename(from, to) if from != to => rename(lists, from, to),
        Change::Rename(..) => {}
        Change::Forget(key) => drop(lists.remove(key)),
        Change::Clear => lists.clear(),
    }
}

/// Where the new name is taken, the later of the two entries stays.
fn rename(lists: &mut Lists, from: Str, to: Str) {
    let Some(list) = lists.remove(&from) else { return };
    if from > to || !lists.contains_key(&to) {
        lists.insert(to, list);
    }
}

fn change() -> impl Strategy<Value = Change> {
    let key = || (0..6_u8).prop_map(|n| Str::from(format!("k{n}")));
    let (value, at) = (|| 0..20_u32, || 0..5_u32);
    prop_oneof![
        6 => (key(), value()).prop_map(|(key, value)| Change::Append(key, value)),
        3 => (key(), value()).prop_map(|(key, value)| Change::Prepend(key, value)),
        2 => (key(), at(), at()).prop_map(|(key, from, to)| Change::Move(key, from, to)),
        2 => key().prop_map(Change::Bump),
        1 => value().prop_map(Change::RemoveAbove),
        2 => (key(), at()).prop_map(|(key, at)| Change::RemoveNth(key, at)),
        1 => (key(), key()).prop_map(|(from, to)| Change::RemoveKeys(from, to)),
        2 => (key(), prop::collection::vec(value(), 0..4))
            .prop_map(|(key, list)| Change::Replace(key, list.into())),
        1 => (key(), key()).prop_map(|(from, to)| Change::Rename(from, to)),
        1 => key().prop_map(Change::Forget),
        1 => Just(Change::Clear),
    ]
}

/// Applies the changes in a grid that flushes all the time and is restarted in between, and on plain
/// values.
async fn obeys(batches: Vec<Vec<Change>>) -> Result<(), Box<dyn std::error::Error>> {
    let storage = std::sync::Arc::new(gridmill::persistence::SimStorage::new());
    let builder = Grid::in_memory().partitions(1).storage(storage).module::<Law>();
    let builder = builder.overlay_bytes_max(64);
    let mut plain = Lists::new();
    for batch in batches {
        let grid = builder.clone().start().await?;
        let client = grid.client();
        for change in &batch {
            by_path(change.clone(), &mut plain);
        }
        client.append_many(CHANGES, batch).await?;
        assert_eq!(client.select_one(BY_PATH).await?.as_ref(), Some(&plain));
        assert_eq!(client.select_one(BY_HAND).await?.as_ref(), Some(&plain));
        assert_eq!(client.select_one(BY_PATH.len()).await?, Some(plain.len() as u64));
        assert_eq!(client.select(BY_HAND.map_vals().all()).await?, flat(&plain));
        grid.shutdown().await?;
    }
    Ok(())
}

fn flat(lists: &Lists) -> Vec<u32> {
    lists.values().flat_map(|list| list.iter().copied().collect::<Vec<_>>()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn r096_to_r109_equal_plain_rust(
        batches in prop::collection::vec(prop::collection::vec(change(), 0..30), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(obeys(batches)).expect("the grid runs");
    }
}
