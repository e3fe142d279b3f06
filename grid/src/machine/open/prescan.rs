//! What has to be known of the log's tail before it is handled: records that stand in quarantine, and what
//! came from other partitions.

use std::collections::HashSet;

use gridmill_persistence::planted::{Bug, is_planted};
use gridmill_persistence::{LogReader, LogRecord, Position};

use crate::error::StartError;
use crate::machine::control::{Verdict, kind};
use crate::machine::flow::marks::Marks;
use crate::machine::flow::stamp::Stamp;
use crate::machine::manifest::Manifest;
use crate::machine::registry::Registry;
use crate::machine::replay::{ReplayError, verdict_in};

use super::{OpenOptions, Opened};

/// What the log's tail says.
#[derive(Debug)]
pub(crate) struct Prescan {
    /// Topology and position of each verdict.
    pub(super) verdicts: HashSet<(usize, Position)>,
    /// How far the partition is with what others sent it, at the end of the log.
    pub(crate) marks: Marks,
}

impl Prescan {
    /// Reads what no snapshot covers, and what came since the marks were written.
    pub(crate) fn of(
        options: &OpenOptions,
        manifest: &Manifest,
        registry: &Registry,
        reader: &LogReader,
    ) -> Result<Self, StartError> {
        let marks = Marks::restore(&manifest.intake.marks);
        let mut found = Self { verdicts: HashSet::new(), marks };
        let end = reader.end();
        let from = first(options, manifest, registry, end);
        if from.number() >= end.number() {
            return Ok(found);
        }
        let mut scan = reader.scan(from).map_err(|source| options.log_fault(source))?;
        while let Some(record) = scan.next().map_err(|source| options.log_fault(source))? {
            let noted = found.note(options, registry, &record);
            noted.map_err(|error| options.replay_fault(error))?;
        }
        Ok(found)
    }

    fn note(
        &mut self,
        options: &OpenOptions,
        registry: &Registry,
        record: &LogRecord<'_>,
    ) -> Result<(), ReplayError> {
        if record.kind == kind::VERDICT {
            self.verdicts.extend(verdict_in(&options.plan, registry, record)?);
        }
        if kind::is_sent(record.kind)
            && let Some(stamp) = record.id.map(Stamp::from_bytes)
            && registry.topology_of_channel(stamp.channel).is_some()
            && !is_planted(Bug::MarksOfSnapshot)
        {
            self.marks.note(stamp.channel, stamp.partition, stamp.cause);
        }
        Ok(())
    }
}

/// Where to begin. Where records are to be set aside, verdicts that topologies which read the past will meet are
/// wanted too.
fn first(
    options: &OpenOptions,
    manifest: &Manifest,
    registry: &Registry,
    end: Position,
) -> Position {
    let all = !options.quarantine_at.is_empty();
    let wanted = manifest.topologies.iter().filter(|topology| topology.live || all);
    let from = wanted.map(|topology| topology.next).fold(end, Position::min);
    // Where nothing is sent, nobody brings the marks forward.
    if registry.has_channels() { from.min(manifest.intake.at) } else { from }
}

/// Sets aside the records that the builder was told to, for each topology that has not handled them and
/// does not have them in `skip`; returns the verdicts.
pub(super) fn asked_for(
    options: &OpenOptions,
    opened: &mut Opened,
    skip: &mut HashSet<(usize, Position)>,
) -> Result<Vec<Verdict>, StartError> {
    let mut found = Vec::new();
    let reader = opened.log.reader();
    for &position in &options.quarantine_at {
        let Some((depot, offset, time)) = event_at(options, opened, &reader, position)? else {
            continue;
        };
        for (topology, consumer) in opened.core.consumers.iter_mut().enumerate() {
            let source = options.plan.topologies[topology].source(depot);
            let to_come = source.is_some_and(|source| offset >= consumer.starts[source])
                && position >= consumer.next
                && !consumer.quarantine.contains_key(&position);
            if !to_come || !skip.insert((topology, position)) {
                continue;
            }
            let verdict = Verdict {
                topology: options.plan.topologies[topology].name.to_owned(),
                position,
                depot: options.plan.depots[depot].name.to_owned(),
                offset,
                time,
                attempts: 0,
                message: "set aside by `quarantine_at`".to_owned(),
            };
            consumer.quarantine.insert(position, verdict.clone());
            found.push(verdict);
        }
    }
    Ok(found)
}

fn event_at(
    options: &OpenOptions,
    opened: &Opened,
    reader: &LogReader,
    position: Position,
) -> Result<Option<(usize, u64, i64)>, StartError> {
    let mut scan = reader.scan(position).map_err(|source| options.log_fault(source))?;
    let record = scan.next().map_err(|source| options.log_fault(source))?;
    Ok(record.filter(|record| record.position == position && kind::is_event(record.kind)).and_then(
        |record| {
            let (depot, _) = opened.registry.event(record.type_id)?;
            Some((depot, record.depot_offset, record.time))
        },
    ))
}
