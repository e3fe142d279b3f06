//! The locks and atomics of what threads of a grid race for. With the feature `races` they are those of
//! `shuttle`, so that tests can have threads go on in any order.

#[cfg(not(feature = "races"))]
pub(crate) use {
    parking_lot::{Mutex, MutexGuard},
    std::sync::atomic::{AtomicBool, AtomicU64},
};
#[cfg(feature = "races")]
pub(crate) use {
    shuttle::sync::MutexGuard,
    shuttle::sync::atomic::{AtomicBool, AtomicU64},
    tested::Mutex,
};

#[cfg(feature = "races")]
mod tested {
    use std::sync::PoisonError;

    use shuttle::sync::MutexGuard;

    /// Used as `parking_lot::Mutex` is.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}
