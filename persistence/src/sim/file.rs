//! One file of a simulated disk: what is in it, and what a power loss would leave of it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::SimStorage;
use super::disk::Seed;
use crate::storage::{LockGuard, Mapped, MappedOwner, StorageFile};

const SECTOR: usize = 512;

/// What a sector held when it was last durable; `None` is zeros, which most new sectors were.
type Before = Option<Box<[u8; SECTOR]>>;

/// The bytes of a file as running programs see them, and the old sectors under them that a power
/// loss may bring back.
#[derive(Default)]
pub(super) struct Content {
    bytes: Vec<u8>,
    durable_len: usize,
    unsynced: BTreeMap<usize, Before>,
    /// Sectors that a failed sync gave up: the system believes them written, and no later sync
    /// writes them.
    abandoned: BTreeMap<usize, Before>,
    /// The whole file, shared with those who map all of it, until the next write.
    whole: Option<Arc<Whole>>,
    /// Bytes that cannot be read.
    unreadable: Option<Range<usize>>,
    /// How many open handles keep the content alive when no name does.
    pub(super) handles: usize,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unsynced = self.unsynced.len();
        write!(f, "Content({} bytes, {unsynced} sectors unsynced)", self.bytes.len())
    }
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        for sector in start / SECTOR..end.div_ceil(SECTOR) {
            self.remember(sector);
        }
        self.bytes[start..end].copy_from_slice(bytes);
        debug_assert!(self.durable_len <= self.bytes.len(), "files grow");
        self.whole = None;
    }

    fn remember(&mut self, sector: usize) {
        if self.unsynced.contains_key(&sector) {
            return;
        }
        let before = match self.abandoned.remove(&sector) {
            Some(before) => before,
            None => self.sector(sector),
        };
        self.unsynced.insert(sector, before);
    }

    fn sector(&self, sector: usize) -> Before {
        let held = &self.bytes[sector * SECTOR..self.bytes.len().min((sector + 1) * SECTOR)];
        if held.iter().all(|&byte| byte == 0) {
            return None;
        }
        let mut before = Box::new([0; SECTOR]);
        before[..held.len()].copy_from_slice(held);
        Some(before)
    }

    pub(super) fn sync(&mut self) {
        self.unsynced.clear();
        self.durable_len = self.bytes.len();
    }

    pub(super) fn fail_sync(&mut self) {
        self.abandoned.append(&mut self.unsynced);
    }

    pub(super) fn lose_power(&mut self, seed: &mut Seed) {
        let once = self.unsynced.keys().all(|sector| !self.abandoned.contains_key(sector));
        debug_assert!(once, "a sector has one state to fall back to");
        let mut sectors = std::mem::take(&mut self.unsynced);
        sectors.append(&mut self.abandoned);
        for (sector, before) in sectors {
            if seed.flip() {
                self.restore(sector, before);
            }
        }
        if self.durable_len < self.bytes.len() && seed.flip() {
            self.bytes.truncate(self.durable_len);
        }
        self.durable_len = self.bytes.len();
        self.whole = None;
    }

    fn restore(&mut self, sector: usize, before: Before) {
        let end = self.bytes.len().min((sector + 1) * SECTOR);
        let held = &mut self.bytes[sector * SECTOR..end];
        match before {
            Some(before) => held.copy_from_slice(&before[..held.len()]),
            None => held.fill(0),
        }
    }

    pub(super) fn flip_bit(&mut self, offset: u64, bit: u8) -> io::Result<()> {
        let byte = self.bytes.get_mut(offset as usize).ok_or(io::ErrorKind::InvalidInput)?;
        *byte ^= 1 << (bit & 7);
        self.whole = None;
        Ok(())
    }

    pub(super) fn set_unreadable(&mut self, bytes: Option<Range<usize>>) {
        (self.unreadable, self.whole) = (bytes, None);
    }

    pub(super) fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        if self.unreadable.as_ref().is_some_and(|bad| bad.start < end && start < bad.end) {
            return Err(unreadable());
        }
        let held = self.bytes.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.copy_from_slice(held);
        Ok(())
    }

    /// Copies a part; shares the whole. A log's readers ask for the tail that is new to them, a
    /// run's for all of it.
    fn map(&mut self, range: Range<u64>) -> io::Result<Mapped> {
        let range = range.start as usize..range.end as usize;
        if range.start > range.end || range.end > self.bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if range.len() < self.bytes.len() {
            let part = self.bytes[range].to_vec();
            let len = part.len();
            return Ok(Mapped::new(Arc::new(part), 0..len));
        }
        let make = || {
            let unreadable = self.unreadable.clone().unwrap_or_default();
            Arc::new(Whole { bytes: self.bytes.clone(), unreadable })
        };
        let whole = self.whole.get_or_insert_with(make);
        Ok(Mapped::new(Arc::clone(whole) as Arc<_>, range))
    }
}

fn unreadable() -> io::Error {
    io::Error::from_raw_os_error(libc::EIO)
}

/// A whole file as a view of it has it.
struct Whole {
    bytes: Vec<u8>,
    unreadable: Range<usize>,
}

impl MappedOwner for Whole {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn fetch(&self, range: Range<usize>) -> io::Result<()> {
        let bad = &self.unreadable;
        if bad.start < range.end && range.start < bad.end { Err(unreadable()) } else { Ok(()) }
    }
}

#[derive(Debug)]
pub(super) struct SimFile {
    storage: SimStorage,
    id: u64,
    writable: bool,
}

impl SimFile {
    pub(super) fn new(storage: SimStorage, id: u64, writable: bool) -> Self {
        Self { storage, id, writable }
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.storage.disk.lock().close(self.id);
    }
}

impl StorageFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.storage.with(|disk| Ok(disk.content(self.id)?.len()))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.storage.with(|disk| disk.write(self.id, offset, bytes))
    }

    fn write_pages(&self, offset: u64, pages: &[u8]) -> io::Result<bool> {
        self.write_at(offset, pages).map(|()| true)
    }

    fn sync(&self) -> io::Result<()> {
        self.storage.with(|disk| disk.sync(self.id))
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.storage.with(|disk| disk.content(self.id)?.read(offset, bytes))
    }

    fn map(&self, range: Range<u64>) -> io::Result<Mapped> {
        self.storage.with(|disk| disk.content(self.id)?.map(range))
    }
}

#[derive(Debug)]
pub(super) struct SimLock {
    storage: SimStorage,
    path: PathBuf,
}

impl SimLock {
    pub(super) fn new(storage: SimStorage, path: PathBuf) -> Self {
        Self { storage, path }
    }
}

impl LockGuard for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.storage.disk.lock().unlock(self.storage.life, &self.path);
    }
}
