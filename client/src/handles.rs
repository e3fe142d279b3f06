//! From typed constants to the engine's entries.
//!
//! A handle is resolved and its type checked once; after that it is one look-up by the address of
//! its name. Names of handles are `'static`, so an address never comes to mean another name.

use std::any::{TypeId, type_name};
use std::sync::{Arc, OnceLock};

use gridmill_model::{Depot, Event, Part, Query, Root};

use crate::engine::{DepotEntry, Engine, PStateEntry, PartEntry, QueryEntry, RunPart, RunQuery};
use crate::error::{AppendErrorKind, AskErrorKind, DepotError, ReadError};

/// What the client has resolved so far.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    depots: Resolved<Arc<DepotRef>>,
    pstates: Resolved<PStateRef>,
    queries: Resolved<Arc<QueryEntry>>,
    parts: Resolved<Arc<PartEntry>>,
}

/// A handle as it is looked up: by the place of its name and by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Handle {
    name: usize,
    length: usize,
    ty: TypeId,
}

impl Handle {
    #[inline]
    fn of<T: 'static>(name: &'static str) -> Self {
        Self { name: name.as_ptr().addr(), length: name.len(), ty: TypeId::of::<T>() }
    }
}

/// A depot whose type was checked, and its engine: all that an append needs, so that its future
/// borrows nothing of the client.
#[derive(Debug)]
pub(crate) struct DepotRef {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) entry: Arc<DepotEntry>,
}

/// A PState whose type was checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PStateRef {
    pub(crate) id: usize,
    pub(crate) partitions: u32,
    pub(crate) module: usize,
    pub(crate) module_partitions: u32,
    pub(crate) private: bool,
}

/// Why a depot's handle does not resolve.
pub(crate) enum DepotMismatch {
    Unknown { name: String, known: Vec<String> },
    WrongEvent { depot: String, expected: String, got: String },
}

impl Handles {
    /// What is called `depot`, checked to hold events of type `E`.
    pub(crate) fn depot<E: Event>(
        &self,
        engine: &Arc<dyn Engine>,
        depot: &Depot<E>,
    ) -> Result<Arc<DepotRef>, DepotMismatch> {
        self.depots.get_or_check(Handle::of::<E>(depot.name()), || {
            let entry = check_depot::<E>(&**engine, depot.name())?;
            Ok(Arc::new(DepotRef { engine: Arc::clone(engine), entry }))
        })
    }

    /// The PState called `name`, checked to have the root `R` and to be open to clients.
    #[inline]
    pub(crate) fn pstate<R: Root>(
        &self,
        engine: &dyn Engine,
        name: &'static str,
    ) -> Result<PStateRef, ReadError> {
        let found = self.pstate_of_any::<R>(engine, name)?;
        if found.private { Err(ReadError::Private { pstate: name.into() }) } else { Ok(found) }
    }

    /// The PState called `name`, private or not.
    #[inline]
    pub(crate) fn pstate_of_any<R: Root>(
        &self,
        engine: &dyn Engine,
        name: &'static str,
    ) -> Result<PStateRef, ReadError> {
        self.pstates.get_or_check(Handle::of::<R>(name), || check_pstate::<R>(engine, name))
    }

    /// The query of a handle.
    #[inline]
    pub(crate) fn query<A: 'static, R: 'static>(
        &self,
        engine: &dyn Engine,
        query: Query<A, R>,
    ) -> Result<Arc<QueryEntry>, AskErrorKind> {
        let handle = Handle::of::<RunQuery<A, R>>(query.name());
        self.queries.get_or_check(handle, || check_query::<A, R>(engine, query.name()))
    }

    /// The part of a handle.
    #[inline]
    pub(crate) fn part<A: 'static, R: 'static>(
        &self,
        engine: &dyn Engine,
        part: Part<A, R>,
    ) -> Result<Arc<PartEntry>, AskErrorKind> {
        let handle = Handle::of::<RunPart<A, R>>(part.name());
        self.parts.get_or_check(handle, || check_part::<A, R>(engine, part.name()))
    }
}

/// What handles resolve to: a table of places that are filled once.
///
/// Callers look into it with every append and select, on many cores: they take no lock and write nothing. A
/// handle that finds its places taken is resolved anew each time.
#[derive(Debug)]
struct Resolved<T>(Box<[OnceLock<(Handle, T)>; HANDLES]>);

/// Places in the table: several times the PStates of a large module.
const HANDLES: usize = 256;

/// Places where a handle may stand.
const PLACES: usize = 8;

impl<T> Default for Resolved<T> {
    fn default() -> Self {
        Self(Box::new([const { OnceLock::new() }; HANDLES]))
    }
}

impl<T: Clone> Resolved<T> {
    /// What a handle resolves to; the first time, `check` says.
    #[inline]
    fn get_or_check<F>(
        &self,
        handle: Handle,
        check: impl FnOnce() -> Result<T, F>,
    ) -> Result<T, F> {
        if let Some(found) = self.get(handle) {
            return Ok(found);
        }
        let found = check()?;
        // Whoever comes first has the place.
        let mut places = self.places(handle);
        places.find(|place| place.get_or_init(|| (handle, found.clone())).0 == handle);
        Ok(found)
    }

    #[inline]
    fn get(&self, handle: Handle) -> Option<T> {
        let mut filled = self.places(handle).map_while(OnceLock::get);
        filled.find(|(known, _)| *known == handle).map(|(_, found)| found.clone())
    }

    /// The places of a handle, from the middle bits of its address times an odd constant.
    #[inline]
    fn places(&self, handle: Handle) -> impl Iterator<Item = &OnceLock<(Handle, T)>> {
        let home = (handle.name as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        (0..PLACES).map(move |place| &self.0[(home as usize + place) % HANDLES])
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
    let PStateEntry { id, partitions, module, module_partitions, private, .. } = *entry;
    Ok(PStateRef { id, partitions, module, module_partitions, private })
}

fn check_query<A: 'static, R: 'static>(
    engine: &dyn Engine,
    name: &str,
) -> Result<Arc<QueryEntry>, AskErrorKind> {
    let Some(entry) = engine.query(name) else {
        let (what, known) = ("query", engine.query_names());
        return Err(AskErrorKind::Unknown { what, name: name.into(), known });
    };
    let fits = entry.run.is::<RunQuery<A, R>>();
    if fits { Ok(entry) } else { Err(wrong_types::<A, R>(name, entry.types)) }
}

fn check_part<A: 'static, R: 'static>(
    engine: &dyn Engine,
    name: &str,
) -> Result<Arc<PartEntry>, AskErrorKind> {
    let Some(entry) = engine.part(name) else {
        let (what, known) = ("part", engine.part_names());
        return Err(AskErrorKind::Unknown { what, name: name.into(), known });
    };
    let fits = entry.run.is::<RunPart<A, R>>();
    if fits { Ok(entry) } else { Err(wrong_types::<A, R>(name, entry.types)) }
}

fn wrong_types<A, R>(name: &str, (args, answer): (&str, &str)) -> AskErrorKind {
    AskErrorKind::WrongTypes {
        name: name.into(),
        expected: format!("{args} -> {answer}"),
        got: format!("{} -> {}", type_name::<A>(), type_name::<R>()),
    }
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
