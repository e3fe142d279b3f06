//! Calls to the outside: a record is kept as state until an async function has answered, and its answer is a record.

use std::fmt;
use std::fmt::Display;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use gridmill_client::Client;
use gridmill_model::prelude::*;

use crate::record;

use super::codec::AnyEvents;
use super::handler::{Handler, HandlerError, HandlerRun, events_of};

/// What an async function gets beside the record that it is called for.
#[derive(Clone)]
pub struct Call {
    pub(crate) key: u128,
    pub(crate) attempt: u32,
    pub(crate) client: Client,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, attempt, .. } = self;
        f.debug_struct("Call").field("key", key).field("attempt", attempt).finish_non_exhaustive()
    }
}

impl Call {
    /// Names the call within the module: the same at each attempt, also after a crash, and of no other call. Hand it to
    /// whom you call, so that what was done already is not done once more.
    pub fn key(&self) -> u128 {
        self.key
    }

    /// Which attempt it is, from 1 on. It begins anew after a start of the partition.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// A client of the grid, to read with: it sees at least what the record was handled after.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

/// The key of a call that a record on a partition leads to.
pub(crate) fn key_of(partition: u32, mark: u32, position: u64) -> u128 {
    u128::from(position) << 64 | u128::from(partition) << 32 | u128::from(mark)
}

/// Which calls are open: the number of the depot whose records are called for, as the log has it, and the position of
/// the record.
pub(crate) type CallKey = (u16, u64);

/// A record whose call has no answer yet.
#[record]
pub(crate) struct OpenCall {
    pub(crate) type_id: u32,
    /// In its depot.
    pub(crate) offset: u64,
    pub(crate) time: i64,
    pub(crate) bytes: Bytes,
}

/// The open calls of a topology on one partition.
pub(crate) type OpenCalls = Map<CallKey, OpenCall>;

/// The hidden PState of a topology's open calls.
pub(crate) fn open_calls(name: &'static str) -> PState<OpenCalls> {
    PState::new(name).local().private()
}

/// What a call gave: a record for the stage of results, as variant and bytes, or what went wrong.
pub(crate) type CallResult = Result<(u16, Vec<u8>), String>;

/// A call that is under way.
pub(crate) type Calling = Pin<Box<dyn Future<Output = CallResult> + Send>>;

/// An async function over records, type erased.
pub(crate) trait AsyncHandler: Send + Sync {
    /// Calls it; nothing happens before the future is polled. `None` where the record cannot be decoded.
    fn call(&self, variant: usize, bytes: &[u8], call: Call) -> Option<Calling>;
}

/// An async function of records `E` that gives records `R`.
pub(crate) struct AsyncEach<E, R, F> {
    function: Arc<F>,
    types: PhantomData<fn(E) -> R>,
}

impl<E, R, F> AsyncEach<E, R, F> {
    pub(crate) fn new(function: F) -> Self {
        Self { function: Arc::new(function), types: PhantomData }
    }
}

impl<E, R, X, F, Fut> AsyncHandler for AsyncEach<E, R, F>
where
    E: Event,
    R: Event,
    X: Display,
    F: Fn(E, Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, X>> + Send + 'static,
{
    fn call(&self, variant: usize, bytes: &[u8], call: Call) -> Option<Calling> {
        let record = E::decode_fields(variant, bytes).ok()?;
        let function = Arc::clone(&self.function);
        Some(Box::pin(async move {
            // Not before: it may do something at once, and panic.
            let result = match function(record, call).await {
                Ok(result) => result,
                Err(error) => return Err(error.to_string()),
            };
            let mut bytes = Vec::new();
            let encoded = result.encode_fields(&mut bytes);
            encoded.map_err(|error| format!("its result cannot be encoded: {error}"))?;
            let variant = u16::try_from(result.variant());
            let variant = variant.map_err(|_| "its result has more than 65,536 variants")?;
            Ok((variant, bytes))
        }))
    }
}

/// What a topology does with records that an async function is called for: it keeps them.
pub(crate) struct OpensCalls<E>(PhantomData<fn(E)>);

impl<E> OpensCalls<E> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E: Event> Handler for OpensCalls<E> {
    fn run(&self, run: HandlerRun<'_>) -> Result<(), HandlerError> {
        let events: &mut AnyEvents = run.events;
        let events = events_of::<E>(events);
        for record in run.range {
            let (info, place) = (run.infos[record], &mut events[record]);
            if !run.window.lets(&info) {
                continue;
            }
            let event = if run.take { place.take() } else { place.clone() };
            if let Some(event) = event {
                run.sending.effects.open_call(info, &event);
            }
        }
        match run.sending.effects.take_fault() {
            Some(fault) => Err(HandlerError::Fault(fault)),
            None => Ok(()),
        }
    }
}
