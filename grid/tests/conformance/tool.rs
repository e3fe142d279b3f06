//! The folder tool: `verify`, `inspect` and `dump`, and a running grid that checks its own files.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use gridmill::folder::{Folder, FolderError};
use gridmill::persistence::SimStorage;
use gridmill::prelude::*;

use crate::todo::{EVENTS, TODOS, TodoEvent, TodoModule};

type Checked = Result<(), Box<dyn Error>>;

/// A cleanly stopped folder of two partitions with some users' todos.
async fn stopped_folder() -> Result<tempfile::TempDir, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let grid = start(folder.path()).await?;
    fill(&grid, 40).await?;
    grid.shutdown().await?;
    Ok(folder)
}

async fn start(folder: &Path) -> Result<Grid, Box<dyn Error>> {
    let builder = Grid::builder(folder).clock(Clock::manual(1_000_000)).partitions(2);
    Ok(builder.module::<TodoModule>().start().await?)
}

async fn fill(grid: &Grid, records: u32) -> Checked {
    let client = grid.client();
    let events = (0..records).map(|number| TodoEvent::New {
        user: format!("user {}", number % 7).into(),
        text: format!("task {number}").into(),
    });
    client.append_many(EVENTS, events.collect::<Vec<_>>()).await?;
    Ok(())
}

fn tool(arguments: &[&str], folder: Option<&Path>) -> Result<(i32, String), Box<dyn Error>> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gridmill"));
    let (name, rest) = arguments.split_at(arguments.len().min(1));
    let Output { status, stdout, stderr } = command.args(name).args(folder).args(rest).output()?;
    let text = format!("{}{}", String::from_utf8(stdout)?, String::from_utf8(stderr)?);
    Ok((status.code().unwrap_or(-1), text))
}

type Files = Vec<(PathBuf, Vec<u8>)>;

/// Every file below a folder, with its content.
fn files(folder: &Path) -> Result<Files, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push((path.clone(), std::fs::read(path)?));
        }
    }
    found.sort();
    Ok(found)
}

#[tokio::test]
async fn a_whole_folder_is_verified_and_stays_as_it_was() -> Checked {
    let folder = stopped_folder().await?;
    let before = files(folder.path())?;
    let (code, text) = tool(&["verify"], Some(folder.path()))?;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("2 partitions: 40 records in 2 segments"), "{text}");
    assert!(text.ends_with("everything is as it was written\n"), "{text}");
    for command in [&["inspect"][..], &["inspect", "--json"], &["dump", "todo/events"]] {
        let (code, text) = tool(command, Some(folder.path()))?;
        assert_eq!(code, 0, "{text}");
    }
    assert_eq!(files(folder.path())?, before);
    Ok(())
}

#[tokio::test]
async fn a_killed_folder_is_read_with_its_tail() -> Checked {
    let folder = tempfile::tempdir()?;
    let grid = start(folder.path()).await?;
    fill(&grid, 40).await?;
    grid.halt().await;
    let opened = Folder::open(folder.path())?;
    let found = opened.verify();
    assert_eq!((found.records, &found.problems[..]), (40, &[][..]));
    let inspection = opened.inspect()?;
    let partitions = &inspection.modules[0].partitions;
    assert_eq!(partitions.iter().map(|one| one.topologies[0].lag).sum::<u64>(), 40);
    assert!(partitions.iter().all(|one| one.stopped == "unclean"));
    assert_eq!(opened.records("todo/events", None, 0)?.count(), 40);
    Ok(())
}

#[tokio::test]
async fn inspect_shows_what_a_folder_holds() -> Checked {
    let folder = stopped_folder().await?;
    let (_, text) = tool(&["inspect"], Some(folder.path()))?;
    for part in [
        "module todo: version 1, 2 partitions",
        "todo/events  partitioned       40",
        "todo/events  Complete  ",
        "todo/todos      todos           7",
        "Map<Str, List<Todo { text: Str, completed_at: Option<i64> }>>",
        "live",
        "clean",
    ] {
        assert!(text.contains(part), "`{part}` in:\n{text}");
    }
    let (_, json) = tool(&["inspect", "--json"], Some(folder.path()))?;
    let json: serde_json::Value = serde_json::from_str(&json)?;
    let partition = &json["modules"][0]["partitions"][1];
    assert_eq!(partition["depots"][0]["name"], "todo/events");
    assert_eq!(partition["topologies"][0]["pstates"][0]["runs"][0]["deletions"], 0);
    Ok(())
}

