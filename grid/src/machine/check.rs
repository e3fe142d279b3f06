//! Whether a start fits a partition's folder: all that can refuse it, before anything is written.
//!
//! The folder is only read. A start checks every partition of every module before the first of them
//! goes on, so that one that is refused has changed none.

use std::sync::Arc;

use gridmill_model::engine::Damaged;
use gridmill_persistence::{LogError, LogReader, LogRecord, Position, Recovered, Run};

use crate::error::StartError;
use crate::folder::no_log;
use crate::identity::foreign_manifest;
use crate::panics::caught;
use crate::state::{Cell, Violation};

use super::breadcrumbs;
use super::control::kind;
use super::core::place;
use super::manifest::{
    Homes, Manifest, ManifestFile, PStateMeta, RunMeta, path as manifest_path, runs_dir,
};
use super::open::OpenOptions;
use super::reconcile::{LogFacts, reconcile};
use super::registry::Registry;

/// How many records from a depot's oldest event on, and of the newest, are asked where they belong: a start reads
/// little, however far apart the events of a depot lie.
const RECORDS_ASKED: u64 = 16;

/// A folder that a start fits.
pub(crate) struct Checked {
    /// What the folder says of itself; nothing where it is new.
    pub(super) stored: Option<Manifest>,
    /// The PStates as the folder has them.
    pub(super) cells: Vec<Box<dyn Cell>>,
}

/// The first step of a start: whether the partition's folder is that of this partition, whole, and
/// fits what the code declares. Changes nothing.
///
/// # Errors
/// [`StartError`] says what does not fit.
pub(crate) fn check(options: &OpenOptions) -> Result<Checked, StartError> {
    let stored = ManifestFile::read(&*options.storage, &options.dir);
    let stored = stored.map_err(|fault| options.manifest_fault(fault))?;
    refuse_stored(options, stored.as_ref())?;
    let read = LogReader::open_dir(Arc::clone(&options.storage), &options.dir);
    let (reader, recovered) = read.map_err(|source| options.log_fault(source))?;
    if stored.is_some() && reader.segments().is_empty() {
        return Err(options.damaged(no_log(&*options.storage, &options.dir)));
    }
    refuse_other_log(options, stored.as_ref(), &reader)?;
    let manifest = stored.clone().unwrap_or_else(|| options.new_manifest());
    refuse_gap(options, &manifest, stored.is_none(), &recovered)?;
    refuse_other_version(options, &manifest, &recovered)?;
    let facts = LogFacts { reader: &reader, end: recovered.end };
    let manifest = reconcile(&options.plan, manifest, &facts, None)?;
    refuse_poison(options, &manifest, recovered.end)?;
    let asked = EventsAsked { options, reader: &reader, manifest: &manifest };
    asked.refuse_moved()?;
    let cells = load_cells(options, &manifest)?;
    refuse_moved_keys(options, &manifest, &cells)?;
    Ok(Checked { stored, cells })
}

/// Refuses a folder that is another's, and one that is gone.
fn refuse_stored(options: &OpenOptions, stored: Option<&Manifest>) -> Result<(), StartError> {
    match stored {
        Some(stored) => refuse_foreign(options, stored),
        None if options.root.holds(options.plan.name) => Err(StartError::Lost {
            module: options.plan.name.to_owned(),
            partition: options.partition,
            folder: options.storage.display(&options.dir),
        }),
        None => Ok(()),
    }
}

fn refuse_foreign(options: &OpenOptions, manifest: &Manifest) -> Result<(), StartError> {
    let (module, expected) = (options.plan.name, options.root.id());
    if let Some(got) = manifest.grid.filter(|&got| got != expected) {
        let (storage, partition) = (&*options.storage, options.partition);
        return Err(foreign_manifest(storage, module, partition, expected, got));
    }
    if manifest.module != options.plan.name || manifest.partition != options.partition {
        let of = |module: &str, partition| format!("the manifest of {module}/{partition}");
        return Err(StartError::Foreign {
            module: module.to_owned(),
            partition: options.partition,
            file: options.storage.display(&manifest_path(&options.dir)),
            expected: of(module, options.partition),
            got: of(&manifest.module, manifest.partition),
        });
    }
    if manifest.partitions != options.partitions {
        return Err(StartError::Partitions {
            module: manifest.module.clone(),
            expected: manifest.partitions,
            got: options.partitions,
        });
    }
    Ok(())
}

