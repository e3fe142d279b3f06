//! Prints the views.

use gridmill::prelude::*;
use gridmill_examples::Failed;

use crate::module::{BY_AUTHOR, BY_FILE, BY_HOUR, Churn};

/// How many rows a table shows.
const ROWS: usize = 15;

/// Prints churn by author and by file, and activity by hour where `with_hours`.
pub(crate) async fn print(client: &Client, with_hours: bool) -> Result<(), Failed> {
    let client = client.with_limit(usize::MAX);
    let authors = client.select(BY_AUTHOR.all()).await?;
    let commits: u64 = authors.iter().map(|(_, churn)| churn.commits).sum();
    println!("{commits} commits by {} authors", authors.len());
    table("author", authors, |churn| churn.commits);
    let files = client.select(BY_FILE.all()).await?;
    table("file", files, |churn| churn.added + churn.removed);
    if with_hours {
        hours(&client).await?;
    }
    Ok(())
}

/// The rows that `weight` finds heaviest.
fn table(what: &str, mut rows: Vec<(Str, Churn)>, weight: impl Fn(&Churn) -> u64) {
    rows.sort_by(|(a, x), (b, y)| weight(y).cmp(&weight(x)).then_with(|| a.cmp(b)));
    println!("\n{:>9} {:>10} {:>10}  {what}", "commits", "added", "removed");
    for (name, churn) in rows.iter().take(ROWS) {
        println!("{:>9} {:>10} {:>10}  {name}", churn.commits, churn.added, churn.removed);
    }
    if rows.len() > ROWS {
        println!("{:>31}  and {} more", "", rows.len() - ROWS);
    }
}

async fn hours(client: &Client) -> Result<(), Failed> {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const SHADES: [char; 6] = ['.', ':', '-', '+', '*', '#'];
    let cells = client.select(BY_HOUR.all()).await?;
    let most = cells.iter().map(|(_, commits)| *commits).max().unwrap_or(0);
    println!("\nhour 0     3     6     9     12    15    18    21    (most: {most} commits)");
    for (number, day) in (0_u8..).zip(DAYS) {
        let mut line = [' '; 24];
        for ((_, hour), commits) in cells.iter().filter(|((weekday, _), _)| *weekday == number) {
            let shade = commits.saturating_mul(SHADES.len() as u64 - 1).div_ceil(most.max(1));
            line[usize::from(*hour % 24)] = SHADES[shade as usize];
        }
        let line: Vec<String> = line.iter().map(|shade| format!("{shade}{shade}")).collect();
        println!("{day}  {}", line.concat());
    }
    Ok(())
}
