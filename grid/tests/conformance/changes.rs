//! A folder and the code that opens it: what fits, and what is refused with what to write.

use std::path::Path;

use gridmill::prelude::*;
use gridmill::{GridBuilder, StartError};

use crate::bad_input::{refusal, says};

const EVENTS: Depot<u64> = Depot::hash_by("m/events", |event| (*event).into());
const OTHER: Depot<u64> = Depot::hash_by("m/other", |event| (*event).into());
const SUM: PState<Map<u64, u64>> = PState::new("m/sum");
const SUM_AS_TEXT: PState<Map<u64, Str>> = PState::new("m/sum");
const MORE: PState<Map<u64, u64>> = PState::new("m/more");

fn add(event: u64, sum: &mut Map<u64, u64>) {
    *sum.entry(event).or_default() += 1;
}

fn add_text(event: u64, sum: &mut Map<u64, Str>) {
    sum.insert(event, "text".into());
}

fn add_both(event: u64, (sum, more): (&mut Map<u64, u64>, &mut Map<u64, u64>)) {
    add(event, sum);
    add(event, more);
}

/// Defines a module called `m`, another form of the same one each time.
macro_rules! form {
    ($name:ident, $version:literal, $module:ident => $define:block) => {
        struct $name;

        impl Module for $name {
            const NAME: &'static str = "m";
            const VERSION: u32 = $version;

            fn define($module: &mut Setup) $define
        }
    };
}

form!(Full, 1, module => {
    module.depot(EVENTS).depot(OTHER);
    module.stream("sum", SUM).source(EVENTS).each(add);
    module.stream("more", MORE).source(OTHER).each(add);
});

fn on<M: Module>(folder: &Path) -> GridBuilder {
    Grid::builder(folder).partitions(2).module::<M>()
}

/// A folder that `Full` has written to and closed.
async fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let grid = on::<Full>(folder.path()).start().await.expect("a fresh folder");
    for event in 0..20 {
        grid.client().append(EVENTS, event).await.expect("it runs");
        grid.client().append(OTHER, event).await.expect("it runs");
    }
    grid.shutdown().await.expect("it runs");
    folder
}

// Row 007: the partition count is part of the folder; another one is refused, and leaves no trace.
#[tokio::test]
async fn r007_other_partition_count() {
    let folder = folder().await;
    for partitions in [1, 3] {
        let error = refusal(on::<Full>(folder.path()).partitions(partitions)).await;
        let refused =
            matches!(error, StartError::Partitions { expected: 2, got, .. } if got == partitions);
        assert!(refused, "{error}");
        says(&error, &["module `m` has 2 partitions", "were asked for", "start it with 2"]);
    }
    assert!(!folder.path().join("m/2").exists(), "a refused start creates nothing");
    on::<Full>(folder.path()).start().await.expect("the folder is as it was");
}

// Row 059: what the code has no more is refused by name until `remove` lists exactly that.
#[tokio::test]
async fn r059_removal() {
    form!(WithoutMore, 1, module => {
        module.depot(EVENTS).depot(OTHER);
        module.stream("sum", SUM).source(EVENTS).each(add);
    });
    form!(OnlyDepotListed, 1, module => {
        module.depot(EVENTS).remove("m/other");
        module.stream("sum", SUM).source(EVENTS).each(add);
    });
    form!(Mistyped, 1, module => {
        module.depot(EVENTS).remove("m/othr").remove("more");
        module.stream("sum", SUM).source(EVENTS).each(add);
    });
    form!(StillDeclared, 1, module => {
        module.depot(EVENTS).depot(OTHER).remove("more").remove("sum");
        module.stream("sum", SUM).source(EVENTS).each(add);
    });
    form!(Exact, 1, module => {
        module.depot(EVENTS).remove("more").remove("m/other");
        module.stream("sum", SUM).source(EVENTS).each(add);
    });
    let folder = folder().await;
    let error = refusal(on::<WithoutMore>(folder.path())).await;
    assert!(matches!(error, StartError::Missing { what: "topology", .. }), "{error}");
    says(&error, &["topology `more` of module `m`", "declare it again", "module.remove(\"more\")"]);
    let error = refusal(on::<OnlyDepotListed>(folder.path())).await;
    says(&error, &["topology `more` of module `m`"]);
    let error = refusal(on::<Mistyped>(folder.path())).await;
    assert!(matches!(error, StartError::Missing { what: "depot", .. }), "{error}");
    says(&error, &["depot `m/other` of module `m`", "module.remove(\"m/other\")"]);
    let error = refusal(on::<StillDeclared>(folder.path())).await;
    assert!(matches!(error, StartError::Declaration { .. }), "{error}");
    says(&error, &["`sum` is removed and declared", "drop one of the two"]);

    let runs = || std::fs::read_dir(folder.path().join("m/0/runs")).expect("it is there").count();
    assert_eq!(runs(), 2, "a refused start deletes nothing");
    let grid = on::<Exact>(folder.path()).start().await.expect("exactly what is gone is listed");
    assert_eq!(grid.client().select_one(SUM.key(7)).await.expect("it runs"), Some(1));
    let error = grid.client().select(MORE.key(7)).await.expect_err("it is gone");
    says(&error, &["no PState is called `m/more`"]);
    assert_eq!(runs(), 1, "the files of what is gone are deleted");
    grid.shutdown().await.expect("it runs");
    // The list may stay in the code.
    on::<Exact>(folder.path()).start().await.expect("there is nothing left to remove");
}

