//! The disk's limit: the bytes of the same records, written and synced.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use gridmill::prelude::Event;
use tempfile::TempDir;

use crate::error::{BenchError, Result, check, failed};
use crate::measure::{Recorder, Subject};
use crate::workloads::events::Feed;

/// The file is written over and over, so that it stays pre-zeroed and in place.
const FILE_BYTES: usize = 256 << 20;

/// Bytes of the log before a batch, and before each of its records. Records are padded to 16.
const BATCH_HEADER: usize = 32;
const RECORD_HEADER: usize = 32;

/// Zeros are written in pieces of this size, as the log does: what the page cache took in one piece
/// it also writes back in one piece, however little of it has changed.
static ZEROS: [u8; 16 << 10] = [0; 16 << 10];

/// One `pwrite` and one `fdatasync` for the records of all calls that are in flight.
#[derive(Debug)]
pub struct FilePeer {
    file: File,
    _folder: TempDir,
    batch: Vec<u8>,
    records: u64,
    offset: usize,
    sync: bool,
    written: u64,
}

impl FilePeer {
    /// Writes `records` events at a time.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn new<F: Feed>(feed: &mut F, records: usize, sync: bool) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(failed("a folder"))?;
        let path = folder.path().join("log");
        let file = File::options().create_new(true).read(true).write(true).open(path);
        let file = file.map_err(failed("a file"))?;
        for start in (0..FILE_BYTES).step_by(ZEROS.len()) {
            let zeroed = file.write_all_at(&ZEROS, start as u64);
            zeroed.map_err(failed("zeroing"))?;
        }
        file.sync_all().map_err(failed("a sync"))?;
        let mut batch = vec![7; BATCH_HEADER];
        for _ in 0..records {
            encode(&feed.next(), &mut batch)?;
        }
        let records = records as u64;
        Ok(Self { file, _folder: folder, batch, records, offset: 0, sync, written: 0 })
    }
}

fn encode<E: Event>(event: &E, batch: &mut Vec<u8>) -> Result<()> {
    batch.resize(batch.len() + RECORD_HEADER, 7);
    event.encode_fields(batch).map_err(failed("encoding"))?;
    batch.resize(batch.len().next_multiple_of(16), 0);
    Ok(())
}

impl Subject for FilePeer {
    fn name(&self) -> &str {
        "file"
    }

    fn run(&mut self, until: Instant, seen: &mut Recorder) -> Result<()> {
        while Instant::now() < until {
            let start = Instant::now();
            if self.offset + self.batch.len() > FILE_BYTES {
                self.offset = 0;
            }
            let written = self.file.write_all_at(&self.batch, self.offset as u64);
            written.map_err(failed("a write"))?;
            if self.sync {
                self.file.sync_data().map_err(failed("a sync"))?;
            }
            self.offset += self.batch.len();
            self.written += 1;
            seen.answered(self.records, start);
        }
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        let mut back = vec![0; self.batch.len()];
        let last = self.offset.checked_sub(back.len());
        let Some(last) = last else { return check("file", "batches", self.written, 0) };
        self.file.read_exact_at(&mut back, last as u64).map_err(failed("a read"))?;
        if back == self.batch {
            return Ok(());
        }
        Err(BenchError::Failed { what: "file", message: "it holds other bytes".to_owned() })
    }
}
