//! What has to be known of the log's tail before it is handled: records that stand in quarantine.

use std::collections::HashSet;

use gridmill_persistence::{LogReader, Position};

use crate::error::StartError;
use crate::machine::control::{Verdict, kind};
use crate::machine::replay::verdicts;

use super::{OpenOptions, Opened};

/// Verdicts in the log's tail; where records are to be set aside, also those that topologies which read
/// the past will meet.
pub(super) fn known_verdicts(
    options: &OpenOptions,
    opened: &Opened,
    from: Position,
) -> Result<HashSet<(usize, Position)>, StartError> {
    let mut first = from;
    if !options.quarantine_at.is_empty() {
        let next = opened.core.consumers.iter().map(|consumer| consumer.next);
        first = next.fold(first, Position::min);
    }
    let known = verdicts(&options.plan, &opened.registry, &opened.log.reader(), first);
    known.map_err(|error| options.replay_fault(error))
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
