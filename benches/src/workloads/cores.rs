//! One core for a writer with all that works for it, another for a reader.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::error::{Result, failed};

/// Two cores. A thread goes where the one that started it was at that time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cores {
    writer: usize,
    reader: usize,
}

impl Cores {
    /// The first two that this process may use, if there are two.
    pub(super) fn two() -> Result<Option<Self>> {
        let all = sched_getaffinity(None).map_err(failed("the cores"))?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| all.is_set(core));
        Ok(cores.next().zip(cores.next()).map(|(writer, reader)| Self { writer, reader }))
    }

    /// Moves the calling thread to the writer's core.
    pub(super) fn write(self) -> Result<()> {
        pin(self.writer)
    }

    /// Moves the calling thread to the reader's core.
    pub(super) fn read(self) -> Result<()> {
        pin(self.reader)
    }
}

fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(failed("the cores"))
}
