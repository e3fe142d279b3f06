//! Steps as text, as the builder writes them.

use std::fmt;
use std::fmt::Write as _;

use super::filter::{Edge, KeyRange};
use super::step::Step;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        f.write_char('(')?;
        match self {
            Self::Key(key) | Self::Must(key) | Self::Elem(key) => write_bytes(f, key)?,
            Self::Nth(at) | Self::Index(at) => write!(f, "{at}")?,
            Self::Field(index) => write!(f, "#{index}")?,
            Self::Or(value) => write_bytes(f, value)?,
            Self::KeyRange(range) => write!(f, "{range}")?,
            Self::Filter(filter) => write_bytes(f, &filter.value)?,
            Self::FilterSelected(count) => write!(f, "the next {count} steps")?,
            _ => {}
        }
        f.write_char(')')
    }
}

impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.from {
            Edge::Open => {}
            Edge::Including(key) => write_bytes(f, key)?,
            Edge::Excluding(key) => {
                f.write_str("after ")?;
                write_bytes(f, key)?;
            }
        }
        f.write_str("..")?;
        match &self.to {
            Edge::Open => {}
            Edge::Including(key) => {
                f.write_char('=')?;
                write_bytes(f, key)?;
            }
            Edge::Excluding(key) => write_bytes(f, key)?,
        }
        match (self.limit, self.keep_last) {
            (None, _) => Ok(()),
            (Some(limit), false) => write!(f, ", first {limit}"),
            (Some(limit), true) => write!(f, ", last {limit}"),
        }
    }
}

/// Steps know no types: printable bytes are shown as text, others in hexadecimal.
fn write_bytes(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    const SHOWN: usize = 48;
    let shown = &bytes[..bytes.len().min(SHOWN)];
    match str::from_utf8(shown) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => {
            write!(f, "{text:?}")?;
        }
        _ => {
            f.write_str("0x")?;
            shown.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
    }
    if bytes.len() > SHOWN { f.write_str("...") } else { Ok(()) }
}

/// Prints steps as the builder writes them.
pub(in crate::path) fn write_steps(f: &mut fmt::Formatter<'_>, mut steps: &[Step]) -> fmt::Result {
    while let Some((step, rest)) = steps.split_first() {
        steps = rest;
        f.write_char('.')?;
        match step {
            Step::FilterSelected(count) if usize::from(*count) <= rest.len() => {
                let (condition, after) = rest.split_at(usize::from(*count));
                f.write_str("filter_selected(it")?;
                write_steps(f, condition)?;
                f.write_char(')')?;
                steps = after;
            }
            step => write!(f, "{step}")?,
        }
    }
    Ok(())
}
