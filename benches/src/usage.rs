//! What a run costs: CPU time, and bytes written, from `/proc`.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Clock ticks a second in `/proc/PID/stat`: 100 on every Linux that we know of.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time and bytes written so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time of all threads.
    pub cpu: Duration,
    /// Bytes that went to the disk, or will.
    pub written: u64,
}

impl Usage {
    /// What this process and `servers` used so far. A server that has gone counts nothing.
    pub fn now(servers: &[u32]) -> Self {
        let cpu = clock(ClockId::ProcessCPUTime);
        let mut sum = Self { cpu, written: written("self").unwrap_or_default() };
        for server in servers {
            for pid in with_children(*server) {
                sum += Self::of(&pid.to_string());
            }
        }
        sum
    }

    fn of(pid: &str) -> Self {
        Self { cpu: cpu(pid).unwrap_or_default(), written: written(pid).unwrap_or_default() }
    }

    /// The CPU time of the calling thread so far.
    pub fn of_thread() -> Duration {
        clock(ClockId::ThreadCPUTime)
    }

    /// What was used since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            written: self.written.saturating_sub(before.written),
        }
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.cpu += other.cpu;
        self.written += other.written;
    }
}

fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or_default())
        + Duration::from_nanos(nanos)
}

fn cpu(pid: &str) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program stands in brackets and may have spaces; fields are counted after it.
    let fields = stat.rsplit_once(')')?.1;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
}

fn written(pid: &str) -> Option<u64> {
    field(&std::fs::read_to_string(format!("/proc/{pid}/io")).ok()?, "write_bytes:")
}

/// The number after `name` in a file of `name value` lines.
pub fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// A server and the processes that it started.
fn with_children(pid: u32) -> Vec<u32> {
    let tasks = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(tasks).unwrap_or_default();
    let children = children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
    std::iter::once(pid).chain(children.flat_map(with_children)).collect()
}
