//! One flipped bit, one missing end: found by whoever touches it, and never a wrong answer.

use std::ops::Bound;
use std::path::Path;

use gridmill_persistence::run::{Run, RunError};

use super::{Model, aligned, bytes_of, counted, disk, disk_with, open, slot, write};

const PAGE: u64 = 16 << 10;

/// Asks everything of a run that may be damaged: each answer is the true one or says "damage".
fn interrogate(run: &Run, model: &Model) -> bool {
    let mut refused = false;
    for (key, value) in model {
        match run.get(key) {
            Ok(found) => assert_eq!(found, Some(slot(value))),
            Err(error) => refused |= check_damage(&error),
        }
    }
    let truth = || model.iter().map(|(key, value)| (key.as_slice(), slot(value)));
    let mut ahead = truth();
    for item in run.range(Bound::Unbounded, Bound::Unbounded) {
        match item {
            Ok(entry) => assert_eq!(Some(entry), ahead.next()),
            Err(error) => refused |= check_damage(&error),
        }
    }
    let mut back = truth().rev();
    for item in run.range(Bound::Unbounded, Bound::Unbounded).rev() {
        match item {
            Ok(entry) => assert_eq!(Some(entry), back.next()),
            Err(error) => refused |= check_damage(&error),
        }
    }
    refused
}

fn check_damage(error: &RunError) -> bool {
    assert!(error.is_damage(), "{error}");
    assert!(error.to_string().contains("table.run"), "{error}");
    true
}

#[test]
fn every_flipped_bit_of_a_small_run_is_found() {
    let model = counted(40);
    let storage = disk();
    write(&storage, "table.run", aligned(8), &model).unwrap();
    let mut bytes = bytes_of(&storage, "table.run");
    for at in 0..bytes.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            match open(&disk_with(&bytes), "table.run") {
                Err(error) => assert!(check_damage(&error)),
                Ok(run) => {
                    interrogate(&run, &model);
                    let error = run.verify().expect_err("a flipped bit");
                    assert!(check_damage(&error), "bit {bit} of byte {at}");
                }
            }
            bytes[at] ^= 1 << bit;
        }
    }
}

#[test]
fn every_shorter_file_is_refused() {
    let storage = disk();
    write(&storage, "table.run", aligned(8), &counted(40)).unwrap();
    let bytes = bytes_of(&storage, "table.run");
    for len in 0..bytes.len() {
        let error = open(&disk_with(&bytes[..len]), "table.run").expect_err("a missing end");
        assert!(check_damage(&error), "{len} bytes");
    }
}

#[test]
fn garbage_is_refused_without_a_panic() {
    for len in [0, 1, 63, 64, 127, 128, 4096] {
        for byte in [0u8, 1, 0xff] {
            let bytes = vec![byte; len];
            assert!(open(&disk_with(&bytes), "table.run").is_err());
        }
    }
}

/// In a run of many pages, damage in one of them leaves the others readable, and names itself.
#[test]
fn damage_is_local_and_names_its_page() {
    let model = counted(20_000);
    let storage = disk();
    let info = write(&storage, "table.run", aligned(8), &model).unwrap();
    let bytes = bytes_of(&storage, "table.run");
    let mut answered = 0;
    for at in (0..bytes.len()).step_by(PAGE as usize / 2 + 4099) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        let Ok(run) = open(&disk_with(&damaged), "table.run") else { continue };
        for (key, value) in model.iter().step_by(37) {
            match run.get(key) {
                Ok(found) => {
                    assert_eq!(found, Some(slot(value)));
                    answered += 1;
                }
                Err(error) => check_offset(&error, at as u64, info.bytes),
            }
        }
        check_offset(&run.verify().expect_err("a flipped bit"), at as u64, info.bytes);
    }
    assert!(answered > 0, "other pages answer");
}

/// Nobody gets a value of which one page is damaged, whichever others are known to be whole.
#[test]
fn all_pages_of_a_long_value_are_verified() {
    let (key, before) = (b"long".to_vec(), b"before".to_vec());
    let long = (key.clone(), Some(vec![7; 4 * PAGE as usize]));
    let model = Model::from([(before.clone(), Some(vec![1; 50])), long]);
    let storage = disk();
    let info = write(&storage, "table.run", aligned(8), &model).unwrap();
    let bytes = bytes_of(&storage, "table.run");
    for page in 0..=4 {
        let mut damaged = bytes.clone();
        let at = page * PAGE as usize + 90;
        damaged[at] ^= 1;
        let run = open(&disk_with(&damaged), "table.run").unwrap();
        assert_eq!(run.get(&before).is_ok(), (1..4).contains(&page));
        check_offset(&run.get(&key).expect_err("a flipped bit"), at as u64, info.bytes);
        check_offset(&run.verify().expect_err("a flipped bit"), at as u64, info.bytes);
    }
}

fn check_offset(error: &RunError, at: u64, len: u64) {
    let RunError::Damaged { offset, expected, got, .. } = error else { panic!("{error}") };
    assert_ne!(expected, got);
    assert!((*offset..(*offset + PAGE).min(len)).contains(&at), "byte {at}: {error}");
}

#[test]
fn another_version_is_named() {
    let storage = disk();
    write(&storage, "table.run", aligned(8), &counted(3)).unwrap();
    let mut bytes = bytes_of(&storage, "table.run");
    bytes[8] = 9;
    let crc = crc32c_of(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    let error = open(&disk_with(&bytes), "table.run").expect_err("a future version");
    assert!(matches!(error, RunError::Version { expected: 1, got: 9, .. }), "{error}");
}

#[test]
fn a_missing_file_is_an_io_error() {
    let error = Run::open(&*disk(), Path::new("absent.run")).expect_err("no such file");
    assert!(matches!(error, RunError::Io { action: "open", .. }) && !error.is_damage(), "{error}");
}

/// The checksum as `FORMAT.md` defines it, bit by bit, independent of the library.
fn crc32c_of(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}
