//! Values that handlers hand to appenders: bytes that know their type.

use std::any::{TypeId, type_name};
use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ReplyError;

/// A value as postcard bytes, with its type. Bytes of one type often are valid bytes of another, so
/// it is decoded as the type that it was, or not at all.
#[derive(Clone)]
pub struct Encoded {
    bytes: Vec<u8>,
    /// Nothing where it comes from another process.
    ty: Option<TypeId>,
    type_name: Cow<'static, str>,
}

impl PartialEq for Encoded {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.type_name == other.type_name
    }
}

impl Eq for Encoded {}

impl Encoded {
    /// Encodes `value`; `None` where its `Serialize` fails.
    pub fn new<T: Serialize + 'static>(value: &T) -> Option<Self> {
        let bytes = postcard::to_stdvec(value).ok()?;
        Some(Self { bytes, ty: Some(TypeId::of::<T>()), type_name: type_name::<T>().into() })
    }

    /// A value that an earlier process encoded, of a type with this name.
    pub fn restored(type_name: String, bytes: Vec<u8>) -> Self {
        Self { bytes, ty: None, type_name: type_name.into() }
    }

    /// The postcard bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The name of the type, for messages.
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// The value, as `topology` gave it.
    pub(crate) fn decode<T: DeserializeOwned + 'static>(
        &self,
        topology: &str,
    ) -> Result<T, ReplyError> {
        let topology = topology.to_owned();
        let same = self.ty.map_or(self.type_name == type_name::<T>(), |ty| ty == TypeId::of::<T>());
        if !same {
            let (expected, got) = (self.type_name.to_string(), type_name::<T>().to_owned());
            return Err(ReplyError::WrongType { topology, expected, got });
        }
        postcard::from_bytes(&self.bytes)
            .map_err(|error| ReplyError::Decode { topology, message: error.to_string() })
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoded({}, {} bytes)", self.type_name, self.bytes.len())
    }
}
