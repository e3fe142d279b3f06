//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use gridmill::Durability;
use gridmill::client::Ack;
use lexopt::prelude::*;
use serde_json::json;

use crate::error::{BenchError, Result};
use crate::workloads;

/// The workloads and what each does.
const WORKLOADS: [(&str, &str); 10] = [
    ("log", "durable appends, no topology"),
    ("todo", "new 50 %, complete 40 %, reorder 10 %"),
    ("count", "a counter per key"),
    ("hops", "transfers between accounts of two partitions, beside `count --keys 10000`"),
    ("fan", "posts that reach all followers (--keys) of their authors"),
    ("query", "queries of settled state, beside hash maps and selects"),
    ("read", "point selects, alone and under full write load"),
    ("replay", "a new view over an existing depot"),
    ("open", "start on a folder with state until the first correct read"),
    ("memory", "bytes per entry"),
];

/// The systems that some workload can be compared with.
const PEERS: [&str; 5] = ["postgres", "redis", "fjall", "hashmap", "file"];

/// The help, with the defaults as they are.
pub fn usage() -> String {
    let Options { threads, warm_up, time, state, cap, .. } = Options::new();
    let (warm_up, time, state) = (warm_up.as_secs(), time.as_secs(), state >> 30);
    let workloads = WORKLOADS.map(|(name, what)| format!("  {name:<8} {what}\n")).concat();
    let defaults = WORKLOADS.map(|(name, _)| default_row(name)).concat();
    format!(
        "\
usage: gridbench WORKLOAD [options]

workloads
{workloads}
options, with what holds without them; some depend on the workload, see below
  --keys N                           keys, users or accounts
  --accounts N                       the same
  --partitions N                     partitions of the grid
  --batch N                          events a call; 1: `append`, more: `append_many`
  --in-flight N                      calls that wait for their answer at a time; {ONE_BY_ONE} with
                                     --batch 1
  --event-bytes N                    payload of an event of `log`, `count` and `replay`
  --threads N                        threads of the grid: {threads}, one a core
  --warmup SECONDS                   unmeasured time of each system before that: {warm_up}
  --seconds N                        measured time of each system: {time}
  --state SIZE                       state of `open`: {state}GB
  --durability sync|interval|os      what an answer promises: sync
  --ack none|appended|processed      when an append is answered: processed
  --dist uniform|zipf                how keys are chosen: uniform
  --zipf S                           key number n with a weight of 1/n^S; 1 is `--dist zipf`, 0
                                     `--dist uniform`
  --cap N                            todos a user may have; 0 is any number: {cap}
  --of count|todo                    what `replay` replays: count
  --peer NAME                        {peers}; may be repeated: none
  --json FILE                        the result as one JSON object
  --plot FILE.svg                    throughput over time, and a histogram of latencies
  --help                             show this

           {head}
{defaults}",
        peers = PEERS.join(", "),
        head = ["--keys", "--partitions", "--batch", "--in-flight", "--event-bytes"]
            .map(|name| format!("{name:>14}"))
            .concat(),
    )
}

fn default_row(name: &str) -> String {
    let Ok(defaults) = workloads::defaults(name, Of::Count) else { return String::new() };
    let workloads::Defaults { keys, partitions, batch, in_flight, event_bytes } = defaults;
    format!("  {name:<9}{keys:>14}{partitions:>14}{batch:>14}{in_flight:>14}{event_bytes:>14}\n")
}

/// Calls in flight where each has one event: they make up for it by their number.
const ONE_BY_ONE: usize = 1024;

/// How keys are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dist {
    /// Every key alike.
    Uniform,
    /// Key number n with a weight of 1/n to the power of this.
    Zipf(f64),
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
                Long("help") | Short('h') => return Err(BenchError::Help),
                Long(name) => {
                    let name = name.to_owned();
                    check_option(&name)?;
                    let unreadable =
                        |error: lexopt::Error| BenchError::Usage(format!("--{name}: {error}"));
                    let value = parser.value().map_err(usage)?.string().map_err(unreadable)?;
                    options.set(&mut asked, &name, &value)?;
                }
                other => return Err(BenchError::Usage(other.unexpected().to_string())),
            }
        }
        if options.workload.is_empty() {
            let names = WORKLOADS.map(|(name, _)| name).join(", ");
            return Err(BenchError::Usage(format!("which workload? There are {names}")));
        }
        options.fill_in(&asked)?;
        Ok(options)
    }

    fn set(&mut self, asked: &mut Asked, name: &str, value: &str) -> Result<()> {
        match name {
            "keys" | "accounts" => asked.keys = Some(count(name, value)? as usize),
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
            "zipf" => self.dist = zipf(value)?,
            "cap" => self.cap = number(name, value)?,
            "of" => self.of = of(value)?,
            "peer" => self.peers.push(peer(value)?),
            "settled" => self.settled = Some(value.into()),
            "json" => self.json = Some(value.into()),
            "plot" => self.plot = Some(value.into()),
            _ => return Err(no_option(name)),
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
        let in_flight = if asked.batch == Some(1) { ONE_BY_ONE } else { defaults.in_flight };
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
            "dist": lower(&self.dist), "zipf": exponent(self.dist), "cap": self.cap, "event_bytes": self.event_bytes,
            "of": lower(&self.of), "peers": self.peers,
        })
    }
}

