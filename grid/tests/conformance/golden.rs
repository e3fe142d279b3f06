//! Folders that earlier formats left: they open with the values that they had, and go on.
//!
//! `tests/golden/` holds them as files whose zeros at the end are cut off; `LENGTHS` says how long
//! they were. [`write_golden`] makes the folders of the format of today.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use gridmill::GridBuilder;
use gridmill::folder::Folder;
use gridmill::prelude::*;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

#[record]
#[derive(Eq)]
enum Change {
    Add { key: u64, word: Str },
    Write { key: u64, bytes: u32 },
    Drop { key: u64 },
    Poison { key: u64 },
}

impl Change {
    fn key(&self) -> u64 {
        match self {
            Self::Add { key, .. }
            | Self::Write { key, .. }
            | Self::Drop { key }
            | Self::Poison { key } => *key,
        }
    }
}

const CHANGES: Depot<Change> = Depot::hash_by("golden/changes", |change| change.key().into());
const TAGS: Depot<(Str, Str, u64)> =
    Depot::hash_by("golden/tags", |tag: &(Str, Str, u64)| tag.0.as_str().into());
const NOTICES: Depot<Str> = Depot::<Str>::random("golden/notices").global();

const COUNTS: PState<Map<u64, u64>> = PState::new("golden/counts");
const WORDS: PState<Map<u64, List<Str>>> = PState::new("golden/words");
const TEXTS: PState<Map<u64, String>> = PState::new("golden/texts");
const TREE: PState<Map<Str, Map<Str, Set<u64>>>> = PState::new("golden/tree");
const TAGGED: PState<u64> = PState::new("golden/tagged").local();
const BOARD: PState<List<Str>> = PState::new("golden/board").global();

struct Golden;

impl Module for Golden {
    const NAME: &'static str = "golden";

    fn define(module: &mut Setup) {
        module.depot(CHANGES);
        module.depot(TAGS);
        module.depot(NOTICES);
        module.stream("changes", (COUNTS, WORDS, TEXTS)).source(CHANGES).each(change);
        module.stream("tags", (TREE, TAGGED)).source(TAGS).each(tag);
        module.stream("notices", BOARD).source(NOTICES).each(
            |notice: Str, board: &mut List<Str>| {
                board.push_back(notice);
            },
        );
    }
}

type Changed<'a> = (&'a mut Map<u64, u64>, &'a mut Map<u64, List<Str>>, &'a mut Map<u64, String>);

fn change(change: Change, (counts, words, texts): Changed<'_>) {
    *counts.entry(change.key()).or_default() += 1;
    match change {
        Change::Add { key, word } => words.entry(key).or_default().push_back(word),
        Change::Write { key, bytes } => {
            texts.insert(key, text(bytes));
        }
        Change::Drop { key } => {
            words.remove(key);
            texts.remove(key);
        }
        Change::Poison { key } => panic!("poison for {key}"),
    }
}

fn tag((root, name, number): (Str, Str, u64), (tree, tagged): (&mut Tree, &mut u64)) {
    tree.entry(root).or_default().entry(name).or_default().insert(number);
    *tagged += 1;
}

type Tree = Map<Str, Map<Str, Set<u64>>>;

fn text(bytes: u32) -> String {
    "large values lie beside small ones; ".chars().cycle().take(bytes as usize).collect()
}

/// What is appended in the `part`th life of a grid.
struct Part {
    changes: Vec<Change>,
    tags: Vec<(Str, Str, u64)>,
    notices: Vec<Str>,
}

