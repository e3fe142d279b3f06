//! The small public types of runs: options, facts, and what a key holds.

/// How to write a run.
///
/// ```
/// use gridmill_persistence::run::RunOptions;
///
/// let options = RunOptions { schema: 7, value_align: 8, ..RunOptions::default() };
/// assert_eq!(options.entries_hint, 0);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// Fingerprint of the type of the values; stored, never interpreted. Default 0.
    pub schema: u64,
    /// Every value begins at a multiple of this many bytes: 1, 2, 4, 8 or 16. Default 16, which
    /// suits every archive; values made of 8-byte numbers need 8 and save 4 bytes an entry on
    /// average, plain bytes need 1.
    pub value_align: usize,
    /// About how many entries will come, to reserve 8 bytes of memory each for the first 256 Ki of
    /// them. Default 0: grows as needed.
    pub entries_hint: u64,
    /// The log position that the run covers; stored, never interpreted. Default 0.
    pub covers: u64,
    /// An opaque note of at most [`USER_BYTES_MAX`](super::USER_BYTES_MAX) bytes, read at open.
    /// Default empty.
    pub user: Vec<u8>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self { schema: 0, value_align: 16, entries_hint: 0, covers: 0, user: Vec::new() }
    }
}

/// The facts about a finished run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInfo {
    /// Its file name, without folders.
    pub file: String,
    /// How many keys it holds, deletions included.
    pub entries: u64,
    /// How many of them are deletions.
    pub tombstones: u64,
    /// The file's length in bytes.
    pub bytes: u64,
    /// The smallest key; empty in an empty run.
    pub min_key: Vec<u8>,
    /// The largest key; empty in an empty run.
    pub max_key: Vec<u8>,
    /// [`RunOptions::schema`] of its writer.
    pub schema: u64,
}

/// What a run says of a key that it holds.
///
/// ```
/// use gridmill_persistence::run::Slot;
///
/// assert_eq!(Slot::Value(b"seen").value(), Some(&b"seen"[..]));
/// assert_eq!(Slot::Deleted.value(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot<'a> {
    /// The key has this value, aligned as the run's writer asked.
    Value(&'a [u8]),
    /// The key was deleted; older runs must not be asked.
    Deleted,
}

impl<'a> Slot<'a> {
    /// The value, unless the key was deleted.
    #[must_use]
    pub fn value(self) -> Option<&'a [u8]> {
        match self {
            Self::Value(value) => Some(value),
            Self::Deleted => None,
        }
    }
}
