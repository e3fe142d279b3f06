//! Reads text files, a page at a time.

use std::path::{Path, PathBuf};

use gridmill::prelude::*;
use gridmill_examples::Failed;

/// About how long a page is. Lines stay whole.
const PAGE_BYTES: usize = 4096;

/// The pages of all texts in `folder` and below.
pub(crate) fn read(folder: &Path) -> Result<Vec<Str>, Failed> {
    let mut files = Vec::new();
    find(folder, &mut files)?;
    files.sort();
    let mut pages = Vec::new();
    for file in files {
        let bytes = std::fs::read(&file).map_err(|error| at(&file, error))?;
        cut(&String::from_utf8_lossy(&bytes), &mut pages);
    }
    if pages.is_empty() {
        return Err(format!("{}: no .txt or .md file with a word in it", folder.display()).into());
    }
    Ok(pages)
}

/// Adds the texts of `folder` and below. Hidden folders and links are not looked into, nor are those of build tools.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failed> {
    for entry in std::fs::read_dir(folder).map_err(|error| at(folder, error))? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type()?;
        let skipped =
            name.as_encoded_bytes().starts_with(b".") || name == "target" || name == "node_modules";
        let text = path.extension().is_some_and(|ending| ending == "txt" || ending == "md");
        if kind.is_dir() && !skipped {
            find(&path, files)?;
        } else if kind.is_file() && text {
            files.push(path);
        }
    }
    Ok(())
}

fn at(path: &Path, error: std::io::Error) -> Failed {
    format!("{}: {error}", path.display()).into()
}

/// Adds the pages of a text.
fn cut(text: &str, pages: &mut Vec<Str>) {
    let mut page = String::new();
    for line in text.split_inclusive('\n') {
        page.push_str(line);
        if page.len() >= PAGE_BYTES {
            pages.push(page.as_str().into());
            page.clear();
        }
    }
    if !page.trim().is_empty() {
        pages.push(page.as_str().into());
    }
}
