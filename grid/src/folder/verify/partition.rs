//! One partition under check: its manifest, what the manifest says of the other files, and what nothing names.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use gridmill_model::engine::Damaged;
use gridmill_persistence::{LogReader, Run, RunError, Storage};

use super::super::flows::Heard;
use super::super::{Fault, no_manifest, of_io, read_manifest};
use super::Verification;
use crate::identity::GridId;
use crate::machine::manifest::{self, Manifest, runs_dir};

/// One partition under check.
pub(super) struct Check<'a> {
    pub(super) storage: &'a Arc<dyn Storage>,
    pub(super) dir: PathBuf,
    pub(super) report: &'a mut Verification,
    /// The grid whose folder it is, as soon as a file says so.
    pub(super) grid: &'a mut Option<GridId>,
    /// Records that the log has had at least, as the file at the root has it.
    pub(super) known_end: u64,
}

/// Runs by the names of their files.
pub(super) type OpenedRuns = HashMap<String, Result<Run, RunError>>;

/// What others are held against.
pub(super) struct Seen {
    pub(super) manifest: Manifest,
    /// The log, where all of it is whole.
    pub(super) log: Option<LogReader>,
    /// What it has of what others sent.
    pub(super) heard: Heard,
}

/// A manifest and the runs that it names, opened while it was the manifest.
struct Snapshot {
    manifest: Manifest,
    runs: OpenedRuns,
}

impl Check<'_> {
    pub(super) fn partition(
        &mut self,
        module: &str,
        number: u32,
        running: Option<LogReader>,
    ) -> Option<Seen> {
        let stopped = running.is_none();
        let snapshot = self.snapshot();
        let log = self.log(running);
        let snapshot = snapshot.map_err(|fault| self.report.add(fault)).ok()?;
        let Snapshot { manifest, runs } = snapshot;
        self.belongs(&manifest, module, number);
        let heard = log.as_ref().map(|reader| self.own_log(&manifest, reader));
        self.pstates(&manifest, runs);
        if stopped {
            self.leftovers(&manifest);
        }
        Some(Seen { manifest, log, heard: heard.unwrap_or_default() })
    }

    /// The manifest is that of this partition, and of the grid of the folder.
    fn belongs(&mut self, manifest: &Manifest, module: &str, number: u32) {
        if manifest.module != module || manifest.partition != number {
            let (module, number) = (&manifest.module, manifest.partition);
            self.contradiction(format!("it belongs to partition {number} of module `{module}`"));
        }
        let Some(got) = manifest.grid else { return };
        let expected = *self.grid.get_or_insert(got);
        if got != expected {
            self.contradiction(format!(
                "expected the manifest of grid {expected}, got that of {got}"
            ));
        }
    }

    pub(super) fn note(&mut self, checked: Result<(), Fault>) {
        checked.unwrap_or_else(|fault| self.report.add(fault));
    }

    /// The manifest contradicts another file.
    pub(super) fn contradiction(&mut self, message: String) {
        let file = self.storage.display(&manifest::path(&self.dir)).display().to_string();
        let message = format!("{message}; restore the partition's folder from a backup");
        self.report.problems.push(Damaged::new(file, 0, message));
    }

    /// A running grid may put a new manifest in the place of one that is being read, and then remove
    /// runs: they are opened anew by the new one.
    fn snapshot(&self) -> Result<Snapshot, Fault> {
        let manifest = read_manifest(&**self.storage, &self.dir)?;
        let mut manifest = manifest.ok_or_else(|| no_manifest(&**self.storage, &self.dir))?;
        loop {
            let open = |name: &str| {
                let run = Run::open(&**self.storage, &runs_dir(&self.dir).join(name));
                (name.to_owned(), run)
            };
            let runs: HashMap<_, _> = manifest.runs().map(open).collect();
            if runs.values().all(Result::is_ok) {
                return Ok(Snapshot { manifest, runs });
            }
            match read_manifest(&**self.storage, &self.dir)? {
                Some(now) if now != manifest => manifest = now,
                _ => return Ok(Snapshot { manifest, runs }),
            }
        }
    }

    /// Files that nothing names: the next start removes them.
    fn leftovers(&mut self, manifest: &Manifest) {
        let dir = runs_dir(&self.dir);
        let names = match self.storage.list(&dir) {
            Ok(names) => names,
            // Runs that are missing were found missing by name.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(source) => {
                let file = self.storage.display(&dir).display().to_string();
                return self.report.add(of_io(file, 0, source.to_string(), &source));
            }
        };
        for name in names.iter().filter(|name| manifest.runs().all(|run| run != name.as_str())) {
            let file = self.storage.display(&dir.join(name));
            let file = file.display();
            self.report.notes.push(format!("{file} is used by nothing; the next start removes it"));
        }
    }
}
