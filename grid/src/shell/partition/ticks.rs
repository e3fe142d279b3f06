//! What time brings to a live partition: ticks, which it appends itself.

use std::time::Duration;

use gridmill_model::{Event, Tick};
use gridmill_persistence::planted::{Bug, is_planted};
use gridmill_persistence::{LogError, LogReader};

use crate::machine::registry::Registry;
use crate::machine::ticks::{Ticking, submission};
use crate::module::Plan;

use super::queued::QueuedEvents;
use super::{Fatal, Msg, Partition};

/// The longest that an alarm waits: the clock may be set meanwhile, and then something else is due.
const ALARM_MAX: Duration = Duration::from_secs(60);

/// How long to wait where something is due and could not be logged.
const RETRY: Duration = Duration::from_millis(100);

/// The depots of ticks of a partition, and when it is woken for them.
#[derive(Default)]
pub(crate) struct Ticks {
    all: Vec<Ticking>,
    /// Those in the batch that is being made.
    in_batch: Vec<(usize, Tick)>,
    alarm: Option<Alarm>,
}

/// A message to come.
#[derive(Clone, Copy)]
struct Alarm {
    /// When it comes, by the host's clock.
    at: Duration,
    /// What it comes for, by the grid's clock.
    due: i64,
}

impl Ticks {
    /// Goes on behind the ticks that the log has. Ticks are on partition 0.
    pub(crate) fn new(
        plan: &Plan,
        partition: u32,
        now: i64,
        (registry, next_offsets): (&Registry, &[u64]),
        reader: &LogReader,
    ) -> Result<Self, LogError> {
        let mut all = if partition == 0 { Ticking::all(plan, now) } else { Vec::new() };
        for ticking in all.iter_mut().filter(|_| !is_planted(Bug::ForgetTicks)) {
            let next = next_offsets[ticking.depot];
            let source = registry.source(ticking.depot);
            let mut last = reader.depot_range(source, next.saturating_sub(1), next)?;
            let last = last.next()?.map(|record| Tick::decode_fields(0, record.payload));
            if let Some(Ok(tick)) = last {
                ticking.appended(tick);
            }
        }
        Ok(Self { all, ..Self::default() })
    }

    /// When the next one is due.
    fn next(&self) -> Option<i64> {
        self.all.iter().map(Ticking::next).min()
    }

    /// What is due at `now`, to be logged in the next batch.
    fn come_due(&mut self, now: i64) -> Vec<QueuedEvents> {
        let due = self.all.iter().enumerate();
        let due = due.filter_map(|(number, ticking)| Some((number, ticking.due(now)?)));
        self.in_batch = due.collect();
        let in_batch = self.in_batch.iter();
        let made = in_batch.map(|(number, tick)| submission(self.all[*number].depot, tick.clone()));
        made.flatten().map(QueuedEvents::from).collect()
    }

    /// The batch was logged.
    pub(crate) fn logged(&mut self) {
        for (number, tick) in self.in_batch.drain(..) {
            self.all[number].appended(tick);
        }
    }

    /// The batch was not logged: its ticks are made anew.
    pub(crate) fn not_logged(&mut self) {
        self.in_batch.clear();
    }
}

impl Partition {
    /// Whether a tick is to be logged now.
    pub(crate) fn is_tick_due(&self) -> bool {
        let next = self.ticks.next().filter(|_| self.flows.intake().events);
        next.is_some_and(|next| next <= self.writer.time() && !self.shared.gate.is_closed())
    }

    /// Ticks that are to be logged now. None once the grid stops.
    pub(crate) fn due_ticks(&mut self) -> Vec<QueuedEvents> {
        if self.ticks.all.is_empty() || self.shared.gate.is_closed() {
            return Vec::new();
        }
        self.ticks.come_due(self.writer.time())
    }

    /// Has itself woken when something is due. Who sets a manual clock wakes it too.
    pub(crate) fn set_alarm(&mut self) -> Result<(), Fatal> {
        let next = self.ticks.next().into_iter().chain(self.core.next_due()?);
        let next = next.chain(self.retries.next()).chain(self.calls.next()).min();
        let Some(due) = next.filter(|_| !self.shared.gate.is_closed()) else { return Ok(()) };
        let (clock, here) = (self.writer.clock(), self.host.now());
        let is_set = |alarm: Alarm| alarm.at > here && alarm.due <= due;
        let left = due.saturating_sub(clock.now());
        if self.ticks.alarm.is_some_and(is_set) || left > 0 && clock.is_manual() {
            return Ok(());
        }
        let wait = match u64::try_from(left) {
            Ok(micros) if micros > 0 => Duration::from_micros(micros).min(ALARM_MAX),
            _ => RETRY,
        };
        self.ticks.alarm = Some(Alarm { at: here + wait, due });
        self.host.after(wait, || Msg::Wake);
        Ok(())
    }
}
