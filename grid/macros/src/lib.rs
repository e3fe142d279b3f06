//! The `#[record]` attribute.