/// Refuses a log that is not the one which the manifest means, and one whose end was put back.
fn refuse_other_log(
    options: &OpenOptions,
    stored: Option<&Manifest>,
    reader: &LogReader,
) -> Result<(), StartError> {
    let expected = stored.and_then(|stored| stored.log);
    if let (Some(expected), Some(got)) = (expected, reader.partition())
        && expected != got
    {
        let log = options.storage.display(&options.dir.join("log"));
        let file = reader.segments().pop().map_or(log, |last| last.file);
        return Err(options.log_fault(LogError::WrongPartition { file, expected, got }));
    }
    reader.check_end().map_err(|source| options.log_fault(source))
}

/// A snapshot or a `GRID` that knows more than the log: the log has lost something.
fn refuse_gap(
    options: &OpenOptions,
    manifest: &Manifest,
    fresh: bool,
    recovered: &Recovered,
) -> Result<(), StartError> {
    let end = recovered.end.number();
    let problem = |expected: String| {
        let file = options.storage.display(&options.dir).display().to_string();
        let message = format!(
            "expected {expected}, the log ends at record {end}; restore the log's files from a backup"
        );
        Err(options.damaged(Damaged::new(file, 0, message)))
    };
    let known = options.root.known_end(options.plan.name, options.partition);
    let known = known.max(manifest.known_end());
    if known > end {
        return problem(format!("a log of at least {known} records"));
    }
    if fresh && end > 0 {
        return problem("a manifest beside the log".to_owned());
    }
    Ok(())
}

fn refuse_other_version(
    options: &OpenOptions,
    manifest: &Manifest,
    recovered: &Recovered,
) -> Result<(), StartError> {
    let plan = &options.plan;
    if manifest.version == plan.version || options.accept_new_code {
        return Ok(());
    }
    let end = recovered.end.number();
    let live = manifest.topologies.iter().filter(|topology| topology.live);
    let covered = live.map(|topology| topology.next.number()).min().unwrap_or(end);
    if covered >= end {
        return Ok(());
    }
    Err(StartError::OtherVersion {
        module: plan.name.to_owned(),
        partition: options.partition,
        records: end - covered,
        expected: manifest.version,
        got: plan.version,
    })
}

/// Where the starts before this one all ended the process in one record that would be replayed.
fn refuse_poison(
    options: &OpenOptions,
    manifest: &Manifest,
    end: Position,
) -> Result<(), StartError> {
    let mut live = manifest.topologies.iter().filter(|topology| topology.live);
    // New code is not what ended the process.
    if options.accept_new_code || live.all(|topology| topology.next.number() >= end.number()) {
        return Ok(());
    }
    let ended = breadcrumbs::ended_at(&*options.storage, &options.dir, &options.quarantine_at);
    match ended.map_err(|source| options.log_fault(source))? {
        None => Ok(()),
        Some(position) => Err(StartError::Aborting {
            module: options.plan.name.to_owned(),
            partition: options.partition,
            position,
        }),
    }
}

/// Some stored events, which are asked again where they belong.
struct EventsAsked<'a> {
    options: &'a OpenOptions,
    reader: &'a LogReader,
    manifest: &'a Manifest,
}

impl EventsAsked<'_> {
    /// Refuses where today's code would put one on another partition: the oldest of each depot, and the
    /// newest of all. What cannot be read is named by who needs it.
    fn refuse_moved(&self) -> Result<(), StartError> {
        let registry = Registry::new(&self.options.plan, self.manifest);
        for depot in 0..self.options.plan.depots.len() {
            if let Some(from) = self.oldest(registry.source(depot)) {
                self.ask_some(&registry, from)?;
            }
        }
        self.ask_some(&registry, self.near_the_end())
    }

    /// Where the oldest event of a depot stands.
    fn oldest(&self, source: u16) -> Option<Position> {
        let (first, _) = self.reader.depot_bounds(source).ok()?;
        let mut oldest = self.reader.depot_range(source, first, first.saturating_add(1)).ok()?;
        let record = oldest.next().ok()??;
        Some(record.position)
    }

    fn ask_some(&self, registry: &Registry, from: Position) -> Result<(), StartError> {
        let Ok(mut scan) = self.reader.scan(from) else { return Ok(()) };
        for _ in 0..RECORDS_ASKED {
            let Ok(Some(record)) = scan.next() else { break };
            self.ask(registry, &record)?;
        }
        Ok(())
    }

    /// Where the newest records begin. Positions of different epochs have their numbers in common.
    fn near_the_end(&self) -> Position {
        let number = self.reader.end().number().saturating_sub(RECORDS_ASKED);
        let segments = self.reader.segments();
        let held = segments.iter().rev().find(|segment| segment.first.number() <= number);
        Position::new(held.map_or(0, |segment| segment.first.epoch()), number)
    }

    fn ask(&self, registry: &Registry, record: &LogRecord<'_>) -> Result<(), StartError> {
        let (plan, here) = (&self.options.plan, self.options.partition);
        let known = registry.event(record.type_id).filter(|_| record.kind == kind::EVENT);
        let Some((depot, variant)) = known else { return Ok(()) };
        let (codec, partitions) = (&plan.depots[depot].codec, self.options.partitions);
        let mut events = codec.events();
        if codec.decode(&mut events, usize::from(variant), record.payload).is_err() {
            return Ok(());
        }
        // What chooses the partition is code of the user.
        let asked = || codec.partition(&events, 0, partitions);
        let home = match caught(asked) {
            Some(home) if home.is_none_or(|home| home == here) => return Ok(()),
            Some(home) => format!("to partition {}", home.unwrap_or(here)),
            None => "nowhere".to_owned(),
        };
        Err(StartError::Moved {
            what: "depot",
            name: plan.depots[depot].name.to_owned(),
            module: plan.name.to_owned(),
            item: format!("the event at offset {}", record.depot_offset),
            partition: here,
            home,
        })
    }
}

