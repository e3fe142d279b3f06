//! Where record times come from, and who is told when they change.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// The source of record times, ticks and timers: the system's clock, or one that a test sets.
///
/// Setting a manual clock wakes the grids that it was given to. What is due by then counts as appended before
/// [`Grid::processed`](crate::Grid::processed) is called: a test sets the clock, waits for that, and reads.
///
/// ```
/// use gridmill::Clock;
///
/// let clock = Clock::manual(1_000);
/// clock.set(2_000);
/// assert_eq!(clock.now(), 2_000);
/// ```
#[derive(Clone, Default)]
pub struct Clock {
    manual: Option<Arc<Manual>>,
}

/// A clock that is set.
struct Manual {
    now: AtomicI64,
    watchers: Mutex<Vec<Weak<dyn Watcher>>>,
}

/// Who is told when a manual clock is set.
pub(crate) trait Watcher: Send + Sync {
    /// The clock shows another time.
    fn time_passed(&self);
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at `micros` (microseconds since 1970, UTC) until it is set.
    pub fn manual(micros: i64) -> Self {
        let (now, watchers) = (AtomicI64::new(micros), Mutex::default());
        Self { manual: Some(Arc::new(Manual { now, watchers })) }
    }

    /// Sets a manual clock; the system's clock stays as it is.
    pub fn set(&self, micros: i64) {
        let Some(manual) = &self.manual else { return };
        manual.now.store(micros, Ordering::Release);
        // Told without the lock: what they do is their business.
        let watchers: Vec<_> = manual.watchers.lock().iter().filter_map(Weak::upgrade).collect();
        watchers.iter().for_each(|watcher| watcher.time_passed());
    }

    /// Microseconds since 1970, UTC.
    pub fn now(&self) -> i64 {
        if let Some(manual) = &self.manual {
            return manual.now.load(Ordering::Acquire);
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }

    pub(crate) fn is_manual(&self) -> bool {
        self.manual.is_some()
    }

    /// Tells `watcher` whenever a manual clock is set, as long as it is there.
    pub(crate) fn tell(&self, watcher: Weak<dyn Watcher>) {
        if let Some(manual) = &self.manual {
            let mut watchers = manual.watchers.lock();
            watchers.retain(|known| known.strong_count() > 0);
            watchers.push(watcher);
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.manual.is_some() { "Clock(manual)" } else { "Clock(system)" })
    }
}
