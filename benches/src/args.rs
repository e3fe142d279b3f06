//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use gridmill::Durability;
use gridmill::client::Ack;
use lexopt::prelude::*;
use serde_json::json;

use crate::error::{BenchError, Result};
use crate::workloads;

/// Shown with every mistake in the command line.
pub const USAGE: &str = "\
usage: gridbench WORKLOAD [options]

workloads
  log      durable appends, no topology
  todo     new 50 %, complete 40 %, reorder 10 %
  count    a counter per key
  read     point selects, alone and under full write load
  replay   a new view over an existing depot
  open     start on a folder with state until the first correct read
  memory   bytes per entry

options
  --keys N                           keys or users
  --partitions N                     partitions of the grid
  --batch N                          events a call; 1: `append`, more: `append_many`
  --in-flight N                      calls that wait for their answer at a time
  --threads N                        threads of the grid
  --warmup SECONDS                   unmeasured time of each system before that
  --seconds N                        measured time of each system
  --state SIZE                       state of `open`, such as 1GB
  --durability sync|interval|os      what an answer promises
  --ack none|appended|processed      when an append is answered
  --dist uniform|zipf                how keys are chosen
  --cap N                            todos a user may have; 0: any number
  --event-bytes N                    payload of an event of `log`, `count` and `replay`
  --of count|todo                    what `replay` replays
  --peer NAME                        postgres, redis, fjall, hashmap or file; may be repeated
  --json FILE                        the result as one JSON object
  --plot FILE.svg                    throughput over time, and a histogram of latencies";

/// How keys are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dist {
    /// Every key alike.
    Uniform,
    /// Key number n with a weight of 1/n.
    Zipf,
}

/// What a run does.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which workload.
    pub workload: String,
    /// Keys or users.
    pub keys: usize,
    /// Partitions of the grid.
    pub partitions: u32,
    /// Events a call.
    pub batch: usize,
    /// Calls that wait for their answer at a time.
    pub in_flight: usize,
    /// Threads of the grid.
    pub threads: usize,
    /// Unmeasured time of each system before it is measured.
    pub warm_up: Duration,
    /// Measured time of each system.
    pub time: Duration,
    /// Bytes of state for `open`.
    pub state: u64,
    /// What an answer promises.
    pub durability: Durability,
    /// When an append is answered.
    pub ack: Ack,
    /// How keys are chosen.
    pub dist: Dist,
    /// Todos a user may have; 0: any number.
    pub cap: usize,
    /// Payload of an event.
    pub event_bytes: usize,
    /// What `replay` replays.
    pub of: Of,
    /// Systems to compare with.
    pub peers: Vec<String>,
    /// For the process that `memory` starts on a settled folder; not for users.
    pub settled: Option<PathBuf>,
    /// Where the JSON goes.
    pub json: Option<PathBuf>,
    /// Where the plot goes.
    pub plot: Option<PathBuf>,
}

/// What `replay` replays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Hits of keys.
    Count,
    /// What users did to their todos.
    Todo,
}

/// Counts that each workload has its own default for.
#[derive(Default)]
struct Asked {
    keys: Option<usize>,
    partitions: Option<u32>,
    batch: Option<usize>,
    in_flight: Option<usize>,
    event_bytes: Option<usize>,
}

impl Options {
    fn new() -> Self {
        Self {
            workload: String::new(),
            keys: 0,
            partitions: 0,
            batch: 0,
            in_flight: 0,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            warm_up: Duration::from_secs(1),
            time: Duration::from_secs(4),
            state: 1 << 30,
            durability: Durability::Sync,
            ack: Ack::Processed,
            dist: Dist::Uniform,
            cap: 100,
            event_bytes: 0,
            of: Of::Count,
            peers: Vec::new(),
            settled: None,
            json: None,
            plot: None,
        }
    }

    /// Reads the command line of this process.
    ///
    /// # Errors
    /// [`BenchError::Usage`] says which argument is not understood.
    pub fn from_env() -> Result<Self> {
        Self::parse(lexopt::Parser::from_env())
    }

    /// Reads a command line.
    ///
    /// # Errors
    /// As with [`Options::from_env`].
    pub fn parse(mut parser: lexopt::Parser) -> Result<Self> {
        let (mut options, mut asked) = (Self::new(), Asked::default());
        let usage = |error: lexopt::Error| BenchError::Usage(error.to_string());
        while let Some(arg) = parser.next().map_err(usage)? {
            match arg {
                Value(name) if options.workload.is_empty() => {
                    options.workload = name.string().map_err(usage)?;
                }
                Long("help") => return Err(BenchError::Help),
                Long(name) => {
                    let name = name.to_owned();
                    let value = parser.value().map_err(usage)?.string().map_err(usage)?;
                    options.set(&mut asked, &name, &value)?;
                }
                other => return Err(BenchError::Usage(other.unexpected().to_string())),
            }
        }
        if options.workload.is_empty() {
            return Err(BenchError::Usage("which workload?".to_owned()));
        }
        options.fill_in(&asked)?;
        Ok(options)
    }

    fn set(&mut self, asked: &mut Asked, name: &str, value: &str) -> Result<()> {
        match name {
            "keys" => asked.keys = Some(count(name, value)? as usize),
            "partitions" => asked.partitions = Some(count(name, value)?),
            "batch" => asked.batch = Some(count(name, value)? as usize),
            "in-flight" => asked.in_flight = Some(count(name, value)? as usize),
            "event-bytes" => asked.event_bytes = Some(number(name, value)?),
            "threads" => self.threads = count(name, value)? as usize,
            "warmup" => self.warm_up = seconds(name, value)?,
            "seconds" => self.time = seconds(name, value)?.max(Duration::from_millis(10)),
            "state" => self.state = size(value)?,
            "durability" => self.durability = durability(value)?,
            "ack" => self.ack = ack(value)?,
            "dist" => self.dist = dist(value)?,
            "cap" => self.cap = number(name, value)?,
            "of" => self.of = of(value)?,
            "peer" => self.peers.push(value.to_owned()),
            "settled" => self.settled = Some(value.into()),
            "json" => self.json = Some(value.into()),
            "plot" => self.plot = Some(value.into()),
            _ => return Err(BenchError::Usage(format!("there is no option --{name}"))),
        }
        Ok(())
    }

