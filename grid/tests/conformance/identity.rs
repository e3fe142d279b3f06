//! Every file says whose it is, and what is gone is missed: files that change places are refused, or
//! the values are right.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use gridmill::folder::{Folder, FolderError, Verification};
use gridmill::prelude::*;
use gridmill::{GridBuilder, StartError};

use crate::bad_input::{refusal, says};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const ADDS: Depot<(u64, u64)> = Depot::hash_by("swap/adds", |add: &(u64, u64)| add.0.into());
const SUMS: PState<Map<u64, u64>> = PState::new("swap/sums");
const LAST: PState<Map<u64, u64>> = PState::new("swap/last");

struct Swap;

impl Module for Swap {
    const NAME: &'static str = "swap";

    fn define(module: &mut Setup) {
        module.depot(ADDS);
        module.stream("add", (SUMS, LAST)).source(ADDS).each(
            |(key, number): (u64, u64), (sums, last): (&mut Map<u64, u64>, &mut Map<u64, u64>)| {
                *sums.entry(key).or_default() += number;
                last.insert(key, number);
            },
        );
    }
}

const PARTITIONS: u32 = 2;

fn builder(folder: &Path) -> GridBuilder {
    Grid::builder(folder).partitions(PARTITIONS).threads(1).module::<Swap>()
}

/// What the `part`th life of the grid `seed` appends.
fn adds(seed: u64, part: u64) -> Vec<(u64, u64)> {
    (0..10).map(|key| (key, 1_000 * seed + 100 * part + key)).collect()
}

async fn append(grid: &Grid, seed: u64, part: u64) -> Result {
    grid.client().append_many(ADDS, adds(seed, part)).await?;
    Ok(())
}

/// One life of a grid, ended by a stop or a kill.
async fn live(folder: &Path, seed: u64, part: u64, stop: bool) -> Result {
    let grid = builder(folder).start().await?;
    append(&grid, seed, part).await?;
    if stop {
        grid.shutdown().await?
    } else {
        grid.halt().await
    }
    Ok(())
}

#[derive(Debug, Default, PartialEq)]
struct Values {
    sums: BTreeMap<u64, u64>,
    last: BTreeMap<u64, u64>,
}

fn expected(seed: u64, parts: u64) -> Values {
    let mut values = Values::default();
    for (key, number) in (0..parts).flat_map(|part| adds(seed, part)) {
        *values.sums.entry(key).or_default() += number;
        values.last.insert(key, number);
    }
    values
}

async fn values(grid: &Grid) -> Result<Values> {
    let (client, mut values) = (grid.client(), Values::default());
    for partition in 0..PARTITIONS {
        values.sums.extend(client.select_on(partition, SUMS.all()).await?);
        values.last.extend(client.select_on(partition, LAST.all()).await?);
    }
    Ok(values)
}

/// Whether the log has all that was appended; an error where a record cannot be read.
async fn is_logged(grid: &Grid, seed: u64, parts: u64) -> Result<bool> {
    let client = grid.client();
    let mut found = Vec::new();
    for (partition, range) in (0..).zip(client.depot_info(ADDS).await?.ranges) {
        let read = client.depot_read(ADDS, partition, range.start..range.end).await?;
        found.extend(read.into_iter().map(|record| record.event));
    }
    let mut all: Vec<_> = (0..parts).flat_map(|part| adds(seed, part)).collect();
    found.sort_unstable();
    all.sort_unstable();
    Ok(found == all)
}

