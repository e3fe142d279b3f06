//! What can go wrong for a client, and what is guaranteed after it.

mod append;
mod read;
mod reply;

pub use append::{AppendError, AppendErrorKind, AppendManyError, Rejection};
pub use read::{DepotError, ReadError};
pub use reply::ReplyError;
