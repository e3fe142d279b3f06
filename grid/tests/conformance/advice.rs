//! What an error advises works to the letter: followed, the promised outcome holds and nothing is lost.

use std::path::Path;

use gridmill::client::ReadError;
use gridmill::prelude::*;
use gridmill::{GridBuilder, StartError};

use crate::bad_input::{refusal, says};

const PARTITIONS: u32 = 2;
const EVENTS_EACH: u64 = 40;

const EVENTS: Depot<u64> = Depot::hash_by("m/events", |event| (*event).into());
const OTHER: Depot<u64> = Depot::hash_by("m/other", |event| (*event).into());
const OTHER_GLOBAL: Depot<u64> = Depot::random("m/other").global();
const GLOBAL: Depot<u64> = Depot::random("m/global").global();
const SUM: PState<Map<u64, u64>> = PState::new("m/sum");
const SUM_AS_TEXT: PState<Map<u64, Str>> = PState::new("m/sum");
const NEW_SUM: PState<Map<u64, Str>> = PState::new("m/new-sum");
const MORE: PState<Map<u64, u64>> = PState::new("m/more");
const COPY: PState<Map<u64, u64>> = PState::new("m/copy");
const COPY_AS_TEXT: PState<Map<u64, Str>> = PState::new("m/copy");
const NEW_COPY: PState<Map<u64, Str>> = PState::new("m/new-copy");

type Counts = Map<u64, u64>;
type Texts = Map<u64, Str>;

fn add(event: u64, sum: &mut Counts) {
    *sum.entry(event).or_default() += 1;
}

fn add_text(event: u64, sum: &mut Texts) {
    let mut text = sum.get(event).map_or_else(String::new, |text| text.as_str().to_owned());
    text.push('i');
    sum.insert(event, text.into());
}

fn add_both(event: u64, (sum, more): (&mut Counts, &mut Counts)) {
    add(event, sum);
    add(event, more);
}

fn copy(event: u64, (copy, sum): (&mut Counts, &Counts)) {
    copy.insert(event, sum.get(event).map_or(0, |count| *count));
}

fn copy_text(event: u64, (copy, sum): (&mut Texts, &Counts)) {
    copy.insert(event, sum.get(event).map_or(0, |count| *count).to_string().into());
}

fn copy_of_text(event: u64, (copy, sum): (&mut Counts, &Texts)) {
    copy.insert(event, sum.get(event).map_or(0, |text| text.as_str().len() as u64));
}

/// Defines a module called `m`, another form of the same one each time.
macro_rules! form {
    ($name:ident, $module:ident => $define:block) => {
        form!($name, 1, $module => $define);
    };
    ($name:ident, $version:literal, $module:ident => $define:block) => {
        struct $name;

        impl Module for $name {
            const NAME: &'static str = "m";
            const VERSION: u32 = $version;

            fn define($module: &mut Setup) $define
        }
    };
}

form!(Full, module => {
    module.depot(EVENTS).depot(OTHER);
    module.stream("sum", SUM).source(EVENTS).each(add);
    module.stream("more", MORE).source(OTHER).each(add);
});

fn on<M: Module>(folder: &Path) -> GridBuilder {
    Grid::builder(folder).partitions(PARTITIONS).module::<M>()
}

async fn append_all(grid: &Grid) {
    for event in 0..EVENTS_EACH {
        grid.client().append(EVENTS, event).await.expect("it runs");
        grid.client().append(OTHER, event).await.expect("it runs");
    }
}

/// A folder in which `M` has handled every event once.
async fn folder<M: Module>() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let grid = on::<M>(folder.path()).start().await.expect("a fresh folder");
    append_all(&grid).await;
    grid.shutdown().await.expect("it runs");
    folder
}

async fn started<M: Module>(folder: &Path) -> Grid {
    on::<M>(folder).start().await.expect("the advice was followed")
}

async fn counts(grid: &Grid, of: PState<Counts>) -> Result<Vec<u64>, ReadError> {
    grid.client().select_all(of.key_range(0..EVENTS_EACH).map_vals()).await
}

async fn texts(grid: &Grid, of: PState<Texts>) -> Result<Vec<Str>, ReadError> {
    grid.client().select_all(of.key_range(0..EVENTS_EACH).map_vals()).await
}

async fn assert_counts(grid: &Grid, of: PState<Counts>, count: u64) {
    let found = counts(grid, of).await.expect("it runs");
    assert_eq!(found, vec![count; EVENTS_EACH as usize], "{}", of.name());
}

