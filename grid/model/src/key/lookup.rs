//! Looking a key up by something that is not the key itself.

use std::cmp::Ordering;

use crate::{KeyBytes, RouteKey};

/// A value that can stand for a key of type `K` in a look-up.
///
/// A `&str` stands for a `Str` or a `String`, a `&[u8]` for [`Bytes`](crate::Bytes), a tuple of
/// such values for a tuple key; nothing is allocated. Each key type stands for itself, by value or
/// by reference.
///
/// ```
/// use gridmill_model::prelude::*;
///
/// let seats: Map<(Str, u32), bool> = [((Str::new("A"), 7), true)].into_iter().collect();
/// assert!(seats.contains_key(("A", 7)));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not stand for a key of type `{K}`",
    label = "expected `{K}`, or a borrowed form of it"
)]
pub trait AsKey<K: ?Sized> {
    /// Appends the bytes that `K::encode_key` would append.
    fn encode_as_key(&self, out: &mut KeyBytes);

    /// Appends the bytes that `K::encode_part` would append.
    fn encode_as_part(&self, out: &mut KeyBytes);

    /// The route that `K::route` would give.
    fn route_as_key(&self) -> RouteKey;

    /// Compares with a key, in the order of keys.
    fn compare(&self, key: &K) -> Ordering;
}

impl<K: ?Sized, T: AsKey<K> + ?Sized> AsKey<K> for &T {
    #[inline]
    fn encode_as_key(&self, out: &mut KeyBytes) {
        (**self).encode_as_key(out);
    }

    fn encode_as_part(&self, out: &mut KeyBytes) {
        (**self).encode_as_part(out);
    }

    #[inline]
    fn route_as_key(&self) -> RouteKey {
        (**self).route_as_key()
    }

    fn compare(&self, key: &K) -> Ordering {
        (**self).compare(key)
    }
}

/// Lets a sorted map be searched by anything that stands for its key.
pub(crate) struct Probe<Q>(pub(crate) Q);

impl<K, Q: AsKey<K>> equivalent::Equivalent<K> for Probe<Q> {
    fn equivalent(&self, key: &K) -> bool {
        self.0.compare(key).is_eq()
    }
}

impl<K, Q: AsKey<K>> equivalent::Comparable<K> for Probe<Q> {
    fn compare(&self, key: &K) -> Ordering {
        self.0.compare(key)
    }
}