#[tokio::test]
async fn dump_prints_records_with_positions_and_times() -> Checked {
    let folder = stopped_folder().await?;
    let depot = |rest: &[&'static str]| {
        let arguments: Vec<&str> =
            ["dump", "todo/events"].into_iter().chain(rest.to_vec()).collect();
        tool(&arguments, Some(folder.path()))
    };
    let (code, text) = depot(&["--partition", "1", "--from", "2", "--limit", "3"])?;
    assert_eq!(code, 0, "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!(lines[0], "# PARTITION/OFFSET at EPOCH:POSITION TIME [hop|sent] EVENT FIELDS");
    let head = "1/2 at 0:2 1970-01-01T00:00:01.000000Z New {\"text\":\"task ";
    assert!(lines[1].starts_with(head), "{text}");
    let (_, all) = depot(&["--json"])?;
    let mut texts = Vec::new();
    for line in all.lines() {
        let record: serde_json::Value = serde_json::from_str(line)?;
        assert_eq!(record["kind"], "event");
        texts.push(record["event"]["text"].as_str().unwrap_or_default().to_owned());
    }
    let mut expected: Vec<String> = (0..40).map(|number| format!("task {number}")).collect();
    texts.sort_unstable();
    expected.sort_unstable();
    assert_eq!(texts, expected);
    Ok(())
}

#[tokio::test]
async fn wrong_arguments_are_told_with_exit_code_2() -> Checked {
    let folder = stopped_folder().await?;
    let empty = tempfile::tempdir()?;
    let there = Some(folder.path());
    for (arguments, at, expected) in [
        (&[][..], None, "which command?"),
        (&["mend"][..], there, "there is no command `mend`"),
        (&["verify"], None, "verify: which folder?"),
        (&["verify", "more"], there, "`more` is one argument too many"),
        (&["verify", "--limit", "3"], there, "belong to `dump`"),
        (&["dump"], there, "dump: which depot?"),
        (&["dump", "x", "--from", "much"], there, "--from needs a number from 0, got `much`"),
        (&["dump", "x", "--limit=-1"], there, "--limit needs a number from 0, got `-1`"),
        (&["dump", "x", "--partition"], there, "--partition needs a number from 0, got `nothing`"),
        (&["inspect", "--color"], there, "there is no option `--color`"),
        (&["inspect", "--json=no"], there, "--json takes no value"),
        (&["dump", "no/depot"], there, "there is no depot `no/depot` in the folder; it has todo"),
        (&["dump", "todo/events", "--partition", "2"], there, "partitions 0 to 1, got 2"),
        (&["inspect"], Some(empty.path()), "holds no grid"),
        (&["inspect"], Some(Path::new("/no/such/folder")), "/no/such/folder holds no grid"),
    ] {
        let (code, text) = tool(arguments, at)?;
        assert_eq!(code, 2, "{arguments:?}: {text}");
        assert!(text.contains(expected), "{arguments:?}: {text}");
        assert!(text.lines().count() <= 2, "the message and the way to the help: {text}");
    }
    let (code, text) = tool(&["--help"], None)?;
    assert_eq!((code, text.contains("gridmill verify DIR")), (0, true));
    Ok(())
}

#[tokio::test]
async fn a_folder_in_use_is_refused() -> Checked {
    let folder = stopped_folder().await?;
    let grid = start(folder.path()).await?;
    let (code, text) = tool(&["verify"], Some(folder.path()))?;
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("a grid runs in "), "{text}");
    grid.shutdown().await?;
    let reading = Folder::open(folder.path())?;
    let refused = start(folder.path()).await.err().map(|error| error.to_string());
    assert!(refused.is_some_and(|error| error.contains("in use")));
    assert!(Folder::open(folder.path()).is_ok(), "two tools may read at once");
    drop(reading);
    start(folder.path()).await?.shutdown().await?;
    Ok(())
}

/// The tool with so many descriptors, its own input and output among them.
fn tool_with_descriptors(
    descriptors: u32,
    arguments: &[&str],
    folder: &Path,
) -> Result<(i32, String), Box<dyn Error>> {
    let mut command = Command::new("sh");
    let (name, rest) = arguments.split_at(1);
    command.args(["-c", &format!("ulimit -n {descriptors}; exec \"$@\""), "sh"]);
    command.arg(env!("CARGO_BIN_EXE_gridmill")).args(name).arg(folder).args(rest);
    let Output { status, stdout, stderr } = command.output()?;
    let text = format!("{}{}", String::from_utf8(stdout)?, String::from_utf8(stderr)?);
    Ok((status.code().unwrap_or(-1), text))
}