async fn assert_texts(grid: &Grid, of: PState<Texts>, text: &str) {
    let found = texts(grid, of).await.expect("it runs");
    assert_eq!(found, vec![Str::new(text); EVENTS_EACH as usize], "{}", of.name());
}

// Row 176: a PState of another type: with `refill` its topology and name stay, and it has what the
// depot has; with the old type nothing has happened.
#[tokio::test]
async fn r176_changed_pstate_is_filled_again() {
    form!(Changed, module => {
        module.depot(EVENTS).depot(OTHER);
        module.stream("sum", SUM_AS_TEXT).source(EVENTS).each(add_text);
        module.stream("more", MORE).source(OTHER).each(add);
    });
    form!(Refilled, module => {
        module.depot(EVENTS).depot(OTHER).refill("sum");
        module.stream("sum", SUM_AS_TEXT).source(EVENTS).each(add_text);
        module.stream("more", MORE).source(OTHER).each(add);
    });
    let folder = folder::<Full>().await;
    let error = refusal(on::<Changed>(folder.path())).await;
    assert!(matches!(error, StartError::Changed { what: "PState", .. }), "{error}");
    says(&error, &["Restore the type", "`module.refill(\"sum\")`", "fills its PStates again"]);
    let grid = started::<Full>(folder.path()).await;
    assert_counts(&grid, SUM, 1).await;
    grid.shutdown().await.expect("it runs");

    let grid = started::<Refilled>(folder.path()).await;
    assert_counts(&grid, MORE, 1).await;
    append_all(&grid).await;
    grid.caught_up("sum").await;
    assert_texts(&grid, SUM_AS_TEXT, "ii").await;
    assert_counts(&grid, MORE, 2).await;
    // It happens once: a kill, and nothing is read again.
    grid.halt().await;
    let grid = started::<Refilled>(folder.path()).await;
    grid.caught_up("sum").await;
    grid.shutdown().await.expect("it runs");
    let grid = started::<Refilled>(folder.path()).await;
    assert_texts(&grid, SUM_AS_TEXT, "ii").await;
    append_all(&grid).await;
    assert_texts(&grid, SUM_AS_TEXT, "iii").await;
    assert_counts(&grid, MORE, 3).await;
    grid.shutdown().await.expect("it runs");
    let error = refusal(on::<Full>(folder.path())).await;
    assert!(matches!(error, StartError::Changed { what: "PState", .. }), "{error}");
}

// Row 176: what stood in quarantine, was discarded or handled later is so again in a PState that is
// filled again.
#[tokio::test]
async fn r176_refill_keeps_the_quarantine() {
    fn picky(event: u64, sum: &mut Counts) {
        assert!(event % 10 != 3, "unlucky");
        add(event, sum);
    }
    fn picky_text(event: u64, sum: &mut Texts) {
        add_text(event, sum);
    }
    form!(Picky, module => {
        module.depot(EVENTS).depot(OTHER);
        module.stream("sum", SUM).source(EVENTS).each(picky);
    });
    form!(Refilled, module => {
        module.depot(EVENTS).depot(OTHER).refill("sum");
        module.stream("sum", SUM_AS_TEXT).source(EVENTS).each(picky_text);
    });
    let folder = tempfile::tempdir().expect("a folder for the test");
    let grid = on::<Picky>(folder.path()).partitions(1).start().await.expect("a fresh folder");
    for event in 0..EVENTS_EACH {
        assert_eq!(grid.client().append(EVENTS, event).await.is_err(), event % 10 == 3);
    }
    grid.shutdown().await.expect("it runs");
    let grid = on::<Refilled>(folder.path()).partitions(1).start().await.expect("it may");
    grid.caught_up("sum").await;
    assert_eq!(grid.quarantine().len(), 4);
    assert_eq!(texts(&grid, SUM_AS_TEXT).await.expect("it runs").len() as u64, EVENTS_EACH - 4);
}