/// Refuses an unknown option before its value is asked for, which may be missing too.
fn check_option(name: &str) -> Result<()> {
    const OPTIONS: [&str; 20] = [
        "keys",
        "accounts",
        "partitions",
        "batch",
        "in-flight",
        "event-bytes",
        "threads",
        "warmup",
        "seconds",
        "state",
        "durability",
        "ack",
        "dist",
        "zipf",
        "cap",
        "of",
        "peer",
        "settled",
        "json",
        "plot",
    ];
    if OPTIONS.contains(&name) { Ok(()) } else { Err(no_option(name)) }
}

fn no_option(name: &str) -> BenchError {
    BenchError::Usage(format!("there is no option --{name}"))
}

fn peer(value: &str) -> Result<String> {
    if PEERS.contains(&value) {
        return Ok(value.to_owned());
    }
    Err(BenchError::Usage(format!("--peer is {}, got `{value}`", PEERS.join(", "))))
}

/// A choice as it is spelled on the command line.
fn lower(choice: &impl std::fmt::Debug) -> String {
    let name = format!("{choice:?}").to_lowercase();
    // `Interval` carries its time, `Zipf` its exponent.
    name.split('(').next().unwrap_or_default().to_owned()
}

/// The exponent of Zipf's law; 0 where all keys are alike.
fn exponent(dist: Dist) -> f64 {
    match dist {
        Dist::Uniform => 0.0,
        Dist::Zipf(exponent) => exponent,
    }
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
    match number::<u64>("state", digits)? {
        0 => Err(BenchError::Usage("--state needs a size above 0, such as 1GB".to_owned())),
        count => Ok(count.saturating_mul(unit)),
    }
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
        "zipf" => Ok(Dist::Zipf(1.0)),
        _ => Err(BenchError::Usage(format!("--dist is uniform or zipf, got `{value}`"))),
    }
}

/// From 0, where all keys are alike, to where hardly any other than the first is chosen.
fn zipf(value: &str) -> Result<Dist> {
    match number::<f64>("zipf", value)? {
        0.0 => Ok(Dist::Uniform),
        exponent if (0.0..=10.0).contains(&exponent) => Ok(Dist::Zipf(exponent)),
        _ => Err(BenchError::Usage(format!("--zipf is from 0 to 10, got `{value}`"))),
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
    fn zipf_has_an_exponent() {
        let dist = |args: &[&str]| parse(args).unwrap().dist;
        assert_eq!(dist(&["hops", "--zipf", "1.5"]), Dist::Zipf(1.5));
        assert_eq!(dist(&["hops", "--zipf", "0"]), Dist::Uniform);
        assert_eq!(dist(&["todo", "--dist", "zipf"]), Dist::Zipf(1.0));
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
            (&["hops", "--zipf", "-1"], "--zipf is from 0 to 10"),
            (&["todo", "--typo"], "--typo"),
            (&["todo", "--keys"], "--keys"),
            (&["todo", "--peer", "oracle"], "--peer is postgres, redis"),
            (&[], "which workload? There are log, todo"),
        ] {
            let Err(error @ BenchError::Usage(_)) = parse(args) else { panic!("{args:?}") };
            let message = error.to_string();
            assert!(message.contains(word), "{message}");
            assert_eq!(message.lines().count(), 2, "it and the way to the help: {message}");
        }
    }

    #[test]
    fn the_help_has_the_defaults() {
        let usage = usage();
        for (name, _) in WORKLOADS {
            let defaults = workloads::defaults(name, Of::Count).unwrap();
            let row: Vec<String> = usage
                .lines()
                .filter(|line| line.trim_start().starts_with(&format!("{name} ")))
                .flat_map(|line| line.split_whitespace().map(str::to_owned))
                .collect();
            assert!(row.contains(&defaults.keys.to_string()), "{usage}");
            assert!(row.contains(&defaults.batch.to_string()), "{usage}");
        }
        assert!(usage.lines().all(|line| line.len() <= 100), "{usage}");
    }
}