/// The paths below a folder that can change places, with what they are. Runs and segments are of one
/// kind wherever they lie.
fn pieces(root: &Path) -> Result<BTreeMap<&'static str, Vec<PathBuf>>> {
    let mut found = BTreeMap::<_, Vec<_>>::new();
    let mut open = vec![PathBuf::new()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(root.join(&dir))? {
            let path = dir.join(entry?.file_name());
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let kind = match name.as_str() {
                "GRID" | "MANIFEST" | "clean" | "log" | "runs" => {
                    ["GRID", "MANIFEST", "clean", "log", "runs"].into_iter().find(|k| *k == name)
                }
                "swap" => Some("module"),
                _ if name.ends_with(".run") => Some("run"),
                _ if name.ends_with(".seg") => Some("segment"),
                _ if name.parse::<u32>().is_ok() => Some("partition"),
                _ => None,
            };
            if root.join(&path).is_dir() {
                open.push(path.clone());
            }
            found.entry(kind.unwrap_or("other")).or_default().push(path);
        }
    }
    found.remove("other");
    found.values_mut().for_each(|paths| paths.sort());
    Ok(found)
}

pub(crate) fn copy(from: &Path, to: &Path) -> Result {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else {
        fs::copy(from, to)?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result {
    if path.is_dir() {
        fs::remove_dir_all(path)?
    } else {
        fs::remove_file(path)?
    }
    Ok(())
}

/// Every file below a folder, by its path in it.
fn files(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        } else {
            found.insert(path.strip_prefix(folder)?.to_path_buf(), fs::read(&path)?);
        }
    }
    Ok(found)
}

fn same(one: &Path, other: &Path) -> Result<bool> {
    if one.is_dir() != other.is_dir() {
        return Ok(false);
    }
    if one.is_dir() {
        return Ok(files(one)? == files(other)?);
    }
    Ok(fs::read(one)? == fs::read(other)?)
}

/// Folders among which files change places.
struct Folders {
    root: tempfile::TempDir,
}

const SEED: u64 = 7;
const PARTS: u64 = 4;

impl Folders {
    /// `mine`, a copy of it from `earlier`, and that of `another` grid with the same history.
    async fn new() -> Result<Self> {
        let folders = Self { root: tempfile::tempdir()? };
        for (name, seed) in [("mine", SEED), ("another", SEED + 1)] {
            let folder = folders.path(name);
            for part in 0..PARTS {
                live(&folder, seed, part, part != 2).await?;
                if name == "mine" && part == 1 {
                    copy(&folder, &folders.path("earlier"))?;
                }
            }
        }
        copy(&folders.path("mine"), &folders.path("whole"))?;
        Ok(folders)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Puts what lies at `source` into the place of `target` of `mine`.
    fn put(&self, source: &Path, target: &Path) -> Result {
        let target = self.path("mine").join(target);
        remove(&target)?;
        copy(source, &target)
    }

    fn verify(&self) -> Result<Verification> {
        Ok(Folder::open(self.path("mine"))?.verify())
    }

    /// Starts `mine` after an exchange: whether it was refused.
    async fn try_start(&self, what: &str) -> Result<bool> {
        let found = self.verify()?.problems;
        let grid = match builder(&self.path("mine")).start().await {
            Err(error) => {
                assert!(!found.is_empty(), "{what}: verify finds nothing, the start: {error}");
                return Ok(true);
            }
            Ok(grid) => grid,
        };
        assert_eq!(values(&grid).await?, expected(SEED, PARTS), "{what}: {found:?}");
        match is_logged(&grid, SEED, PARTS).await {
            Ok(all) => assert!(all, "{what}: records are missing or others"),
            Err(error) => assert!(!found.is_empty(), "{what}: verify finds nothing, {error}"),
        }
        grid.halt().await;
        Ok(false)
    }

    fn restore(&self) -> Result {
        remove(&self.path("mine"))?;
        copy(&self.path("whole"), &self.path("mine"))
    }
}

/// Tries every exchange; returns how many of each kind there were, and how many were refused.
async fn exchange(folders: &Folders) -> Result<BTreeMap<&'static str, (u32, u32)>> {
    let mut tried = BTreeMap::<_, (u32, u32)>::new();
    let whole = folders.path("whole");
    for (kind, targets) in pieces(&whole)? {
        for target in &targets {
            for donor in ["whole", "earlier", "another"] {
                let from = pieces(&folders.path(donor))?.remove(kind).unwrap_or_default();
                for source in from {
                    let donated = folders.path(donor).join(&source);
                    if same(&donated, &whole.join(target))? {
                        continue;
                    }
                    folders.put(&donated, target)?;
                    if donor == "whole" {
                        // The two change places.
                        folders.put(&whole.join(target), &source)?;
                    }
                    let what = format!("{} of {donor} as {}", source.display(), target.display());
                    let refused = folders.try_start(&what).await?;
                    let counts = tried.entry(kind).or_default();
                    *counts = (counts.0 + 1, counts.1 + u32::from(refused));
                    folders.restore()?;
                }
            }
        }
    }
    Ok(tried)
}

