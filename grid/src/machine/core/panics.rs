//! What handlers say when they panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use gridmill_model::engine::Damaged;

use crate::panics::{let_go, text_of};

use super::Stop;

/// The most bytes of what a handler's panic says that a verdict keeps.
const MESSAGE_BYTES_MAX: usize = 4096;

/// A message that fits a record of the log, whatever a handler said.
pub(super) fn shortened(mut message: String) -> String {
    let is_end = |end: &usize| message.is_char_boundary(*end);
    if message.len() > MESSAGE_BYTES_MAX
        && let Some(end) = (0..=MESSAGE_BYTES_MAX).rev().find(is_end)
    {
        message.truncate(end);
        message.push_str("..");
    }
    message
}

/// Does what may unwind with damage: that stops the partition.
pub(super) fn stopping_at_damage(act: impl FnOnce()) -> Result<(), Stop> {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(act)) {
        resume_unwind(damage_of(panic)?);
    }
    Ok(())
}

/// A panic, unless it is damage that took this way out: that stops the partition.
fn damage_of(panic: Box<dyn Any + Send>) -> Result<Box<dyn Any + Send>, Stop> {
    match panic.downcast::<Damaged>() {
        Ok(damage) => Err((*damage).into()),
        Err(panic) => Ok(panic),
    }
}

/// What a panic said; damage that took this way out of a handler stops the partition.
pub(super) fn panic_message(panic: Box<dyn Any + Send>) -> Result<String, Stop> {
    let panic = damage_of(panic)?;
    let text = text_of(&*panic).unwrap_or("the handler panicked without a message").to_owned();
    let_go(panic);
    Ok(text)
}
