//! The format of segments and manifests, byte for byte: what old builds wrote is read, and the same
//! records give the same bytes. `GRIDMILL_BLESS=1` writes the files anew, for a new version only.

use std::path::{Path, PathBuf};

use gridmill_persistence::log::HowStopped;
use gridmill_persistence::{LogError, SimStorage, Storage, manifest};

use super::{DIR, Maker, open, read_all, write};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn bytes(storage: &SimStorage, path: &Path) -> Vec<u8> {
    let file = storage.open_read(path).expect("open");
    let mut bytes = file.map(0..file.len().expect("length")).expect("mapped").to_vec();
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    bytes.truncate(end.next_multiple_of(16));
    bytes
}

fn bytes_of(storage: &SimStorage, path: &Path) -> Vec<u8> {
    let file = storage.open_read(path).expect("open");
    file.map(0..file.len().expect("length")).expect("mapped").to_vec()
}

fn check(name: &str, written: &[u8]) {
    if std::env::var_os("GRIDMILL_BLESS").is_some_and(|set| set == "1") {
        std::fs::write(golden(name), written).expect("blessed");
    }
    let expected = std::fs::read(golden(name)).expect("a golden file");
    assert!(expected == written, "{name}: the format has changed: give it a new version");
}

fn build() -> SimStorage {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let mut maker = Maker::default();
    for records in [1, 3] {
        write(&mut log, &mut maker, records);
        log.syncer().sync().expect("synced");
    }
    log.close_clean().expect("closed");
    storage
}

#[test]
fn the_bytes_written_are_the_golden_ones() {
    let storage = build();
    check("log-v1.seg", &bytes(&storage, &Path::new(DIR).join("log/0000000001.seg")));
    check("log-v2.clean", &bytes(&storage, &Path::new(DIR).join("log/clean")));
    manifest::write_atomic(&storage, Path::new(""), "manifest", b"opaque").expect("written");
    check("manifest-v1", &bytes(&storage, Path::new("manifest")));
}

#[test]
fn the_golden_files_are_read() {
    let storage = SimStorage::new();
    storage.create_dir_all(&Path::new(DIR).join("log")).expect("folder");
    let segment = std::fs::read(golden("log-v1.seg")).expect("a golden file");
    let file = storage.create(&Path::new(DIR).join("log/0000000001.seg")).expect("created");
    file.write_at(0, &segment).expect("written");
    let (log, recovered) = open(&storage).expect("opened");
    assert_eq!(recovered.next_offsets.values().copied().collect::<Vec<_>>(), [3, 1]);
    let mut maker = Maker::default();
    for (_, entry) in read_all(&log.reader()).expect("read") {
        assert_eq!(entry, maker.next(1));
    }
    assert_eq!(maker.made, 4);
}

#[test]
fn the_golden_markers_of_clean_stops_are_read() {
    for name in ["log-v1.clean", "log-v2.clean"] {
        let storage = build();
        let path = Path::new(DIR).join("log/clean");
        storage.remove(&path).expect("removed");
        let mut marker = std::fs::read(golden(name)).expect("a golden file");
        // Zeros at the end were cut off.
        let payload = u64::from_le_bytes(*marker[16..].first_chunk().expect("a header"));
        marker.resize(24 + payload as usize, 0);
        storage.create(&path).expect("created").write_at(0, &marker).expect("written");
        let (log, recovered) = open(&storage).expect(name);
        assert_eq!(recovered.how, HowStopped::Clean, "{name}");
        assert_eq!(read_all(&log.reader()).expect("read").len(), 4, "{name}");
    }
}

#[test]
fn a_marker_of_another_log_or_time_is_refused() {
    let options = |partition| super::LogOptions { partition, ..super::options() };
    let marker = |partition, batches: &[u64]| {
        let storage = SimStorage::new();
        let shared: std::sync::Arc<dyn Storage> = std::sync::Arc::new(storage.clone());
        let opened = super::Log::open(shared, Path::new(DIR), options(Some(partition)));
        let (mut log, _) = opened.expect("opened");
        let mut maker = Maker::default();
        for &records in batches {
            write(&mut log, &mut maker, records);
        }
        log.close_clean().expect("closed");
        bytes_of(&storage, &Path::new(DIR).join("log/clean"))
    };
    let path = Path::new(DIR).join("log/clean");
    let put = |bytes: &[u8]| {
        let storage = build();
        storage.remove(&path).expect("removed");
        storage.create(&path).expect("created").write_at(0, bytes).expect("written");
        open(&storage).map(drop)
    };
    put(&marker(7, &[1, 3])).expect("its own");
    let error = put(&marker(8, &[1, 3])).expect_err("of another log");
    assert!(matches!(error, LogError::WrongPartition { expected: 7, got: 8, .. }), "{error}");
    for batches in [&[5][..], &[1, 3, 1]] {
        let error = put(&marker(7, batches)).expect_err("of another time");
        assert!(matches!(error, LogError::Damaged { .. }), "{error}");
    }
}
