//! Counts the words of text files: pages are split on all partitions, words are counted where they live.
//!
//! ```text
//! cargo run --release --example wordcount -- /path/to/texts
//! ```

mod module;
mod pages;
mod report;
mod smoke;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gridmill_examples::{Failed, Usage};

const USAGE: &str = "\
Counts the words of text files.

Usage: cargo run --release --example wordcount -- [options] [FOLDER]
  FOLDER     where the texts are: all .txt and .md files in it and below (default: this repository)
  --top N    how many words to list (default: 20)
  --smoke    count texts of its own, compare with a plain count, and leave
  --help     show this";

struct Options {
    folder: PathBuf,
    top: usize,
    smoke: bool,
}

fn main() -> ExitCode {
    gridmill_examples::run(USAGE, options(), |options| async move {
        if options.smoke { smoke::run().await } else { count(&options.folder, options.top).await }
    })
}

fn options() -> Result<Options, Usage> {
    use lexopt::prelude::*;
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let (mut folder, mut top, mut smoke) = (None, 20, false);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("top") => top = arguments.value()?.parse()?,
            Long("smoke") => smoke = true,
            Long("help") | Short('h') => return Err(Usage::Help),
            Value(path) if folder.is_none() => folder = Some(path.into()),
            _ => return Err(argument.unexpected().into()),
        }
    }
    Ok(Options { folder: folder.unwrap_or_else(|| repository.into()), top, smoke })
}

/// Counts the words of all texts below `folder`, and prints those that there are most of.
async fn count(folder: &Path, top: usize) -> Result<(), Failed> {
    let pages = pages::read(folder)?;
    let data = tempfile::tempdir()?;
    let (grid, took) = module::count(data.path(), pages).await?;
    gridmill_examples::print(&report::table(&grid.client(), top, took).await?)?;
    Ok(grid.shutdown().await?)
}
