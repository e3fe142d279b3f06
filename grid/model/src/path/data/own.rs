//! Steps of the user's own: code in this process, or the name that it is known by elsewhere.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Str;

/// A step with code in it. Only its name and arguments travel: on the other side code is found by the name, or
/// the path is refused.
#[derive(Clone)]
pub struct Own(Arc<Parts>);

struct Parts {
    /// Empty for a closure, which cannot travel.
    name: Str,
    /// In postcard bytes.
    args: Box<[u8]>,
    code: Option<Code>,
}

/// The code, of a type that this does not know.
pub(in crate::path) type Code = Arc<dyn Any + Send + Sync>;

impl Own {
    pub(in crate::path) fn new(name: impl Into<Str>, args: Box<[u8]>, code: Option<Code>) -> Self {
        Self(Arc::new(Parts { name: name.into(), args, code }))
    }

    /// The name that it is known by; `own` for a closure.
    pub fn name(&self) -> &str {
        if self.is_named() { &self.0.name } else { "own" }
    }

    /// Whether it has a name, by which it can travel.
    pub(in crate::path) fn is_named(&self) -> bool {
        !self.0.name.is_empty()
    }

    pub(in crate::path) fn args(&self) -> &[u8] {
        &self.0.args
    }

    pub(in crate::path) fn code(&self) -> Option<&Code> {
        self.0.code.as_ref()
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// Named steps are equal if name and arguments are; closures only if they are one.
impl PartialEq for Own {
    fn eq(&self, other: &Self) -> bool {
        let same = (&self.0.name, &self.0.args) == (&other.0.name, &other.0.args);
        same && (self.is_named() || Arc::ptr_eq(&self.0, &other.0))
    }
}

impl Eq for Own {}

impl Serialize for Own {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if !self.is_named() {
            return Err(serde::ser::Error::custom(
                "a step with code in it has no name to travel by",
            ));
        }
        (&self.0.name, &self.0.args).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Own {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (name, args) = <(Str, Box<[u8]>)>::deserialize(from)?;
        Ok(Self::new(name, args, None))
    }
}