// Row 059: a depot that comes back under the name of a removed one starts empty.
#[tokio::test]
async fn r059_removed_depot_comes_back_empty() {
    form!(Removed, 1, module => {
        module.depot(EVENTS).remove("more").remove("m/other");
        module.stream("sum", SUM).source(EVENTS).each(add);
    });
    let folder = folder().await;
    let grid = on::<Removed>(folder.path()).start().await.expect("everything is listed");
    grid.shutdown().await.expect("it runs");
    let grid = on::<Full>(folder.path()).start().await.expect("both names are free");
    grid.caught_up("more").await;
    let client = grid.client();
    assert_eq!(client.depot_info(OTHER).await.expect("it runs").records(), 0);
    assert_eq!(client.select_one(MORE.key(7)).await.expect("it runs"), None);
    client.append(OTHER, 7).await.expect("it runs");
    assert_eq!(client.select_one(MORE.key(7)).await.expect("it runs"), Some(1));
    assert_eq!(client.select_one(SUM.key(7)).await.expect("it runs"), Some(1));
}

// Row 059: a PState may leave a topology that stays, when it is listed.
#[tokio::test]
async fn r059_pstate_removed_alone() {
    form!(Both, 1, module => {
        module.depot(EVENTS);
        module.stream("sum", (SUM, MORE)).source(EVENTS).each(add_both);
    });
    form!(One, 1, module => {
        module.depot(EVENTS);
        module.stream("sum", SUM).source(EVENTS).each(add);
    });
    form!(OneListed, 1, module => {
        module.depot(EVENTS).remove("m/more");
        module.stream("sum", SUM).source(EVENTS).each(add);
    });
    let folder = tempfile::tempdir().expect("a folder for the test");
    let grid = on::<Both>(folder.path()).start().await.expect("a fresh folder");
    grid.client().append(EVENTS, 7).await.expect("it runs");
    grid.shutdown().await.expect("it runs");
    let error = refusal(on::<One>(folder.path())).await;
    assert!(matches!(error, StartError::Missing { what: "PState", .. }), "{error}");
    says(&error, &["PState `m/more` of module `m`", "module.remove(\"m/more\")"]);
    let grid = on::<OneListed>(folder.path()).start().await.expect("it is listed");
    assert_eq!(grid.client().select_one(SUM.key(7)).await.expect("it runs"), Some(1));
}

// Row 053: a PState of another shape is refused: which one, old and new shape, what to write.
#[tokio::test]
async fn r053_changed_pstate() {
    form!(Changed, 1, module => {
        module.depot(EVENTS).depot(OTHER);
        module.stream("sum", SUM_AS_TEXT).source(EVENTS).each(add_text);
        module.stream("more", MORE).source(OTHER).each(add);
    });
    let folder = folder().await;
    let error = refusal(on::<Changed>(folder.path())).await;
    assert!(matches!(error, StartError::Changed { what: "PState", .. }), "{error}");
    says(
        &error,
        &["PState `m/sum` has changed", "was u64", "is now Str", "`module.refill(\"sum\")`"],
    );
    on::<Full>(folder.path()).start().await.expect("the folder is as it was");
}

