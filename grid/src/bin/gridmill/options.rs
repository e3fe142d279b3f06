//! The command line.

use std::path::PathBuf;

use lexopt::Arg::{Long, Short, Value};
use lexopt::ValueExt;

pub(crate) const USAGE: &str = "\
Reads the data folder of a grid that does not run. Changes nothing.

Usage:
  gridmill verify DIR                  read every file and check it
  gridmill inspect DIR [--json]        show modules, depots, topologies, PStates, files
  gridmill dump DIR DEPOT [options]    print the records of a depot
      --partition N   of this partition only
      --from OFFSET   from this offset on, in each partition
      --limit N       at most so many records
      --json          one JSON object a line
  gridmill --help                      show this

Exit codes: 0 all is well, 1 damage, 2 wrong arguments, 3 a file could not be read for a reason that
says nothing of it (no permission, too many open files), or a grid runs in the folder.";

#[derive(Debug)]
pub(crate) enum Command {
    Verify { folder: PathBuf },
    Inspect { folder: PathBuf, json: bool },
    Dump(Dump),
}

#[derive(Debug)]
pub(crate) struct Dump {
    pub(crate) folder: PathBuf,
    pub(crate) depot: String,
    pub(crate) partition: Option<u32>,
    pub(crate) from: u64,
    pub(crate) limit: usize,
    pub(crate) json: bool,
}

/// Why there is no command to run.
#[derive(Debug)]
pub(crate) enum Usage {
    Help,
    Wrong(String),
}

impl From<lexopt::Error> for Usage {
    fn from(error: lexopt::Error) -> Self {
        Self::Wrong(error.to_string())
    }
}

/// All that can be given; each command refuses what is not its own.
#[derive(Default)]
struct Given {
    words: Vec<String>,
    folder: Option<PathBuf>,
    partition: Option<u32>,
    from: Option<u64>,
    limit: Option<usize>,
    json: bool,
}

pub(crate) fn read(mut arguments: lexopt::Parser) -> Result<Command, Usage> {
    let mut given = Given::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("help") | Short('h') => return Err(Usage::Help),
            Long("json") => given.json = true,
            Long("partition") => given.partition = Some(arguments.value()?.parse()?),
            Long("from") => given.from = Some(arguments.value()?.parse()?),
            Long("limit") => given.limit = Some(arguments.value()?.parse()?),
            Value(folder) if given.words.len() == 1 && given.folder.is_none() => {
                given.folder = Some(folder.into());
            }
            Value(word) => given.words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    command(given)
}

fn command(given: Given) -> Result<Command, Usage> {
    let wrong = |problem: String| Err(Usage::Wrong(problem));
    let Given { words, folder, partition, from, limit, json } = given;
    let mut words = words.into_iter();
    let Some(name) = words.next() else { return wrong("which command?".to_owned()) };
    if !["verify", "inspect", "dump"].contains(&name.as_str()) {
        return wrong(format!("there is no command `{name}`"));
    }
    let Some(folder) = folder else { return wrong(format!("{name}: which folder?")) };
    let depot = if name == "dump" { words.next() } else { None };
    if let Some(extra) = words.next() {
        return wrong(format!("{name}: `{extra}` is one argument too many"));
    }
    let selects = partition.is_some() || from.is_some() || limit.is_some();
    if selects && name != "dump" {
        return wrong(format!("{name}: --partition, --from and --limit belong to `dump`"));
    }
    Ok(match (name.as_str(), depot) {
        ("verify", _) if json => return wrong("verify: --json belongs to the others".to_owned()),
        ("verify", _) => Command::Verify { folder },
        ("inspect", _) => Command::Inspect { folder, json },
        (_, None) => return wrong("dump: which depot?".to_owned()),
        (_, Some(depot)) => {
            let (from, limit) = (from.unwrap_or(0), limit.unwrap_or(usize::MAX));
            Command::Dump(Dump { folder, depot, partition, from, limit, json })
        }
    })
}
