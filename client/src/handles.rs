//! From typed constants to the engine's entries.
//!
//! A handle is resolved and its type checked once; after that it is one look-up by the address of
//! its name. Names of handles are `'static`, so an address never comes to mean another name.

use std::any::{TypeId, type_name};
use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use foldhash::fast::RandomState;
use gridmill_model::{Depot, Event, Root};

use crate::engine::{DepotEntry, Engine};
use crate::error::{AppendErrorKind, DepotError, ReadError};

/// What the client has resolved so far.
///
/// PStates are read so much more often than they are resolved that their map is copied for a new
/// one: readers on many cores then share it without writing to memory that the others read.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    depots: DashMap<Handle, Arc<DepotEntry>, RandomState>,
    pstates: ArcSwap<PStates>,
}

type PStates = HashMap<Handle, PStateRef, RandomState>;

/// A handle as it is looked up: by the place of its name and by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Handle {
    name: usize,
    length: usize,
    ty: TypeId,
}

impl Handle {
    fn of<T: 'static>(name: &'static str) -> Self {
        Self { name: name.as_ptr().addr(), length: name.len(), ty: TypeId::of::<T>() }
    }
}

/// A PState whose type was checked and which clients may read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PStateRef {
    pub(crate) id: usize,
    pub(crate) partitions: u32,
}

/// Why a depot's handle does not resolve.
pub(crate) enum DepotMismatch {
    Unknown { name: String, known: Vec<String> },
    WrongEvent { depot: String, expected: String, got: String },
}

impl Handles {
    /// The entry of `depot`, checked to hold events of type `E`.
    pub(crate) fn depot<E: Event>(
        &self,
        engine: &dyn Engine,
        depot: &Depot<E>,
    ) -> Result<Arc<DepotEntry>, DepotMismatch> {
        let handle = Handle::of::<E>(depot.name());
        if let Some(entry) = self.depots.get(&handle) {
            return Ok(Arc::clone(&entry));
        }
        let entry = check_depot::<E>(engine, depot.name())?;
        self.depots.insert(handle, Arc::clone(&entry));
        Ok(entry)
    }

    /// The PState called `name`, checked to have the root `R` and to be open to clients.
    pub(crate) fn pstate<R: Root>(
        &self,
        engine: &dyn Engine,
        name: &'static str,
    ) -> Result<PStateRef, ReadError> {
        let handle = Handle::of::<R>(name);
        if let Some(found) = self.pstates.load().get(&handle) {
            return Ok(*found);
        }
        let found = check_pstate::<R>(engine, name)?;
        self.pstates.rcu(|known| {
            let mut known = PStates::clone(known);
            known.insert(handle, found);
            known
        });
        Ok(found)
    }
}

fn check_depot<E: Event>(
    engine: &dyn Engine,
    name: &str,
) -> Result<Arc<DepotEntry>, DepotMismatch> {
    let Some(entry) = engine.depot(name) else {
        return Err(DepotMismatch::Unknown { name: name.into(), known: engine.depot_names() });
    };
    if entry.event != TypeId::of::<E>() {
        return Err(DepotMismatch::WrongEvent {
            depot: name.into(),
            expected: entry.event_name.into(),
            got: type_name::<E>().into(),
        });
    }
    Ok(entry)
}

fn check_pstate<R: Root>(engine: &dyn Engine, name: &str) -> Result<PStateRef, ReadError> {
    let Some(entry) = engine.pstate(name) else {
        return Err(ReadError::UnknownPState { name: name.into(), known: engine.pstate_names() });
    };
    if entry.root != TypeId::of::<R>() {
        return Err(ReadError::WrongRoot {
            pstate: name.into(),
            expected: entry.schema.to_string(),
            got: R::schema().to_string(),
        });
    }
    if entry.private {
        return Err(ReadError::Private { pstate: name.into() });
    }
    Ok(PStateRef { id: entry.id, partitions: entry.partitions })
}

impl From<DepotMismatch> for AppendErrorKind {
    fn from(mismatch: DepotMismatch) -> Self {
        match mismatch {
            DepotMismatch::Unknown { name, known } => Self::UnknownDepot { name, known },
            DepotMismatch::WrongEvent { depot, expected, got } => {
                Self::WrongEvent { depot, expected, got }
            }
        }
    }
}

impl From<DepotMismatch> for DepotError {
    fn from(mismatch: DepotMismatch) -> Self {
        match mismatch {
            DepotMismatch::Unknown { name, known } => Self::UnknownDepot { name, known },
            DepotMismatch::WrongEvent { depot, expected, got } => {
                Self::WrongEvent { depot, expected, got }
            }
        }
    }
}
