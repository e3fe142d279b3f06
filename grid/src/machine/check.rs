//! Whether a start fits a partition's folder: all that can refuse it, before anything is written.
//!
//! The folder is only read. A start checks every partition of every module before the first of them
//! goes on, so that one that is refused has changed none.

use std::fmt::Display;
use std::sync::Arc;

use gridmill_model::engine::Damaged;
use gridmill_persistence::{LogError, LogReader, LogRecord, Position, Recovered, Run};

use crate::error::StartError;
use crate::folder::no_log;
use crate::identity::foreign_manifest;
use crate::module::{Plan, Topology};
use crate::panics::caught;
use crate::state::{Cell, Violation};

use super::breadcrumbs;
use super::control::kind;
use super::core::place;
use super::flow::generations;
use super::flow::marks::Watermark;
use super::flow::outbox_file::{self, OutboxFault, OutboxRecord};
use super::manifest::{
    Homes, Manifest, ManifestFile, PStateMeta, RunMeta, TopologyMeta, path as manifest_path,
    runs_dir,
};
use super::open::{OpenOptions, Prescan};
use super::reconcile::{LogFacts, reconcile};
use super::registry::Registry;

/// How many records from a depot's oldest event on, and of the newest, are asked where they belong: a start reads
/// little, however far apart the events of a depot lie.
const RECORDS_ASKED: u64 = 16;

/// What a folder says of itself; nothing where it is new.
pub(crate) struct Surveyed {
    stored: Option<Manifest>,
}

impl Surveyed {
    pub(crate) fn stored(&self) -> Option<&Manifest> {
        self.stored.as_ref()
    }
}

/// A folder that a start fits.
pub(crate) struct Checked {
    /// What the folder says of itself; nothing where it is new.
    pub(super) stored: Option<Manifest>,
    /// Of each topology of the plan, where it was settled for all partitions.
    pub(super) generations: Option<Arc<[u32]>>,
    /// The PStates as the folder has them.
    pub(super) cells: Vec<Box<dyn Cell>>,
    /// By topology of the plan: what it had sent and was not confirmed.
    pub(super) outboxes: Vec<Vec<OutboxRecord>>,
    /// What the log's tail says before it is handled.
    pub(super) known: Prescan,
    registry: Registry,
    /// Where the log ends.
    end: Position,
    /// What the manifest is to say as `synced`.
    pub(super) synced: bool,
}

/// The first step of a start: whose the partition's folder is. Changes nothing.
///
/// # Errors
/// [`StartError`]: it is another's, it is gone, or its manifest cannot be read.
pub(crate) fn survey(options: &OpenOptions) -> Result<Surveyed, StartError> {
    let stored = ManifestFile::read(&*options.storage, &options.dir);
    let stored = stored.map_err(|fault| options.manifest_fault(fault))?;
    refuse_stored(options, stored.as_ref())?;
    Ok(Surveyed { stored })
}

/// The generations of a module's topologies at a start, from what its partitions have.
pub(crate) fn settle_generations(plan: &Plan, surveyed: &[Surveyed]) -> Arc<[u32]> {
    let manifests: Vec<_> = surveyed.iter().map(Surveyed::stored).collect();
    generations::settle(plan, &manifests).into()
}

/// The second step of a start: whether the partition's folder is whole, and fits what the code declares.
/// Changes nothing.
///
/// # Errors
/// [`StartError`] says what does not fit.
pub(crate) fn check(
    options: &OpenOptions,
    (surveyed, generations): (Surveyed, Option<Arc<[u32]>>),
) -> Result<Checked, StartError> {
    let stored = surveyed.stored;
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
    let manifest = reconcile(&options.plan, manifest, &facts, generations.as_deref())?;
    refuse_poison(options, &manifest, recovered.end)?;
    let asked = EventsAsked { options, reader: &reader, manifest: &manifest };
    asked.refuse_moved()?;
    let cells = load_cells(options, &manifest)?;
    refuse_moved_keys(options, &manifest, &cells)?;
    let registry = Registry::new(&options.plan, &manifest);
    refuse_lost_events(options, stored.as_ref(), &manifest, &registry)?;
    let outboxes = load_outboxes(options, &manifest, &registry)?;
    let known = Prescan::of(options, &manifest, &registry, &reader)?;
    let (end, synced) = (recovered.end, stored.as_ref().is_some_and(|stored| stored.synced));
    Ok(Checked { stored, generations, cells, outboxes, known, registry, end, synced })
}