impl Part {
    fn of(part: u64) -> Self {
        let word = |number: u64| format!("word {part}/{number}").into();
        let add = |number: u64| Change::Add { key: number % 7 + part, word: word(number) };
        let mut changes: Vec<Change> = (0..20).map(add).collect();
        // One list outgrows what lies in one block.
        changes.extend((0..110).map(|number| Change::Add { key: 3, word: word(number) }));
        changes.push(Change::Write { key: part, bytes: 200 });
        if part == 0 {
            changes.push(Change::Write { key: 90, bytes: 70_000 });
            changes.push(Change::Poison { key: 4 });
        }
        changes.push(Change::Drop { key: part + 1 });
        let tag = |number: u64| {
            let (root, name) = (format!("root {}", number % 5), format!("name {}", number % 3));
            (root.into(), name.into(), number * (part + 1))
        };
        let notices = vec![format!("notice {part}").into(), "another".into()];
        Self { changes, tags: (0..30).map(tag).collect(), notices }
    }
}

/// What the views hold, computed the plain way.
#[derive(Debug, Default, PartialEq)]
struct Values {
    counts: BTreeMap<u64, u64>,
    words: BTreeMap<u64, Vec<Str>>,
    texts: BTreeMap<u64, String>,
    tree: BTreeMap<Str, BTreeMap<Str, BTreeSet<u64>>>,
    tagged: u64,
    board: Vec<Str>,
    poison: Vec<u64>,
    logged: BTreeMap<u64, Vec<Change>>,
}

impl Values {
    fn after(parts: u64) -> Self {
        let mut values = Self::default();
        for part in (0..parts).map(Part::of) {
            part.changes.into_iter().for_each(|change| values.change(change));
            values.tagged += part.tags.len() as u64;
            for (root, name, number) in part.tags {
                values.tree.entry(root).or_default().entry(name).or_default().insert(number);
            }
            values.board.extend(part.notices);
        }
        values
    }

    fn change(&mut self, change: Change) {
        let key = change.key();
        self.logged.entry(key).or_default().push(change.clone());
        *self.counts.entry(key).or_default() += 1;
        match change {
            Change::Add { word, .. } => self.words.entry(key).or_default().push(word),
            Change::Write { bytes, .. } => drop(self.texts.insert(key, text(bytes))),
            Change::Drop { .. } => {
                self.words.remove(&key);
                self.texts.remove(&key);
            }
            Change::Poison { .. } => {
                self.poison.push(key);
                // The record changes nothing.
                let count = self.counts.get_mut(&key).expect("it was counted just now");
                *count -= 1;
            }
        }
    }

    /// Everything that a grid's clients can read.
    async fn of(grid: &Grid) -> Result<Self> {
        let (client, mut values) = (grid.client(), Self::default());
        for partition in 0..PARTITIONS {
            values.counts.extend(client.select_on(partition, COUNTS.all()).await?);
            let words = client.select_on(partition, WORDS.all()).await?;
            let plain = |(key, words): (u64, List<Str>)| (key, words.iter().cloned().collect());
            values.words.extend(words.into_iter().map(plain));
            values.texts.extend(client.select_on(partition, TEXTS.all()).await?);
            for (root, names) in client.select_on(partition, TREE.all()).await? {
                let plain = |(name, set): (Str, _)| (name, Set::iter(&set).copied().collect());
                let names = names.iter().map(|(name, set)| plain((name, (*set).clone()))).collect();
                values.tree.insert(root, names);
            }
            values.tagged += client.select_on(partition, TAGGED).await?.iter().sum::<u64>();
        }
        values.board = client.select_all(BOARD.all()).await?;
        let info = client.depot_info(CHANGES).await?;
        for (partition, range) in (0..).zip(info.ranges) {
            for record in client.depot_read(CHANGES, partition, range.start..range.end).await? {
                let change = record.event;
                if grid.quarantine().iter().any(|set| {
                    (set.partition, set.position.to_bits()) == (partition, record.position)
                }) {
                    values.poison.push(change.key());
                }
                values.logged.entry(change.key()).or_default().push(change);
            }
        }
        Ok(values)
    }
}

const PARTITIONS: u32 = 3;

fn builder(folder: &Path) -> GridBuilder {
    let builder = Grid::builder(folder).clock(Clock::manual(1_700_000_000_000_000));
    builder.partitions(PARTITIONS).threads(1).module::<Golden>()
}

