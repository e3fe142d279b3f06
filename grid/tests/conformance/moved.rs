//! Keys and events lie where readers look for them, in every build, and go on to do so.

use std::collections::BTreeSet;
use std::path::Path;

use gridmill::client::{AppendError, AppendErrorKind, Rejection};
use gridmill::prelude::*;
use gridmill::{GridBuilder, Local, StartError};

use crate::bad_input::{refusal, says};

const PARTITIONS: u32 = 4;
const USERS: u64 = 60;

type Move = (u64, u64);
type Sums = Map<u64, u64>;

const MOVES: Depot<Move> = Depot::hash_by("m/moves", |event| event.0.into());
const MOVES_BY_OTHER: Depot<Move> = Depot::hash_by("m/moves", |event| event.1.into());
const MOVES_CUSTOM: Depot<Move> = Depot::custom("m/moves", |event, count| event.0 as u32 % count);
const TO: Depot<Move> = Depot::hash_by("m/to", |event| event.1.into());
const SUMS: PState<Sums> = PState::new("m/sums");
const LOCAL_SUMS: PState<Sums> = PState::new("m/sums").local();
const GLOBAL_SUMS: PState<Sums> = PState::new("m/sums").global();
const BY_MODULO: PState<Sums> = PState::new("m/sums").partition_by(by_modulo);
const BY_NOTHING: PState<Sums> = PState::new("m/sums").partition_by(|_, _| panic!("no answer"));
const BESIDE: PState<Sums> = PState::new("m/beside").partition_by(by_modulo);
const MODULO: Depot<Move> = Depot::custom("m/modulo", |event, count| by_modulo(&event.0, count));

fn by_modulo(key: &u64, count: u32) -> u32 {
    (*key % u64::from(count)) as u32
}

fn add_from((from, _): Move, sums: &mut Sums) {
    *sums.entry(from).or_default() += 1;
}

fn add_to((_, to): Move, sums: &mut Sums) {
    *sums.entry(to).or_default() += 1;
}

macro_rules! form {
    ($name:ident, $module:ident => $define:block) => {
        struct $name;

        impl Module for $name {
            const NAME: &'static str = "m";

            fn define($module: &mut Setup) $define
        }
    };
}

form!(ByFrom, module => {
    module.depot(MOVES);
    module.stream("sums", SUMS).source(MOVES).each(add_from);
});

// Writes where readers do not look.
form!(ByTo, module => {
    module.depot(MOVES);
    module.stream("sums", SUMS).source(MOVES).each(add_to);
});

fn on<M: Module>(folder: &Path) -> GridBuilder {
    Grid::builder(folder).partitions(PARTITIONS).module::<M>()
}

fn home(user: u64) -> u32 {
    gridmill::model::RouteKey::from(user).partition(PARTITIONS)
}

/// A user of another partition.
fn stranger(user: u64) -> u64 {
    (0..USERS).find(|&other| home(other) != home(user)).expect("there are several partitions")
}

fn rejection<E: std::fmt::Debug>(refused: AppendError<E>) -> Rejection {
    match refused.kind {
        AppendErrorKind::Rejected(rejected) => rejected.rejections[0].clone(),
        other => panic!("{other}"),
    }
}

// Row 008: in every build, in a grid and in the hand: a new entry under another partition's key is
// refused, the appender is told and nobody sees it.
#[tokio::test]
async fn r008_other_partitions_keys_are_refused() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let grid = on::<ByTo>(folder.path()).start().await.expect("a fresh folder");
    let local = Local::<ByTo>::new(PARTITIONS).expect("it fits");
    let client = grid.client();
    for user in 0..USERS {
        let event = (user, stranger(user));
        let here = format!("partition {}", home(user));
        let there = format!("belongs to partition {}", home(event.1));
        let refused = client.append(MOVES, event).await.map(drop).expect_err("it is elsewhere");
        let refused = rejection(refused);
        assert!(refused.quarantined);
        says(&refused, &["PState `m/sums`", &there, &here, "readers would not find it"]);
        let refused = local.append(MOVES, event).map(drop).expect_err("it is elsewhere");
        says(&rejection(refused), &[&there, &here]);
        client.append(MOVES, (user, user)).await.expect("it is here");
        local.append(MOVES, (user, user)).expect("it is here");
    }
    assert_eq!(grid.quarantine().len() as u64, USERS);
    for partition in 0..PARTITIONS {
        let found = client.select_on(partition, SUMS.map_keys()).await.expect("it runs");
        let here: Vec<u64> = (0..USERS).filter(|&user| home(user) == partition).collect();
        assert_eq!(found, here);
    }
    let counts = client.select_all(SUMS.key_range(0..USERS).map_vals()).await.expect("it runs");
    assert_eq!(counts, vec![1; USERS as usize]);
    let counts = local.client().select_all(SUMS.key_range(0..USERS).map_vals()).await;
    assert_eq!(counts.expect("it runs"), vec![1; USERS as usize]);
    // The same after a replay, and after a start that has nothing to replay.
    grid.halt().await;
    for _ in 0..2 {
        let grid = on::<ByTo>(folder.path()).start().await.expect("it runs");
        assert_eq!(grid.quarantine().len() as u64, USERS);
        let counts = grid.client().select_all(SUMS.key_range(0..USERS).map_vals()).await;
        assert_eq!(counts.expect("it runs"), vec![1; USERS as usize]);
        grid.shutdown().await.expect("it runs");
    }
}

