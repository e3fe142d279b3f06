//! What the engine asks of a depot's or PState's type, boxed once when the module is defined.

use std::any::Any;

use gridmill_client::AppendErrorKind;
use gridmill_client::engine::{DepotEntry, JsonEvent, ViewRoot};
use gridmill_model::engine::{Changes, Damaged};
use gridmill_model::event::{DecodeError, Variant};
use gridmill_model::handle::{Partitioning, Route};
use gridmill_model::path::{
    JsonPath, Limits, Navigators, PathError, Step, parse_json_text, select_json_while,
};
use gridmill_model::{Depot, Event, Key, PState, Root, RouteKey, Stage};
use gridmill_persistence::Run;

use crate::state::{Cell, CellPlace, RootCell, Violation};

// A `Vec<Option<E>>`: each event is taken out by the last topology that reads it.
pub(crate) use gridmill_client::engine::AnyEvents;

/// The event type of a depot.
pub(crate) trait DepotCodec: Send + Sync {
    fn variants(&self) -> Vec<Variant>;
    /// An empty list of events.
    fn events(&self) -> AnyEvents;
    /// Decodes a record and puts it at the end of `events`.
    fn decode(
        &self,
        events: &mut AnyEvents,
        variant: usize,
        bytes: &[u8],
    ) -> Result<(), DecodeError>;
    /// Puts a place at the end of `events` for a record that cannot be decoded.
    fn push_unknown(&self, events: &mut AnyEvents);
    /// The partition of so many that an event of `events` is appended to; `None` where it may be any.
    fn partition(&self, events: &AnyEvents, event: usize, partitions: u32) -> Option<u32>;
    /// Decodes and encodes an event that came as JSON.
    fn decode_json(&self, entry: &DepotEntry, json: &str) -> Result<JsonEvent, AppendErrorKind>;
}

/// What records are declared with: a depot, or a stage, whose records a hidden depot holds.
pub(crate) enum Origin<E: 'static> {
    Depot(Depot<E>),
    Stage(Stage<E>),
}

impl<E> Clone for Origin<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Origin<E> {}

impl<E> Origin<E> {
    /// The key that records are partitioned by, where there is one.
    pub(crate) fn key(self) -> Option<fn(&E) -> RouteKey> {
        match self {
            Self::Depot(depot) => match depot.partitioning() {
                Partitioning::HashBy(key) => Some(*key),
                _ => None,
            },
            Self::Stage(stage) => match stage.route() {
                Route::HashBy(key) => Some(*key),
                _ => None,
            },
        }
    }
}

pub(crate) struct TypedDepot<E: 'static> {
    origin: Origin<E>,
}

impl<E: Event> TypedDepot<E> {
    pub(crate) fn new(origin: Origin<E>) -> Self {
        Self { origin }
    }
}

impl<E: Event> DepotCodec for TypedDepot<E> {
    fn variants(&self) -> Vec<Variant> {
        E::variants()
    }

    fn events(&self) -> AnyEvents {
        Box::new(Vec::<Option<E>>::new())
    }

    fn decode(
        &self,
        events: &mut AnyEvents,
        variant: usize,
        bytes: &[u8],
    ) -> Result<(), DecodeError> {
        let event = E::decode_fields(variant, bytes)?;
        if let Some(events) = events.downcast_mut::<Vec<Option<E>>>() {
            events.push(Some(event));
        }
        Ok(())
    }

    fn push_unknown(&self, events: &mut AnyEvents) {
        if let Some(events) = events.downcast_mut::<Vec<Option<E>>>() {
            events.push(None);
        }
    }

    fn partition(&self, events: &AnyEvents, event: usize, partitions: u32) -> Option<u32> {
        // Where a record was sent is logged; a stage may be routed otherwise from one release to the next.
        let Origin::Depot(depot) = self.origin else { return None };
        let event = events.downcast_ref::<Vec<Option<E>>>()?.get(event)?.as_ref()?;
        match depot.partitioning() {
            _ if depot.is_global() => Some(0),
            Partitioning::HashBy(key) => Some(key(event).partition(partitions)),
            Partitioning::Custom(choose) => Some(choose(event, partitions)),
            _ => None,
        }
    }

