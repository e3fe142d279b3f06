//! What the builder puts into steps: keys, values, comparisons and ranges.

use std::ops::Bound;

use crate::key::KeyBytes;
use crate::path::data::filter::{Compare, Edge, Filter, KeyRange};
use crate::path::data::step::Step;
use crate::path::walk::Walk;
use crate::{AsKey, Key};

#[inline]
pub(super) fn key_bytes<K: Key>(key: &(impl AsKey<K> + ?Sized)) -> KeyBytes {
    let mut bytes = KeyBytes::new();
    key.encode_as_key(&mut bytes);
    bytes
}

/// Encoding fails only if a hand-written `Serialize` does; reading the empty bytes back is then
/// the typed error.
pub(super) fn encoded<T: Walk>(value: &T) -> Box<[u8]> {
    postcard::to_allocvec(value).unwrap_or_default().into_boxed_slice()
}

pub(super) fn filter<T: Walk>(compare: Compare, value: &T) -> Step {
    Step::Filter(Box::new(Filter { compare, value: encoded(value) }))
}

pub(super) fn span(from: Edge, to: Edge, limit: Option<u64>, keep_last: bool) -> Step {
    Step::KeyRange(Box::new(KeyRange { from, to, limit, keep_last }))
}

pub(super) fn edge<K: Key, Q: AsKey<K> + ?Sized>(bound: Bound<&Q>) -> Edge {
    match bound {
        Bound::Included(key) => Edge::Including(key_bytes(key)),
        Bound::Excluded(key) => Edge::Excluding(key_bytes(key)),
        Bound::Unbounded => Edge::Open,
    }
}
