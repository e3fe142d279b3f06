//! Where record times come from.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The source of record times: the system's clock, or one that a test sets.
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
    manual: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at `micros` (microseconds since 1970, UTC) until it is set.
    pub fn manual(micros: i64) -> Self {
        Self { manual: Some(Arc::new(AtomicI64::new(micros))) }
    }

    /// Sets a manual clock; the system's clock stays as it is.
    pub fn set(&self, micros: i64) {
        if let Some(manual) = &self.manual {
            manual.store(micros, Ordering::Relaxed);
        }
    }

    /// Microseconds since 1970, UTC.
    pub fn now(&self) -> i64 {
        if let Some(manual) = &self.manual {
            return manual.load(Ordering::Relaxed);
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.manual.is_some() { "Clock(manual)" } else { "Clock(system)" })
    }
}
