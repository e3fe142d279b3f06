//! Panics of the user's code where it is asked outside of a handler.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `code` says; `None` where it panics.
pub(crate) fn caught<T>(code: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(code)).map_err(let_go).ok()
}

/// What a panic said, where it said it in words.
pub(crate) fn text_of(panic: &(dyn Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
}

/// Drops what a panic of the user's code left. That may be a value whose own drop panics.
pub(crate) fn let_go(panic: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(another);
    }
}
