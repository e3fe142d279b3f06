//! A bank whose process is killed again and again, and whose money never is more or less.
//!
//! ```text
//! cargo run --release --example bank                  # until Ctrl-C
//! cargo run --release --example bank -- --kills 20
//! ```
//!
//! Accounts live on the partitions of their numbers. A transfer is a debit on one, a hop, and a credit on another.

mod audit;
mod counter;
mod lives;
mod module;
mod transfers;
mod victim;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gridmill::prelude::*;
use gridmill_examples::{Failed, Usage, counted};

use module::Bank;

const USAGE: &str = "\
A bank whose process is killed again and again, and whose money never is more or less.

Usage: cargo run --release --example bank -- [options]
  --kills N   stop after so many kills (default: at Ctrl-C)
  --smoke     the same as --kills 3
  --help      show this";

/// Kills of a smoke test.
const SMOKE_KILLS: u64 = 3;

/// What this process is.
enum Role {
    /// The one that kills, so often.
    Killer { kills: u64 },
    /// The one that is killed: its number and its folder. For the first one to start, not for users.
    Victim { life: u64, data: PathBuf },
}

fn main() -> ExitCode {
    gridmill_examples::run(USAGE, role(), |role| async move {
        match role {
            Role::Killer { kills } => kill(kills).await,
            Role::Victim { life, data } => victim::run(&data, life).await,
        }
    })
}

fn role() -> Result<Role, Usage> {
    use lexopt::prelude::*;
    let (mut kills, mut life, mut data) = (u64::MAX, None, None);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("kills") => kills = arguments.value()?.parse()?,
            Long("smoke") => kills = SMOKE_KILLS,
            Long("victim") => life = Some(arguments.value()?.parse()?),
            Long("data") if life.is_some() => data = Some(arguments.value()?.into()),
            Long("help") | Short('h') => return Err(Usage::Help),
            _ => return Err(argument.unexpected().into()),
        }
    }
    Ok(match (life, data) {
        (Some(life), Some(data)) => Role::Victim { life, data },
        _ => Role::Killer { kills },
    })
}

/// Says a line; fails where nobody listens any more.
fn say(line: &str) -> Result<(), Failed> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

async fn open(data: &Path) -> Result<Grid, Failed> {
    Ok(Grid::builder(data).partitions(4).module::<Bank>().start().await?)
}

/// Has the bank run, killed and audited so often, or until somebody asks to stop.
async fn kill(kills: u64) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let killed = kill_in(folder.path(), kills).await;
    if killed.is_err() {
        eprintln!("the folder stays: {}", folder.keep().display());
    }
    killed
}

async fn kill_in(data: &Path, kills: u64) -> Result<(), Failed> {
    counter::run(data).await?;
    say("")?;
    let mut stop = std::pin::pin!(gridmill_examples::interrupted());
    let mut life = 0;
    while life < kills {
        life += 1;
        let answers = tokio::select! {
            answers = lives::run_and_kill(data, life) => answers?,
            () = &mut stop => {
                life -= 1;
                break;
            }
        };
        let found = audit::audit(data, life, &answers).await?;
        say(&format!("kill {life} after {found}"))?;
    }
    say(&format!("\n{}: every transfer was done once, or not at all", counted(life, "kill")))
}
