//! Counts texts whose words are known.

use std::collections::BTreeMap;
use std::path::Path;

use gridmill::prelude::*;
use gridmill_examples::Failed;

use crate::module::words;
use crate::{module, pages, report};

/// Texts in files and folders of their own, so long that each has many pages.
const TEXTS: [(&str, &str); 3] = [
    ("mill.txt", "The mill turns, and the wheel turns with the mill.\nThe miller's cat doesn't.\n"),
    ("notes/river.md", "# The river\n\nThe river turns the wheel; nobody turns the river.\n"),
    ("notes/more/song.txt", "Ólafur söng: la, la, la\nund die Mühle sang: la\n"),
];
const VERSES: usize = 200;

/// Compares the counts with those of a plain map.
pub(crate) async fn run() -> Result<(), Failed> {
    let texts = tempfile::tempdir()?;
    let expected = write(texts.path())?;
    let data = tempfile::tempdir()?;
    let (grid, took) = module::count(data.path(), pages::read(texts.path())?).await?;
    gridmill_examples::print(&report::table(&grid.client(), 10, took).await?)?;
    let counts: BTreeMap<Str, u64> = report::counts(&grid.client()).await?.into_iter().collect();
    grid.shutdown().await?;
    if counts != expected {
        return Err(format!("expected {expected:?}\n  got      {counts:?}").into());
    }
    gridmill_examples::print("\nevery word was counted as often as it is there\n")
}

/// Writes the texts into `folder`; how often each word is in them.
fn write(folder: &Path) -> Result<BTreeMap<Str, u64>, Failed> {
    let mut expected = BTreeMap::<Str, u64>::new();
    for (name, text) in TEXTS {
        let (file, text) = (folder.join(name), text.repeat(VERSES));
        std::fs::create_dir_all(file.parent().unwrap_or(folder))?;
        for word in words(&text) {
            *expected.entry(word.into()).or_default() += 1;
        }
        std::fs::write(file, text)?;
    }
    Ok(expected)
}
