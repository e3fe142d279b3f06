//! What a run says: a table for people, an object for programs.

use serde_json::{Map, Value, json};

use crate::args::Options;
use crate::measure::Recorder;

/// Figures that the object of `--json` has as well, where the workload measures them.
const IN_JSON: [&str; 13] = [
    "first_read_ms",
    "state_bytes",
    "bytes_per_entry",
    "records_per_s",
    "record_ratio",
    "alone_syncs",
    "deliveries_per_s",
    "deliveries_per_core",
    "sum_ratio",
    "point_ratio",
    "everywhere_us",
    "range_us",
    "field_ratio",
];

/// One system's line.
#[derive(Debug)]
pub struct Line {
    /// The system.
    pub name: String,
    /// What was seen of it.
    pub seen: Recorder,
    /// What the first system did, in terms of what this one did. Usually the quotient of the rates.
    pub ratio: f64,
}

/// The result of a run: gridmill's line first, then its peers'.
#[derive(Debug, Default)]
pub struct Report {
    /// Every system that ran.
    pub lines: Vec<Line>,
    /// The lines do different things: ratios of their rates would say nothing.
    pub unlike: bool,
    /// Figures that are no rates: name, value, unit.
    pub figures: Vec<(&'static str, f64, &'static str)>,
}

impl Report {
    /// Adds what was seen of a system. Its rate is compared with the first one's.
    pub fn line(&mut self, name: impl Into<String>, seen: Recorder) {
        let first = self.lines.first().map_or(seen.rate(), |first| first.seen.rate());
        let ratio = first / seen.rate().max(1e-9);
        self.lines.push(Line { name: name.into(), seen, ratio });
    }

    /// Adds a figure that is no rate.
    pub fn figure(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.figures.push((name, value, unit));
    }

    /// The table. Ratios stand where there is somebody to compare with: not in the first line.
    pub fn table(&self) -> String {
        let heads = ["ops/s", "p50 us", "p99 us", "p99.9 us", "max us", "cpu us/op", "bytes/op"];
        let heads = heads.map(|head| format!("{head:>11}")).join(" ");
        let ratios = format!(" {:>11} {:>9}", "ratio", "p50 ratio");
        let has_ratios = self.lines.len() > 1 && !self.unlike;
        let ratios = if has_ratios { ratios.as_str() } else { "" };
        let mut text = format!("{:<22} {heads}{ratios}\n", "");
        for (number, line) in self.lines.iter().enumerate() {
            let ratios = if number > 0 && has_ratios { self.ratios(line) } else { String::new() };
            text += &format!("{}{ratios}\n", row(line));
        }
        for (name, value, unit) in &self.figures {
            text += &format!("{name:<22} {value:>11.2} {unit}\n");
        }
        text
    }

    fn ratios(&self, line: &Line) -> String {
        let median = self.lines.first().map_or(0.0, |first| first.seen.micros(0.5));
        let median = median / line.seen.micros(0.5).max(1e-9);
        format!(" {:>11.2} {median:>9.2}", line.ratio)
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
        let peers = self.lines.iter().skip(1).map(|line| (line.name.clone(), peer(line)));
        object.insert("peers".into(), Value::Object(peers.collect()));
        for (name, value, _) in self.figures.iter().filter(|(name, ..)| IN_JSON.contains(name)) {
            object.insert((*name).into(), (*value).into());
        }
        Value::Object(object)
    }
}

fn row(Line { name, seen, .. }: &Line) -> String {
    format!(
        "{name:<22} {:>11.0} {:>11.2} {:>11.2} {:>11.1} {:>11.1} {:>11.3} {:>11.1}",
        seen.rate(),
        seen.micros(0.5),
        seen.micros(0.99),
        seen.micros(0.999),
        seen.micros(1.0),
        cpu_per_op(seen),
        written_per_op(seen),
    )
}

fn peer(Line { seen, ratio, .. }: &Line) -> Value {
    json!({
        "ops_per_s": seen.rate(),
        "p50_us": seen.micros(0.5),
        "p99_us": seen.micros(0.99),
        "ratio": ratio,
    })
}

fn cpu_per_op(seen: &Recorder) -> f64 {
    seen.usage.cpu.as_secs_f64() * 1e6 / seen.ops.max(1) as f64
}

fn written_per_op(seen: &Recorder) -> f64 {
    seen.usage.written as f64 / seen.ops.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_stand_where_there_is_a_peer() {
        let mut report = Report::default();
        report.line("gridmill", Recorder::default());
        assert!(!report.table().contains("ratio"), "{}", report.table());
        report.line("file", Recorder::default());
        let table = report.table();
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].ends_with("p50 ratio"), "{table}");
        assert_eq!(lines[1].split_whitespace().count() + 2, lines[2].split_whitespace().count());
    }
}
