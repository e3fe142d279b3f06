//! Steps as text, as the builder writes them.

use std::fmt;
use std::fmt::Write as _;

use super::filter::{Edge, KeyRange};
use super::step::{Step, StepKey};
use super::term::Term;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        f.write_char('(')?;
        match self {
            Self::Key(key) | Self::Must(key) | Self::Elem(key) | Self::MapKey(key) => {
                write_bytes(f, key)?;
            }
            Self::Nth(at) | Self::Index(at) | Self::BeforeIndex(at) => write!(f, "{at}")?,
            Self::Take(count, _) => write!(f, "{count}")?,
            Self::Range(from, u64::MAX) => write!(f, "{from}..")?,
            Self::Range(from, to) => write!(f, "{from}..{to}")?,
            Self::Field(index) | Self::Variant(index) => write!(f, "#{index}")?,
            Self::Or(value) | Self::Put(value) => write_bytes(f, value)?,
            Self::Keys(keys) => write_keys(f, keys)?,
            Self::KeyRange(range) => write!(f, "{range}")?,
            Self::Filter(filter) => write_bytes(f, &filter.value)?,
            step => match step.branch_lengths().as_slice() {
                [] => {}
                [count] => write!(f, "the next {count} steps")?,
                counts => write!(f, "the next {counts:?} steps")?,
            },
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

fn write_keys(f: &mut fmt::Formatter<'_>, keys: &[StepKey]) -> fmt::Result {
    const SHOWN: usize = 4;
    for (at, key) in keys.iter().take(SHOWN).enumerate() {
        f.write_str(if at == 0 { "" } else { ", " })?;
        write_bytes(f, &key.0)?;
    }
    if keys.len() > SHOWN { write!(f, ", .. {} in all", keys.len()) } else { Ok(()) }
}

/// Prints the end of a transform as the builder writes it.
fn write_term(f: &mut fmt::Formatter<'_>, term: &Term) -> fmt::Result {
    match term {
        Term::Set(value) => {
            f.write_str(".set(")?;
            write_bytes(f, value)?;
        }
        Term::Add(value) => {
            f.write_str(".add(")?;
            write_bytes(f, value)?;
        }
        Term::Remove => f.write_str(".remove(")?,
    }
    f.write_char(')')
}

/// Prints steps as the builder writes them.
pub(in crate::path) fn write_steps(f: &mut fmt::Formatter<'_>, mut steps: &[Step]) -> fmt::Result {
    while let Some((step, rest)) = steps.split_first() {
        f.write_char('.')?;
        steps = match step.split(rest) {
            Ok((branches, after)) if !branches.is_empty() => {
                write!(f, "{}(", step.name())?;
                for (at, branch) in branches.iter().enumerate() {
                    f.write_str(if at == 0 { "it" } else { ", it" })?;
                    write_steps(f, branch.steps)?;
                    if let Step::Transformed(made) = step {
                        write_term(f, &made.term)?;
                    }
                }
                f.write_char(')')?;
                after
            }
            _ => {
                write!(f, "{step}")?;
                rest
            }
        };
    }
    Ok(())
}