#[tokio::test]
async fn files_that_change_places_are_refused_or_the_values_are_right() -> Result {
    let folders = Folders::new().await?;
    let tried = exchange(&folders).await?;
    let kinds =
        ["GRID", "MANIFEST", "clean", "log", "module", "partition", "run", "runs", "segment"];
    assert!(tried.keys().eq(&kinds), "{tried:?}");
    // What holds values has no place but its own; an earlier GRID or MANIFEST knows less, and what it
    // knows is right.
    for kind in ["clean", "log", "module", "partition", "run"] {
        let (all, refused) = tried[kind];
        assert!(all > 0 && all == refused, "{kind}: {tried:?}");
    }
    Ok(())
}

/// A start that is refused leaves every byte as it was.
async fn refused(folder: &Path, parts: &[&str]) -> Result<StartError> {
    let before = files(folder)?;
    let error = refusal(builder(folder)).await;
    says(&error, parts);
    assert_eq!(files(folder)?, before, "{error}");
    Ok(error)
}

#[tokio::test]
async fn a_partition_that_is_gone_is_missed() -> Result {
    let folder = tempfile::tempdir()?;
    for part in 0..2 {
        live(folder.path(), SEED, part, part == 0).await?;
    }
    for gone in ["swap/1", "swap/1/MANIFEST", "swap/0", "swap"] {
        let (path, aside) = (folder.path().join(gone), folder.path().join("aside"));
        fs::rename(&path, &aside)?;
        let error =
            refused(folder.path(), &["module `swap`", "no manifest", "put it back"]).await?;
        assert!(matches!(error, StartError::Lost { .. }), "{error}");
        match Folder::open(folder.path()) {
            Ok(opened) => assert!(!opened.verify().problems.is_empty(), "{gone}"),
            // Nothing of it is left.
            Err(error) => assert!(matches!(error, FolderError::NotAGrid { .. }), "{error}"),
        }
        // Putting it back is all that is needed, as the error says.
        fs::rename(&aside, &path)?;
    }
    // The manifests know what the file at the root had.
    for gone in ["GRID", "swap/0"] {
        remove(&folder.path().join(gone))?;
    }
    let error = refusal(builder(folder.path())).await;
    assert!(matches!(error, StartError::Lost { partition: 0, .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_first_start_that_did_not_end_goes_on() -> Result {
    let folder = tempfile::tempdir()?;
    let before = builder(folder.path()).start().await?;
    before.halt().await;
    // As if the process had ended before the second partition was made.
    remove(&folder.path().join("GRID"))?;
    remove(&folder.path().join("swap/1"))?;
    live(folder.path(), SEED, 0, true).await?;
    let grid = builder(folder.path()).start().await?;
    assert_eq!(values(&grid).await?, expected(SEED, 1));
    grid.shutdown().await?;
    assert_eq!(Folder::open(folder.path())?.verify().problems, []);
    Ok(())
}

#[tokio::test]
async fn an_end_of_the_log_that_is_gone_is_missed() -> Result {
    let folder = tempfile::tempdir()?;
    for part in 0..3 {
        live(folder.path(), SEED, part, true).await?;
    }
    let log = folder.path().join("swap/1/log");
    let segment = log.join("0000000001.seg");
    let whole = fs::read(&segment)?;
    // The file is cut off in the middle of its records; then only the records are gone.
    let half = 4096 + (whole.iter().rposition(|&byte| byte != 0).unwrap_or(0) - 4096) / 2;
    for zeros in [0, whole.len() - half] {
        let cut = whole[..half].iter().copied().chain(std::iter::repeat_n(0, zeros));
        fs::write(&segment, cut.collect::<Vec<u8>>())?;
        refused(folder.path(), &["restore", "backup"]).await?;
        // Without the marker of the clean stop the end is found by reading; it is too early.
        fs::rename(log.join("clean"), folder.path().join("clean"))?;
        refusal(builder(folder.path())).await;
        fs::rename(folder.path().join("clean"), log.join("clean"))?;
    }
    // The advice: the file is restored.
    fs::write(&segment, whole)?;
    let grid = builder(folder.path()).start().await?;
    assert_eq!(values(&grid).await?, expected(SEED, 3));
    assert!(is_logged(&grid, SEED, 3).await?);
    grid.shutdown().await?;
    Ok(())
}

#[tokio::test]
async fn a_foreign_run_or_segment_is_not_deleted() -> Result {
    let folders = Folders::new().await?;
    let mine = folders.path("mine");
    let stray = mine.join("swap/0/runs/7777-00000001.run");
    let from = pieces(&folders.path("another"))?.remove("run").ok_or("no runs")?;
    copy(&folders.path("another").join(&from[0]), &stray)?;
    let grid = builder(&mine).start().await?;
    assert_eq!(values(&grid).await?, expected(SEED, PARTS));
    grid.shutdown().await?;
    assert!(stray.exists(), "another grid made it");
    let stray = mine.join("swap/0/log/0000000000.seg");
    copy(&folders.path("another/swap/0/log/0000000001.seg"), &stray)?;
    let error =
        refused(&mine, &["0000000000.seg", "belongs to the log", "put the files back"]).await?;
    assert!(matches!(error, StartError::Log { .. }), "{error}");
    remove(&stray)?;
    builder(&mine).start().await?.shutdown().await?;
    Ok(())
}

#[tokio::test]
async fn a_grid_keeps_its_folder_when_it_is_renamed() -> Result {
    let root = tempfile::tempdir()?;
    let (place, moved) = (root.path().join("data"), root.path().join("moved"));
    let first = builder(&place).start().await?;
    append(&first, 1, 0).await?;
    fs::rename(&place, &moved)?;
    // Where the folder was, another grid begins; where it is, none may.
    let second = builder(&place).start().await?;
    let error = refusal(builder(&moved)).await;
    assert!(matches!(error, StartError::InUse { .. }), "{error}");
    // Enough for new segments, flushes and manifests of either.
    for part in 1..4 {
        append(&first, 1, part).await?;
        append(&second, 2, part - 1).await?;
    }
    first.shutdown().await?;
    second.shutdown().await?;
    for (folder, seed, parts) in [(&moved, 1, 4), (&place, 2, 3)] {
        assert_eq!(Folder::open(folder)?.verify().problems, []);
        let grid = builder(folder).start().await?;
        assert_eq!(values(&grid).await?, expected(seed, parts), "{}", folder.display());
        assert!(is_logged(&grid, seed, parts).await?);
        grid.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_deleted_lock_file_lets_nobody_in() -> Result {
    let folder = tempfile::tempdir()?;
    let grid = builder(folder.path()).start().await?;
    append(&grid, 1, 0).await?;
    fs::remove_file(folder.path().join("LOCK"))?;
    let error = refusal(builder(folder.path())).await;
    assert!(matches!(error, StartError::InUse { .. }), "{error}");
    let error = Folder::open(folder.path()).map(drop).expect_err("a grid runs there");
    assert!(matches!(error, FolderError::InUse { .. }), "{error}");
    append(&grid, 1, 1).await?;
    grid.shutdown().await?;
    let grid = builder(folder.path()).start().await?;
    assert_eq!(values(&grid).await?, expected(1, 2));
    Ok(())
}
