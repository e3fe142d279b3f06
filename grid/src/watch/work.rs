//! Evaluating what is due.

use std::time::Duration;

use gridmill_client::engine::Newest;

use super::hub::{Due, Hub, Next};

/// Where values come from.
pub(crate) trait Spot {
    /// Shows the newest root of a PState; nothing where the PState is not there yet.
    fn look(&self, pstate: usize, topology: usize, see: &mut dyn FnMut(Newest<'_>));

    /// A clock that never goes back. One that stands still has no time to wait.
    fn now(&self) -> Duration;
}

/// Evaluates the next that is due at this time.
pub(crate) fn evaluate_next(hub: &Hub, spot: &impl Spot, now: Duration) -> Next {
    let next = hub.next(now);
    if let Next::Evaluate(due) = &next {
        evaluate(hub, spot, due);
    }
    next
}

/// Evaluates what is due, until nothing is: something may be later.
pub(crate) fn evaluate_due(hub: &Hub, spot: &impl Spot) {
    while let Next::Evaluate(_) = evaluate_next(hub, spot, spot.now()) {}
}

/// Evaluates all that is due or will be, at once.
pub(crate) fn evaluate_all(hub: &Hub, spot: &impl Spot) {
    while let Next::Evaluate(_) = evaluate_next(hub, spot, Duration::MAX) {}
}

fn evaluate(hub: &Hub, spot: &impl Spot, due: &Due) {
    let begun = spot.now();
    let (joined, mut evaluated) = (due.topic.joined(), None);
    spot.look(due.pstate, due.topology, &mut |newest| {
        evaluated = Some(due.topic.evaluate(newest, joined, &|| hub.is_wanted(due.id)));
    });
    let now = spot.now();
    hub.evaluated(due.id, evaluated, now.saturating_sub(begun), now);
}
