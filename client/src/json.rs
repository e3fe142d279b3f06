//! The JSON edge: the same calls by name, for code that does not have the types.

use std::sync::Arc;

use crate::append::single;
use crate::client::Client;
use gridmill_model::{Depot, Event};

use crate::engine::{Ack, DepotEntry, EncodedEvents, JsonEvent};
use crate::error::{AppendErrorKind, ReadError};
use crate::handles::DepotRef;
use crate::prepare;
use crate::receipt::Receipt;
use crate::select::Here;
use crate::select::elsewhere::end;
use crate::work;

impl Client {
    /// Appends an event given as JSON to the depot called `depot`, and waits until it is
    /// processed, as [`append`](Self::append) does.
    ///
    /// An enum's event is written `{"Variant": {"field": ..}}`. Fields that the type does not have
    /// are refused; fields of an `Option` may be left out.
    ///
    /// # Errors
    /// [`Json`](AppendErrorKind::Json) names the place that does not fit; nothing was logged then.
    /// Otherwise as with [`append`](Self::append).
    ///
    /// # Cancellation
    /// As with [`append`](Self::append). The event is decoded by the call, not by the future.
    pub fn append_json(
        &self,
        depot: &str,
        json: &str,
    ) -> impl Future<Output = Result<Receipt, AppendErrorKind>> + Send + use<> {
        let event = self.decode_json(depot, json);
        async move {
            let (depot, event) = event?;
            submit_json(&depot, event).await
        }
    }

    fn decode_json(
        &self,
        depot: &str,
        json: &str,
    ) -> Result<(DepotRef, JsonEvent), AppendErrorKind> {
        let Some(entry) = self.engine.depot(depot) else {
            let (name, known) = (depot.into(), self.engine.depot_names());
            return Err(AppendErrorKind::UnknownDepot { name, known });
        };
        let event = self.engine.decode_json(entry.id, json)?;
        Ok((DepotRef { engine: Arc::clone(&self.engine), entry }, event))
    }

    /// Selects from the PState called `pstate` with a path given as JSON, such as
    /// `[{"key": "alice"}, "all", {"field": "text"}]`, and returns the values as a JSON array.
    ///
    /// # Errors
    /// [`ReadError`]; a path that does not fit the PState's shape is
    /// [`Path`](ReadError::Path) and names the step.
    pub async fn select_json(&self, pstate: &str, path: &str) -> Result<String, ReadError> {
        let Some(entry) = self.engine.pstate(pstate) else {
            let (name, known) = (pstate.into(), self.engine.pstate_names());
            return Err(ReadError::UnknownPState { name, known });
        };
        if entry.private {
            return Err(ReadError::Private { pstate: pstate.into() });
        }
        let id = entry.id;
        if let Some(walked) = Here::walk(|going| self.engine.select_json(id, path, going)) {
            return walked;
        }
        let (engine, path) = (Arc::clone(&self.engine), path.to_owned());
        let walk = move |wanted: &dyn Fn() -> bool| engine.select_json(id, &path, wanted);
        end(work::start(&*self.engine, walk).await, 0).await
    }
}

async fn submit_json(depot: &DepotRef, event: JsonEvent) -> Result<Receipt, AppendErrorKind> {
    let JsonEvent { partition, events, encoded } = event;
    let admission = depot.enter(partition, encoded.bytes.len()).await;
    let admission = admission.map_err(|refused| depot.refused(partition, refused))?;
    let answered = depot.submit(partition, (events, encoded), Ack::Processed, admission).await;
    let topologies = Arc::clone(&depot.entry.topologies);
    single(answered.map_err(|failure| failure.kind)?, topologies)
}

/// Decodes an event from JSON and prepares it as a client does; for engines, which know the type.
#[doc(hidden)]
pub fn json_event<E: Event>(
    depot: &Depot<E>,
    entry: &DepotEntry,
    json: &str,
) -> Result<JsonEvent, AppendErrorKind> {
    let event = E::from_json(json)
        .map_err(|source| AppendErrorKind::Json { depot: entry.name.clone(), source })?;
    let partition = prepare::partition(depot, entry, &event)?;
    let mut encoded = EncodedEvents::default();
    prepare::encode(entry, partition, 0, &event, &mut encoded)?;
    Ok(JsonEvent { partition, events: Box::new(vec![Some(event)]), encoded })
}
