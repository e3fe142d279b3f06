//! Contents that contradict themselves under checksums that agree: no bug of a writer, and nobody's
//! forgery, may make a reader panic, loop or read beyond the file.

use std::ops::Bound;

use gridmill_persistence::run::{Run, RunError};
use proptest::prelude::*;

use super::{Model, aligned, bytes_of, counted, disk, disk_with, open, write};

const FOOTER: usize = 64;
const PAGE: usize = 16 << 10;

/// Puts `crc` in place of `old` wherever it stands in `bytes`.
fn replace(bytes: &mut [u8], old: u32, crc: u32) {
    let (old, crc) = (old.to_le_bytes(), crc.to_le_bytes());
    if let Some(at) = bytes.windows(4).position(|window| window == old) {
        bytes[at..at + 4].copy_from_slice(&crc);
    }
}

fn number(bytes: &[u8], at: usize) -> usize {
    bytes[at..at + 8].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Makes all checksums of a one-page run agree with its bytes again.
fn reseal(bytes: &mut [u8]) {
    reseal_pages(bytes, 1);
}

/// Makes all checksums of a run of so many pages agree with its bytes again, from the inside outwards.
fn reseal_pages(bytes: &mut [u8], pages: usize) {
    let foot_at = bytes.len() - FOOTER;
    let meta_at = number(bytes, foot_at + 16);
    let table_at = meta_at - (4 * pages).next_multiple_of(16);
    let header = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&header.to_le_bytes());
    let old = crc32c::crc32c(&bytes[table_at..meta_at]);
    let crcs = bytes[..table_at].chunks(PAGE).map(crc32c::crc32c);
    for (page, crc) in crcs.collect::<Vec<_>>().into_iter().enumerate() {
        let at = table_at + 4 * page;
        bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    }
    let table = crc32c::crc32c(&bytes[table_at..meta_at]);
    replace(&mut bytes[meta_at..foot_at], old, table);
    let meta = crc32c::crc32c(&bytes[meta_at..foot_at]);
    bytes[foot_at + 12..foot_at + 16].copy_from_slice(&meta.to_le_bytes());
    let footer = crc32c::crc32c(&bytes[foot_at..foot_at + 60]);
    bytes[foot_at + 60..].copy_from_slice(&footer.to_le_bytes());
}

/// Reads in every way, and only asks that each ends.
fn read_all(run: &Run, model: &Model) {
    for key in model.keys() {
        let _ = run.get(key);
        let _ = run.range(Bound::Included(key), Bound::Unbounded).next();
        let _ = run.range(Bound::Unbounded, Bound::Excluded(key)).next_back();
    }
    let limit = 10 * model.len();
    let all = || run.range(Bound::Unbounded, Bound::Unbounded);
    assert!(all().take(limit).count() < limit && all().rev().take(limit).count() < limit);
    let _ = run.verify();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_forged_run_is_read_without_a_panic(
        places in prop::collection::vec((any::<prop::sample::Index>(), forged_bytes()), 1..4),
        uniform in any::<bool>(),
    ) {
        let mut model = counted(40);
        if uniform {
            model.retain(|_, value| value.is_some());
        }
        let storage = disk();
        write(&storage, "table.run", aligned(8), &model).unwrap();
        let mut bytes = bytes_of(&storage, "table.run");
        let end = bytes.len() - FOOTER;
        for (place, forged) in places {
            let at = place.index(end);
            let len = forged.len().min(end - at);
            bytes[at..at + len].copy_from_slice(&forged[..len]);
        }
        reseal(&mut bytes);
        if let Ok(run) = open(&disk_with(&bytes), "table.run") {
            read_all(&run, &model);
        }
    }
}

/// Lengths and offsets at their extremes, and noise.
fn forged_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (1usize..9).prop_map(|len| vec![0xff; len]),
        (1usize..9).prop_map(|len| vec![0; len]),
        any::<u64>().prop_map(|number| (number % 2000).to_le_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 1..3),
    ]
}

/// Numbers of the meta archive, by where they are in it. Its root comes last, and has 120 bytes.
const NUMBERS: [(&str, usize); 9] = [
    ("entries", 0),
    ("tombstones", 8),
    ("uniform", 16),
    ("data_end", 32),
    ("marks_at", 40),
    ("fences_at", 48),
    ("fence_count", 56),
    ("index_at", 64),
    ("table_at", 72),
];

fn place_of(bytes: &[u8], name: &str) -> usize {
    let known = NUMBERS.iter().find(|(known, _)| *known == name).unwrap();
    bytes.len() - FOOTER - 120 + known.1
}

/// Where `part` begins in `bytes`, from `from` on.
fn find(bytes: &[u8], from: usize, part: &[u8]) -> usize {
    from + bytes[from..].windows(part.len()).position(|window| window == part).unwrap()
}

/// A run of uniform entries, then loose ones, on one page.
fn written() -> Vec<u8> {
    let storage = disk();
    write(&storage, "table.run", aligned(8), &counted(40)).unwrap();
    bytes_of(&storage, "table.run")
}

/// What is said of a run that is whole by its checksums after `forge` has changed it.
fn refusal(forge: impl FnOnce(&mut [u8])) -> String {
    let mut bytes = written();
    forge(&mut bytes);
    reseal(&mut bytes);
    let verified = open(&disk_with(&bytes), "table.run").and_then(|run| run.verify());
    let error = verified.expect_err("it contradicts itself");
    assert!(matches!(error, RunError::Malformed { .. }), "{error}");
    error.to_string()
}

