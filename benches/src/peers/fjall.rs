//! fjall, an embedded key-value store: one synced batch of upserts a call.

use std::time::Instant;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use hashbrown::HashMap;
use tempfile::TempDir;

use crate::error::{Result, check, failed};
use crate::measure::{Recorder, Subject};
use crate::workloads::events::Hits;

/// Counts on one thread.
pub struct FjallPeer {
    database: Database,
    counts: Keyspace,
    hits: Hits,
    batch: usize,
    done: u64,
    _folder: TempDir,
}

impl FjallPeer {
    /// Counts `hits`, `batch` in each synced batch.
    ///
    /// # Errors
    /// Where the store does not open.
    pub fn new(hits: Hits, batch: usize) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(failed("a folder"))?;
        let database = Database::builder(folder.path()).open().map_err(failed("fjall"))?;
        let counts = database.keyspace("counts", KeyspaceCreateOptions::default);
        let counts = counts.map_err(failed("fjall"))?;
        Ok(Self { database, counts, hits, batch, done: 0, _folder: folder })
    }

    fn commit(&mut self) -> fjall::Result<()> {
        // A key may come twice in a batch; reads do not see what the batch holds already.
        let mut changed: HashMap<u64, u64> = HashMap::with_capacity(self.batch);
        for _ in 0..self.batch {
            let key = self.hits.key();
            let count = match changed.get(&key) {
                Some(count) => *count,
                None => self.counts.get(key.to_be_bytes())?.map_or(0, |bytes| number(&bytes)),
            };
            changed.insert(key, count + 1);
        }
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for (key, count) in changed {
            batch.insert(&self.counts, key.to_be_bytes(), count.to_be_bytes());
        }
        batch.commit()
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}

impl Subject for FjallPeer {
    fn name(&self) -> &str {
        "fjall"
    }

    fn touch(&mut self) -> Result<()> {
        // Each key once, in batches of the same size.
        let keys: Vec<u64> = (0..self.hits.keys()).collect();
        for keys in keys.chunks(self.batch) {
            let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
            for key in keys {
                batch.insert(&self.counts, key.to_be_bytes(), 1_u64.to_be_bytes());
            }
            batch.commit().map_err(failed("fjall"))?;
        }
        self.done += self.hits.keys();
        Ok(())
    }

    fn run(&mut self, until: Instant, seen: &mut Recorder) -> Result<()> {
        while Instant::now() < until {
            let start = Instant::now();
            self.commit().map_err(failed("fjall"))?;
            self.done += self.batch as u64;
            seen.answered(self.batch as u64, start);
        }
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        let mut sum = 0;
        for entry in self.counts.iter() {
            sum += number(&entry.value().map_err(failed("fjall"))?);
        }
        check("fjall", "sum of the counters", self.done, sum)
    }
}

impl std::fmt::Debug for FjallPeer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FjallPeer").finish_non_exhaustive()
    }
}