mod before {
    use gridmill::prelude::*;

    #[record]
    pub(crate) enum Event {
        Sold { item: u64, price: u32 },
        Returned { item: u64 },
    }
}

mod after {
    use gridmill::prelude::*;

    #[record]
    pub(crate) enum Event {
        Sold { item: u64, price: u64 },
        Returned { item: u64 },
    }
}

mod without {
    use gridmill::prelude::*;

    #[record]
    pub(crate) enum Event {
        Sold { item: u64, price: u32 },
    }
}

mod with_more {
    use gridmill::prelude::*;

    #[record]
    pub(crate) enum Event {
        Lost { item: u64 },
        Returned { item: u64 },
        Sold { item: u64, price: u32 },
    }
}

const BEFORE: Depot<before::Event> = Depot::random("m/shop");
const AFTER: Depot<after::Event> = Depot::random("m/shop");
const WITHOUT: Depot<without::Event> = Depot::random("m/shop");
const WITH_MORE: Depot<with_more::Event> = Depot::random("m/shop");
const GLOBAL: Depot<before::Event> = Depot::random("m/shop").global();

form!(Shop, 1, module => { module.depot(BEFORE); });

// Row 053: a changed event variant, a variant that is gone, a depot that became global are refused;
// variants that are added, in any order, are not, and old records read as what they were.
#[tokio::test]
async fn r053_changed_event() {
    form!(ShopAfter, 1, module => { module.depot(AFTER); });
    form!(ShopWithout, 1, module => { module.depot(WITHOUT); });
    form!(ShopGlobal, 1, module => { module.depot(GLOBAL); });
    form!(ShopWithMore, 1, module => { module.depot(WITH_MORE); });
    let folder = tempfile::tempdir().expect("a folder for the test");
    let on_one = |builder: GridBuilder| builder.partitions(1);
    let grid = on_one(on::<Shop>(folder.path())).start().await.expect("a fresh folder");
    let sold = before::Event::Sold { item: 1, price: 2 };
    grid.client().append(BEFORE, sold).await.expect("it runs");
    grid.client().append(BEFORE, before::Event::Returned { item: 3 }).await.expect("it runs");
    grid.halt().await;

    let error = refusal(on_one(on::<ShopAfter>(folder.path()))).await;
    assert!(matches!(error, StartError::Changed { what: "event variant", .. }), "{error}");
    says(&error, &["event variant `m/shop::Sold`", "price", "u32", "u64", "add a new one"]);
    let error = refusal(on_one(on::<ShopWithout>(folder.path()))).await;
    says(&error, &["event variant `m/shop::Returned`", "it is gone", "keep the variant"]);
    let error = refusal(on_one(on::<ShopGlobal>(folder.path()))).await;
    says(&error, &["`m/shop` is partitioned in this folder and global in the code", "beside it"]);

    let grid = on_one(on::<ShopWithMore>(folder.path())).start().await.expect("only added to");
    let client = grid.client();
    client.append(WITH_MORE, with_more::Event::Lost { item: 5 }).await.expect("it runs");
    let events = client.depot_read(WITH_MORE, 0, 0..3).await.expect("it runs");
    let events: Vec<_> = events.into_iter().map(|record| record.event).collect();
    assert!(matches!(
        events[..],
        [
            with_more::Event::Sold { item: 1, price: 2 },
            with_more::Event::Returned { item: 3 },
            with_more::Event::Lost { item: 5 },
        ]
    ));
}

// Row 118: declarations that do not fit together are refused together, each with what to do.
#[tokio::test]
async fn r118_declarations() {
    form!(Broken, 1, module => {
        module.depot(EVENTS).depot(EVENTS);
        module.stream("one", SUM).source(EVENTS).each(add);
        module.stream("one", SUM).source(OTHER).each(add);
        module.stream("two", (SUM, MORE)).source(EVENTS).each(add_both);
        let _ = module.stream("idle", PState::<Map<u64, u64>>::new("m/idle"));
    });
    let error = refusal(Grid::in_memory().module::<Broken>()).await;
    assert!(matches!(error, StartError::Declaration { .. }), "{error}");
    says(
        &error,
        &[
            "module `m` cannot be started",
            "two depots are called `m/events`; rename one",
            "two topologies are called `one`; rename one",
            "PState `m/sum` is owned by two topologies",
            "`.read()`",
            "topology `one` reads depot `m/other`, which is not declared; add `module.depot(..)`",
            "topology `idle` has no source; add `.source(DEPOT).each(handler)`",
        ],
    );
    form!(Twice, 1, module => {
        module.depot(EVENTS);
        module.stream("one", (SUM, SUM)).source(EVENTS).each(add_both);
    });
    let error = refusal(Grid::in_memory().module::<Twice>()).await;
    says(&error, &["PState `m/sum` stands twice in the tuple of one topology"]);
    let error = refusal(Grid::in_memory().module::<Full>().module::<Full>()).await;
    says(&error, &["another module has this name; rename one", "depot `m/events` is declared by"]);
}

