//! What a folder remembers of stages, and what is refused where the code has others.

use std::path::Path;

use gridmill::folder::Folder;
use gridmill::prelude::*;
use gridmill::{GridBuilder, StartError};

use crate::bad_input::{refusal, says};

const NUMBERS: Depot<u64> = Depot::hash_by("s/numbers", |number| (*number).into());
const SUMS: PState<Map<u64, u64>> = PState::new("s/sums");
const COUNTS: PState<Map<u64, u64>> = PState::new("s/counts");
const COUNT: Stage<u64> = Stage::hash_by("count", |number| (*number % 7).into());
const AGAIN: Stage<u64> = Stage::hash_by("again", |number| (*number % 5).into());

fn add(number: u64, sums: &mut Map<u64, u64>) {
    *sums.entry(number).or_default() += 1;
}

/// Defines a module called `s`, another form of the same one each time.
macro_rules! form {
    ($name:ident, $module:ident => $define:block) => {
        struct $name;

        impl Module for $name {
            const NAME: &'static str = "s";

            fn define($module: &mut Setup) $define
        }
    };
}

form!(Plain, module => {
    module.depot(NUMBERS);
    module.stream("sums", SUMS).source(NUMBERS).each(add);
});

form!(Staged, module => {
    module.depot(NUMBERS);
    module.stream("sums", SUMS).source(NUMBERS).each(add).stage(COUNT).each(add).stage(AGAIN).each(add);
});

form!(Forgotten, module => {
    module.depot(NUMBERS);
    module.stream("sums", SUMS).source(NUMBERS).each(add).stage(AGAIN).each(add);
});

form!(Removed, module => {
    module.depot(NUMBERS).remove("sums#count");
    module.stream("sums", SUMS).source(NUMBERS).each(add).stage(AGAIN).each(add);
});

form!(Dropped, module => {
    module.depot(NUMBERS).remove("sums").remove("s/sums");
});

form!(Past, module => {
    module.depot(NUMBERS);
    module.stream("sums", SUMS).source(NUMBERS).each(add);
    module.stream("counts", COUNTS).source(NUMBERS).each(add).stage(COUNT).each(add);
});

form!(FromNow, module => {
    module.depot(NUMBERS);
    module.stream("sums", SUMS).source(NUMBERS).each(add);
    module
        .stream("counts", COUNTS)
        .source(NUMBERS)
        .start_from(StartFrom::End)
        .each(add)
        .stage(COUNT)
        .each(add);
});

form!(Refilled, module => {
    module.depot(NUMBERS).refill("sums").remove("s/sums");
    module.stream("sums", COUNTS).source(NUMBERS).each(add).stage(COUNT).each(add);
});

fn on<M: Module>(folder: &Path) -> GridBuilder {
    Grid::builder(folder).partitions(2).threads(1).module::<M>()
}

async fn start<M: Module>(folder: &Path) {
    let grid = on::<M>(folder).start().await.expect("it fits the folder");
    for number in 0..10 {
        let depot = grid.client().depot_info(NUMBERS).await;
        depot.expect("it is declared");
        grid.client().append(NUMBERS, number).await.expect("it runs");
    }
    grid.shutdown().await.expect("it runs");
    let found = Folder::open(folder).expect("a folder").verify();
    assert_eq!(found.problems, []);
}

/// Name, what it belongs to, and whether it was removed: of each stage's hidden depot.
fn stages(folder: &Path) -> Vec<(String, String, bool)> {
    let inspection = Folder::open(folder).expect("a folder").inspect().expect("it is whole");
    let depots = inspection.modules[0].partitions[0].depots.clone().into_iter();
    depots.filter_map(|depot| Some((depot.name, depot.stage_of?, depot.removed))).collect()
}

fn stage(name: &str, removed: bool) -> (String, String, bool) {
    (format!("sums#{name}"), "sums".to_owned(), removed)
}

#[tokio::test]
async fn a_stage_that_is_gone_is_refused_until_it_is_removed_by_name() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let folder = folder.path();
    start::<Plain>(folder).await;
    // A topology that runs may get stages: they have no past.
    start::<Staged>(folder).await;
    assert_eq!(stages(folder), [stage("count", false), stage("again", false)]);
    let error = refusal(on::<Forgotten>(folder)).await;
    assert!(matches!(error, StartError::Missing { what: "stage", .. }), "{error}");
    says(&error, &["stage `sums#count`", "`module.remove(\"sums#count\")`"]);
    start::<Removed>(folder).await;
    assert_eq!(stages(folder), [stage("count", true), stage("again", false)]);
    // Its number is never given again.
    start::<Staged>(folder).await;
    let again = [stage("count", true), stage("again", false), stage("count", false)];
    assert_eq!(stages(folder), again);
}

#[tokio::test]
async fn the_stages_of_a_topology_go_with_it() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let folder = folder.path();
    start::<Staged>(folder).await;
    start::<Dropped>(folder).await;
    assert_eq!(stages(folder), [stage("count", true), stage("again", true)]);
}

#[tokio::test]
async fn what_sends_records_does_not_start_in_the_past() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let folder = folder.path();
    start::<Plain>(folder).await;
    let error = refusal(on::<Past>(folder)).await;
    says(&error, &["topology `counts`", "would start in the past", "`start_from(StartFrom::End)`"]);
    start::<FromNow>(folder).await;
}

#[tokio::test]
async fn what_sends_records_is_not_refilled() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let folder = folder.path();
    start::<Plain>(folder).await;
    let error = refusal(on::<Refilled>(folder)).await;
    says(&error, &["topology `sums` sends records", "cannot be filled from the past"]);
    start::<Plain>(folder).await;
}
