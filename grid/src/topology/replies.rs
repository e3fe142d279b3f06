//! How what handlers of one topology reply to one append adds up.

use gridmill_client::{Encoded, Reply, ReplyError};
use serde::Serialize;
use serde::de::DeserializeOwned;

type Add = dyn Fn(Reply, Reply) -> Result<Option<Encoded>, ReplyError> + Send + Sync;

/// Adds up the replies of a topology, type erased.
pub(crate) struct Combiner {
    topology: &'static str,
    add: Box<Add>,
    fits: fn(&'static str, &Encoded) -> Result<(), ReplyError>,
}

impl std::fmt::Debug for Combiner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Combiner").field("topology", &self.topology).finish_non_exhaustive()
    }
}

impl Combiner {
    pub(crate) fn new<T, F>(topology: &'static str, add: F) -> Self
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(T, T) -> T + Send + Sync + 'static,
    {
        let add = move |one: Reply, other: Reply| {
            Ok(Encoded::new(&add(one.decode::<T>()?, other.decode::<T>()?)))
        };
        Self {
            topology,
            add: Box::new(add),
            fits: |of, value| reply(of, value.clone()).decode::<T>().map(drop),
        }
    }

    /// Whether a reply is of the type that is added up.
    pub(crate) fn check(&self, value: &Encoded) -> Result<(), ReplyError> {
        (self.fits)(self.topology, value)
    }

    /// What two replies add up to; the later one, where the type does not let them be read or written. Runs the
    /// user's code.
    pub(crate) fn add(&self, earlier: Encoded, later: Encoded) -> Encoded {
        let sum = (self.add)(reply(self.topology, earlier), reply(self.topology, later.clone()));
        sum.ok().flatten().unwrap_or(later)
    }
}

fn reply(topology: &str, value: Encoded) -> Reply {
    Reply { topology: topology.to_owned(), value }
}
