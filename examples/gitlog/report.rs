//! Prints the views.

use std::fmt::Write;

use gridmill::prelude::*;
use gridmill_examples::{Failed, counted};

use crate::module::{BY_AUTHOR, BY_FILE, BY_HOUR, Churn};

/// How many rows a table shows.
const ROWS: usize = 15;

/// Prints churn by author and by file, and activity by hour where `with_hours`.
pub(crate) async fn print(client: &Client, with_hours: bool) -> Result<(), Failed> {
    let client = client.with_limit(usize::MAX);
    let authors = client.select(BY_AUTHOR.all()).await?;
    let commits: u64 = authors.iter().map(|(_, churn)| churn.commits).sum();
    let number = authors.len() as u64;
    let mut out = format!("{} by {}\n", counted(commits, "commit"), counted(number, "author"));
    table(&mut out, "author", authors, |churn| churn.commits)?;
    let files = client.select(BY_FILE.all()).await?;
    table(&mut out, "file", files, |churn| churn.added + churn.removed)?;
    if with_hours {
        hours(&mut out, client.select(BY_HOUR.all()).await?)?;
    }
    gridmill_examples::print(&out)
}

/// The rows that `weight` finds heaviest.
fn table(
    out: &mut String,
    what: &str,
    mut rows: Vec<(Bytes, Churn)>,
    weight: impl Fn(&Churn) -> u64,
) -> std::fmt::Result {
    rows.sort_by(|(a, x), (b, y)| weight(y).cmp(&weight(x)).then_with(|| a.cmp(b)));
    writeln!(out, "\n{:>9} {:>10} {:>10}  {what}", "commits", "added", "removed")?;
    for (name, churn) in rows.iter().take(ROWS) {
        let (Churn { commits, added, removed }, name) = (churn, readable(name));
        writeln!(out, "{commits:>9} {added:>10} {removed:>10}  {name}")?;
    }
    if rows.len() > ROWS {
        writeln!(out, "{:>31}  and {} more", "", rows.len() - ROWS)?;
    }
    Ok(())
}

/// A name or path for the terminal: what is no text, or would move the cursor, is escaped.
pub(crate) fn readable(name: &[u8]) -> String {
    let mut out = String::new();
    for chunk in name.utf8_chunks() {
        for symbol in chunk.valid().chars() {
            if symbol.is_control() { out.extend(symbol.escape_default()) } else { out.push(symbol) }
        }
        out.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    if out.is_empty() { "(no name)".to_owned() } else { out }
}

/// A week of hours, the darker the busier.
fn hours(out: &mut String, cells: Vec<((u8, u8), u64)>) -> std::fmt::Result {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const SHADES: [char; 6] = ['.', ':', '-', '+', '*', '#'];
    let most = cells.iter().map(|(_, commits)| *commits).max().unwrap_or(0);
    let most_said = counted(most, "commit");
    writeln!(out, "\nhour 0     3     6     9     12    15    18    21    (most: {most_said})")?;
    for (number, day) in (0_u8..).zip(DAYS) {
        let mut line = [' '; 24];
        for ((_, hour), commits) in cells.iter().filter(|((weekday, _), _)| *weekday == number) {
            let shade = commits.saturating_mul(SHADES.len() as u64 - 1).div_ceil(most.max(1));
            line[usize::from(*hour % 24)] = SHADES[shade as usize];
        }
        let line: Vec<String> = line.iter().map(|shade| format!("{shade}{shade}")).collect();
        writeln!(out, "{day}  {}", line.concat())?;
    }
    Ok(())
}