#[tokio::test]
async fn what_the_system_does_not_let_be_read_is_not_called_damage() -> Checked {
    let folder = stopped_folder().await?;
    let commands: [&[&str]; 3] = [&["verify"], &["inspect"], &["dump", "todo/events"]];
    for arguments in commands {
        let mut codes = Vec::new();
        for descriptors in 4..12 {
            let (code, text) = tool_with_descriptors(descriptors, arguments, folder.path())?;
            assert!(!text.contains("damage") && !text.contains("DAMAGED"), "{text}");
            assert!(code == 0 || text.contains("Too many open files"), "{code}: {text}");
            codes.push(code);
        }
        assert_eq!((codes[0], codes[7]), (3, 0), "{arguments:?}: {codes:?}");
        assert!(codes.iter().all(|code| [0, 3].contains(code)), "{codes:?}");
    }
    for part in ["todo/1/log", "todo/1/runs", "todo/1/MANIFEST", "todo"] {
        let path = folder.path().join(part);
        let before = std::fs::metadata(&path)?.permissions();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o0))?;
        // Nothing is kept from root.
        let kept = std::fs::File::open(&path).is_err();
        let (code, text) = tool(&["verify"], Some(folder.path()))?;
        std::fs::set_permissions(&path, before)?;
        assert_eq!(code, if kept { 3 } else { 0 }, "{part}: {text}");
        assert!(!kept || text.contains("Permission denied"), "{part}: {text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_damage_and_no_signal() -> Checked {
    for (part, len) in [("log/", 4096 + 100), ("runs/", 100), ("MANIFEST", 20)] {
        let folder = stopped_folder().await?;
        let all = files(folder.path())?;
        let file = all.iter().map(|(path, _)| path).find(|path| {
            let path = path.to_string_lossy();
            path.contains(part) && !path.ends_with("clean")
        });
        std::fs::OpenOptions::new().write(true).open(file.ok_or(part)?)?.set_len(len)?;
        let (code, text) = tool(&["verify"], Some(folder.path()))?;
        assert_eq!(code, 1, "{part}: {text}");
    }
    Ok(())
}

/// Flips one bit in the middle of a file.
fn damage(path: &Path, offset: usize) -> Checked {
    let mut bytes = std::fs::read(path)?;
    bytes[offset] ^= 4;
    Ok(std::fs::write(path, bytes)?)
}

#[tokio::test]
async fn damage_is_named_with_its_file_and_offset() -> Checked {
    for (part, offset) in [("log/", 4096 + 80), ("runs/", 70), ("MANIFEST", 30)] {
        let folder = stopped_folder().await?;
        let all = files(folder.path())?;
        let wanted = |path: &Path| {
            let path = path.to_string_lossy();
            path.contains(part) && !path.ends_with("clean")
        };
        let file = all.into_iter().map(|(path, _)| path).find(|path| wanted(path));
        let file = file.ok_or(part)?;
        damage(&file, offset)?;
        let (code, text) = tool(&["verify"], Some(folder.path()))?;
        assert_eq!(code, 1, "{part}: {text}");
        let named = format!("DAMAGED: damaged data in {} at byte ", file.display());
        assert!(text.contains(&named), "{part}: {text}");
        assert!(text.ends_with("\n1 problem\n"), "{part}: {text}");
    }
    Ok(())
}

