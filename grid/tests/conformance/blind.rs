//! Row 066: writes and deletes that do not look at what is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use gridmill::persistence::SimStorage;
use gridmill::prelude::*;
use proptest::prelude::*;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

#[record]
enum Op {
    Put {
        key: u64,
        text: Str,
    },
    Set {
        key: u64,
        text: Str,
    },
    Insert {
        key: u64,
        text: Str,
    },
    Push {
        key: u64,
        text: Str,
    },
    Delete {
        key: u64,
    },
    Unset {
        key: u64,
    },
    Clear,
    /// Does the next thing, and is then refused, where the handler can refuse.
    Refused {
        key: u64,
        text: Str,
    },
}

/// One partition handles all of them.
const OPS: Depot<Op> = Depot::random("blind/ops").global();
const RISKY: Depot<Op> = Depot::random("blind/risky").global();
const TEXTS: PState<Map<u64, Str>> = PState::new("blind/texts").global();
/// How many there are, under the key 0.
const COUNT: PState<Map<u64, u64>> = PState::new("blind/count").global();
const RISKED: PState<Map<u64, Str>> = PState::new("blind/risked").global();

struct Blind;

impl Module for Blind {
    const NAME: &'static str = "blind";

    fn define(module: &mut Setup) {
        module.depot(OPS).depot(RISKY);
        module.stream("texts", (TEXTS, COUNT)).source(OPS).each(
            |op: Op, (texts, count): (&mut Map<u64, Str>, &mut Map<u64, u64>)| {
                apply(op, texts, TEXTS);
                count.put(0, texts.len() as u64);
            },
        );
        module.stream("risked", RISKED).source(RISKY).each(
            |op: Op, texts: &mut Map<u64, Str>| -> std::result::Result<(), Str> {
                let refused = matches!(op, Op::Refused { .. });
                apply(op, texts, RISKED);
                if refused { Err("refused".into()) } else { Ok(()) }
            },
        );
    }
}

fn apply(op: Op, texts: &mut Map<u64, Str>, path: PState<Map<u64, Str>>) {
    match op {
        Op::Put { key, text } | Op::Refused { key, text } => {
            texts.delete(key);
            texts.put(key, text);
        }
        Op::Set { key, text } => drop(path.key(key).set(text).apply(texts)),
        Op::Insert { key, text } => drop(texts.insert(key, text)),
        Op::Push { key, text } => {
            let entry = texts.entry(key).or_default();
            let longer = format!("{entry}{text}");
            *entry = longer.into();
        }
        Op::Delete { key } => drop(texts.delete(key)),
        Op::Unset { key } => drop(path.key(key).remove().apply(texts)),
        Op::Clear => texts.clear(),
    }
}

/// The same on a plain map.
fn model(op: &Op, texts: &mut BTreeMap<u64, Str>) {
    match op.clone() {
        Op::Put { key, text } | Op::Set { key, text } | Op::Insert { key, text } => {
            texts.insert(key, text);
        }
        Op::Push { key, text } => {
            let entry = texts.entry(key).or_default();
            *entry = format!("{entry}{text}").into();
        }
        Op::Delete { key } | Op::Unset { key } => drop(texts.remove(&key)),
        Op::Clear => texts.clear(),
        Op::Refused { .. } => {}
    }
}

fn loaded(grid: &Grid) -> u64 {
    grid.stats().total(|partition| partition.values_loaded)
}

fn text(key: u64) -> Str {
    format!("text {key}").into()
}

