//! The log of a partition under check: every record of it, and that the manifest knows no more than it has.

use std::collections::HashMap;
use std::sync::Arc;

use gridmill_model::engine::Damaged;
use gridmill_persistence::{HowStopped, LogReader, LogRecord, LogScan, Position};

use super::super::flows::{Heard, Stamps};
use super::super::{Fault, no_log, of_log};
use super::partition::Check;
use crate::machine::control::{NO_DEPOT, kind};
use crate::machine::manifest::{Manifest, TopologyMeta};

impl Check<'_> {
    /// Reads the log; returns its reader where all of it is whole.
    pub(super) fn log(&mut self, running: Option<LogReader>) -> Option<LogReader> {
        let read = self.read_log(running);
        read.map_err(|fault| self.report.add(fault)).ok()
    }

    fn read_log(&mut self, running: Option<LogReader>) -> Result<LogReader, Fault> {
        let reader = match running {
            Some(reader) => reader,
            None => {
                let opened = LogReader::open_dir(Arc::clone(self.storage), &self.dir);
                let (reader, recovered) = opened.map_err(of_log)?;
                self.note_torn(&recovered.how);
                reader
            }
        };
        if reader.segments().is_empty() {
            return Err(no_log(&**self.storage, &self.dir).into());
        }
        let read = reader.verify().map_err(of_log)?;
        self.report.segments += read.segments;
        self.report.records += read.records;
        self.report.bytes += read.bytes;
        Ok(reader)
    }

    fn note_torn(&mut self, how: &HowStopped) {
        if let HowStopped::TornTail { file, offset, bytes_lost } = how {
            let file = file.display();
            self.report.notes.push(format!(
                "{file} ends in a write that a crash tore at byte {offset} ({bytes_lost} bytes); \
                 nothing acknowledged is in it, and the next start cuts it off"
            ));
        }
    }

    /// What the manifest says of the log is true of it, and the other way round; returns what the partition has heard
    /// of others.
    pub(super) fn own_log(&mut self, manifest: &Manifest, reader: &LogReader) -> Heard {
        self.is_own(manifest, reader);
        let (mut heard, mut stamps) = (Heard::of(manifest), Stamps::default());
        let checked = self.records(manifest, reader, &mut stamps);
        self.note(checked);
        heard.add(&stamps);
        for topology in &manifest.topologies {
            self.topology(topology, manifest, reader);
        }
        heard
    }

    /// The log is the one that the manifest means, and is as long as it was.
    fn is_own(&mut self, manifest: &Manifest, reader: &LogReader) {
        let file = self.storage.display(&self.dir.join("log")).display().to_string();
        let known_end = self.known_end;
        let mut problem = |message: String| {
            let message = format!("{message}; restore the log's files from a backup");
            self.report.problems.push(Damaged::new(file.clone(), 0, message));
        };
        if let (Some(expected), Some(got)) = (manifest.log, reader.partition())
            && expected != got
        {
            problem(format!("expected the log with number {expected:#x}, got {got:#x}"));
        }
        let (expected, got) = (manifest.end.number().max(known_end), reader.end().number());
        // Where a topology knows more, it is named.
        let named = manifest.topologies.iter().any(|topology| topology.next.number() > got);
        if got < expected && !named {
            problem(format!("expected a log of at least {expected} records, it ends at {got}"));
        }
    }

    /// Every record names a depot and a type that the manifest knows, and offsets have no gaps.
    fn records(
        &self,
        manifest: &Manifest,
        reader: &LogReader,
        stamps: &mut Stamps,
    ) -> Result<(), Fault> {
        let mut next: HashMap<u16, u64> = HashMap::new();
        let mut time = i64::MIN;
        let mut scan = reader.scan(Position::START).map_err(of_log)?;
        while let Some(record) = scan.next().map_err(of_log)? {
            let stamped = stamps.contradiction(manifest, &record);
            let mut problem = contradiction_in(manifest, &record).or(stamped);
            if record.time < time {
                problem = Some("its time is before that of an earlier record".to_owned());
            }
            time = record.time;
            if record.source != NO_DEPOT {
                let next = next.entry(record.source).or_insert(record.depot_offset);
                if *next != record.depot_offset {
                    let got = record.depot_offset;
                    problem = Some(format!("expected offset {next} of its depot, got {got}"));
                }
                *next = record.depot_offset + 1;
            }
            if let Some(problem) = problem {
                let position = record.position;
                return Err(at_record(&scan, format!("the record at {position}: {problem}")).into());
            }
        }
        Ok(())
    }

    /// A snapshot knows nothing that the log does not.
    fn topology(&mut self, topology: &TopologyMeta, manifest: &Manifest, reader: &LogReader) {
        let (name, end) = (&topology.name, reader.end());
        let next = topology.next;
        if next.number() > end.number() {
            self.contradiction(format!(
                "topology `{name}` has records up to {next}, the log ends at {end}"
            ));
        }
        for verdict in &topology.quarantine {
            if verdict.position.number() >= end.number() {
                let at = verdict.position;
                self.contradiction(format!(
                    "topology `{name}` has record {at} in quarantine, the log ends at {end}"
                ));
            }
        }
        for source in &topology.sources {
            let known = manifest.depots.iter().any(|depot| depot.name == source.depot);
            if !known {
                let depot = &source.depot;
                self.contradiction(format!("topology `{name}` reads depot `{depot}`, not listed"));
            }
        }
    }
}

/// What a record's header says that cannot be.
fn contradiction_in(manifest: &Manifest, record: &LogRecord<'_>) -> Option<String> {
    if !kind::is_event(record.kind) {
        let known = [kind::VERDICT, kind::RETRY, kind::DISCARD, kind::CLOCK, kind::OUTCOME]
            .contains(&record.kind);
        return (!known).then(|| format!("its kind {} is unknown", record.kind));
    }
    let Some(depot) = manifest.depots.get(usize::from(record.source)) else {
        return Some(format!("the manifest has no depot number {}", record.source));
    };
    let known = depot.variants.iter().any(|variant| variant.type_id == record.type_id);
    (!known).then(|| format!("depot `{}` has no event type {}", depot.name, record.type_id))
}

fn at_record(scan: &LogScan, message: String) -> Damaged {
    let (file, offset) = scan.place();
    Damaged::new(file.display().to_string(), offset, message)
}