// Row 008: however an entry is made; one that is gone at the record's end was never there.
#[tokio::test]
async fn r008_every_way_to_make_an_entry() {
    fn make((way, key): Move, sums: &mut Sums) -> Result<(), String> {
        match way {
            0 => {
                sums.insert(key, 1);
            }
            1 => *sums.entry(key).or_insert(0) += 1,
            2 => {
                SUMS.key(key).set(1).apply(sums);
            }
            3 => *sums = [(key, 1)].into_iter().collect(),
            4 => {
                sums.insert(key, 1);
                sums.remove(key);
            }
            5 => {
                sums.remove(key);
            }
            6 => sums.get_mut(key).into_iter().for_each(|sum| *sum += 1),
            _ => {
                sums.insert(key, 1);
                return Err("not today".to_owned());
            }
        }
        Ok(())
    }
    form!(Ways, module => {
        module.depot(MOVES);
        module.stream("sums", SUMS).source(MOVES).each(make);
    });
    let local = Local::<Ways>::new(PARTITIONS).expect("it fits");
    for way in 0..4 {
        let refused = local.append(MOVES, (way, stranger(way))).map(drop).expect_err("elsewhere");
        assert!(rejection(refused).quarantined, "{way}");
    }
    for way in 4..7 {
        local.append(MOVES, (way, stranger(way))).expect("nothing is made");
    }
    let refused = local.append(MOVES, (7, stranger(7))).map(drop).expect_err("it says so");
    assert!(!rejection(refused).quarantined);
    let found = local.client().select_all(SUMS.map_vals()).await.expect("it runs");
    assert!(found.is_empty());
}

// Row 008: what the refusal advises works on the folder, too: the record is handled then.
#[tokio::test]
async fn r008_advice() {
    form!(NowLocal, module => {
        module.depot(MOVES);
        module.stream("sums", LOCAL_SUMS).source(MOVES).each(add_to);
    });
    form!(OtherDepot, module => {
        module.depot(MOVES).depot(TO);
        let sums = module.stream("sums", SUMS).source(MOVES).each(add_from);
        sums.source(TO).each(add_to);
    });
    for local in [true, false] {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let grid = on::<ByTo>(folder.path()).start().await.expect("a fresh folder");
        let (from, to) = (1, stranger(1));
        let refused = grid.client().append(MOVES, (from, to)).await.map(drop);
        let refused = rejection(refused.expect_err("it is elsewhere"));
        says(&refused, &["append such events to a depot that is partitioned by the same key"]);
        says(&refused, &["declare the PState `.local()`"]);
        grid.shutdown().await.expect("it runs");
        if local {
            let grid = on::<NowLocal>(folder.path()).start().await.expect("as advised");
            let aside = &grid.quarantine()[0];
            grid.retry_quarantined(aside).await.expect("it is allowed now");
            let found = grid.client().select_on(home(from), LOCAL_SUMS.key(to)).await;
            assert_eq!(found.expect("it runs"), [1]);
        } else {
            let grid = on::<OtherDepot>(folder.path()).start().await.expect("as advised");
            grid.client().append(TO, (from, to)).await.expect("it is at home there");
            let found = grid.client().select_one(SUMS.key(to)).await;
            assert_eq!(found.expect("it runs"), Some(1));
        }
    }
}

// Row 008: a function that partitions keys and panics sets the record aside.
#[tokio::test]
async fn r008_partitioner_that_panics() {
    form!(Nowhere, module => {
        module.depot(MOVES);
        module.stream("sums", BY_NOTHING).source(MOVES).each(add_from);
    });
    let grid = Grid::in_memory().module::<Nowhere>().start().await.expect("it fits");
    for user in 0..3 {
        let refused = grid.client().append(MOVES, (user, user)).await.map(drop);
        let refused = rejection(refused.expect_err("nobody knows where it belongs"));
        says(&refused, &["panics for key", "let it answer for every key"]);
    }
    assert_eq!(grid.stats().total(|partition| partition.restarts), 0);
}

async fn folder<M: Module>(depot: Depot<Move>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let grid = on::<M>(folder.path()).start().await.expect("a fresh folder");
    for user in 0..USERS {
        grid.client().append(depot, (user, user + 1)).await.expect("it runs");
    }
    grid.shutdown().await.expect("it runs");
    folder
}

/// The names and contents of all files of a folder.
fn files(folder: &Path) -> BTreeSet<(std::path::PathBuf, Vec<u8>)> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it is there").path();
        if path.is_dir() {
            found.append(&mut files(&path));
        } else {
            found.insert((path.clone(), std::fs::read(&path).expect("it is there")));
        }
    }
    found
}

async fn moved<M: Module>(folder: &Path, expected: &'static str) -> StartError {
    let before = files(folder);
    let error = refusal(on::<M>(folder)).await;
    assert!(matches!(&error, StartError::Moved { what, .. } if *what == expected), "{error}");
    assert!(before == files(folder), "a refused start changes nothing");
    error
}

