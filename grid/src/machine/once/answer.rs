//! What an append with an id was answered with, as the log keeps it for those that repeat it.

use gridmill_client::{Encoded, Rejection, Reply};
use serde::{Deserialize, Serialize};

/// The most bytes of an answer that is kept: one that is larger is known until its partition restarts.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// What handlers said to an append with an id.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct OnceAnswer {
    pub(crate) replies: Vec<Reply>,
    pub(crate) rejections: Vec<Rejection>,
}

/// The same in a record of the log; its id is that of the append.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// The depot, by its number in the log.
    source: u16,
    /// Of the module: values of another one may have other types.
    version: u32,
    replies: Vec<(String, Value)>,
    rejections: Vec<StoredRejection>,
}

/// The name of the type, and the value as postcard.
type Value = (String, Vec<u8>);

#[derive(Serialize, Deserialize)]
struct StoredRejection {
    topology: String,
    stage: Option<String>,
    message: String,
    error: Option<Value>,
    quarantined: bool,
}

impl OnceAnswer {
    /// The payload of its record, where it is to have one.
    pub(crate) fn to_payload(&self, source: u16, version: u32) -> Option<Vec<u8>> {
        let replies = self.replies.iter();
        let rejections = self.rejections.iter().cloned();
        let stored = Stored {
            source,
            version,
            replies: replies.map(|reply| (reply.topology.clone(), value(&reply.value))).collect(),
            rejections: rejections.map(StoredRejection::from).collect(),
        };
        let payload = postcard::to_stdvec(&stored).ok()?;
        (payload.len() <= ANSWER_BYTES_MAX).then_some(payload)
    }

    /// What a record says, and of which depot, by its number in the log. Nothing where it is of other code.
    pub(crate) fn of_payload(payload: &[u8], version: u32) -> Option<(u16, Self)> {
        let stored: Stored = postcard::from_bytes(payload).ok()?;
        let Stored { source, replies, rejections, .. } = stored;
        let reply = |(topology, value)| Reply { topology, value: encoded(value) };
        let answer = Self {
            replies: replies.into_iter().map(reply).collect(),
            rejections: rejections.into_iter().map(Rejection::from).collect(),
        };
        (stored.version == version).then_some((source, answer))
    }
}

fn value(value: &Encoded) -> Value {
    (value.type_name().to_owned(), value.bytes().to_vec())
}

fn encoded((type_name, bytes): Value) -> Encoded {
    Encoded::restored(type_name, bytes)
}

impl From<Rejection> for StoredRejection {
    fn from(rejection: Rejection) -> Self {
        let Rejection { topology, stage, message, error, quarantined } = rejection;
        Self { topology, stage, message, error: error.as_ref().map(value), quarantined }
    }
}

impl From<StoredRejection> for Rejection {
    fn from(stored: StoredRejection) -> Self {
        let StoredRejection { topology, stage, message, error, quarantined } = stored;
        Self { topology, stage, message, error: error.map(encoded), quarantined }
    }
}
