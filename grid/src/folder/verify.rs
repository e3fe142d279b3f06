//! Reading all files of a grid, running or not, and holding them against each other.

use std::collections::HashMap;
use std::io;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

use gridmill_model::engine::Damaged;
use gridmill_model::{RouteKey, Schema};
use gridmill_persistence::{
    HowStopped, LogReader, LogRecord, LogScan, Position, Run, RunError, Slot, Storage,
};

use super::flows::Stamps;
use super::{Fault, Unread, damage, no_log, no_manifest, of_io, of_log, of_run, read_manifest};
use crate::builder::PARTITIONS_MAX;
use crate::identity::{Contents, GridId, begun};
use crate::machine::control::{NO_DEPOT, kind};
use crate::machine::manifest::{
    self, Homes, Manifest, PStateMeta, RunMeta, TopologyMeta, runs_dir,
};
use crate::machine::open::partition_dir;

/// What was read, and what is wrong with it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Verification {
    /// Partitions, over all modules.
    pub partitions: u64,
    /// Segments of logs.
    pub segments: u64,
    /// Records in them.
    pub records: u64,
    /// Runs.
    pub runs: u64,
    /// Entries in them, deletions included.
    pub entries: u64,
    /// Bytes of records and runs.
    pub bytes: u64,
    /// What is wrong, each with its file and offset. Of one log the first damage is named.
    pub problems: Vec<Damaged>,
    /// What could not be checked, for a reason that says nothing of the files: no permission, too many
    /// open files.
    pub unread: Vec<Unread>,
    /// What is worth knowing and nothing to worry about.
    pub notes: Vec<String>,
}

impl Verification {
    /// Whether everything was read and nothing is wrong with it.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty() && self.unread.is_empty()
    }

    /// The check itself ended early, which says nothing of what was not read.
    pub(crate) fn unfinished(folder: String, reason: &dyn std::fmt::Display) -> Self {
        let reason = format!("the check did not end: {reason}; stop the grid and check the folder");
        Self { unread: vec![Unread { file: folder, reason }], ..Self::default() }
    }

    fn add(&mut self, fault: Fault) {
        match fault {
            Fault::Damaged(damaged) => self.problems.push(damaged),
            Fault::Unread(unread) => self.unread.push(unread),
        }
    }
}

/// A module to be checked: its partitions, each with its log's reader where it runs.
pub(crate) struct Target {
    pub(crate) module: String,
    pub(crate) partitions: Vec<(u32, Option<LogReader>)>,
}

/// Checks modules, partition after partition.
pub(crate) fn verify_all(storage: &Arc<dyn Storage>, targets: Vec<Target>) -> Verification {
    let mut report = Verification::default();
    let mut contents = None;
    match Contents::read(&**storage) {
        Ok(read) => contents = read,
        Err(fault) => report.add(damage::of_manifest(fault)),
    }
    let held = contents.iter().flat_map(|contents| &contents.modules);
    let missing = held.filter(|held| targets.iter().all(|target| target.module != held.name));
    for held in missing {
        // A running grid need not run all modules of its folder.
        let partitions = held.ends.len() as u32;
        let there = |number: &u32| storage.list(&partition_dir(&held.name, *number)).is_ok();
        let there: Vec<_> = (0..partitions).filter(there).map(|number| (number, None)).collect();
        check_count(storage, &held.name, Some(partitions), &there, &mut report);
    }
    let mut grid = contents.as_ref().map(|contents| contents.id);
    let known_end = |module: &str, partition: u32| {
        let held = contents.iter().flat_map(|contents| &contents.modules);
        let held = held.filter(|held| held.name == module);
        held.filter_map(|held| held.ends.get(partition as usize).copied()).max().unwrap_or(0)
    };
    for Target { module, partitions } in targets {
        let mut counts = Vec::new();
        for (number, reader) in partitions {
            report.partitions += 1;
            let dir = partition_dir(&module, number);
            let mut check = Check {
                storage,
                dir,
                report: &mut report,
                grid: &mut grid,
                known_end: known_end(&module, number),
            };
            let manifest = check.partition(&module, number, reader);
            counts.push((number, manifest.map(|manifest| manifest.partitions)));
        }
        if begun(storage, contents.as_ref(), &module).is_some() {
            check_count(storage, &module, None, &counts, &mut report);
        }
    }
    report
}