/// Where some of the stored keys belong on other partitions by today's code. PStates of which it is not
/// known that they never did are not asked: what lies in the wrong place there, no code has moved.
fn refuse_moved_keys(
    options: &OpenOptions,
    manifest: &Manifest,
    cells: &[Box<dyn Cell>],
) -> Result<(), StartError> {
    let known = |pstate| meta_of(options, manifest, pstate).map(|meta| meta.homes);
    let asked = cells.iter().enumerate().filter(|&(at, _)| known(at) != Some(Homes::Unknown));
    let violation = asked.map(|(_, cell)| cell).find_map(|cell| cell.misplaced());
    let Some(violation) = violation else { return Ok(()) };
    let (name, key, home) = match violation {
        Violation::Elsewhere { pstate, key, home, .. } => {
            (pstate, key, format!("to partition {home}"))
        }
        Violation::Nowhere { pstate, key }
        | Violation::TooLarge { pstate, key, .. }
        | Violation::LongKey { pstate, key, .. } => (pstate, key, "nowhere".to_owned()),
    };
    Err(StartError::Moved {
        what: "PState",
        name,
        module: options.plan.name.to_owned(),
        item: format!("key {key}"),
        partition: options.partition,
        home,
    })
}

fn load_cells(
    options: &OpenOptions,
    manifest: &Manifest,
) -> Result<Vec<Box<dyn Cell>>, StartError> {
    (0..options.plan.pstates.len()).map(|pstate| load_cell(options, manifest, pstate)).collect()
}

fn meta_of<'a>(
    options: &OpenOptions,
    manifest: &'a Manifest,
    pstate: usize,
) -> Option<&'a PStateMeta> {
    let def = &options.plan.pstates[pstate];
    manifest.topology(options.plan.topologies[def.topology].name)?.pstate(def.name)
}

/// A PState's cell as the manifest has it.
fn load_cell(
    options: &OpenOptions,
    manifest: &Manifest,
    pstate: usize,
) -> Result<Box<dyn Cell>, StartError> {
    let def = &options.plan.pstates[pstate];
    let known = meta_of(options, manifest, pstate);
    let (len, metas) = known.map_or((0, &[][..]), |known| (known.len, &known.runs));
    let mut runs = Vec::new();
    for meta in metas {
        runs.push(open_run(options, meta, def.name, def.schema.fingerprint())?);
    }
    let numbers = (options.partition, options.partitions);
    let place = place(&options.plan, pstate, numbers, options.limits.cache_bytes);
    def.codec.cell(place, runs, len).map_err(|damage| options.damaged(damage))
}

/// Opens a run that belongs to a PState, and no other.
fn open_run(
    options: &OpenOptions,
    meta: &RunMeta,
    pstate: &str,
    schema: u64,
) -> Result<Run, StartError> {
    let path = runs_dir(&options.dir).join(&meta.file);
    let (module, partition) = (options.plan.name.to_owned(), options.partition);
    let run = Run::open(&*options.storage, &path).map_err(|source| StartError::Run {
        module,
        partition,
        source,
    })?;
    if let Some((expected, got)) = meta.mismatch(&run, format_args!("PState `{pstate}`")) {
        let (module, partition) = (options.plan.name.to_owned(), options.partition);
        let file = run.file().to_path_buf();
        return Err(StartError::Foreign { module, partition, file, expected, got });
    }
    if run.schema() != schema {
        let file = options.storage.display(&path).display().to_string();
        let got = run.schema();
        let message = format!("expected schema {schema:#018x}, got {got:#018x}; restore the file");
        return Err(options.damaged(Damaged::new(file, 0, message)));
    }
    Ok(run)
}
