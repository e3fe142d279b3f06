//! The folders of a simulated disk: which names lead to which file, now and after a power loss.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::disk::Seed;

/// A change of folders that no `sync_dir` has covered yet.
#[derive(Debug, Clone)]
struct Change {
    unbind: Option<PathBuf>,
    bind: Option<(PathBuf, u64)>,
}

impl Change {
    fn touches(&self, dir: &Path) -> bool {
        let inside = |path: &Path| path.parent() == Some(dir);
        self.unbind.as_deref().is_some_and(inside)
            || self.bind.as_ref().is_some_and(|(path, _)| inside(path))
    }

    fn apply(self, names: &mut BTreeMap<PathBuf, u64>) {
        if let Some(path) = self.unbind {
            names.remove(&path);
        }
        if let Some((path, id)) = self.bind {
            names.insert(path, id);
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Names {
    folders: BTreeSet<PathBuf>,
    now: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    pending: Vec<Change>,
}

impl Names {
    /// Folders are durable at once, as `FileStorage` makes them.
    pub(super) fn create_dir_all(&mut self, dir: &Path) -> io::Result<()> {
        for folder in dir.ancestors() {
            if self.now.contains_key(folder) {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            self.folders.insert(folder.to_path_buf());
        }
        Ok(())
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.check_folder(dir)?;
        let inside = |path: &&PathBuf| path.parent() == Some(dir);
        let entries = self.now.keys().chain(&self.folders).filter(inside);
        Ok(entries.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    /// All names and the files that they lead to, in the order of the names.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.now.iter().map(|(path, &id)| (path.as_path(), id))
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        self.now.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn create(&mut self, path: &Path, id: u64) -> io::Result<()> {
        self.check_folder(path.parent().unwrap_or(Path::new("")))?;
        if self.now.contains_key(path) || self.folders.contains(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.change(Change { unbind: None, bind: Some((path.to_path_buf(), id)) });
        Ok(())
    }

    /// Moves a name; says which file lost its name by it.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<Option<u64>> {
        let id = self.find(from)?;
        self.check_folder(to.parent().unwrap_or(Path::new("")))?;
        let replaced = self.now.get(to).copied().filter(|&old| old != id);
        let bind = Some((to.to_path_buf(), id));
        self.change(Change { unbind: Some(from.to_path_buf()), bind });
        Ok(replaced)
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<u64> {
        let id = self.find(path)?;
        self.change(Change { unbind: Some(path.to_path_buf()), bind: None });
        Ok(id)
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.check_folder(dir)?;
        for change in std::mem::take(&mut self.pending) {
            if change.touches(dir) {
                change.apply(&mut self.durable);
            } else {
                self.pending.push(change);
            }
        }
        Ok(())
    }

    /// Keeps or loses each change that was not synced, independently of the others.
    pub(super) fn lose_power(&mut self, seed: &mut Seed) {
        for change in std::mem::take(&mut self.pending) {
            if seed.flip() {
                change.apply(&mut self.durable);
            }
        }
        self.now = self.durable.clone();
    }

    /// Whether a name leads to this file, or may do so again after a power loss.
    pub(super) fn holds(&self, id: u64) -> bool {
        let pending = self.pending.iter().filter_map(|change| change.bind.as_ref());
        self.now.values().chain(self.durable.values()).any(|&held| held == id)
            || pending.into_iter().any(|(_, held)| *held == id)
    }

    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.now);
        self.pending.push(change);
    }

    fn check_folder(&self, dir: &Path) -> io::Result<()> {
        if dir.as_os_str().is_empty() || self.folders.contains(dir) {
            return Ok(());
        }
        Err(io::ErrorKind::NotFound.into())
    }
}