/// Every partition is there, and all agree on how many they are.
fn check_count(
    storage: &Arc<dyn Storage>,
    module: &str,
    known: Option<u32>,
    counts: &[(u32, Option<u32>)],
    report: &mut Verification,
) {
    let said = counts.iter().find_map(|&(_, count)| count);
    let Some(expected) = known.or(said) else { return };
    // A count that no grid takes says nothing of what is missing.
    let expected_folders = expected.min(PARTITIONS_MAX);
    let mut problem = |number, message| {
        let file = storage.display(&manifest::path(&partition_dir(module, number)));
        report.problems.push(Damaged::new(file.display().to_string(), 0, message));
    };
    for number in 0..expected_folders {
        if !counts.iter().any(|&(known, _)| known == number) {
            problem(number, format!("expected partition {number} of {expected}, got no folder"));
        }
    }
    for &(number, count) in counts {
        if let Some(got) = count.filter(|&got| got != expected) {
            problem(number, format!("expected {expected} partitions, as others say, got {got}"));
        }
    }
}

/// One partition under check.
struct Check<'a> {
    storage: &'a Arc<dyn Storage>,
    dir: PathBuf,
    report: &'a mut Verification,
    /// The grid whose folder it is, as soon as a file says so.
    grid: &'a mut Option<GridId>,
    /// Records that the log has had at least, as the file at the root has it.
    known_end: u64,
}

/// A manifest and the runs that it names, opened while it was the manifest.
struct Snapshot {
    manifest: Manifest,
    runs: HashMap<String, Result<Run, RunError>>,
}

