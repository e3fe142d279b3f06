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
    note = "`E` has to be `Display + serde::Serialize`, so that it reaches the appender: a `String`, or an own \
            `#[record]` that implements `Display`",
    note = "`Box<dyn Error>`, `anyhow::Error` and most errors of libraries are not: return what they say, by \
            `.map_err(|error| error.to_string())?`"
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

// What is missing is told by the trait's own message, not by that of serde for the inside of `E`.
#[diagnostic::do_not_recommend]
impl<E: Display + Serialize + 'static> Outcome for Result<(), E> {
    const FALLIBLE: bool = true;

    fn refusal(self) -> Option<Refusal> {
        let error = self.err()?;
        Some(Refusal { message: error.to_string(), error: Encoded::new(&error) })
    }
}
