//! What can go wrong for a client, and what is guaranteed after it.

mod append;
mod ask;
mod read;
mod reply;
mod watch;

pub use append::{AppendError, AppendErrorKind, AppendManyError, Rejection};
pub use ask::{AskError, AskErrorKind};
pub use read::{DepotError, ReadError};
pub use reply::ReplyError;
pub use watch::WatchError;

/// Lets errors look in `{:?}` as they read: a program whose `main` returns one shows that, and a list of
/// fields would hide what it says.
#[doc(hidden)]
#[macro_export]
macro_rules! debug_as_it_reads {
    ($($error:ty),+) => {$(
        impl ::std::fmt::Debug for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(self, f)
            }
        }
    )+};
}

crate::debug_as_it_reads!(AppendErrorKind, ReadError, DepotError, ReplyError);
