//! What a handler returns.

use std::fmt::Display;

use gridmill_client::Encoded;
use serde::Serialize;

/// A handler's refusal of a record.
#[doc(hidden)]
#[derive(Debug)]
pub struct Refusal {
    pub(crate) message: String,
    pub(crate) error: Option<Encoded>,
}

/// What a handler returns: nothing, or a `Result` whose `Err` undoes what it did with the record and
/// reaches the appender.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    label = "expected `()` or `Result<(), E>`",
    note = "`E` has to be `Display + serde::Serialize`; `#[record]` types are serialisable"
)]
pub trait Outcome {
    #[doc(hidden)]
    const FALLIBLE: bool;

    #[doc(hidden)]
    fn refusal(self) -> Option<Refusal>;
}

impl Outcome for () {
    const FALLIBLE: bool = false;

    fn refusal(self) -> Option<Refusal> {
        None
    }
}

impl<E: Display + Serialize + 'static> Outcome for Result<(), E> {
    const FALLIBLE: bool = true;

    fn refusal(self) -> Option<Refusal> {
        let error = self.err()?;
        Some(Refusal { message: error.to_string(), error: Encoded::new(&error) })
    }
}
