//! A number that tells whether two roots hold the same: for the check that handlers are deterministic.

use gridmill_model::State;
use gridmill_model::engine::Damaged;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::layers::Layers;

/// The digest of what a batch changed of what was `before`; it does not depend on the order. What was touched
/// and is as before does not count: whether a value that nobody changed is taken for touched depends on
/// where it lay.
pub(crate) fn of_changed<'a, V: State>(
    touched: impl Iterator<Item = (&'a [u8], &'a Option<V>)>,
    before: &Layers<V>,
) -> Result<u64, Damaged> {
    let mut sum = 0u64;
    for (key, value) in touched {
        let bytes = encoded(value);
        if bytes == encoded(&before.get(key)?) {
            continue;
        }
        let mut digest = Xxh3::new();
        digest.update(&xxh3_64(key).to_le_bytes());
        digest.update(&bytes);
        sum = sum.wrapping_add(digest.digest());
    }
    Ok(sum)
}

/// Bytes and not values are compared, so that a `NaN` is as it was.
fn encoded<V: State>(value: &Option<V>) -> Vec<u8> {
    postcard::to_stdvec(value).unwrap_or_default()
}