#[test]
fn a_number_of_a_run_that_does_not_fit_the_others_is_refused() {
    let bytes = written();
    for (name, _) in NUMBERS {
        let at = place_of(&bytes, name);
        let number = number(&bytes, at) as u64;
        let others = [1, 3, 4, 8, 16, 64, 1 << 20, 1 << 62];
        let more = others.iter().map(|other| number.wrapping_add(*other));
        let less = others.iter().map(|other| number.wrapping_sub(*other));
        for other in more.chain(less).chain([0, u64::MAX]).filter(|other| *other != number) {
            refusal(|bytes| bytes[at..at + 8].copy_from_slice(&other.to_le_bytes()));
        }
    }
}

/// What is said, and of what change.
type Case<'a> = (&'static str, &'a dyn Fn(&mut [u8]));

#[test]
fn what_the_sections_of_a_run_say_of_each_other_is_verified() {
    let key = |number: u64| format!("user-{number:012}").into_bytes();
    let entry = |bytes: &[u8], number: u64| find(bytes, 64, &key(number));
    let cases: &[Case<'_>] = &[
        ("keys are not in order", &|bytes| {
            let at = entry(bytes, 40);
            bytes[at..at + 17].copy_from_slice(&key(37));
        }),
        ("keys are not in order", &|bytes| {
            let at = entry(bytes, 40);
            bytes[at..at + 17].copy_from_slice(&key(38));
        }),
        ("the index does not lead to an entry", &|bytes| {
            let at = entry(bytes, 42);
            bytes[at..at + 17].copy_from_slice(&key(41));
        }),
        // Behind a key, and behind the value of a uniform entry's key.
        ("padding is not zero", &|bytes| bytes[entry(bytes, 40) + 17] = 1),
        ("padding is not zero", &|bytes| bytes[entry(bytes, 2) + 17 + 3] = 1),
        ("a mark is elsewhere", &|bytes| {
            let mark = number(bytes, place_of(bytes, "marks_at"));
            bytes[mark] ^= 4;
        }),
        ("the least key is another", &|bytes| {
            let at = find(bytes, number(bytes, place_of(bytes, "table_at")), &key(0));
            bytes[at + 16] = b'1';
        }),
        ("the greatest key is another", &|bytes| {
            let at = find(bytes, number(bytes, place_of(bytes, "table_at")), &key(78));
            bytes[at + 16] = b'9';
        }),
        ("the count of deletions is another", &|bytes| bytes[place_of(bytes, "tombstones")] += 1),
        ("a fence has another key than its group", &|bytes| {
            let at = find(bytes, number(bytes, place_of(bytes, "fences_at")), &key(0));
            bytes[at + 16] = b'1';
        }),
        ("a fence has another key than its group", &|bytes| {
            let at = find(bytes, number(bytes, place_of(bytes, "fences_at")), &key(0));
            bytes[at - 10] = 1;
        }),
        ("the index has other entries", &|bytes| {
            let index = number(bytes, place_of(bytes, "index_at"));
            let free = bytes[index..index + 12].iter().position(|tag| *tag == 0).unwrap();
            bytes[index + free] = 7;
        }),
    ];
    for (says, forge) in cases {
        let error = refusal(forge);
        assert!(error.contains(says), "{says}: {error}");
    }
}

/// A seek goes by the fences: one in the place of another would lead it past keys that are there.
#[test]
fn every_fence_of_a_run_is_verified() {
    let storage = disk();
    write(&storage, "table.run", aligned(8), &counted(4000)).unwrap();
    let whole = bytes_of(&storage, "table.run");
    let starts = number(&whole, place_of(&whole, "fences_at"));
    let pages = number(&whole, place_of(&whole, "table_at")).div_ceil(PAGE);
    let fences = number(&whole, place_of(&whole, "fence_count"));
    assert!(fences > 4 && pages > 4, "{fences} fences, {pages} pages");
    // A group's number, a key's length and the key.
    let fence = |number_of: usize| {
        let at = number(&whole, starts + 8 * number_of);
        at..at + 8 + 2 + 17
    };
    for (forged, other) in [(0, 1), (1, 0), (2, 1), (3, 4), (fences - 1, fences - 2)] {
        let mut bytes = whole.clone();
        bytes.copy_within(fence(other), fence(forged).start);
        reseal_pages(&mut bytes, pages);
        let error = open(&disk_with(&bytes), "table.run").unwrap().verify().expect_err("forged");
        assert!(error.to_string().contains("a fence has another key than its group"), "{error}");
        // The first one that does not fit those before it.
        let found = if forged == 3 { 4 } else { forged };
        let RunError::Malformed { offset, .. } = error else { panic!("{error}") };
        assert_eq!(offset, (starts + 8 * found) as u64, "fence {forged} is fence {other}");
    }
}

/// The forging itself works: a changed value passes all checksums and is read as changed.
#[test]
fn resealing_makes_a_change_pass() {
    let storage = disk();
    write(&storage, "table.run", aligned(8), &counted(1)).unwrap();
    let mut bytes = bytes_of(&storage, "table.run");
    bytes[64 + 17 + 7] = 9;
    assert!(open(&disk_with(&bytes), "table.run").unwrap().verify().is_err());
    reseal(&mut bytes);
    let run = open(&disk_with(&bytes), "table.run").unwrap();
    run.verify().unwrap();
    let value = run.get(b"user-000000000000").unwrap().and_then(|slot| slot.value());
    assert_eq!(value.map(|value| value[0]), Some(9));
}
