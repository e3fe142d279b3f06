//! Reading all files of a grid, running or not, and holding them against each other.

mod log;
mod partition;
mod runs;

use std::sync::Arc;

use gridmill_model::engine::Damaged;
use gridmill_persistence::{LogReader, Storage};

use super::{Fault, Unread, damage};
use crate::builder::PARTITIONS_MAX;
use crate::identity::{Contents, GridId, begun};
use crate::machine::manifest;
use crate::machine::open::partition_dir;
use partition::{Check, Seen};

/// What was read, and what is wrong with it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Verification {
    /// Partitions, over all modules.
    pub partitions: u64,
    /// Segments of logs.
    pub segments: u64,
    /// Records in them.
    pub records: u64,
    /// Runs.
    pub runs: u64,
    /// Entries in them, deletions included.
    pub entries: u64,
    /// Bytes of records and runs.
    pub bytes: u64,
    /// What is wrong, each with its file and offset. Of one log the first damage is named.
    pub problems: Vec<Damaged>,
    /// What could not be checked, for a reason that says nothing of the files: no permission, too many
    /// open files.
    pub unread: Vec<Unread>,
    /// What is worth knowing and nothing to worry about.
    pub notes: Vec<String>,
}

impl Verification {
    /// Whether everything was read and nothing is wrong with it.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty() && self.unread.is_empty()
    }

    /// The check itself ended early, which says nothing of what was not read.
    pub(crate) fn unfinished(folder: String, reason: &dyn std::fmt::Display) -> Self {
        let reason = format!("the check did not end: {reason}; stop the grid and check the folder");
        Self { unread: vec![Unread { file: folder, reason }], ..Self::default() }
    }

    fn add(&mut self, fault: Fault) {
        match fault {
            Fault::Damaged(damaged) => self.problems.push(damaged),
            Fault::Unread(unread) => self.unread.push(unread),
        }
    }
}

/// A module to be checked: its partitions, each with its log's reader where it runs.
pub(crate) struct Target {
    pub(crate) module: String,
    pub(crate) partitions: Vec<(u32, Option<LogReader>)>,
}

/// Checks modules, partition after partition.
pub(crate) fn verify_all(storage: &Arc<dyn Storage>, targets: Vec<Target>) -> Verification {
    let mut report = Verification::default();
    let contents = Contents::read(&**storage).unwrap_or_else(|fault| {
        report.add(damage::of_manifest(fault));
        None
    });
    check_missing(storage, contents.as_ref(), &targets, &mut report);
    let mut grid = contents.as_ref().map(|contents| contents.id);
    for target in targets {
        check_module(storage, contents.as_ref(), target, &mut grid, &mut report);
    }
    report
}

/// Of modules that are not checked, every partition is there. A running grid need not run all modules of its
/// folder.
fn check_missing(
    storage: &Arc<dyn Storage>,
    contents: Option<&Contents>,
    targets: &[Target],
    report: &mut Verification,
) {
    let held = contents.iter().flat_map(|contents| &contents.modules);
    let missing = held.filter(|held| targets.iter().all(|target| target.module != held.name));
    for held in missing {
        let partitions = held.ends.len() as u32;
        let there = |number: &u32| storage.list(&partition_dir(&held.name, *number)).is_ok();
        let there: Vec<_> = (0..partitions).filter(there).map(|number| (number, None)).collect();
        check_count(storage, &held.name, Some(partitions), &there, report);
    }
}

fn check_module(
    storage: &Arc<dyn Storage>,
    contents: Option<&Contents>,
    Target { module, partitions }: Target,
    grid: &mut Option<GridId>,
    report: &mut Verification,
) {
    let (mut counts, mut seen) = (Vec::new(), Vec::new());
    for (number, reader) in partitions {
        report.partitions += 1;
        let (dir, known_end) =
            (partition_dir(&module, number), known_end(contents, &module, number));
        let mut check = Check { storage, dir, report, grid, known_end };
        let partition = check.partition(&module, number, reader);
        counts.push((number, partition.as_ref().map(|partition| partition.manifest.partitions)));
        seen.extend(partition.map(|partition| (number, partition)));
    }
    check_heard(storage, &module, &seen, report);
    if begun(storage, contents, &module).is_some() {
        check_count(storage, &module, None, &counts, report);
    }
}

/// No partition has anything of another one for a record that is not in the other's log. The logs of a running grid
/// are asked last: they have grown since.
fn check_heard(
    storage: &Arc<dyn Storage>,
    module: &str,
    seen: &[(u32, Seen)],
    report: &mut Verification,
) {
    for (witness, heard) in seen.iter().map(|(number, seen)| (number, &seen.heard)) {
        for (source, known) in heard.ends() {
            let Some((_, sender)) = seen.iter().find(|(number, _)| *number == source) else {
                continue;
            };
            let Some(end) = sender.log.as_ref().map(|log| log.end().number()) else { continue };
            if known <= end {
                continue;
            }
            let file = storage.display(&partition_dir(module, source).join("log"));
            let message = format!(
                "partition {witness} has what this one sent for its record {}, the log ends at {end}",
                known - 1
            );
            if sender.manifest.synced {
                let message = format!("{message}; restore the partition's folder from a backup");
                report.problems.push(Damaged::new(file.display().to_string(), 0, message));
            } else {
                report.notes.push(format!(
                    "{}: {message}: a power loss took it, as the durability of the grid allowed",
                    file.display()
                ));
            }
        }
    }
}

/// How many records the log of a partition has had at least, as the file at the root has it.
fn known_end(contents: Option<&Contents>, module: &str, partition: u32) -> u64 {
    let held = contents.iter().flat_map(|contents| &contents.modules);
    let held = held.filter(|held| held.name == module);
    held.filter_map(|held| held.ends.get(partition as usize).copied()).max().unwrap_or(0)
}

/// Every partition is there, and all agree on how many they are.
fn check_count(
    storage: &Arc<dyn Storage>,
    module: &str,
    known: Option<u32>,
    counts: &[(u32, Option<u32>)],
    report: &mut Verification,
) {
    let said = counts.iter().find_map(|&(_, count)| count);
    let Some(expected) = known.or(said) else { return };
    // A count that no grid takes says nothing of what is missing.
    let expected_folders = expected.min(PARTITIONS_MAX);
    let mut problem = |number, message| {
        let file = storage.display(&manifest::path(&partition_dir(module, number)));
        report.problems.push(Damaged::new(file.display().to_string(), 0, message));
    };
    for number in 0..expected_folders {
        if !counts.iter().any(|&(known, _)| known == number) {
            problem(number, format!("expected partition {number} of {expected}, got no folder"));
        }
    }
    for &(number, count) in counts {
        if let Some(got) = count.filter(|&got| got != expected) {
            problem(number, format!("expected {expected} partitions, as others say, got {got}"));
        }
    }
}
