//! Bad input: each a typed error that says what, where, expected, got and what to do.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use gridmill::client::{AppendErrorKind, ReadError};
use gridmill::prelude::*;
use gridmill::{GridBuilder, StartError};

use crate::ledger::{COUNTS, ENTRIES, Entry, IDS, Ledger};

const FOLDER: &str = "GRIDMILL_TEST_HELD_FOLDER";

/// Asserts that an error's text has all of `parts`.
pub(crate) fn says(error: &dyn std::fmt::Display, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
}

/// Why a grid does not start.
pub(crate) async fn refusal(builder: GridBuilder) -> StartError {
    match builder.start().await {
        Ok(_) => panic!("it has started"),
        Err(error) => error,
    }
}

fn ledger(folder: &std::path::Path) -> GridBuilder {
    Grid::builder(folder).partitions(2).module::<Ledger>()
}

// Row 024: two grids never share a folder, in one process or in two.
#[tokio::test]
async fn r024_folder_in_use() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let grid = ledger(folder.path()).start().await.expect("a fresh folder");
    let error = refusal(ledger(folder.path())).await;
    assert!(matches!(error, StartError::InUse { .. }), "{error}");
    says(
        &error,
        &["in use by another grid", &folder.path().display().to_string(), "stop that one"],
    );
    grid.halt().await;

    let program = std::env::current_exe().expect("a test knows its program");
    let mut other = Command::new(program)
        .args(["bad_input::child_that_holds_a_folder", "--exact", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let out = BufReader::new(other.stdout.take().expect("it was asked for"));
    let held = out.lines().map_while(Result::ok).any(|line| line == "held");
    assert!(held, "the other process holds the folder");
    let error = refusal(ledger(folder.path())).await;
    assert!(matches!(error, StartError::InUse { .. }), "{error}");
    drop(other.stdin.take());
    other.wait().expect("it ends when its input does");
    ledger(folder.path()).start().await.expect("the folder is free again");
}

/// What the other process does; a test only because it has to be in this program.
#[tokio::test]
async fn child_that_holds_a_folder() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let _grid = ledger(folder.as_ref()).start().await.expect("the folder is free");
    let mut out = std::io::stdout();
    out.write_all(b"\nheld\n").and_then(|()| out.flush()).expect("the parent listens");
    let mut end = String::new();
    std::io::stdin().read_line(&mut end).expect("the parent closes it");
}

// Row 024: a folder that is none, and one that cannot be made.
#[tokio::test]
async fn r024_folder_unusable() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("file");
    std::fs::write(&file, b"no folder").expect("the folder is ours");
    for path in [file.as_path(), "/proc/gridmill".as_ref()] {
        let error = refusal(ledger(path)).await;
        assert!(matches!(error, StartError::Folder { .. }), "{error}");
        says(&error, &["the data folder", &path.display().to_string(), "cannot be used"]);
    }
}

// Row 024: an option that cannot work is refused before anything is touched.
#[tokio::test]
async fn r024_bad_options() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = folder.path().join("data");
    let start = || Grid::builder(&data).module::<Ledger>();
    for (builder, parts) in [
        (start().partitions(0), ["`partitions` is 0", "1 to 4096"]),
        (start().partitions(5000), ["`partitions` is 5000", "1 to 4096"]),
        (start().threads(0), ["`threads` is 0", "1 to 1024"]),
        (start().event_bytes_max(17 << 20), ["`event_bytes_max` is 17825792", "1 to 16 MiB"]),
        (start().value_bytes_max(0), ["`value_bytes_max` is 0", "1 to 32 MiB"]),
        (start().value_bytes_max((32 << 20) + 1), ["`value_bytes_max` is 33554433", "1 to 32 MiB"]),
        (start().mailbox_bytes_max(0), ["`mailbox_bytes_max` is 0", "at least 1"]),
        (start().attempts(0), ["`attempts` is 0", "at least 1"]),
        (Grid::builder(&data), ["`module` is missing", ".module::<M>()"]),
    ] {
        let error = refusal(builder).await;
        assert!(matches!(error, StartError::Option { .. }), "{error}");
        says(&error, &parts);
    }
    assert!(!data.exists(), "nothing was created");
}