#[tokio::test]
async fn dump_prints_what_lies_before_the_damage() -> Checked {
    let folder = stopped_folder().await?;
    let mut all = files(folder.path())?;
    all.retain(|(path, _)| path.to_string_lossy().contains("0/log/") && !path.ends_with("clean"));
    let file = all[0].0.clone();
    let opened = Folder::open(folder.path())?;
    let count = opened.records("todo/events", Some(0), 0)?.count();
    drop(opened);
    let last = all[0].1.windows(5).rposition(|five| five == b"task ");
    damage(&file, last.ok_or("no task in the log")?)?;
    let (code, text) = tool(&["dump", "todo/events", "--partition", "0"], Some(folder.path()))?;
    assert_eq!(code, 1, "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("0/")).count(), count - 1, "{text}");
    assert!(text.contains(&format!("damaged data in {} at byte ", file.display())), "{text}");
    Ok(())
}

#[tokio::test]
async fn files_that_contradict_each_other_are_found() -> Checked {
    let folder = stopped_folder().await?;
    let older = tempfile::tempdir()?;
    for name in ["log", "MANIFEST"] {
        let from = folder.path().join("todo/0").join(name);
        copy(&from, &older.path().join(name))?;
    }
    let grid = start(folder.path()).await?;
    fill(&grid, 40).await?;
    grid.shutdown().await?;
    // An older log under a newer manifest has lost what the runs know.
    let log = folder.path().join("todo/0/log");
    std::fs::remove_dir_all(&log)?;
    copy(&older.path().join("log"), &log)?;
    let found = Folder::open(folder.path())?.verify();
    let texts: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("topology `todos` has records up to"), "{texts:?}");
    std::fs::remove_dir_all(folder.path().join("todo/0"))?;
    let found = Folder::open(folder.path())?.verify();
    let texts: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("expected partition 0 of 2, got no folder"), "{texts:?}");
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Checked {
    if !from.is_dir() {
        std::fs::copy(from, to)?;
        return Ok(());
    }
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_running_grid_verifies_its_files() -> Checked {
    let storage = Arc::new(SimStorage::new());
    let builder = Grid::in_memory().partitions(2).storage(Arc::clone(&storage) as _);
    let grid = builder.overlay_bytes_max(1 << 12).module::<TodoModule>().start().await?;
    for _ in 0..20 {
        fill(&grid, 40).await?;
    }
    assert!(grid.stats().total(|partition| partition.flushes) > 0, "runs are there to be read");
    let found = grid.verify().await;
    assert_eq!(found.problems, []);
    assert_eq!((found.partitions, found.records), (2, 800));
    assert!(found.runs > 0);
    let list = grid.client().select_one(TODOS.key("user 3")).await?;
    assert!(list.is_some(), "the grid goes on");
    Ok(())
}

#[tokio::test]
async fn a_grid_nearby_is_named() -> Checked {
    let folder = stopped_folder().await?;
    let outer = tempfile::tempdir()?;
    let inner = outer.path().join("grid");
    copy(folder.path(), &inner)?;
    let module = inner.join("todo");
    for asked in [outer.path(), &module, &module.join("0")] {
        let (code, text) = tool(&["inspect"], Some(asked))?;
        assert_eq!(code, 2, "{text}");
        let told =
            text.split_once(" holds no grid, but ").and_then(|(_, rest)| rest.split_once(" does:"));
        let told = told.ok_or_else(|| text.clone())?.0;
        assert_eq!(Path::new(told).canonicalize()?, inner.canonicalize()?);
        assert_eq!(tool(&["inspect"], Some(Path::new(told)))?.0, 0);
    }
    Ok(())
}

#[test]
fn a_folder_of_something_else_is_no_grid() -> Checked {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir_all(folder.path().join("src/x"))?;
    let refused = Folder::open(folder.path());
    assert!(matches!(refused, Err(FolderError::NotAGrid { .. })), "{refused:?}");
    Ok(())
}

// A first start that was killed, or refused, leaves folders in which nothing ever was: the tool says so, and
// calls nothing damaged.
#[tokio::test]
async fn what_a_first_start_left_is_no_damage() -> Checked {
    let folder = tempfile::tempdir()?;
    for partition in 0..3 {
        std::fs::create_dir_all(folder.path().join(format!("todo/{partition}/runs")))?;
    }
    let (code, text) = tool(&["verify"], Some(folder.path()))?;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("todo/2 was left by a start that did not come to its end"), "{text}");
    // The start that comes to its end may have fewer partitions.
    let grid = start(folder.path()).await?;
    fill(&grid, 40).await?;
    grid.shutdown().await?;
    let (code, text) = tool(&["verify"], Some(folder.path()))?;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("todo/2 was left by a start") && !text.contains("todo/1 was"), "{text}");
    let (code, text) = tool(&["inspect"], Some(folder.path()))?;
    assert!(code == 0 && text.contains("todo/events"), "{text}");
    let (code, text) = tool(&["dump", "todo/events"], Some(folder.path()))?;
    assert!(code == 0 && text.contains("task 39"), "{text}");
    // A partition that was begun is missed.
    std::fs::remove_file(folder.path().join("todo/1/MANIFEST"))?;
    let (code, text) = tool(&["verify"], Some(folder.path()))?;
    assert!(code == 1 && text.contains("todo/1/MANIFEST"), "{text}");
    Ok(())
}

// A log without segments beside its manifest is lost, not new.
#[tokio::test]
async fn a_log_that_is_gone_is_no_fresh_one() -> Checked {
    let folder = tempfile::tempdir()?;
    let grid = start(folder.path()).await?;
    fill(&grid, 40).await?;
    grid.halt().await;
    let log = folder.path().join("todo/1/log");
    for segment in std::fs::read_dir(&log)? {
        std::fs::write(segment?.path(), [])?;
    }
    let before = files(folder.path())?;
    let error = start(folder.path()).await.err().ok_or("it has started")?;
    assert!(error.to_string().contains("expected segments of a log, got none"), "{error}");
    assert!(files(folder.path())? == before, "a refused start has changed the folder");
    let (code, text) = tool(&["verify"], Some(folder.path()))?;
    assert!(code == 1 && text.contains("expected segments of a log"), "{text}");
    Ok(())
}
