//! A number that tells whether two roots hold the same: for the check that handlers are deterministic.

use gridmill_model::State;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// The digest of what a batch touched; it does not depend on the order.
pub(crate) fn of_touched<'a, V: State>(
    touched: impl Iterator<Item = (&'a [u8], &'a Option<V>)>,
) -> u64 {
    touched.fold(0u64, |sum, (key, value)| {
        let mut digest = Xxh3::new();
        digest.update(&xxh3_64(key).to_le_bytes());
        digest.update(&postcard::to_stdvec(value).unwrap_or_default());
        sum.wrapping_add(digest.digest())
    })
}
