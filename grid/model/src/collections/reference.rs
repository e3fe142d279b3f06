//! A look at a value that is either lent or owned.

use std::fmt;
use std::ops::Deref;

/// A value that was looked up: lent where it lies in memory, owned where it was decoded.
///
/// It dereferences to the value, so that callers need not care which of the two it is.
///
/// ```
/// use gridmill_model::prelude::*;
///
/// let stock: Map<Str, u64> = [("pear".into(), 3)].into_iter().collect();
/// let pears = stock.get("pear").unwrap();
/// assert_eq!(*pears + 1, 4);
/// assert_eq!(pears.into_owned(), 3);
/// ```
#[derive(Clone)]
pub enum Ref<'a, V> {
    /// The value lies in memory.
    Borrowed(&'a V),
    /// The value was decoded for this look-up.
    Owned(V),
}

impl<V: Clone> Ref<'_, V> {
    /// The value itself; clones it where it was lent.
    pub fn into_owned(self) -> V {
        match self {
            Self::Borrowed(value) => value.clone(),
            Self::Owned(value) => value,
        }
    }
}

impl<V> Deref for Ref<'_, V> {
    type Target = V;

    fn deref(&self) -> &V {
        match self {
            Self::Borrowed(value) => value,
            Self::Owned(value) => value,
        }
    }
}

impl<V> AsRef<V> for Ref<'_, V> {
    fn as_ref(&self) -> &V {
        self
    }
}

impl<V: fmt::Debug> fmt::Debug for Ref<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<V: fmt::Display> fmt::Display for Ref<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<V: PartialEq> PartialEq for Ref<'_, V> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<V: PartialEq> PartialEq<V> for Ref<'_, V> {
    fn eq(&self, other: &V) -> bool {
        **self == *other
    }
}