const ELSEWHERE: Depot<Entry> = Depot::hash_by("ledger/entrys", |_| "".into());
const AS_TEXT: Depot<Str> = Depot::hash_by("ledger/entries", |text| text.as_str().into());
const NO_VIEW: PState<Map<Str, u64>> = PState::new("ledger/cuonts");
const AS_TEXTS: PState<Map<Str, Str>> = PState::new("ledger/counts");

// Row 115: handles that name nothing, or something else, are refused with what there is.
#[tokio::test]
async fn r115_wrong_handles() {
    let grid = Grid::in_memory().module::<Ledger>().start().await.expect("a fresh disk");
    let client = grid.client();
    let error = client.append(ELSEWHERE, Entry::of(0, 0, 0)).await.expect_err("no such depot");
    assert!(matches!(error.kind, AppendErrorKind::UnknownDepot { .. }));
    assert!(error.events.is_some(), "the event comes back");
    says(&error, &["`ledger/entrys`", "ledger/entries", "module.depot"]);
    let error = client.append(AS_TEXT, "text".into()).await.expect_err("another type");
    assert!(matches!(error.kind, AppendErrorKind::WrongEvent { .. }));
    says(&error, &["`ledger/entries`", "Entry", "use the constant that declares it"]);
    let error = client.select(NO_VIEW.key("a")).await.expect_err("no such PState");
    assert!(matches!(error, ReadError::UnknownPState { .. }));
    says(&error, &["`ledger/cuonts`", "ledger/counts"]);
    let error = client.select(AS_TEXTS.key("a")).await.expect_err("another type");
    assert!(matches!(error, ReadError::WrongRoot { .. }));
    says(&error, &["`ledger/counts`", "u64", "the handle says", "use the constant"]);
    let error = client.select_on(9, COUNTS.all()).await.expect_err("no such partition");
    says(&error, &["partitions 0 to 3", "partition 9 was asked for"]);
    let error = client.select(COUNTS.all()).await.expect_err("which partition?");
    says(&error, &["`ledger/counts` has 4 partitions", "start it with `key`"]);
}

