//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

pub(crate) const USAGE: &str = "\
Reads the data folder of a grid that does not run. Changes nothing.

Usage:
  gridmill verify DIR                  read every file and check it
  gridmill inspect DIR [--json]        show modules, depots, topologies, PStates, files
  gridmill dump DIR DEPOT [options]    print the records of a depot, one a line, under a legend
      --partition N   of this partition only
      --from OFFSET   from this offset on, in each partition
      --limit N       at most so many records
      --json          one JSON object a line, without a legend
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

/// Reads the arguments behind the program's name.
///
/// By hand: whoever embeds a grid builds this package, and should not build a parser for its tool.
pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Usage> {
    let mut given = Given::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.to_str().filter(|text| text.len() > 1 && text.starts_with('-')) {
            Some("--") => {
                arguments.by_ref().try_for_each(|word| given.word(word))?;
            }
            Some(option) => given.option(option, &mut arguments)?,
            None => given.word(argument)?,
        }
    }
    command(given)
}

impl Given {
    fn word(&mut self, word: OsString) -> Result<(), Usage> {
        if self.words.len() == 1 && self.folder.is_none() {
            self.folder = Some(word.into());
            return Ok(());
        }
        let wrong = |word| Usage::Wrong(format!("{} is not UTF-8", PathBuf::from(word).display()));
        self.words.push(word.into_string().map_err(wrong)?);
        Ok(())
    }

    fn option(
        &mut self,
        option: &str,
        rest: &mut impl Iterator<Item = OsString>,
    ) -> Result<(), Usage> {
        let (name, value): (&str, Option<OsString>) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value.into())),
            None => (option, None),
        };
        match (name, value) {
            ("--help" | "-h", None) => return Err(Usage::Help),
            ("--json", None) => self.json = true,
            ("--help" | "-h" | "--json", Some(_)) => {
                return Err(Usage::Wrong(format!("{name} takes no value")));
            }
            ("--partition", value) => {
                self.partition = Some(number(name, value.or_else(|| rest.next()))?)
            }
            ("--from", value) => self.from = Some(number(name, value.or_else(|| rest.next()))?),
            ("--limit", value) => self.limit = Some(number(name, value.or_else(|| rest.next()))?),
            _ => return Err(Usage::Wrong(format!("there is no option `{name}`"))),
        }
        Ok(())
    }
}

fn number<N: FromStr>(name: &str, value: Option<OsString>) -> Result<N, Usage> {
    let got = value.as_ref().map_or("nothing".into(), |value| value.to_string_lossy());
    let parsed = value.as_ref().and_then(|value| value.to_str()?.parse().ok());
    parsed.ok_or_else(|| Usage::Wrong(format!("{name} needs a number from 0, got `{got}`")))
}

fn command(given: Given) -> Result<Command, Usage> {
    let wrong = |problem: String| Err(Usage::Wrong(problem));
    let Given { words, folder, partition, from, limit, json } = given;
    let mut words = words.into_iter();
    let Some(name) = words.next() else {
        return wrong("which command? `verify`, `inspect` or `dump`".to_owned());
    };
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
