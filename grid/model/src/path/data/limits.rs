//! How long a path may be, and how much one select may take.

/// The most steps that a path may have, those of its conditions included.
pub const MAX_STEPS: usize = 64;

/// How deep conditions and branches may stand in each other.
pub const MAX_NESTING: usize = 8;

/// How much one select may return and visit.
///
/// A select over its limit ends with a typed error; it never returns a part silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most values that it may return.
    pub results: u64,
    /// The most entries and elements that it may look at.
    pub places: u64,
    /// The most bytes that the returned values may take in memory, about.
    pub bytes: u64,
}

impl Limits {
    /// 100,000 results of 64 MiB in all, out of 10,000,000 places.
    pub const DEFAULT: Self = Self { results: 100_000, places: 10_000_000, bytes: 64 << 20 };

    /// No limit: for code that walks its own values.
    pub const NONE: Self = Self { results: u64::MAX, places: u64::MAX, bytes: u64::MAX };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
