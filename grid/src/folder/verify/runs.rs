//! The runs of a partition under check: whole, of the right type, with the keys and as many entries as they
//! should have.

use std::ops::Bound;

use gridmill_model::engine::Damaged;
use gridmill_model::{RouteKey, Schema};
use gridmill_persistence::{Run, RunError, Slot};

use super::super::{Fault, of_run};
use super::partition::{Check, OpenedRuns};
use crate::machine::manifest::{Homes, Manifest, PStateMeta, RunMeta};

impl Check<'_> {
    /// The runs of all PStates, and of what topologies had sent, each read once.
    pub(super) fn pstates(&mut self, manifest: &Manifest, mut opened: OpenedRuns) {
        for topology in &manifest.topologies {
            let Some(outbox) = &topology.outbox else { continue };
            let checked = opened.remove(&outbox.file).map_or(Ok(()), |run| {
                let whose = format!("the outbox of topology `{}`", topology.name);
                self.whole(&run.map_err(of_run)?, outbox, &whose)
            });
            self.note(checked);
        }
        for pstate in manifest.topologies.iter().flat_map(|topology| &topology.pstates) {
            let checked = self.pstate(pstate, manifest, &mut opened);
            self.note(checked);
        }
    }

    /// Runs are whole, of the right type, and have as many entries as the manifest says.
    fn pstate(
        &mut self,
        pstate: &PStateMeta,
        manifest: &Manifest,
        opened: &mut OpenedRuns,
    ) -> Result<(), Fault> {
        let mut runs = Vec::new();
        let mut whole = true;
        for meta in &pstate.runs {
            let Some(run) = opened.remove(&meta.file) else { continue };
            let checked = run.map_err(of_run).and_then(|run| {
                self.run(&run, meta, pstate)?;
                keys_at_home(&run, pstate, manifest)?;
                Ok(run)
            });
            match checked {
                Ok(run) => runs.push(run),
                Err(fault) => {
                    whole = false;
                    self.report.add(fault);
                }
            }
        }
        if !whole {
            return Ok(());
        }
        let got = live_entries(&runs).map_err(of_run)?;
        if got != pstate.len {
            let (name, expected) = (&pstate.name, pstate.len);
            self.contradiction(format!(
                "expected {expected} entries of PState `{name}`, its runs have {got}"
            ));
        }
        Ok(())
    }

    /// A run is whole, and is the one that was written.
    fn whole(&mut self, run: &Run, meta: &RunMeta, whose: &str) -> Result<(), Fault> {
        self.report.runs += 1;
        self.report.entries += run.len();
        self.report.bytes += run.bytes();
        run.verify().map_err(of_run)?;
        let Some((expected, got)) = meta.mismatch(run, format_args!("{whose}")) else {
            return Ok(());
        };
        let message = format!("expected {expected}, got {got}; restore the file from a backup");
        Err(Damaged::new(run.file().display().to_string(), 0, message).into())
    }

    fn run(&mut self, run: &Run, meta: &RunMeta, pstate: &PStateMeta) -> Result<(), Fault> {
        self.whole(run, meta, &format!("PState `{}`", pstate.name))?;
        let (expected, got) = (pstate.schema.fingerprint(), run.schema());
        if expected == got {
            return Ok(());
        }
        let message = format!(
            "expected schema {expected:#018x} of PState `{}`, got {got:#018x}; restore the file \
             from a backup",
            pstate.name
        );
        Err(Damaged::new(run.file().display().to_string(), 0, message).into())
    }
}

/// Every key of a run lies on the partition on which readers look for it.
fn keys_at_home(run: &Run, pstate: &PStateMeta, manifest: &Manifest) -> Result<(), Fault> {
    let Schema::Map(key_schema, _) = &pstate.schema else { return Ok(()) };
    if pstate.homes != Homes::Hashed {
        return Ok(());
    }
    let (here, partitions) = (manifest.partition, manifest.partitions);
    for entry in run.range(Bound::Unbounded, Bound::Unbounded) {
        let (key, _) = entry.map_err(of_run)?;
        let home = RouteKey::of_stored(key_schema, key).map(|route| route.partition(partitions));
        if home != Some(here) {
            let home = home.map_or("none".to_owned(), |home| home.to_string());
            let message = format!(
                "expected keys of PState `{}` that live on partition {here}, got key {key:02x?} of \
                 partition {home}; restore the file from a backup",
                pstate.name
            );
            return Err(Damaged::new(run.file().display().to_string(), 0, message).into());
        }
    }
    Ok(())
}

/// Keys that the newest run which has them does not delete; `runs` has the newest first.
fn live_entries(runs: &[Run]) -> Result<u64, RunError> {
    let mut live = 0;
    for (age, run) in runs.iter().enumerate() {
        for entry in run.range(Bound::Unbounded, Bound::Unbounded) {
            let (key, slot) = entry?;
            if slot == Slot::Deleted {
                continue;
            }
            let mut hidden = false;
            for newer in &runs[..age] {
                hidden |= newer.get(key)?.is_some();
            }
            live += u64::from(!hidden);
        }
    }
    Ok(live)
}