// Row 007: another way to partition a depot or a PState would hide what lies in the folder: some of it
// is asked again, and another answer is refused.
#[tokio::test]
async fn r007_changed_partitioning_is_refused() {
    form!(DepotByOther, module => {
        module.depot(MOVES_BY_OTHER);
        module.stream("sums", SUMS).source(MOVES_BY_OTHER).each(add_from);
    });
    form!(DepotCustom, module => {
        module.depot(MOVES_CUSTOM);
        module.stream("sums", SUMS).source(MOVES_CUSTOM).each(add_from);
    });
    form!(KeysByModulo, module => {
        module.depot(MOVES);
        module.stream("sums", BY_MODULO).source(MOVES).each(add_from);
    });
    form!(KeysByNothing, module => {
        module.depot(MOVES);
        module.stream("sums", BY_NOTHING).source(MOVES).each(add_from);
    });
    form!(Beside, module => {
        module.depot(MOVES).depot(MODULO);
        module.stream("sums", SUMS).source(MOVES).each(add_from);
        module.stream("beside", BESIDE).source(MODULO).each(add_from);
    });
    let folder = folder::<ByFrom>(MOVES).await;
    let path = folder.path();
    let error = moved::<DepotByOther>(path, "depot").await;
    says(&error, &["depot `m/moves` of module `m`", "the event at offset", "lies on partition"]);
    says(
        &error,
        &["Partition it as before", "leave it as it was and declare another depot beside"],
    );
    moved::<DepotCustom>(path, "depot").await;
    let error = moved::<KeysByModulo>(path, "PState").await;
    says(&error, &["PState `m/sums` of module `m`", "key ", "declare another PState beside"]);
    let error = moved::<KeysByNothing>(path, "PState").await;
    says(&error, &["would go nowhere now"]);

    // As advised: as before, and beside.
    let grid = on::<ByFrom>(path).start().await.expect("the folder is as it was");
    let counts = grid.client().select_all(SUMS.key_range(0..USERS).map_vals()).await;
    assert_eq!(counts.expect("it runs"), vec![1; USERS as usize]);
    grid.shutdown().await.expect("it runs");
    let grid = on::<Beside>(path).start().await.expect("as advised");
    let client = grid.client();
    for user in 0..USERS {
        client.append(MODULO, (user, user)).await.expect("it runs");
        let found = client.select_one(BESIDE.key(user)).await.expect("it runs");
        assert_eq!(found, Some(1));
        assert_eq!(client.select_one(SUMS.key(user)).await.expect("it runs"), Some(1));
    }
}

// Row 007: events that a killed grid left, which no run knows, are asked as well; so are keys of a
// PState that was local, or one that becomes global.
#[tokio::test]
async fn r007_changed_partitioning_of_a_tail() {
    form!(DepotByOther, module => {
        module.depot(MOVES_BY_OTHER);
        module.stream("sums", SUMS).source(MOVES_BY_OTHER).each(add_from);
    });
    form!(KeptLocal, module => {
        module.depot(MOVES);
        module.stream("sums", LOCAL_SUMS).source(MOVES).each(add_to);
    });
    let first = tempfile::tempdir().expect("a folder for the test");
    let grid = on::<ByFrom>(first.path()).start().await.expect("a fresh folder");
    for user in 0..USERS {
        grid.client().append(MOVES, (user, user + 1)).await.expect("it runs");
    }
    grid.halt().await;
    moved::<DepotByOther>(first.path(), "depot").await;

    let second = folder::<KeptLocal>(MOVES).await;
    moved::<ByTo>(second.path(), "PState").await;
    let grid = on::<KeptLocal>(second.path()).start().await.expect("the folder is as it was");
    assert_eq!(grid.quarantine().len(), 0);
    form!(NowGlobal, module => {
        const NEW: Depot<Move> = Depot::random("m/new").global();
        module.depot(MOVES).depot(NEW);
        module.stream("sums", GLOBAL_SUMS).source(NEW).each(add_from);
    });
    let third = folder::<ByFrom>(MOVES).await;
    moved::<NowGlobal>(third.path(), "PState").await;
    drop(grid);
}

// Row 007: a handler's own choice of keys is no business of the depot: local PStates take any, and a
// folder goes on opening with the code that wrote it, whatever it holds.
#[tokio::test]
async fn r007_unchanged_partitioning_goes_on() {
    form!(Custom, module => {
        module.depot(MOVES_CUSTOM).depot(MODULO);
        module.stream("sums", BY_MODULO).source(MODULO).each(add_from);
        module.stream("local", PState::<Sums>::new("m/local").local()).source(MOVES_CUSTOM).each(add_to);
    });
    let folder = folder::<Custom>(MODULO).await;
    for _ in 0..2 {
        let grid = on::<Custom>(folder.path()).start().await.expect("nothing has changed");
        for user in 0..USERS {
            grid.client().append(MOVES_CUSTOM, (user, user * 7)).await.expect("it runs");
        }
        grid.halt().await;
    }
}
