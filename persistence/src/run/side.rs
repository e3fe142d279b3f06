//! A file beside a run that is being written, for what its writer has to remember and cannot keep in memory.
//!
//! It is read back by the writer that wrote it and by nobody else: it is never synced, and goes when the
//! writer goes. What a crash leaves of it has the name of an unfinished run.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::layout::align_up;
use crate::{Storage, StorageFile};

/// Chunks begin at pages of the system, so that reading one touches as few of them as can be.
const CHUNK_ALIGN: u64 = 4096;

/// The file, once there is something in it.
pub(super) struct Side {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    file: Option<Arc<dyn StorageFile>>,
    end: u64,
}

/// Where some bytes lie in the file. Their checksum is kept here: what the disk falsifies must not get
/// into a run, under checksums that say it was meant.
#[derive(Clone, Copy)]
struct Chunk {
    at: u64,
    crc: u32,
}

impl Side {
    /// A file that is made when the first bytes come.
    pub(super) fn new(storage: Arc<dyn Storage>, path: PathBuf) -> Self {
        Self { storage, path, file: None, end: 0 }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<Chunk> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(create_file(&*self.storage, &self.path)?),
        };
        let chunk = Chunk { at: self.end, crc: crc32c::crc32c(bytes) };
        file.write_at(chunk.at, bytes)?;
        self.end = align_up(chunk.at + bytes.len() as u64, CHUNK_ALIGN);
        Ok(chunk)
    }

    fn read(&self, chunk: &Chunk, bytes: &mut [u8]) -> io::Result<()> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        file.read_at(chunk.at, bytes)?;
        if crc32c::crc32c(bytes) == chunk.crc {
            return Ok(());
        }
        let (file, at) = (self.storage.display(&self.path), chunk.at);
        let message = format!("{} does not say at byte {at} what was written", file.display());
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    }

    pub(super) fn remove(&mut self) {
        if self.file.take().is_some() {
            // Best effort, as for the run under its temporary name.
            let _ = self.storage.remove(&self.path);
        }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Bytes in the order in which they came: the last ones in memory, those before them in the file.
pub(super) struct Queue {
    /// How many bytes are kept in memory, and written at once.
    chunk: usize,
    buffer: Vec<u8>,
    chunks: Vec<Chunk>,
}

impl Queue {
    /// Nothing yet. Records whose length divides `chunk` are never parted.
    pub(super) fn new(chunk: usize) -> Self {
        Self { chunk, buffer: Vec::new(), chunks: Vec::new() }
    }

    /// How many bytes came.
    pub(super) fn len(&self) -> u64 {
        (self.chunks.len() * self.chunk + self.buffer.len()) as u64
    }

    #[inline]
    pub(super) fn put(&mut self, side: &mut Side, mut bytes: &[u8]) -> io::Result<()> {
        while self.buffer.len() + bytes.len() > self.chunk {
            let (now, later) = bytes.split_at(self.chunk - self.buffer.len());
            self.buffer.extend_from_slice(now);
            self.chunks.push(side.append(&self.buffer)?);
            self.buffer.clear();
            bytes = later;
        }
        self.buffer.extend_from_slice(bytes);
        debug_assert!(self.buffer.len() <= self.chunk, "what is more lies in the file");
        Ok(())
    }

    /// Shows all bytes, in a few parts.
    pub(super) fn each(
        &self,
        side: &Side,
        mut visit: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut bytes = vec![0; if self.chunks.is_empty() { 0 } else { self.chunk }];
        for chunk in &self.chunks {
            side.read(chunk, &mut bytes)?;
            visit(&bytes)?;
        }
        visit(&self.buffer)
    }
}

/// Makes a temporary file, in place of one that a crash left.
pub(super) fn create_file(storage: &dyn Storage, temp: &Path) -> io::Result<Arc<dyn StorageFile>> {
    match storage.create(temp) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            storage.remove(temp)?;
            storage.create(temp)
        }
        created => created,
    }
}