// Row 176: a second PState in the tuple of a topology that has handled events does not begin without
// them.
#[tokio::test]
async fn r176_new_pstate_of_known_topology() {
    form!(One, module => {
        module.depot(EVENTS).depot(OTHER);
        module.stream("sum", SUM).source(EVENTS).each(add);
    });
    form!(Two, module => {
        module.depot(EVENTS).depot(OTHER);
        module.stream("sum", (SUM, MORE)).source(EVENTS).each(add_both);
    });
    form!(Refilled, module => {
        module.depot(EVENTS).depot(OTHER).refill("sum");
        module.stream("sum", (SUM, MORE)).source(EVENTS).each(add_both);
    });
    form!(OfItsOwn, module => {
        module.depot(EVENTS).depot(OTHER);
        module.stream("sum", SUM).source(EVENTS).each(add);
        module.stream("more", MORE).source(EVENTS).each(add);
    });
    let first = folder::<One>().await;
    let error = refusal(on::<Two>(first.path())).await;
    assert!(matches!(error, StartError::Incompatible { .. }), "{error}");
    says(&error, &["PState `m/more` is new in topology `sum`", "`module.refill(\"sum\")`"]);
    says(&error, &["let a topology of its own keep it"]);
    let grid = started::<Refilled>(first.path()).await;
    grid.caught_up("sum").await;
    assert_counts(&grid, SUM, 1).await;
    assert_counts(&grid, MORE, 1).await;

    let second = folder::<One>().await;
    let grid = started::<OfItsOwn>(second.path()).await;
    assert_counts(&grid, SUM, 1).await;
    grid.caught_up("more").await;
    assert_counts(&grid, MORE, 1).await;

    // Where there is no past, there is nothing to refuse.
    let empty = tempfile::tempdir().expect("a folder for the test");
    started::<One>(empty.path()).await.shutdown().await.expect("it runs");
    let grid = started::<Two>(empty.path()).await;
    append_all(&grid).await;
    assert_counts(&grid, MORE, 1).await;
}

// Row 176: a PState that another topology filled before, also where that one only changed its name.
#[tokio::test]
async fn r176_pstate_with_another_owner() {
    form!(NewOwner, module => {
        module.depot(EVENTS).depot(OTHER).remove("more");
        module.stream("sum", (SUM, MORE)).source(EVENTS).each(add_both);
    });
    form!(NewOwnerRefilled, module => {
        module.depot(EVENTS).depot(OTHER).remove("more").refill("sum");
        module.stream("sum", (SUM, MORE)).source(EVENTS).each(add_both);
    });
    form!(Renamed, module => {
        module.depot(EVENTS).depot(OTHER).remove("more");
        module.stream("sum", SUM).source(EVENTS).each(add);
        module.stream("much-more", MORE).source(OTHER).each(add);
    });
    form!(RenamedRefilled, module => {
        module.depot(EVENTS).depot(OTHER).remove("more").refill("much-more");
        module.stream("sum", SUM).source(EVENTS).each(add);
        module.stream("much-more", MORE).source(OTHER).each(add);
    });
    let first = folder::<Full>().await;
    let error = refusal(on::<NewOwner>(first.path())).await;
    says(&error, &["belongs to topology `more`", "gives it to `sum`", "`module.refill(\"sum\")`"]);
    let grid = started::<NewOwnerRefilled>(first.path()).await;
    grid.caught_up("sum").await;
    assert_counts(&grid, SUM, 1).await;
    assert_counts(&grid, MORE, 1).await;

    let second = folder::<Full>().await;
    let error = refusal(on::<Renamed>(second.path())).await;
    says(&error, &["gives it to `much-more`", "`module.refill(\"much-more\")`"]);
    let grid = started::<RenamedRefilled>(second.path()).await;
    assert_counts(&grid, SUM, 1).await;
    grid.caught_up("much-more").await;
    assert_counts(&grid, MORE, 1).await;
}

// Row 176: a topology that reads one more depot, with a past.
#[tokio::test]
async fn r176_new_source_with_a_past() {
    form!(NewSource, module => {
        module.depot(EVENTS).depot(OTHER);
        module.stream("sum", SUM).source(EVENTS).each(add).source(OTHER).each(add);
        module.stream("more", MORE).source(OTHER).each(add);
    });
    form!(Refilled, module => {
        module.depot(EVENTS).depot(OTHER).refill("sum");
        module.stream("sum", SUM).source(EVENTS).each(add).source(OTHER).each(add);
        module.stream("more", MORE).source(OTHER).each(add);
    });
    form!(FromEnd, module => {
        module.depot(EVENTS).depot(OTHER);
        let sum = module.stream("sum", SUM).source(EVENTS).each(add);
        sum.source(OTHER).start_from(StartFrom::End).each(add);
        module.stream("more", MORE).source(OTHER).each(add);
    });
    let first = folder::<Full>().await;
    let error = refusal(on::<NewSource>(first.path())).await;
    says(
        &error,
        &["also reads depot `m/other`", "`start_from(StartFrom::End)`", "refill(\"sum\")"],
    );
    let grid = started::<Refilled>(first.path()).await;
    grid.caught_up("sum").await;
    assert_counts(&grid, SUM, 2).await;
    append_all(&grid).await;
    assert_counts(&grid, SUM, 4).await;

    let second = folder::<Full>().await;
    let grid = started::<FromEnd>(second.path()).await;
    assert_counts(&grid, SUM, 1).await;
    append_all(&grid).await;
    assert_counts(&grid, SUM, 3).await;
}

