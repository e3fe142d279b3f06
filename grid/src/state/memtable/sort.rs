//! Sorting keys without touching them more often than necessary.

/// The numbers of `keys` in the order of their bytes.
///
/// Keys of one PState often begin alike. What follows the common beginning is sorted as a word with
/// the number below it; keys are read again only where such words are the same.
pub(super) fn sorted(keys: &[&[u8]]) -> Box<[u32]> {
    let common = common_len(keys);
    let numbered = |(key, number): (&&[u8], u32)| pack(word(&key[common..]), number);
    let mut packed: Vec<u128> = keys.iter().zip(0..).map(numbered).collect();
    packed.sort_unstable();
    for alike in packed.chunk_by_mut(|one, other| one >> 32 == other >> 32) {
        if alike.len() > 1 {
            alike.sort_unstable_by_key(|packed| keys[number_of(*packed) as usize]);
        }
    }
    packed.into_iter().map(number_of).collect()
}

fn pack(word: u64, number: u32) -> u128 {
    u128::from(word) << 32 | u128::from(number)
}

fn number_of(packed: u128) -> u32 {
    packed as u32
}

/// How many bytes all keys have in common.
fn common_len(keys: &[&[u8]]) -> usize {
    let Some((first, rest)) = keys.split_first() else { return 0 };
    rest.iter().fold(first.len(), |common, key| {
        first[..common].iter().zip(*key).take_while(|(one, other)| one == other).count()
    })
}

/// The first bytes as a number of the same order; zeros fill up what is shorter.
fn word(bytes: &[u8]) -> u64 {
    if let Some(first) = bytes.first_chunk::<8>() {
        return u64::from_be_bytes(*first);
    }
    let mut filled = [0; 8];
    filled[..bytes.len()].copy_from_slice(bytes);
    u64::from_be_bytes(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_bytes() {
        let long = [b'x'; 40];
        let sets: [&[&[u8]]; 4] = [
            &[],
            &[b"b", b"", b"\0", b"a\0", b"a", b"\0\0"],
            &[b"user-2", b"user-10", b"user-1", b"user-", b"user-1\0", b"user-3 and sixteen more"],
            &[&long[..39], &long[..17], &long, &long[..16]],
        ];
        for keys in sets {
            let order = sorted(keys);
            assert_eq!(order.len(), keys.len());
            assert!(order.is_sorted_by_key(|&number| keys[number as usize]));
        }
    }
}