    fn fill_in(&mut self, asked: &Asked) -> Result<()> {
        let defaults = workloads::defaults(&self.workload, self.of)?;
        if self.plot.is_some() && ["replay", "open", "memory"].contains(&self.workload.as_str()) {
            let message = format!("`{}` has no course over time to plot", self.workload);
            return Err(BenchError::Usage(message));
        }
        self.keys = asked.keys.unwrap_or(defaults.keys);
        self.partitions = asked.partitions.unwrap_or(defaults.partitions);
        self.batch = asked.batch.unwrap_or(defaults.batch);
        // One event a call makes up for it with many calls.
        let in_flight = if self.batch == 1 { 1024 } else { defaults.in_flight };
        self.in_flight = asked.in_flight.unwrap_or(in_flight);
        self.event_bytes = asked.event_bytes.unwrap_or(defaults.event_bytes);
        Ok(())
    }

    /// What the run does, for the report.
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "keys": self.keys, "partitions": self.partitions, "batch": self.batch,
            "in_flight": self.in_flight, "threads": self.threads,
            "warmup": self.warm_up.as_secs_f64(), "seconds": self.time.as_secs_f64(),
            "state": self.state, "durability": lower(&self.durability), "ack": lower(&self.ack),
            "dist": lower(&self.dist), "cap": self.cap, "event_bytes": self.event_bytes,
            "of": lower(&self.of), "peers": self.peers,
        })
    }
}

/// A choice as it is spelled on the command line.
fn lower(choice: &impl std::fmt::Debug) -> String {
    let name = format!("{choice:?}").to_lowercase();
    // `Interval` carries its time.
    name.split('(').next().unwrap_or_default().to_owned()
}

/// A number from 1.
fn count(name: &str, value: &str) -> Result<u32> {
    match number(name, value)? {
        0 => Err(BenchError::Usage(format!("--{name} starts at 1"))),
        count => Ok(count),
    }
}

/// Seconds, up to a day.
fn seconds(name: &str, value: &str) -> Result<Duration> {
    let seconds = Duration::try_from_secs_f64(number(name, value)?).ok();
    let seconds = seconds.filter(|seconds| seconds.as_secs() < 86_400);
    seconds.ok_or_else(|| BenchError::Usage(format!("--{name} needs seconds, got `{value}`")))
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T> {
    let wrong = |_| BenchError::Usage(format!("--{name} needs a number, got `{value}`"));
    value.parse().map_err(wrong)
}

/// Bytes, with an optional unit: `64MB`, `1GB`.
fn size(value: &str) -> Result<u64> {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &value[digits.len()..] {
        "" | "B" => 1,
        "KB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        other => {
            return Err(BenchError::Usage(format!("--state: `{other}` is no unit; use MB or GB")));
        }
    };
    Ok(number::<u64>("state", digits)?.saturating_mul(unit))
}

fn durability(value: &str) -> Result<Durability> {
    match value {
        "sync" => Ok(Durability::Sync),
        "interval" => Ok(Durability::Interval(Duration::from_millis(100))),
        "os" => Ok(Durability::Os),
        _ => Err(BenchError::Usage(format!("--durability is sync, interval or os, got `{value}`"))),
    }
}

fn ack(value: &str) -> Result<Ack> {
    match value {
        "none" => Ok(Ack::None),
        "appended" => Ok(Ack::Appended),
        "processed" => Ok(Ack::Processed),
        _ => {
            let message = format!("--ack is none, appended or processed, got `{value}`");
            Err(BenchError::Usage(message))
        }
    }
}

fn dist(value: &str) -> Result<Dist> {
    match value {
        "uniform" => Ok(Dist::Uniform),
        "zipf" => Ok(Dist::Zipf),
        _ => Err(BenchError::Usage(format!("--dist is uniform or zipf, got `{value}`"))),
    }
}

fn of(value: &str) -> Result<Of> {
    match value {
        "count" => Ok(Of::Count),
        "todo" => Ok(Of::Todo),
        _ => Err(BenchError::Usage(format!("--of is count or todo, got `{value}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options> {
        Options::parse(lexopt::Parser::from_args(args))
    }

    #[test]
    fn a_workload_has_its_own_defaults() {
        let options = parse(&["todo", "--batch", "1"]).unwrap();
        assert_eq!((options.keys, options.in_flight), (100_000, 1024));
        let options = parse(&["count", "--keys", "10"]).unwrap();
        assert_eq!((options.keys, options.batch), (10, 4096));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (args, word) in [
            (&["nonsense"][..], "nonsense"),
            (&["todo", "--typo", "1"], "--typo"),
            (&["todo", "--keys", "0"], "--keys"),
            (&["todo", "--seconds", "NaN"], "--seconds"),
            (&["open", "--state", "1XB"], "XB"),
            (&["replay", "--of", "log"], "log"),
            (&["memory", "--plot", "file.svg"], "memory"),
        ] {
            let Err(BenchError::Usage(message)) = parse(args) else { panic!("{args:?}") };
            assert!(message.contains(word), "{message}");
        }
    }
}