#[tokio::test]
async fn r066_what_is_written_whatever_is_there_reads_no_value() -> Result {
    const KEYS: u64 = 500;
    let folder = Arc::new(SimStorage::new());
    let builder = Grid::builder("/grid").storage(folder).module::<Blind>();
    let grid = builder.clone().start().await?;
    grid.client().append_many(OPS, (0..KEYS).map(|key| Op::Put { key, text: text(key) })).await?;
    assert_eq!(loaded(&grid), 0, "nothing was there");
    grid.shutdown().await?;

    let grid = builder.clone().start().await?;
    let client = grid.client();
    let ops = (0..KEYS).map(|key| match key % 4 {
        0 => Op::Put { key, text: "put".into() },
        1 => Op::Set { key, text: "set".into() },
        2 => Op::Delete { key },
        _ => Op::Unset { key },
    });
    client.append_many(OPS, ops.chain([Op::Put { key: KEYS, text: "new".into() }])).await?;
    assert_eq!(loaded(&grid), 0);
    assert_eq!(
        client.select_one(COUNT.key(0)).await?,
        Some(KEYS / 2 + 1),
        "how many there are is known"
    );
    for key in 0..KEYS {
        let expected = [Some("put"), Some("set"), None, None][key as usize % 4];
        assert_eq!(client.select_one(TEXTS.key(key)).await?.as_deref(), expected);
    }
    grid.shutdown().await?;

    // What returns what was there reads it, and so does who may have to put it back.
    let grid = builder.start().await?;
    let client = grid.client();
    client.append(OPS, Op::Insert { key: 0, text: "inserted".into() }).await?;
    assert_eq!(loaded(&grid), 1);
    client.append(OPS, Op::Push { key: 1, text: "more".into() }).await?;
    assert_eq!(loaded(&grid), 2);
    client.append(RISKY, Op::Put { key: 3, text: "risked".into() }).await?;
    assert_eq!(client.select_one(TEXTS.key(1)).await?, Some("setmore".into()));
    Ok(())
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..12_u64;
    let text = || "[a-z]{0,40}".prop_map(Str::from);
    prop_oneof![
        3 => (key(), text()).prop_map(|(key, text)| Op::Put { key, text }),
        3 => (key(), text()).prop_map(|(key, text)| Op::Set { key, text }),
        1 => (key(), text()).prop_map(|(key, text)| Op::Insert { key, text }),
        2 => (key(), text()).prop_map(|(key, text)| Op::Push { key, text }),
        2 => key().prop_map(|key| Op::Delete { key }),
        2 => key().prop_map(|key| Op::Unset { key }),
        1 => Just(Op::Clear),
        2 => (key(), text()).prop_map(|(key, text)| Op::Refused { key, text }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn all_writes_together_do_what_a_plain_map_does(
        lives in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(prop::collection::vec(op(), 1..12), 1..6)),
            1..5,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let run = runtime.expect("a runtime").block_on(run(lives));
        prop_assert!(run.is_ok(), "{run:?}");
    }
}

async fn run(lives: Vec<(bool, Vec<Vec<Op>>)>) -> Result {
    let folder = Arc::new(SimStorage::new());
    // Caches that keep next to nothing, and flushes all the time.
    let builder = Grid::builder("/grid").storage(folder).module::<Blind>();
    let builder = builder.cache_bytes_max(1).overlay_bytes_max(2 << 10);
    let (mut texts, mut risked) = (BTreeMap::new(), BTreeMap::new());
    for (halted, batches) in lives {
        let grid = builder.clone().start().await?;
        let client = grid.client();
        for batch in batches {
            batch.iter().for_each(|op| model(op, &mut risked));
            // Only who can refuse does.
            let plain: Vec<Op> =
                batch.iter().filter(|op| !matches!(op, Op::Refused { .. })).cloned().collect();
            plain.iter().for_each(|op| model(op, &mut texts));
            client.append_many(OPS, plain).await?;
            let risky = client.append_many(RISKY, batch.clone()).await?;
            let refused = batch.iter().filter(|op| matches!(op, Op::Refused { .. })).count();
            assert_eq!(risky.rejections.len(), refused);
            let of = |stored: Vec<(u64, Str)>| stored.into_iter().collect::<BTreeMap<_, _>>();
            assert_eq!(of(client.select(TEXTS.all()).await?), texts);
            assert_eq!(of(client.select(RISKED.all()).await?), risked);
            assert_eq!(client.select_one(TEXTS.len()).await?, Some(texts.len() as u64));
            assert_eq!(client.select_one(COUNT.key(0)).await?.unwrap_or(0), texts.len() as u64);
        }
        if halted { grid.halt().await } else { grid.shutdown().await? }
    }
    Ok(())
}

/// A PState that is one value, and how often it was looked at.
const SETTING: PState<List<u64>> = PState::new("looks/setting").global();
const LOOKS: PState<Map<u64, u64>> = PState::new("looks/looks").global();
const LOOKED: Depot<u64> = Depot::random("looks/looked").global();

struct Looks;

impl Module for Looks {
    const NAME: &'static str = "looks";

    fn define(module: &mut Setup) {
        module.depot(LOOKED);
        module.stream("looks", (SETTING, LOOKS)).source(LOOKED).each(
            |at: u64, (setting, looks): (&mut List<u64>, &mut Map<u64, u64>)| {
                if at == 0 {
                    *setting = (0..1000).collect();
                } else if setting.len() < 1000 {
                    return Err("there is no setting");
                }
                looks.put(at, setting.len() as u64);
                Ok(())
            },
        );
    }
}

#[tokio::test]
async fn a_value_that_handlers_only_look_at_is_read_once() -> Result {
    let folder = Arc::new(SimStorage::new());
    let builder = Grid::builder("/grid").storage(folder).module::<Looks>();
    let grid = builder.clone().start().await?;
    grid.client().append(LOOKED, 0).await?;
    grid.shutdown().await?;

    let grid = builder.clone().start().await?;
    let client = grid.client();
    for at in 1..50 {
        client.append(LOOKED, at).await?;
    }
    assert_eq!(loaded(&grid), 1);
    let written = grid.stats().total(|partition| partition.overlay_bytes);
    assert!(written < 50 * 200, "{written} bytes: what was not changed is not written");
    assert_eq!(client.select(LOOKS.map_vals()).await?, [1000; 50]);
    grid.shutdown().await?;
    let grid = builder.start().await?;
    assert_eq!(grid.client().select_one(SETTING.len()).await?, Some(1000));
    Ok(())
}