// Row 145: a source that a topology gets later and that has a past is refused, unless it begins at
// the end; a PState that changes its owner is refused.
#[tokio::test]
async fn r145_changed_topology() {
    form!(NewSource, 1, module => {
        module.depot(EVENTS).depot(OTHER);
        module.stream("sum", SUM).source(EVENTS).each(add).source(OTHER).each(add);
        module.stream("more", MORE).source(OTHER).each(add);
    });
    form!(NewSourceFromEnd, 1, module => {
        module.depot(EVENTS).depot(OTHER);
        let sum = module.stream("sum", SUM).source(EVENTS).each(add);
        sum.source(OTHER).start_from(StartFrom::End).each(add);
        module.stream("more", MORE).source(OTHER).each(add);
    });
    form!(NewOwner, 1, module => {
        module.depot(EVENTS).depot(OTHER).remove("more");
        module.stream("sum", (SUM, MORE)).source(EVENTS).each(add_both);
    });
    let folder = folder().await;
    let error = refusal(on::<NewSource>(folder.path())).await;
    assert!(matches!(error, StartError::Incompatible { .. }), "{error}");
    says(&error, &["topology `sum` now also reads depot `m/other`", "StartFrom::End"]);
    let error = refusal(on::<NewOwner>(folder.path())).await;
    says(&error, &["PState `m/more` belongs to topology `more`", "`module.refill(\"sum\")`"]);
    let grid = on::<NewSourceFromEnd>(folder.path()).start().await.expect("nothing of the past");
    let client = grid.client();
    assert_eq!(client.select_one(SUM.key(7)).await.expect("it runs"), Some(1));
    client.append(OTHER, 7).await.expect("it runs");
    assert_eq!(client.select_one(SUM.key(7)).await.expect("it runs"), Some(2));
}

// Row 143: an unclean tail that another version processed is refused unless it is accepted; a clean
// folder, also one with a record in quarantine, opens with any version.
#[tokio::test]
async fn r143_other_version() {
    fn picky(event: u64, sum: &mut Map<u64, u64>) {
        assert_ne!(event, 13, "unlucky");
        add(event, sum);
    }
    form!(First, 1, module => {
        module.depot(EVENTS);
        module.stream("sum", SUM).source(EVENTS).each(picky);
    });
    form!(Second, 2, module => {
        module.depot(EVENTS);
        module.stream("sum", SUM).source(EVENTS).each(picky);
    });
    let folder = tempfile::tempdir().expect("a folder for the test");
    let grid = on::<First>(folder.path()).start().await.expect("a fresh folder");
    grid.client().append(EVENTS, 13).await.expect_err("the handler panics");
    grid.shutdown().await.expect("it runs");
    let grid = on::<Second>(folder.path()).start().await.expect("nothing is to be replayed");
    assert_eq!(grid.stats().total(|partition| partition.replayed), 0);
    assert_eq!(grid.quarantine().len(), 1);
    for event in 0..6 {
        grid.client().append(EVENTS, event).await.expect("it runs");
    }
    grid.halt().await;
    let error = refusal(on::<First>(folder.path())).await;
    assert!(matches!(error, StartError::OtherVersion { expected: 2, got: 1, .. }), "{error}");
    says(&error, &["module `m` stopped uncleanly", "version 2", "this is version 1"]);
    says(&error, &["Start version 2 once and shut it down", "`accept_replay_with_new_code()`"]);
    let accepting = on::<First>(folder.path()).accept_replay_with_new_code();
    let grid = accepting.start().await.expect("it is accepted");
    assert_eq!(grid.client().select_one(SUM.key(5)).await.expect("it runs"), Some(1));
}