form!(Coupled, module => {
    module.depot(EVENTS).depot(OTHER);
    module.stream("sum", SUM).source(EVENTS).each(add);
    module.stream("copy", (COPY, SUM.read())).source(OTHER).each(copy);
});

// Row 176: a topology whose PState others read: beside the old one, then they go over to it.
#[tokio::test]
async fn r176_changed_pstate_that_others_read() {
    form!(Changed, module => {
        module.depot(EVENTS).depot(OTHER).refill("sum");
        module.stream("sum", SUM_AS_TEXT).source(EVENTS).each(add_text);
        module.stream("copy", (COPY, SUM_AS_TEXT.read())).source(OTHER).each(copy_of_text);
    });
    form!(Beside, module => {
        module.depot(EVENTS).depot(OTHER);
        module.stream("sum", SUM).source(EVENTS).each(add);
        module.stream("new-sum", NEW_SUM).source(EVENTS).each(add_text);
        module.stream("copy", (COPY, SUM.read())).source(OTHER).each(copy);
    });
    form!(GoneOver, module => {
        module.depot(EVENTS).depot(OTHER).remove("sum");
        module.stream("new-sum", NEW_SUM).source(EVENTS).each(add_text);
        module.stream("copy", (COPY, NEW_SUM.read())).source(OTHER).each(copy_of_text);
    });
    let folder = folder::<Coupled>().await;
    let error = refusal(on::<Changed>(folder.path())).await;
    says(&error, &["others read PStates of topology `sum`", "beside it", "once it has caught up"]);
    says(&error, &["`module.remove(\"sum\")`"]);
    let grid = started::<Beside>(folder.path()).await;
    assert_counts(&grid, COPY, 1).await;
    grid.caught_up("new-sum").await;
    append_all(&grid).await;
    grid.shutdown().await.expect("it runs");
    let grid = started::<GoneOver>(folder.path()).await;
    assert_texts(&grid, NEW_SUM, "ii").await;
    assert_counts(&grid, COPY, 2).await;
    append_all(&grid).await;
    assert_texts(&grid, NEW_SUM, "iii").await;
    assert_counts(&grid, COPY, 3).await;
}

// Row 176: a topology that reads others cannot be filled from the past, and is told so.
#[tokio::test]
async fn r176_changed_pstate_that_reads_others() {
    form!(Changed, module => {
        module.depot(EVENTS).depot(OTHER);
        module.stream("sum", SUM).source(EVENTS).each(add);
        module.stream("copy", (COPY_AS_TEXT, SUM.read())).source(OTHER).each(copy_text);
    });
    form!(FromEnd, module => {
        module.depot(EVENTS).depot(OTHER).remove("copy");
        module.stream("sum", SUM).source(EVENTS).each(add);
        let copy = module.stream("new-copy", (NEW_COPY, SUM.read())).source(OTHER);
        copy.start_from(StartFrom::End).each(copy_text);
    });
    let folder = folder::<Coupled>().await;
    let error = refusal(on::<Changed>(folder.path())).await;
    says(&error, &["Restore the type", "cannot be filled from the past", "new names"]);
    says(&error, &["`module.remove(\"copy\")`", "`start_from(StartFrom::End)`", "begin empty"]);
    let grid = started::<FromEnd>(folder.path()).await;
    assert_counts(&grid, SUM, 1).await;
    assert!(texts(&grid, NEW_COPY).await.expect("it runs").is_empty(), "as it was said");
    append_all(&grid).await;
    assert_texts(&grid, NEW_COPY, "2").await;
}

// Row 176: a depot that is to be global: another one beside it, and no event is lost.
#[tokio::test]
async fn r176_depot_becomes_global() {
    form!(NowGlobal, module => {
        module.depot(EVENTS).depot(OTHER_GLOBAL);
        module.stream("sum", SUM).source(EVENTS).each(add);
        module.stream("more", MORE).source(OTHER_GLOBAL).each(add);
    });
    form!(Beside, module => {
        module.depot(EVENTS).depot(OTHER).depot(GLOBAL);
        module.stream("sum", SUM).source(EVENTS).each(add);
        module.stream("more", MORE).source(OTHER).each(add);
    });
    let folder = folder::<Full>().await;
    let error = refusal(on::<NowGlobal>(folder.path())).await;
    says(&error, &["leave it as it was, with its events, and declare another one beside it"]);
    let grid = started::<Beside>(folder.path()).await;
    grid.client().append(GLOBAL, 1).await.expect("it runs");
    assert_eq!(grid.client().depot_info(OTHER).await.expect("it runs").records(), EVENTS_EACH);
    assert_counts(&grid, MORE, 1).await;
}