/// The step between checking and opening, for all partitions of a module together: each knows from then on
/// what the others have of what it sent. `module` has its partitions by number.
///
/// # Errors
/// [`StartError::Behind`]: a partition has what another sent for a record that the other has not.
pub(crate) fn meet(module: &mut [(&OpenOptions, Checked)]) -> Result<(), StartError> {
    let mut lost = vec![false; module.len()];
    for (target, checked) in module.iter() {
        for (channel, source, mark) in checked.known.marks.iter() {
            let topology = checked.registry.topology_of_channel(channel);
            let Some((topology, other)) = topology.zip(module.get(usize::from(source))) else {
                continue;
            };
            if mark.position().number() > other.1.end.number() {
                note_behind(target, other, mark)?;
                lost[usize::from(source)] = true;
            }
            target.confirmed.confirm(target.partition, topology, u32::from(source), mark);
        }
    }
    for ((options, checked), lost) in module.iter_mut().zip(lost) {
        checked.synced = options.synced && !lost;
    }
    Ok(())
}

/// A partition has what another sent for a record that is not in the other's log. Where the other let nobody
/// hear of a record before it was synced, the log has lost something; otherwise a power loss may have.
fn note_behind(
    target: &OpenOptions,
    (source, checked): &(&OpenOptions, Checked),
    mark: Watermark,
) -> Result<(), StartError> {
    let module = source.plan.name;
    let folder = source.storage.display(&source.dir);
    let (partition, witness) = (source.partition, target.partition);
    let (known, end) = (mark.position().number(), checked.end.number());
    if !checked.stored.as_ref().is_some_and(|stored| stored.synced) {
        tracing::warn!(
            module,
            partition,
            witness,
            known,
            end,
            "a power loss took records that had been sent on to another partition"
        );
        return Ok(());
    }
    Err(StartError::Behind { module: module.to_owned(), partition, folder, witness, known, end })
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

/// Refuses where a topology is gone that had appended events to depots which are there: they are not its own.
fn refuse_lost_events(
    options: &OpenOptions,
    stored: Option<&Manifest>,
    manifest: &Manifest,
    registry: &Registry,
) -> Result<(), StartError> {
    for topology in stored.into_iter().flat_map(|stored| &stored.topologies) {
        let stays = manifest.topology(&topology.name);
        if stays.is_some_and(|stays| stays.generation == topology.generation) {
            continue;
        }
        let sent = load_outbox(options, topology, registry)?;
        let events = sent.iter().filter(|record| record.kind == kind::SENT).count();
        if events > 0 {
            return Err(StartError::InFlight {
                module: options.plan.name.to_owned(),
                partition: options.partition,
                topology: topology.name.clone(),
                events,
            });
        }
    }
    Ok(())
}

/// By topology of the plan: what it had sent and was not confirmed.
fn load_outboxes(
    options: &OpenOptions,
    manifest: &Manifest,
    registry: &Registry,
) -> Result<Vec<Vec<OutboxRecord>>, StartError> {
    let load = |topology: &Topology| {
        let meta = manifest.topology(topology.name);
        meta.map_or(Ok(Vec::new()), |meta| load_outbox(options, meta, registry))
    };
    options.plan.topologies.iter().map(load).collect()
}

fn load_outbox(
    options: &OpenOptions,
    topology: &TopologyMeta,
    registry: &Registry,
) -> Result<Vec<OutboxRecord>, StartError> {
    let Some(meta) = &topology.outbox else { return Ok(Vec::new()) };
    let run = whole_run(options, meta, format_args!("the outbox of topology `{}`", topology.name))?;
    outbox_file::read(&run, registry).map_err(|fault| match fault {
        OutboxFault::Damaged(damage) => options.damaged(damage),
        OutboxFault::Run(source) => {
            let (module, partition) = (options.plan.name.to_owned(), options.partition);
            StartError::Run { module, partition, source }
        }
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
    let run = whole_run(options, meta, format_args!("PState `{pstate}`"))?;
    if run.schema() != schema {
        let file = run.file().display().to_string();
        let got = run.schema();
        let message = format!("expected schema {schema:#018x}, got {got:#018x}; restore the file");
        return Err(options.damaged(Damaged::new(file, 0, message)));
    }
    Ok(run)
}

/// Opens a run that was written for `owner`, and no other.
fn whole_run(
    options: &OpenOptions,
    meta: &RunMeta,
    owner: impl Display,
) -> Result<Run, StartError> {
    let path = runs_dir(&options.dir).join(&meta.file);
    let (module, partition) = (options.plan.name.to_owned(), options.partition);
    let run = Run::open(&*options.storage, &path).map_err(|source| StartError::Run {
        module,
        partition,
        source,
    })?;
    let Some((expected, got)) = meta.mismatch(&run, owner) else { return Ok(run) };
    let (module, partition) = (options.plan.name.to_owned(), options.partition);
    let file = run.file().to_path_buf();
    Err(StartError::Foreign { module, partition, file, expected, got })
}
