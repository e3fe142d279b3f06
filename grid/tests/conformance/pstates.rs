//! PStates: owners, kinds, options and removal.

use gridmill::client::ReadError;
use gridmill::prelude::*;
use gridmill::{GridBuilder, StartError};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const NAMES: Depot<Str> = Depot::hash_by("pstates/names", |name| name.into());
const COUNTS: PState<Map<Str, u64>> = PState::new("pstates/counts");

fn count(name: Str, counts: &mut Map<Str, u64>) {
    *counts.entry(name).or_default() += 1;
}

#[tokio::test]
async fn r047_two_owners_are_refused() -> Result {
    // That a handler without ownership gets no `&mut` is shown by `compiler::r047`.
    struct TwoOwners;
    impl Module for TwoOwners {
        const NAME: &'static str = "two-owners";
        fn define(module: &mut Setup) {
            module.depot(NAMES);
            module.stream("one", COUNTS).source(NAMES).each(count);
            module.stream("other", COUNTS).source(NAMES).each(count);
        }
    }
    let error = Grid::in_memory().module::<TwoOwners>().start().await.expect_err("two owners");
    let message = "PState `pstates/counts` is owned by two topologies; only one may write it, the \
                   other can have `.read()`";
    assert!(matches!(error, StartError::Declaration { .. }), "{error}");
    assert!(error.to_string().contains(message), "{error}");
    Ok(())
}

const TICKS: Depot<Str> = Depot::random("pstates/ticks").global();
const GLOBAL: PState<Map<Str, u64>> = PState::new("pstates/global").global();

struct GlobalCounts;

impl Module for GlobalCounts {
    const NAME: &'static str = "global-counts";

    fn define(module: &mut Setup) {
        module.depot(TICKS);
        module.stream("ticks", GLOBAL).source(TICKS).each(count);
    }
}