    fn decode_json(&self, entry: &DepotEntry, json: &str) -> Result<JsonEvent, AppendErrorKind> {
        match self.origin {
            Origin::Depot(depot) => gridmill_client::json_event(&depot, entry, json),
            Origin::Stage(stage) => {
                Err(AppendErrorKind::Disallowed { depot: stage.name().to_owned() })
            }
        }
    }
}

/// The root type of a PState.
pub(crate) trait PStateCodec: Send + Sync {
    /// The PState's cell on one partition, over `runs` (newest first) that hold `len` entries.
    fn cell(&self, place: CellPlace, runs: Vec<Run>, len: u64) -> Result<Box<dyn Cell>, Damaged>;
    /// Whether the initial value may be kept where values have at most `limit` bytes.
    fn check_initial(&self, limit: usize) -> Result<(), Violation>;
    /// Reads a path given as JSON, and finds the partition that it starts on.
    fn parse_json(
        &self,
        path: &str,
        partitions: u32,
        navigators: &Navigators,
    ) -> Result<(JsonPath, Option<u32>), PathError>;
    /// What a published view shows of changes in memory.
    fn changes(&self, view: &dyn Any) -> Vec<Changes>;
    /// Selects in a published view; the answer is a JSON array.
    fn select_json(
        &self,
        view: &dyn Any,
        path: &JsonPath,
        going: &dyn Fn() -> bool,
    ) -> Result<String, PathError>;
}

pub(crate) struct TypedPState<R: Root> {
    pstate: PState<R>,
}

impl<R: Root> TypedPState<R> {
    pub(crate) fn new(pstate: PState<R>) -> Self {
        Self { pstate }
    }
}

impl<R: Root> PStateCodec for TypedPState<R> {
    fn cell(&self, place: CellPlace, runs: Vec<Run>, len: u64) -> Result<Box<dyn Cell>, Damaged> {
        Ok(Box::new(RootCell::new(self.pstate, place, runs, len)?))
    }

    fn check_initial(&self, limit: usize) -> Result<(), Violation> {
        crate::state::check_initial(self.pstate, limit)
    }

    fn parse_json(
        &self,
        path: &str,
        partitions: u32,
        navigators: &Navigators,
    ) -> Result<(JsonPath, Option<u32>), PathError> {
        let path = parse_json_text::<R>(self.pstate.name(), path, navigators)?;
        let key = match path.steps.first() {
            Some(Step::Key(key) | Step::Must(key)) if R::KEYED => Some(key),
            _ => None,
        };
        let partition = match (self.pstate.partitioner(), key) {
            // Keys say nothing about the partition of a local PState.
            _ if self.pstate.is_local() => None,
            (Some(choose), Some(key)) => {
                R::Key::decode_key(key).ok().map(|key| choose(&key, partitions))
            }
            _ => path.route.map(|route| route.partition(partitions)),
        };
        Ok((path, partition))
    }

    fn changes(&self, view: &dyn Any) -> Vec<Changes> {
        let root = view.downcast_ref::<ViewRoot<R::Value>>();
        root.map_or_else(Vec::new, |root| root.0.changes())
    }

    fn select_json(
        &self,
        view: &dyn Any,
        path: &JsonPath,
        going: &dyn Fn() -> bool,
    ) -> Result<String, PathError> {
        let Some(root) = view.downcast_ref::<ViewRoot<R::Value>>() else {
            unreachable!("a PState's views have its type");
        };
        let limits = Limits::default();
        let (name, steps) = (self.pstate.name(), &path.steps);
        let values = select_json_while::<R>(name, &*root.0, steps, limits, going)?;
        Ok(serde_json::Value::Array(values).to_string())
    }
}
