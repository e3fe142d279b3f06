//! What a run says: a table for people, an object for programs.

use serde_json::{Map, Value, json};

use crate::args::Options;
use crate::measure::Recorder;

/// One system's line.
#[derive(Debug)]
pub struct Line {
    /// The system.
    pub name: String,
    /// What was seen of it.
    pub seen: Recorder,
}

/// The result of a run: gridmill's line first, then its peers'.
#[derive(Debug, Default)]
pub struct Report {
    /// Every system that ran.
    pub lines: Vec<Line>,
    /// Figures that are no rates: name, value, unit.
    pub figures: Vec<(&'static str, f64, &'static str)>,
}

impl Report {
    /// A report of systems that did the same operations.
    pub fn new(names: Vec<String>, seen: Vec<Recorder>) -> Self {
        let lines = names.into_iter().zip(seen).map(|(name, seen)| Line { name, seen });
        Self { lines: lines.collect(), figures: Vec::new() }
    }

    /// Adds a figure that is no rate.
    pub fn figure(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.figures.push((name, value, unit));
    }

    /// The table.
    pub fn table(&self) -> String {
        let mut text = String::new();
        if !self.lines.is_empty() {
            text += &format!(
                "{:<12} {:>12} {:>10} {:>10} {:>10} {:>10} {:>11} {:>11} {:>7}\n",
                "",
                "ops/s",
                "p50 us",
                "p99 us",
                "p99.9 us",
                "max us",
                "cpu us/op",
                "bytes/op",
                "ratio"
            );
        }
        for line in &self.lines {
            text += &self.row(line);
        }
        for (name, value, unit) in &self.figures {
            text += &format!("{name:<28} {value:>14.2} {unit}\n");
        }
        text
    }

    fn row(&self, line: &Line) -> String {
        let seen = &line.seen;
        format!(
            "{:<12} {:>12.0} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {:>11.3} {:>11.1} {:>7.2}\n",
            line.name,
            seen.rate(),
            seen.micros(0.5),
            seen.micros(0.99),
            seen.micros(0.999),
            seen.micros(1.0),
            cpu_per_op(seen),
            written_per_op(seen),
            self.ratio(line),
        )
    }

    /// How many times as fast as the other the first system was.
    fn ratio(&self, line: &Line) -> f64 {
        let first = self.lines.first().map_or(0.0, |first| first.seen.rate());
        first / line.seen.rate().max(1e-9)
    }

    /// The object of `--json`.
    pub fn to_json(&self, options: &Options) -> Value {
        let mut object = Map::new();
        object.insert("workload".into(), options.workload.clone().into());
        object.insert("options".into(), options.to_json());
        if let Some(Line { seen, .. }) = self.lines.first() {
            object.insert("ops_per_s".into(), seen.rate().into());
            object.insert("cpu_us_per_op".into(), cpu_per_op(seen).into());
            object.insert("p50_us".into(), seen.micros(0.5).into());
            object.insert("p99_us".into(), seen.micros(0.99).into());
            object.insert("p999_us".into(), seen.micros(0.999).into());
            object.insert("max_us".into(), seen.micros(1.0).into());
            object.insert("bytes_written_per_op".into(), written_per_op(seen).into());
        }
        let peers = self.lines.iter().skip(1).map(|line| (line.name.clone(), self.peer(line)));
        object.insert("peers".into(), Value::Object(peers.collect()));
        for (name, value, _) in &self.figures {
            object.insert((*name).into(), (*value).into());
        }
        Value::Object(object)
    }

    fn peer(&self, line: &Line) -> Value {
        json!({
            "ops_per_s": line.seen.rate(),
            "p50_us": line.seen.micros(0.5),
            "p99_us": line.seen.micros(0.99),
            "ratio": self.ratio(line),
        })
    }
}

fn cpu_per_op(seen: &Recorder) -> f64 {
    seen.usage.cpu.as_secs_f64() * 1e6 / seen.ops.max(1) as f64
}

fn written_per_op(seen: &Recorder) -> f64 {
    seen.usage.written as f64 / seen.ops.max(1) as f64
}
