//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use gridmill::Durability;
use gridmill::client::Ack;
use lexopt::prelude::*;
use serde_json::json;

use crate::error::{BenchError, Result};

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
  --seconds N                        measured time of each system
  --state SIZE                       state of `open`, such as 1GB
  --durability sync|interval|os      what an answer promises
  --ack none|appended|processed      when an append is answered
  --dist uniform|zipf                how keys are chosen
  --cap N                            todos a user may have; 0: any number
  --event-bytes N                    payload of an event of `log` and `count`
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

/// What a run does. Counts that the workload has its own default for are `None` until asked.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which workload.
    pub workload: String,
    keys: Option<usize>,
    partitions: Option<u32>,
    batch: Option<usize>,
    in_flight: Option<usize>,
    /// Threads of the grid.
    pub threads: usize,
    /// Measured time of each system.
    pub seconds: f64,
    /// Bytes of state for `open`.
    pub state: u64,
    /// What an answer promises.
    pub durability: Durability,
    /// When an append is answered.
    pub ack: Ack,
    /// How keys are chosen.
    pub dist: Dist,
    /// Todos a user may have.
    pub cap: usize,
    /// Payload of an event.
    pub event_bytes: Option<usize>,
    /// What `replay` replays.
    pub of: String,
    /// Systems to compare with.
    pub peers: Vec<String>,
    /// Where the JSON goes.
    pub json: Option<PathBuf>,
    /// Where the plot goes.
    pub plot: Option<PathBuf>,
}

impl Options {
    fn new() -> Self {
        Self {
            workload: String::new(),
            keys: None,
            partitions: None,
            batch: None,
            in_flight: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            seconds: 5.0,
            state: 1 << 30,
            durability: Durability::Sync,
            ack: Ack::Processed,
            dist: Dist::Uniform,
            cap: 100,
            event_bytes: None,
            of: "count".to_owned(),
            peers: Vec::new(),
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
        let mut options = Self::new();
        let usage = |error: lexopt::Error| BenchError::Usage(error.to_string());
        while let Some(arg) = parser.next().map_err(usage)? {
            match arg {
                Value(name) if options.workload.is_empty() => {
                    options.workload = name.string().map_err(usage)?;
                }
                Long(name) => {
                    let name = name.to_owned();
                    let value = parser.value().map_err(usage)?.string().map_err(usage)?;
                    options.set(&name, &value)?;
                }
                other => return Err(BenchError::Usage(other.unexpected().to_string())),
            }
        }
        if options.workload.is_empty() {
            return Err(BenchError::Usage("which workload?".to_owned()));
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "keys" => self.keys = Some(number(name, value)?),
            "partitions" => self.partitions = Some(number(name, value)?),
            "batch" => self.batch = Some(number(name, value)?),
            "in-flight" => self.in_flight = Some(number(name, value)?),
            "threads" => self.threads = number(name, value)?,
            "seconds" => self.seconds = number(name, value)?,
            "state" => self.state = size(value)?,
            "durability" => self.durability = durability(value)?,
            "ack" => self.ack = ack(value)?,
            "dist" => self.dist = dist(value)?,
            "cap" => self.cap = number(name, value)?,
            "event-bytes" => self.event_bytes = Some(number(name, value)?),
            "of" => self.of = value.to_owned(),
            "peer" => self.peers.push(value.to_owned()),
            "json" => self.json = Some(value.into()),
            "plot" => self.plot = Some(value.into()),
            _ => return Err(BenchError::Usage(format!("there is no option --{name}"))),
        }
        Ok(())
    }

    /// Keys or users.
    pub fn keys(&self, default: usize) -> usize {
        self.keys.unwrap_or(default).max(1)
    }

    /// Partitions of the grid.
    pub fn partitions(&self, default: u32) -> u32 {
        self.partitions.unwrap_or(default).max(1)
    }

    /// Events a call.
    pub fn batch(&self, default: usize) -> usize {
        self.batch.unwrap_or(default).max(1)
    }

    /// Calls that wait for their answer at a time.
    pub fn in_flight(&self, default: usize) -> usize {
        self.in_flight.unwrap_or(default).max(1)
    }

    /// The measured time of each system.
    pub fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.max(0.01))
    }

    /// What was asked for, for the report.
    pub fn to_json(&self) -> serde_json::Value {
        json!({
            "keys": self.keys, "partitions": self.partitions, "batch": self.batch,
            "in_flight": self.in_flight, "threads": self.threads, "seconds": self.seconds,
            "state": self.state, "durability": format!("{:?}", self.durability).to_lowercase(),
            "ack": format!("{:?}", self.ack).to_lowercase(),
            "dist": format!("{:?}", self.dist).to_lowercase(),
            "cap": self.cap, "event_bytes": self.event_bytes, "of": self.of,
        })
    }
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
