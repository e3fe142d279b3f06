//! The limit in memory: a hash map changed in place, with nothing durable and no views.

use std::time::Instant;

use hashbrown::HashMap;

use crate::error::{Result, check};
use crate::measure::{Recorder, Subject};
use crate::workloads::events::Hits;

/// Counts on one thread.
#[derive(Debug)]
pub struct HashMapPeer {
    counts: HashMap<u64, u64>,
    hits: Hits,
    batch: usize,
    done: u64,
}

impl HashMapPeer {
    /// Counts `hits`, `batch` at a time.
    pub fn new(hits: Hits, batch: usize) -> Self {
        Self { counts: HashMap::new(), hits, batch, done: 0 }
    }
}

impl Subject for HashMapPeer {
    fn name(&self) -> &str {
        "hashmap"
    }

    fn touch(&mut self) -> Result<()> {
        self.counts.extend((0..self.hits.keys()).map(|key| (key, 1)));
        self.done += self.hits.keys();
        Ok(())
    }

    fn run(&mut self, until: Instant, seen: &mut Recorder) -> Result<()> {
        while Instant::now() < until {
            let start = Instant::now();
            for _ in 0..self.batch {
                *self.counts.entry(self.hits.key()).or_default() += 1;
            }
            self.done += self.batch as u64;
            seen.answered(self.batch as u64, start);
        }
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        check("hashmap", "sum of the counters", self.done, self.counts.values().sum())
    }
}
