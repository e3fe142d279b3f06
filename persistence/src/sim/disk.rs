//! The state of a simulated disk, behind one lock.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3Default;

use super::Faults;
use super::file::Content;
use super::names::Names;

/// splitmix64: small, good enough to decide which sector is lost, the same on every machine.
#[derive(Debug)]
pub(super) struct Seed(u64);

impl Seed {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn flip(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// How much of a write happens: often it ends before the zeros at its end, which change nothing.
    pub(super) fn part_of(&mut self, bytes: &[u8]) -> usize {
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let most = if self.flip() { end } else { bytes.len() };
        self.up_to(most as u64) as usize
    }

    /// A number in `0..=most`.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        self.next() % (most + 1)
    }
}

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) names: Names,
    files: BTreeMap<u64, Content>,
    locks: BTreeSet<PathBuf>,
    seed: Seed,
    faults: Faults,
    /// Which generation of handles may work: a crash or a kill begins the next.
    life: u64,
    next_id: u64,
    operations: u64,
    writes: u64,
    syncs: u64,
    powered: bool,
}

impl Disk {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        Self {
            names: Names::default(),
            files: BTreeMap::new(),
            locks: BTreeSet::new(),
            seed: Seed(seed),
            faults,
            life: 0,
            next_id: 0,
            operations: 0,
            writes: 0,
            syncs: 0,
            powered: true,
        }
    }

    /// Counts an operation of the handles of `life` and refuses it when they are dead.
    pub(super) fn enter(&mut self, life: u64) -> io::Result<()> {
        if life != self.life || !self.powered {
            return Err(dead());
        }
        self.operations += 1;
        if self.loses_power_now() {
            self.powered = false;
        }
        Ok(())
    }

    /// Whether the operation at hand is the one in which the power goes.
    fn loses_power_now(&self) -> bool {
        self.faults.power_off.is_some_and(|at| self.operations >= at)
    }

    pub(super) fn begin_life(&mut self) -> u64 {
        self.life += 1;
        self.powered = true;
        self.locks.clear();
        self.set_faults(Faults::default());
        self.life
    }

    pub(super) fn lose_power(&mut self) {
        self.names.lose_power(&mut self.seed);
        for content in self.files.values_mut() {
            content.lose_power(&mut self.seed);
        }
        self.forget_unreachable();
    }

    pub(super) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
        (self.operations, self.writes, self.syncs) = (0, 0, 0);
    }

    pub(super) fn set_space_left(&mut self, bytes: Option<u64>) {
        self.faults.space_left = bytes;
    }

    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn is_off(&self) -> bool {
        !self.powered
    }

    pub(super) fn digest(&self) -> u64 {
        let mut hash = Xxh3Default::new();
        for (path, id) in self.names.files() {
            let bytes = self.files.get(&id).map_or(&[][..], Content::bytes);
            let path = path.as_os_str().as_encoded_bytes();
            for part in [path, bytes] {
                hash.update(&part.len().to_le_bytes());
                hash.update(part);
            }
        }
        hash.digest()
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<u64> {
        let id = self.next_id;
        self.names.create(path, id)?;
        self.next_id += 1;
        self.files.insert(id, Content::default());
        self.survived().map(|()| id)
    }

    pub(super) fn open(&mut self, id: u64) -> io::Result<u64> {
        self.content(id)?.handles += 1;
        Ok(id)
    }

    pub(super) fn close(&mut self, id: u64) {
        if let Some(content) = self.files.get_mut(&id) {
            assert!(content.handles > 0, "a handle is closed twice");
            content.handles -= 1;
            if content.handles == 0 && !self.names.holds(id) {
                self.files.remove(&id);
            }
        }
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.survived()?;
        self.names.sync_dir(dir)?;
        self.forget_unreachable();
        Ok(())
    }

    fn forget_unreachable(&mut self) {
        let names = &self.names;
        self.files.retain(|&id, content| content.handles > 0 || names.holds(id));
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if let Some(replaced) = self.names.rename(from, to)? {
            self.give_back(replaced);
        }
        self.survived()
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let id = self.names.remove(path)?;
        self.give_back(id);
        self.survived()
    }

    pub(super) fn lock(&mut self, path: &Path) -> io::Result<()> {
        if !self.locks.insert(path.to_path_buf()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.names.find(path).is_err() {
            self.create(path)?;
        }
        self.survived()
    }

    pub(super) fn unlock(&mut self, life: u64, path: &Path) {
        if life == self.life {
            self.locks.remove(path);
        }
    }

    pub(super) fn flip_bit(&mut self, path: &Path, offset: u64, bit: u8) -> io::Result<()> {
        let id = self.names.find(path)?;
        self.content(id)?.flip_bit(offset, bit)
    }

    pub(super) fn spoil(&mut self, path: &Path, bytes: Option<Range<u64>>) -> io::Result<()> {
        let id = self.names.find(path)?;
        let bytes = bytes.map(|bytes| bytes.start as usize..bytes.end as usize);
        self.content(id)?.set_unreadable(bytes);
        Ok(())
    }

    pub(super) fn content(&mut self, id: u64) -> io::Result<&mut Content> {
        self.files.get_mut(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn write(&mut self, id: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.writes += 1;
        self.take_space(id, offset + bytes.len() as u64)?;
        let fails = self.faults.fail_write == Some(self.writes);
        if !fails && self.powered {
            self.content(id)?.write(offset, bytes);
            return Ok(());
        }
        let part = self.seed.part_of(bytes);
        self.content(id)?.write(offset, &bytes[..part]);
        self.survived()?;
        Err(io::Error::other("the simulated disk failed this write"))
    }

    pub(super) fn sync(&mut self, id: u64) -> io::Result<()> {
        self.syncs += 1;
        self.survived()?;
        let fails = self.faults.fail_sync == Some(self.syncs);
        let content = self.content(id)?;
        if fails {
            content.fail_sync();
            return Err(io::Error::other("the simulated disk failed this sync"));
        }
        content.sync();
        Ok(())
    }

    /// An operation during which the power goes may have had its effect, but never says so.
    fn survived(&self) -> io::Result<()> {
        if self.powered { Ok(()) } else { Err(dead()) }
    }

    fn take_space(&mut self, id: u64, end: u64) -> io::Result<()> {
        let grows = end.saturating_sub(self.content(id)?.len());
        match &mut self.faults.space_left {
            Some(left) if *left < grows => Err(io::ErrorKind::StorageFull.into()),
            Some(left) => {
                *left -= grows;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A file without a name gives its room back; its content stays for handles and for a crash
    /// that undoes the removal.
    fn give_back(&mut self, id: u64) {
        let len = self.files.get(&id).map_or(0, Content::len);
        if let Some(left) = &mut self.faults.space_left {
            *left += len;
        }
    }
}

fn dead() -> io::Error {
    io::Error::other("the simulated machine that held this handle is off")
}