#[tokio::test]
async fn r054_a_global_pstate_is_read_without_a_key() -> Result {
    let grid = Grid::in_memory().partitions(4).module::<GlobalCounts>().start().await?;
    let client = grid.client();
    client.append_many(TICKS, ["a", "b", "a", "c"].map(Str::from)).await?;
    assert_eq!(client.depot_info(TICKS).await?.partitions, 1);
    assert_eq!(client.select(GLOBAL.map_vals()).await?, [2, 1, 1]);
    assert_eq!(client.select_one(GLOBAL.len()).await?, Some(3));
    assert_eq!(client.select_all(GLOBAL.map_keys()).await?, ["a", "b", "c"]);
    assert_eq!(client.select_one(GLOBAL.key("a")).await?, Some(2));
    assert_eq!(client.select_json("pstates/global", r#"["len"]"#).await?, "[3]");
    let error = client.select_on(1, GLOBAL.len()).await.expect_err("there is one partition");
    assert!(matches!(error, ReadError::BadPartition { expected: 1, got: 1, .. }), "{error}");
    Ok(())
}

/// Each initial entry is where readers look for it, and nowhere else.
#[tokio::test]
async fn r055_initial_entries_live_on_the_partition_of_their_key() -> Result {
    const HASHED: PState<Map<u64, u64>> =
        PState::starting_with("initial/hashed", || (0..100).map(|key| (key, key * 2)).collect());
    const CHOSEN: PState<Map<u64, u64>> =
        PState::starting_with("initial/chosen", || (0..9).map(|key| (key, 1)).collect())
            .partition_by(|key, partitions| *key as u32 % partitions);
    struct Entries;
    impl Module for Entries {
        const NAME: &'static str = "initial-entries";
        fn define(module: &mut Setup) {
            module.depot(KEYS);
            module.stream("hashed", HASHED).source(KEYS).each(
                |key: u64, root: &mut Map<u64, u64>| {
                    root.entry(key).and_modify(|value| *value += 1).or_insert(1);
                },
            );
            module.stream("chosen", CHOSEN).source(KEYS).each(|_: u64, _: &mut Map<u64, u64>| ());
        }
    }
    const KEYS: Depot<u64> = Depot::hash_by("initial/keys", |key| key.into());
    let folder = tempfile::tempdir()?;
    let builder = Grid::builder(folder.path()).partitions(4).module::<Entries>();
    let mut expected: Vec<u64> = (0..100).map(|key| key * 2).collect();
    for ended in [false, true, false] {
        let grid = builder.clone().start().await?;
        let client = grid.client();
        let mut keys = client.select_all(HASHED.map_keys()).await?;
        keys.sort_unstable();
        assert!(keys.into_iter().eq(0..100), "each once");
        assert_eq!(client.select_all(HASHED.len()).await?.into_iter().sum::<u64>(), 100);
        for (key, value) in (0..).zip(&expected) {
            assert_eq!(client.select_one(HASHED.key(key)).await?, Some(*value));
        }
        for partition in 0..4 {
            let keys = client.select_on(partition, CHOSEN.map_keys()).await?;
            assert!(keys.into_iter().eq((0..9).filter(|key| *key as u32 % 4 == partition)));
        }
        client.append_many(KEYS, 0..100).await?;
        expected.iter_mut().for_each(|value| *value += 1);
        if ended { grid.shutdown().await? } else { grid.halt().await }
    }
    Ok(())
}

#[tokio::test]
async fn r055_a_fresh_partition_reads_the_initial_value() -> Result {
    const LIMIT: PState<u64> = PState::new("initial/limit").initial(|| 100).local();
    const RATES: PState<Map<Str, u64>> =
        PState::starting_with("initial/rates", || [("base".into(), 3)].into()).local();
    struct Initial;
    impl Module for Initial {
        const NAME: &'static str = "initial";
        fn define(module: &mut Setup) {
            module.depot(NAMES);
            module.stream("limits", (LIMIT, RATES)).source(NAMES).each(
                |name: Str, (limit, rates): (&mut u64, &mut Map<Str, u64>)| {
                    *limit -= 1;
                    rates.remove(name);
                },
            );
        }
    }
    let folder = tempfile::tempdir()?;
    let builder = Grid::builder(folder.path()).partitions(2).module::<Initial>();
    let grid = builder.clone().start().await?;
    let client = grid.client();
    assert_eq!(client.select_all(LIMIT).await?, [100, 100]);
    assert_eq!(client.select_all(RATES.key("base")).await?, [3, 3]);
    // Each partition has its own, whatever the keys, so that a key names none.
    let json = client.select_json("initial/rates", r#"[{"key": "base"}]"#).await;
    assert!(matches!(json, Err(ReadError::NoPartition { .. })), "{json:?}");
    let hit = client.append(NAMES, "base".into()).await?.partition;
    let changed = |there: u64, elsewhere: u64| {
        let value = |partition| if partition == hit { there } else { elsewhere };
        [value(0), value(1)]
    };
    assert_eq!(client.select_all(LIMIT).await?, changed(99, 100));
    assert_eq!(client.select_on(hit, RATES.len()).await?, [0]);
    // What was emptied stays empty, whether from the log or from runs.
    grid.halt().await;
    for _ in 0..2 {
        let grid = builder.clone().start().await?;
        assert_eq!(grid.client().select_all(LIMIT).await?, changed(99, 100));
        assert_eq!(grid.client().select_all(RATES.len()).await?, changed(0, 1));
        grid.shutdown().await?;
    }
    Ok(())
}

const HIDDEN: PState<Map<Str, u64>> = PState::new("private/hidden").private();
const SHOWN: PState<Map<Str, u64>> = PState::new("private/shown");

struct Private;

impl Module for Private {
    const NAME: &'static str = "private";

    fn define(module: &mut Setup) {
        module.depot(NAMES);
        module.stream("hide", HIDDEN).source(NAMES).each(count);
        module.stream("show", (SHOWN, HIDDEN.read())).source(NAMES).each(double);
    }
}

fn double(name: Str, (shown, hidden): (&mut Map<Str, u64>, &Map<Str, u64>)) {
    let hidden = hidden.get(&name).map_or(0, |count| *count);
    shown.insert(name, 2 * hidden);
}

#[tokio::test]
async fn r056_a_private_pstate_is_for_its_module_only() -> Result {
    let grid = Grid::in_memory().module::<Private>().start().await?;
    let client = grid.client();
    client.append(NAMES, "ann".into()).await?;
    let private = |error: ReadError| match error {
        ReadError::Private { pstate } => pstate == "private/hidden",
        _ => false,
    };
    assert!(private(client.select(HIDDEN.key("ann")).await.expect_err("private")));
    assert!(private(client.select_one(HIDDEN.key("ann")).await.expect_err("private")));
    assert!(private(client.select_all(HIDDEN.map_keys()).await.expect_err("private")));
    let json = client.select_json("private/hidden", r#"[{"key": "ann"}]"#).await;
    assert!(private(json.expect_err("private")));
    // Leaving `private()` out of the handle opens nothing.
    const POSING: PState<Map<Str, u64>> = PState::new("private/hidden");
    assert!(private(client.select(POSING.key("ann")).await.expect_err("private")));
    assert_eq!(client.select_one(SHOWN.key("ann")).await?, Some(2));
    Ok(())
}

#[tokio::test]
async fn r057_reads_route_by_the_own_partitioner() -> Result {
    fn by_hundred(key: u64, partitions: u32) -> u32 {
        (key / 100 % u64::from(partitions)) as u32
    }
    const READINGS: Depot<u64> = Depot::custom("rooms/readings", |&key, n| by_hundred(key, n));
    const ROOMS: PState<Map<u64, u64>> =
        PState::new("rooms/counts").partition_by(|&key, n| by_hundred(key, n));
    struct Rooms;
    impl Module for Rooms {
        const NAME: &'static str = "rooms";
        fn define(module: &mut Setup) {
            module.depot(READINGS);
            module.stream("count", ROOMS).source(READINGS).each(
                |room: u64, counts: &mut Map<u64, u64>| *counts.entry(room).or_default() += 1,
            );
        }
    }
    let grid = Grid::in_memory().partitions(4).module::<Rooms>().start().await?;
    let client = grid.client();
    for room in [7, 107, 207, 307, 399] {
        assert_eq!(client.append(READINGS, room).await?.partition, (room / 100 % 4) as u32);
        assert_eq!(client.select_one(ROOMS.key(room)).await?, Some(1));
        let path = format!(r#"[{{"key": {room}}}]"#);
        assert_eq!(client.select_json("rooms/counts", &path).await?, "[1]");
    }
    assert_eq!(client.select_on(3, ROOMS.map_keys()).await?, [307, 399]);
    Ok(())
}

struct Kept;

impl Module for Kept {
    const NAME: &'static str = "removal";

    fn define(module: &mut Setup) {
        module.depot(NAMES);
        module.stream("keep", COUNTS).source(NAMES).each(count);
    }
}

/// Builds a folder with a second topology, for the next version to drop.
async fn with_old_topology(folder: &std::path::Path) -> Result {
    struct Both;
    impl Module for Both {
        const NAME: &'static str = Kept::NAME;
        fn define(module: &mut Setup) {
            Kept::define(module);
            module.stream("old", OLD).source(NAMES).each(count);
        }
    }
    let grid = removal(folder).module::<Both>().start().await?;
    grid.client().append_many(NAMES, ["ann", "bob"].map(Str::from)).await?;
    assert_eq!(grid.client().select_all(OLD.map_keys()).await?.len(), 2);
    Ok(grid.shutdown().await?)
}

const OLD: PState<Map<Str, u64>> = PState::new("pstates/old");

fn removal(folder: &std::path::Path) -> GridBuilder {
    Grid::builder(folder).partitions(2)
}

/// A new version that removes what it does not declare.
struct Cleaned;

impl Module for Cleaned {
    const NAME: &'static str = Kept::NAME;

    fn define(module: &mut Setup) {
        Kept::define(module);
        module.remove("old");
    }
}

#[tokio::test]
async fn r059_removal_takes_exactly_what_is_named() -> Result {
    struct Mistyped;
    impl Module for Mistyped {
        const NAME: &'static str = Kept::NAME;
        fn define(module: &mut Setup) {
            Kept::define(module);
            module.remove("odl");
        }
    }
    struct TooMuch;
    impl Module for TooMuch {
        const NAME: &'static str = Kept::NAME;
        fn define(module: &mut Setup) {
            Cleaned::define(module);
            module.remove("keep");
        }
    }
    let folder = tempfile::tempdir()?;
    with_old_topology(folder.path()).await?;
    for builder in
        [removal(folder.path()).module::<Kept>(), removal(folder.path()).module::<Mistyped>()]
    {
        let error = builder.start().await.expect_err("`old` is missing");
        assert!(matches!(&error, StartError::Missing { name, .. } if name == "old"), "{error}");
    }
    let error = removal(folder.path()).module::<TooMuch>().start().await.expect_err("declared");
    assert!(matches!(error, StartError::Declaration { .. }), "{error}");

    let grid = removal(folder.path()).module::<Cleaned>().start().await?;
    let client = grid.client();
    assert_eq!(client.select_one(COUNTS.key("ann")).await?, Some(1));
    let error = client.select_all(OLD.map_keys()).await.expect_err("it is gone");
    assert!(matches!(error, ReadError::UnknownPState { .. }), "{error}");
    grid.shutdown().await?;
    // The list may stay in the code, and the name comes back empty of what it had.
    removal(folder.path()).module::<Cleaned>().start().await?.shutdown().await?;
    struct Again;
    impl Module for Again {
        const NAME: &'static str = Kept::NAME;
        fn define(module: &mut Setup) {
            Kept::define(module);
            let old = module.stream("old", OLD);
            old.source(NAMES).start_from(StartFrom::End).each(count);
        }
    }
    let grid = removal(folder.path()).module::<Again>().start().await?;
    grid.caught_up("old").await;
    assert!(grid.client().select_all(OLD.map_keys()).await?.is_empty());
    assert_eq!(grid.client().select_all(COUNTS.map_keys()).await?.len(), 2);
    Ok(())
}
