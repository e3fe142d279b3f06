//! Timers: when handlers have scheduled something, and what is sent when its time has come.

use gridmill_model::PState;

use crate::machine::control::ClockRecord;
use crate::topology::{
    EVERYWHERE, Effects, Later, OpenCall, OpenedCall, RecordInfo, Scheduled, StateSet, TimerKey,
    Timers,
};

use super::panics::stopping_at_damage;
use super::{Applied, Core, Stop};

/// The first timer of a topology, as far as it is known without looking.
#[derive(Clone, Copy, Debug)]
pub(super) struct Earliest {
    /// All are at this key or behind it: where to look, past what has fired and is not yet merged away.
    from: TimerKey,
    /// None is due before; what was there may have been cancelled since. `None` where nothing is pending.
    due: Option<i64>,
    /// Whether `due` says anything.
    known: bool,
}

impl Default for Earliest {
    fn default() -> Self {
        Self { from: (i64::MIN, 0, 0), due: None, known: false }
    }
}

impl Earliest {
    fn scheduled(&mut self, key: TimerKey) {
        self.from = self.from.min(key);
        self.due = Some(self.due.map_or(key.0, |due| due.min(key.0)));
    }
}

impl Core {
    /// Enters what handlers of a topology have left for later, at records of a depot, into its state.
    pub(super) fn keep_later(&mut self, topology: usize, depot: usize, effects: &mut Effects) {
        if !effects.has_later() {
            return;
        }
        for change in effects.take_later() {
            match change {
                Later::Schedule { key, depot, variant, target, bytes } => {
                    let type_id = self.registry.type_id(depot, variant);
                    self.earliest[topology].scheduled(key);
                    let scheduled = Scheduled { type_id, target, bytes };
                    self.timers(topology).map(|timers| timers.insert(key, scheduled));
                }
                Later::Cancel(key) => drop(self.timers(topology).map(|timers| timers.remove(key))),
                Later::Call { info, variant, bytes } => {
                    let type_id = self.registry.type_id(depot, variant);
                    let (offset, time) = (info.offset, info.time);
                    let position = info.position;
                    let call = OpenCall { type_id, offset, time, bytes };
                    self.keep_call(topology, self.call_key(depot, position), call);
                    effects.opened(OpenedCall { topology, depot, position });
                }
            }
        }
    }

    fn timers(&mut self, topology: usize) -> Option<&mut Timers> {
        let cell = self.plan.topologies[topology].timers?;
        Some(<PState<Timers> as StateSet>::lend(&mut self.cells, &[cell]))
    }

    /// About when the next timer of the live topologies is due: none is earlier. Nothing is being applied.
    ///
    /// # Errors
    /// [`Stop::Damaged`].
    pub(crate) fn next_due(&mut self) -> Result<Option<i64>, Stop> {
        let mut next = None;
        for topology in 0..self.consumers.len() {
            let earliest = self.earliest_of(topology)?;
            next = next.into_iter().chain(earliest).min();
        }
        Ok(next)
    }

    /// Whether a timer of the live topologies is due at `now`. Nothing is being applied.
    ///
    /// # Errors
    /// [`Stop::Damaged`].
    pub(crate) fn is_due(&mut self, now: i64) -> Result<bool, Stop> {
        for topology in 0..self.consumers.len() {
            if self.earliest_of(topology)?.is_none_or(|due| due > now) {
                continue;
            }
            // It may have been cancelled.
            self.earliest[topology].known = false;
            if self.earliest_of(topology)?.is_some_and(|due| due <= now) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn earliest_of(&mut self, topology: usize) -> Result<Option<i64>, Stop> {
        let timers = self.plan.topologies[topology].timers;
        let Some(cell) = timers.filter(|_| self.consumers[topology].live) else { return Ok(None) };
        if !self.earliest[topology].known {
            let from = self.earliest[topology].from;
            let timers = <PState<Timers> as StateSet>::lend(&mut self.cells, &[cell]);
            let first = timers.range(from..).try_next().transpose()?.map(|(key, _)| key);
            let earliest = Earliest {
                from: first.unwrap_or(from),
                due: first.map(|(due, ..)| due),
                known: true,
            };
            self.earliest[topology] = earliest;
        }
        Ok(self.earliest[topology].due)
    }

    /// The timers of a topology are others than before.
    pub(super) fn forget_earliest(&mut self, topology: usize) {
        self.earliest[topology] = Earliest::default();
    }

    /// How many timers are pending.
    pub(crate) fn pending_timers(&self) -> u64 {
        let timers = self.plan.topologies.iter().filter_map(|topology| topology.timers);
        timers.map(|cell| self.cells.0[cell].0.len()).sum()
    }

    /// A record says what time it is: of each topology that has not come further, what is due by then is sent, as
    /// much as the record says. It is the cause of all of that.
    pub(super) fn apply_clock(
        &mut self,
        clock: ClockRecord,
        info: RecordInfo,
    ) -> Result<Applied, Stop> {
        let mut applied = Applied::default();
        for topology in 0..self.consumers.len() {
            let consumer = &self.consumers[topology];
            if consumer.live && consumer.next <= info.position {
                stopping_at_damage(|| self.fire(topology, clock, info, &mut applied.effects))?;
            }
        }
        self.seal()?;
        Ok(applied)
    }

    fn fire(
        &mut self,
        topology: usize,
        clock: ClockRecord,
        info: RecordInfo,
        effects: &mut Effects,
    ) {
        let Some(cell) = self.plan.topologies[topology].timers else { return };
        let timers = <PState<Timers> as StateSet>::lend(&mut self.cells, &[cell]);
        let (mut fired, mut bytes) = (Vec::new(), 0_u64);
        let until = (info.time, u64::MAX, u32::MAX);
        let from = self.earliest[topology].from;
        if from <= until {
            for (key, scheduled) in timers.range(from..=until).take(clock.timers_max as usize) {
                bytes += scheduled.bytes.len() as u64;
                // One goes always, however large.
                if bytes > clock.bytes_max && !fired.is_empty() {
                    break;
                }
                fired.push((key, scheduled.into_owned()));
            }
        }
        for (key, scheduled) in fired {
            timers.remove(key);
            self.earliest[topology] = Earliest { from: key, due: None, known: false };
            // Where the stage is gone, it was removed with all that was on the way to it.
            let Some((depot, variant)) = self.registry.event(scheduled.type_id) else { continue };
            let targets = match scheduled.target {
                EVERYWHERE => 0..self.partitions,
                target => target..target + 1,
            };
            for target in targets {
                effects.push_timer(
                    (info.position, topology),
                    (depot, variant),
                    target,
                    &scheduled.bytes,
                );
            }
        }
    }
}