// Row 176: what the code does not declare any more is declared again, or removed, by its name.
#[tokio::test]
async fn r176_missing_names() {
    form!(WithoutMore, module => {
        module.depot(EVENTS).depot(OTHER);
        module.stream("sum", SUM).source(EVENTS).each(add);
    });
    form!(Removed, module => {
        module.depot(EVENTS).depot(OTHER).remove("more");
        module.stream("sum", SUM).source(EVENTS).each(add);
    });
    let folder = folder::<Full>().await;
    let error = refusal(on::<WithoutMore>(folder.path())).await;
    says(&error, &["declare it again", "`module.remove(\"more\")`"]);
    let grid = started::<Full>(folder.path()).await;
    assert_counts(&grid, MORE, 1).await;
    grid.shutdown().await.expect("it runs");
    let grid = started::<Removed>(folder.path()).await;
    assert_counts(&grid, SUM, 1).await;
    grid.shutdown().await.expect("it runs");
    // Its events are not gone: declared again, it has them all.
    let grid = started::<Full>(folder.path()).await;
    grid.caught_up("more").await;
    assert_counts(&grid, MORE, 1).await;
}

// Row 176: a tail that another version processed: that version replays it, or it is accepted.
#[tokio::test]
async fn r176_tail_of_another_version() {
    form!(Second, 2, module => {
        module.depot(EVENTS).depot(OTHER);
        module.stream("sum", SUM).source(EVENTS).each(add);
        module.stream("more", MORE).source(OTHER).each(add);
    });
    for accept in [false, true] {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let grid = started::<Full>(folder.path()).await;
        append_all(&grid).await;
        grid.halt().await;
        let error = refusal(on::<Second>(folder.path())).await;
        says(&error, &["Start version 1 once and shut it down", "`accept_replay_with_new_code()`"]);
        let mut builder = on::<Second>(folder.path());
        if accept {
            builder = builder.accept_replay_with_new_code();
        } else {
            started::<Full>(folder.path()).await.shutdown().await.expect("it runs");
        }
        let grid = builder.start().await.expect("the advice was followed");
        assert_counts(&grid, SUM, 1).await;
        assert_counts(&grid, MORE, 1).await;
    }
}

// Row 176: another number of partitions: the right one is named.
#[tokio::test]
async fn r176_partitions_are_named() {
    let folder = folder::<Full>().await;
    let error = refusal(on::<Full>(folder.path()).partitions(5)).await;
    says(&error, &["start it with 2"]);
    let grid = on::<Full>(folder.path()).partitions(2).start().await.expect("as advised");
    assert_counts(&grid, SUM, 1).await;
    assert_counts(&grid, MORE, 1).await;
}

// Row 024: a run that is damaged inside: with new names for its topology and PState, and the old one
// removed, the view is filled from the log.
#[tokio::test]
async fn r024_damaged_run_is_filled_anew() {
    const MORE_AGAIN: PState<Map<u64, u64>> = PState::new("m/more-again");
    form!(NewNames, module => {
        module.depot(EVENTS).depot(OTHER).remove("more");
        module.stream("sum", SUM).source(EVENTS).each(add);
        module.stream("more-again", MORE_AGAIN).source(OTHER).each(add);
    });
    let folder = folder::<Full>().await;
    let runs = std::fs::read_dir(folder.path().join("m/0/runs")).expect("it is there");
    for run in runs.map(|run| run.expect("it is there").path()) {
        let mut bytes = std::fs::read(&run).expect("it is there");
        // Behind the header, in the first entries.
        bytes[80] ^= 1;
        std::fs::write(&run, bytes).expect("it is there");
    }
    let grid = started::<Full>(folder.path()).await;
    let error = counts(&grid, MORE).await.expect_err("it is damaged");
    says(&error, &["give the topology and its PStates new names", "`module.remove(..)`"]);
    grid.halt().await;
    let grid = started::<NewNames>(folder.path()).await;
    grid.caught_up("more-again").await;
    assert_counts(&grid, MORE_AGAIN, 1).await;
}

// Row 118: `refill` names a topology of the code.
#[tokio::test]
async fn r118_refill_of_nothing() {
    form!(Mistyped, module => {
        module.depot(EVENTS).refill("sun");
        module.stream("sum", SUM).source(EVENTS).each(add);
    });
    let error = refusal(Grid::in_memory().module::<Mistyped>()).await;
    says(&error, &["`refill(\"sun\")` names no topology", "the name that `stream` is given"]);
}
