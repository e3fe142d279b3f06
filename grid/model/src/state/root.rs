//! What stands at the root of a PState, and how it is split into stored entries.

use std::sync::Arc;

use crate::engine::{Damaged, ReadStore, RootStore};
use crate::path::{PathError, Step, Visit};
use crate::{Key, KeyBytes, State};

/// What may stand at the root of a PState.
///
/// A [`Map`](crate::Map) is stored entry by entry. Any other state is one value, stored as a
/// single entry under the empty key. Implemented for every [`State`]; not for users to implement.
pub trait Root: State {
    /// The key of an entry; `()` for one value.
    type Key: Key;
    /// The value of an entry; `Self` for one value.
    type Value: State;
    /// Whether the root is stored entry by entry.
    const KEYED: bool;

    /// A root that reads and writes through a partition's store; `None` for one value.
    #[doc(hidden)]
    fn from_store(store: Box<dyn RootStore<Self::Value>>) -> Option<Self>;

    /// A root that only reads a published view; where a root that is one value has none yet, `initial` makes it.
    ///
    /// # Errors
    /// [`Damaged`](crate::Damaged) where the one value cannot be read.
    #[doc(hidden)]
    fn from_view(
        view: Arc<dyn ReadStore<Self::Value>>,
        initial: fn() -> Self,
    ) -> Result<Self, Damaged>;

    /// The store behind the root; `None` for one value, and for a map that was assigned anew.
    #[doc(hidden)]
    fn store_mut(&mut self) -> Option<&mut (dyn RootStore<Self::Value> + 'static)>;

    /// The content as entries; one value is one entry under the empty key.
    #[doc(hidden)]
    fn into_entries(self) -> Vec<(KeyBytes, Self::Value)>;

    /// Selects in a published view.
    ///
    /// # Errors
    /// [`PathError`] when the path does not fit, or meets a limit or damage.
    #[doc(hidden)]
    fn walk_view(
        store: &dyn ReadStore<Self::Value>,
        steps: &[Step],
        visit: &mut Visit<'_>,
    ) -> Result<(), PathError>;
}

/// Implements [`Root`] for a type that is one value.
#[doc(hidden)]
#[macro_export]
macro_rules! __blob_root {
    ([$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> $crate::Root for $type {
            type Key = ();
            type Value = Self;
            const KEYED: bool = false;

            fn from_store(
                _: ::std::boxed::Box<dyn $crate::engine::RootStore<Self>>,
            ) -> ::core::option::Option<Self> {
                ::core::option::Option::None
            }

            fn from_view(
                view: ::std::sync::Arc<dyn $crate::engine::ReadStore<Self>>,
                initial: fn() -> Self,
            ) -> ::core::result::Result<Self, $crate::Damaged> {
                let value = view.get(&[])?.map($crate::Ref::into_owned);
                ::core::result::Result::Ok(value.unwrap_or_else(initial))
            }

            fn store_mut(
                &mut self,
            ) -> ::core::option::Option<&mut (dyn $crate::engine::RootStore<Self> + 'static)> {
                ::core::option::Option::None
            }

            fn into_entries(self) -> ::std::vec::Vec<($crate::KeyBytes, Self)> {
                ::std::vec![($crate::KeyBytes::new(), self)]
            }

            fn walk_view(
                store: &dyn $crate::engine::ReadStore<Self>,
                steps: &[$crate::path::Step],
                visit: &mut $crate::path::Visit<'_>,
            ) -> ::core::result::Result<(), $crate::path::PathError> {
                $crate::path::walk_blob(store, steps, visit)
            }
        }
    };
}