impl Check<'_> {
    fn partition(
        &mut self,
        module: &str,
        number: u32,
        running: Option<LogReader>,
    ) -> Option<Manifest> {
        let stopped = running.is_none();
        let snapshot = self.snapshot();
        let log = self.log(running);
        let snapshot = match snapshot {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => {
                self.report.problems.push(no_manifest(&**self.storage, &self.dir));
                return None;
            }
            Err(fault) => {
                self.report.add(fault);
                return None;
            }
        };
        let Snapshot { manifest, mut runs } = snapshot;
        if manifest.module != module || manifest.partition != number {
            let (module, number) = (&manifest.module, manifest.partition);
            self.contradiction(format!("it belongs to partition {number} of module `{module}`"));
        }
        self.owner(&manifest);
        if let Some(reader) = log {
            self.own_log(&manifest, &reader);
            let checked = self.records(&manifest, &reader);
            self.note(checked);
            for topology in &manifest.topologies {
                self.topology(topology, &manifest, &reader);
            }
        }
        for (topology, outbox) in manifest.topologies.iter().filter_map(outbox) {
            let run = runs.remove(&outbox.file);
            let checked =
                run.map_or(Ok(()), |run| self.outbox(run.map_err(of_run)?, topology, outbox));
            self.note(checked);
        }
        for pstate in manifest.topologies.iter().flat_map(|topology| &topology.pstates) {
            let checked = self.pstate(pstate, &manifest, &mut runs);
            self.note(checked);
        }
        if stopped {
            self.leftovers(&manifest);
        }
        Some(manifest)
    }

    /// The partition belongs to the grid of the folder.
    fn owner(&mut self, manifest: &Manifest) {
        let Some(got) = manifest.grid else { return };
        let expected = *self.grid.get_or_insert(got);
        if got != expected {
            self.contradiction(format!(
                "expected the manifest of grid {expected}, got that of {got}"
            ));
        }
    }

    /// The log is the one that the manifest means, and is as long as it was.
    fn own_log(&mut self, manifest: &Manifest, reader: &LogReader) {
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

    fn note(&mut self, checked: Result<(), Fault>) {
        checked.unwrap_or_else(|fault| self.report.add(fault));
    }

    /// The manifest contradicts another file.
    fn contradiction(&mut self, message: String) {
        let file = self.storage.display(&manifest::path(&self.dir)).display().to_string();
        let message = format!("{message}; restore the partition's folder from a backup");
        self.report.problems.push(Damaged::new(file, 0, message));
    }

    /// A running grid may put a new manifest in the place of one that is being read, and then remove
    /// runs: they are opened anew by the new one.
    fn snapshot(&self) -> Result<Option<Snapshot>, Fault> {
        let Some(mut manifest) = read_manifest(&**self.storage, &self.dir)? else {
            return Ok(None);
        };
        loop {
            let open = |name: &str| {
                let run = Run::open(&**self.storage, &runs_dir(&self.dir).join(name));
                (name.to_owned(), run)
            };
            let runs: HashMap<_, _> = manifest.runs().map(open).collect();
            if runs.values().all(Result::is_ok) {
                return Ok(Some(Snapshot { manifest, runs }));
            }
            match read_manifest(&**self.storage, &self.dir)? {
                Some(now) if now != manifest => manifest = now,
                _ => return Ok(Some(Snapshot { manifest, runs })),
            }
        }
    }

    /// Reads the log; returns its reader where all of it is whole.
    fn log(&mut self, running: Option<LogReader>) -> Option<LogReader> {
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

    /// Every record names a depot and a type that the manifest knows, and offsets have no gaps.
    fn records(&self, manifest: &Manifest, reader: &LogReader) -> Result<(), Fault> {
        let mut next: HashMap<u16, u64> = HashMap::new();
        let mut stamps = Stamps::default();
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

    /// Runs are whole, of the right type, and have as many entries as the manifest says.
    fn pstate(
        &mut self,
        pstate: &PStateMeta,
        manifest: &Manifest,
        opened: &mut HashMap<String, Result<Run, RunError>>,
    ) -> Result<(), Fault> {
        let mut runs = Vec::new();
        let mut whole = true;
        for meta in &pstate.runs {
            let Some(run) = opened.remove(&meta.file) else { continue };
            let checked = run.map_err(of_run).and_then(|run| {
                self.run(&run, meta, pstate)?;
                keys_at_home(&run, pstate, manifest)?;
                Ok(run)
            });
            match checked {
                Ok(run) => runs.push(run),
                Err(fault) => {
                    whole = false;
                    self.report.add(fault);
                }
            }
        }
        if !whole {
            return Ok(());
        }
        let got = live_entries(&runs).map_err(of_run)?;
        if got != pstate.len {
            let (name, expected) = (&pstate.name, pstate.len);
            self.contradiction(format!(
                "expected {expected} entries of PState `{name}`, its runs have {got}"
            ));
        }
        Ok(())
    }

    fn run(&mut self, run: &Run, meta: &RunMeta, pstate: &PStateMeta) -> Result<(), Fault> {
        self.report.runs += 1;
        self.report.entries += run.len();
        self.report.bytes += run.bytes();
        run.verify().map_err(of_run)?;
        if let Some((expected, got)) = meta.mismatch(run, format_args!("PState `{}`", pstate.name))
        {
            let message = format!("expected {expected}, got {got}; restore the file from a backup");
            return Err(Damaged::new(run.file().display().to_string(), 0, message).into());
        }
        let (expected, got) = (pstate.schema.fingerprint(), run.schema());
        if expected == got {
            return Ok(());
        }
        let message = format!(
            "expected schema {expected:#018x} of PState `{}`, got {got:#018x}; restore the file \
             from a backup",
            pstate.name
        );
        Err(Damaged::new(run.file().display().to_string(), 0, message).into())
    }

    /// What a topology had sent is whole, and is what was written.
    fn outbox(&mut self, run: Run, topology: &str, meta: &RunMeta) -> Result<(), Fault> {
        self.report.runs += 1;
        self.report.entries += run.len();
        self.report.bytes += run.bytes();
        run.verify().map_err(of_run)?;
        let Some((expected, got)) =
            meta.mismatch(&run, format_args!("the outbox of topology `{topology}`"))
        else {
            return Ok(());
        };
        let message = format!("expected {expected}, got {got}; restore the file from a backup");
        Err(Damaged::new(run.file().display().to_string(), 0, message).into())
    }

    /// Files that nothing names: the next start removes them.
    fn leftovers(&mut self, manifest: &Manifest) {
        let dir = runs_dir(&self.dir);
        let names = match self.storage.list(&dir) {
            Ok(names) => names,
            // Runs that are missing were found missing by name.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(source) => {
                let file = self.storage.display(&dir).display().to_string();
                return self.report.add(of_io(file, 0, source.to_string(), &source));
            }
        };
        for name in names.iter().filter(|name| manifest.runs().all(|run| run != name.as_str())) {
            let file = self.storage.display(&dir.join(name));
            let file = file.display();
            self.report.notes.push(format!("{file} is used by nothing; the next start removes it"));
        }
    }
}

/// A topology's name, and the run of what it had sent.
fn outbox(topology: &TopologyMeta) -> Option<(&str, &RunMeta)> {
    topology.outbox.as_ref().map(|outbox| (topology.name.as_str(), outbox))
}

/// What a record's header says that cannot be.
fn contradiction_in(manifest: &Manifest, record: &LogRecord<'_>) -> Option<String> {
    if !kind::is_event(record.kind) {
        let known = [kind::VERDICT, kind::RETRY, kind::DISCARD].contains(&record.kind);
        return (!known).then(|| format!("its kind {} is unknown", record.kind));
    }
    let Some(depot) = manifest.depots.get(usize::from(record.source)) else {
        return Some(format!("the manifest has no depot number {}", record.source));
    };
    let known = depot.variants.iter().any(|variant| variant.type_id == record.type_id);
    (!known).then(|| format!("depot `{}` has no event type {}", depot.name, record.type_id))
}

/// Every key of a run lies on the partition on which readers look for it.
fn keys_at_home(run: &Run, pstate: &PStateMeta, manifest: &Manifest) -> Result<(), Fault> {
    let Schema::Map(key_schema, _) = &pstate.schema else { return Ok(()) };
    if pstate.homes != Homes::Hashed {
        return Ok(());
    }
    let (here, partitions) = (manifest.partition, manifest.partitions);
    for entry in run.range(Bound::Unbounded, Bound::Unbounded) {
        let (key, _) = entry.map_err(of_run)?;
        let home = RouteKey::of_stored(key_schema, key).map(|route| route.partition(partitions));
        if home != Some(here) {
            let home = home.map_or("none".to_owned(), |home| home.to_string());
            let message = format!(
                "expected keys of PState `{}` that live on partition {here}, got key {key:02x?} of \
                 partition {home}; restore the file from a backup",
                pstate.name
            );
            return Err(Damaged::new(run.file().display().to_string(), 0, message).into());
        }
    }
    Ok(())
}

fn at_record(scan: &LogScan, message: String) -> Damaged {
    let (file, offset) = scan.place();
    Damaged::new(file.display().to_string(), offset, message)
}

/// Keys that the newest run which has them does not delete; `runs` has the newest first.
fn live_entries(runs: &[Run]) -> Result<u64, RunError> {
    let mut live = 0;
    for (age, run) in runs.iter().enumerate() {
        for entry in run.range(Bound::Unbounded, Bound::Unbounded) {
            let (key, slot) = entry?;
            if slot == Slot::Deleted {
                continue;
            }
            let mut hidden = false;
            for newer in &runs[..age] {
                hidden |= newer.get(key)?.is_some();
            }
            live += u64::from(!hidden);
        }
    }
    Ok(live)
}