async fn append(grid: &Grid, part: u64) -> Result {
    let (client, part) = (grid.client(), Part::of(part));
    for change in part.changes {
        let poison = matches!(change, Change::Poison { .. });
        assert_eq!(client.append(CHANGES, change).await.is_err(), poison);
    }
    client.append_many(TAGS, part.tags).await?;
    for notice in part.notices {
        client.append(NOTICES, notice).await?;
    }
    Ok(())
}

/// How a part of a folder's life ended.
#[derive(Clone, Copy)]
enum End {
    Stop,
    Kill,
}

/// The lives that the folders of `tests/golden/` have had.
const FOLDERS: [(&str, &[End]); 2] =
    [("clean", &[End::Stop, End::Stop]), ("killed", &[End::Stop, End::Kill, End::Stop, End::Kill])];

/// Writes the folders anew, in the format of today, into the folder that `GRIDMILL_GOLDEN` names.
#[tokio::test]
#[ignore = "makes the folders that other tests read"]
async fn write_golden() -> Result {
    let target = PathBuf::from(std::env::var("GRIDMILL_GOLDEN")?);
    for (name, ends) in FOLDERS {
        let folder = tempfile::tempdir()?;
        for (part, end) in (0..).zip(ends) {
            let grid = builder(folder.path()).start().await?;
            append(&grid, part).await?;
            match end {
                End::Stop => grid.shutdown().await?,
                End::Kill => grid.halt().await,
            }
        }
        pack(folder.path(), &target.join(name))?;
    }
    Ok(())
}

/// Copies a folder, cutting off the zeros at the end of each file.
fn pack(from: &Path, to: &Path) -> Result {
    let mut lengths = String::new();
    for path in files(from)? {
        let (bytes, name) = (fs::read(&path)?, path.strip_prefix(from)?);
        let kept = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        lengths.push_str(&format!("{} {}\n", bytes.len(), name.display()));
        fs::create_dir_all(to.join(name).parent().ok_or("a file in no folder")?)?;
        fs::write(to.join(name), &bytes[..kept])?;
    }
    Ok(fs::write(to.join("LENGTHS"), lengths)?)
}

/// The folder `name` of `tests/golden/` as it was.
pub(crate) fn unpack(name: &str) -> Result<tempfile::TempDir> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let to = tempfile::tempdir()?;
    for line in fs::read_to_string(from.join("LENGTHS"))?.lines() {
        let (length, name) = line.split_once(' ').ok_or("a line has a length and a name")?;
        let target = to.path().join(name);
        fs::create_dir_all(target.parent().ok_or("a file in no folder")?)?;
        fs::copy(from.join(name), &target)?;
        fs::File::options().write(true).open(&target)?.set_len(length.parse()?)?;
    }
    Ok(to)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    found.sort();
    Ok(found)
}

/// A folder opens with its values, goes on, and has them after the next starts too.
async fn opens(name: &str, parts: u64) -> Result {
    let folder = unpack(name)?;
    let found = Folder::open(folder.path())?.verify();
    assert_eq!(found.problems, [], "{name}");
    for life in parts..parts + 3 {
        let grid = builder(folder.path()).start().await?;
        assert_eq!(Values::of(&grid).await?, Values::after(life), "{name} with {life} parts");
        append(&grid, life).await?;
        assert_eq!(Values::of(&grid).await?, Values::after(life + 1), "{name}, {life} and one");
        if life == parts {
            grid.halt().await
        } else {
            grid.shutdown().await?
        }
        let found = Folder::open(folder.path())?.verify();
        assert_eq!(found.problems, [], "{name} with {} parts", life + 1);
    }
    Ok(())
}

#[tokio::test]
async fn folders_of_version_1_open_with_their_values_and_go_on() -> Result {
    opens("v1-clean", 2).await?;
    opens("v1-killed", 4).await
}

#[tokio::test]
async fn folders_of_version_2_open_with_their_values_and_go_on() -> Result {
    opens("v2-clean", 2).await?;
    opens("v2-killed", 4).await
}