// Row 115: the same for names and paths that come as text.
#[tokio::test]
async fn r115_wrong_text() {
    let grid = Grid::in_memory().module::<Ledger>().start().await.expect("a fresh disk");
    let client = grid.client();
    let error = client.append_json("nothing", "{}").await.expect_err("no such depot");
    says(&error, &["`nothing`", "ledger/entries"]);
    let error = client.append_json("ledger/entries", r#"{"Put":{"key":7}}"#).await;
    says(&error.expect_err("a key is text"), &["`ledger/entries`"]);
    let error = client.select_json("nothing", "[]").await.expect_err("no such PState");
    says(&error, &["`nothing`", "ledger/counts"]);
    for path in
        ["no json", "{}", r#"[["fly", 3]]"#, r#"[["key", 3]]"#, r#"[["key", "a"], ["nth", 0]]"#]
    {
        let error = client.select_json("ledger/counts", path).await.expect_err(path);
        assert!(matches!(error, ReadError::Path(_)), "{path}: {error}");
        says(&error, &["path on PState 'ledger/counts'", "expected", "got"]);
    }
}

// Row 053: an event over the limit is refused before anything is queued, alone and in a batch.
#[tokio::test]
async fn r053_event_too_large() {
    let builder = Grid::in_memory().module::<Ledger>().event_bytes_max(1000);
    let grid = builder.start().await.expect("a fresh disk");
    let client = grid.client();
    let large = Entry::Put { key: "k".into(), id: 1, padding: "x".repeat(1000).into() };
    let error = client.append(ENTRIES, large.clone()).await.expect_err("it is too large");
    let AppendErrorKind::TooLarge { expected: 1000, got, .. } = error.kind else {
        panic!("{error}")
    };
    assert!(got > 1000);
    says(&error, &["event 0 for depot `ledger/entries`", "at most 1000 are allowed", "split it"]);
    assert_eq!(error.events, Some(large.clone()), "the event comes back");
    let many = vec![Entry::of(0, 0, 0), large, Entry::of(0, 2, 0)];
    let error = client.append_many(ENTRIES, many).await.expect_err("one of them is too large");
    says(&error, &["event 1 for depot `ledger/entries`", "at most 1000 are allowed"]);
    assert_eq!(error.not_logged.len(), 3, "all events come back");
    assert_eq!(client.depot_info(ENTRIES).await.expect("it runs").records(), 0);
}

// Row 144: a value over the limit is a verdict on the record that made it; others go on.
#[tokio::test]
async fn r144_value_too_large() {
    let builder = Grid::in_memory().partitions(1).module::<Ledger>().value_bytes_max(100);
    let grid = builder.start().await.expect("a fresh disk");
    let client = grid.client();
    let put = |id| Entry::Put { key: "k".into(), id, padding: "".into() };
    let mut refused = None;
    for id in 0..100 {
        match client.append(ENTRIES, put(id)).await {
            Ok(_) => {}
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    let refused = refused.expect("the list outgrows 100 bytes");
    let AppendErrorKind::Rejected(rejected) = &refused.kind else { panic!("{refused}") };
    assert!(rejected.rejections[0].quarantined);
    says(&refused, &["topology `ids`", "key \"k\" of PState `ledger/ids`", "at most 100"]);
    says(&refused, &["spread it over more keys", "`value_bytes_max`"]);
    let record = grid.quarantine().pop().expect("the record is set aside");
    assert_eq!((record.topology.as_str(), record.depot.as_str()), ("ids", "ledger/entries"));
    let kept = client.select_one(IDS.key("k")).await.expect("it runs").expect("a list");
    assert_eq!(kept.len() as u64, record.offset, "all before it are there, it is not");
    let other = Entry::Put { key: "other".into(), id: 1000, padding: "".into() };
    client.append(ENTRIES, other).await.expect("other keys go on");
    grid.discard_quarantined(&record).await.expect("it is in quarantine");
    assert!(grid.quarantine().is_empty(), "whoever was answered sees it");
    let error = grid.discard_quarantined(&record).await.expect_err("it is not there any more");
    says(&error, &["`ids`", "in quarantine", "grid.quarantine()"]);
}

// Row 115: options that cannot work are refused before a folder is touched.
#[tokio::test]
async fn r115_options_that_cannot_work() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let never = ledger(folder.path()).durability(Durability::Interval(Duration::ZERO));
    says(&refusal(never).await, &["`durability`", "Interval(0ns)", "Durability::Sync"]);
    let position = gridmill::persistence::Position::new(0, 1);
    for (module, partition) in [("ledgre", 0), ("ledger", 2)] {
        let error = refusal(ledger(folder.path()).quarantine_at(module, partition, position)).await;
        says(&error, &["`quarantine_at`", &format!("partition {partition} of module `{module}`")]);
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0);
}

struct TwoDepots;

impl Module for TwoDepots {
    const NAME: &'static str = "two_depots";

    fn define(module: &mut Setup) {
        let _ = module.stream("counts", COUNTS);
    }
}

// Row 115: what is wrong with a declaration is said once, with the module's name.
#[tokio::test]
async fn r115_a_wrong_declaration_is_told_once() {
    let error = refusal(Grid::in_memory().module::<TwoDepots>()).await;
    says(&error, &["module `two_depots` cannot be started: "]);
    assert_eq!(error.to_string().matches("cannot be started").count(), 1, "{error}");
}
