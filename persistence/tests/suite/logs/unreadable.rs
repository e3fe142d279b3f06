//! Sectors that the disk cannot read: an error with file and offset, whoever reads, and never a signal.

use std::path::Path;
use std::sync::Arc;

use gridmill_persistence::log::LogReader;
use gridmill_persistence::{LogError, Run, RunError, SimStorage, Storage, manifest};

use super::forge::segment;
use super::{DIR, Maker, open, read_all, write};

fn build(clean: bool) -> SimStorage {
    let storage = SimStorage::new();
    let (mut log, _) = open(&storage).expect("opened");
    let mut maker = Maker::default();
    while log.segments().len() < 4 {
        write(&mut log, &mut maker, 5);
        log.syncer().sync().expect("synced");
    }
    if clean {
        log.close_clean().expect("closed");
    }
    storage.kill()
}

fn read_it(storage: &SimStorage) -> Result<(), LogError> {
    let (log, _) = open(storage)?;
    read_all(&log.reader())?;
    log.reader().verify().map(|_| ())
}

#[test]
fn every_sector_of_a_log_that_cannot_be_read_is_named() {
    for clean in [false, true] {
        for number in 1..=4 {
            let len =
                build(clean).open_read(&segment(number)).and_then(|f| f.len()).expect("length");
            for at in (0..len).step_by(4096) {
                let storage = build(clean);
                let bad = at + 512..at + 1024;
                storage.set_unreadable(&segment(number), Some(bad)).expect("there");
                match read_it(&storage) {
                    Err(LogError::Unreadable { file, offset, .. }) => {
                        assert!(file.ends_with(segment(number)), "{}", file.display());
                        assert_eq!(offset / 512, at / 512 + 1);
                    }
                    // Behind the end, where nothing has to be read.
                    Ok(()) => assert!(number == 4 || at >= 8192, "segment {number} at {at}"),
                    Err(error) => panic!("segment {number} at {at}: {error}"),
                }
                storage.set_unreadable(&segment(number), None).expect("there");
                read_it(&storage).expect("nothing was changed");
            }
        }
    }
}

#[test]
fn a_tool_names_it_too_and_a_scan_goes_on_once_it_can_be_read() {
    let storage = build(true);
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    let (reader, _) = LogReader::open_dir(shared, Path::new(DIR)).expect("headers can be read");
    storage.set_unreadable(&segment(2), Some(5000..5001)).expect("there");
    let error = reader.verify().expect_err("unreadable");
    assert!(error.to_string().contains("cannot be read at byte 4608"), "{error}");
    let mut scan = reader.scan(Default::default()).expect("scan");
    let mut seen = 0;
    let error = loop {
        match scan.next() {
            Ok(record) => assert!(record.is_some(), "it went past"),
            Err(error) => break error,
        }
        seen += 1;
    };
    assert!(matches!(error, LogError::Unreadable { offset: 4608, .. }), "{error}");
    storage.set_unreadable(&segment(2), None).expect("there");
    while scan.next().expect("read").is_some() {
        seen += 1;
    }
    assert_eq!(seen, reader.end().number());
}

#[test]
fn manifests_and_markers_that_cannot_be_read_are_named() {
    let storage = build(true);
    let marker = Path::new(DIR).join("log/clean");
    storage.set_unreadable(&marker, Some(20..21)).expect("there");
    let error = read_it(&storage).expect_err("unreadable");
    assert!(
        matches!(&error, LogError::Unreadable { file, offset: 0, .. } if file.ends_with("clean"))
    );
    manifest::write_atomic(&storage, Path::new(""), "manifest", b"opaque").expect("written");
    storage.set_unreadable(Path::new("manifest"), Some(3..4)).expect("there");
    let error =
        manifest::read_checked(&storage, Path::new(""), "manifest").expect_err("unreadable");
    assert!(matches!(error, LogError::Unreadable { .. }), "{error}");
}

#[test]
fn every_page_of_a_run_that_cannot_be_read_is_named_by_the_read_that_touches_it() {
    use gridmill_persistence::{RunOptions, RunWriter};
    let (storage, path) = (SimStorage::new(), Path::new("many.run"));
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    let mut writer = RunWriter::create(shared, path, RunOptions::default()).expect("created");
    let keys: Vec<_> = (0..3000_u32).map(u32::to_be_bytes).collect();
    for key in &keys {
        writer.add(key, Some(&[key[3]; 40])).expect("added");
    }
    let bytes = writer.finish().expect("finished").bytes;
    let (mut opened, mut touched) = (0, 0);
    for at in (0..bytes).step_by(4096) {
        storage.set_unreadable(path, Some(at..at + 1)).expect("there");
        let named = |error: &RunError| {
            let fits =
                matches!(error, RunError::Unreadable { offset, .. } if offset / 4096 == at / 4096);
            assert!(fits, "byte {at}: {error}");
        };
        match Run::open(&storage, path) {
            Err(error) => named(&error),
            Ok(run) => {
                opened += 1;
                run.warm(
                    &keys
                        .iter()
                        .map(|key| gridmill_persistence::run::hash_key(key))
                        .collect::<Vec<_>>(),
                );
                let errors = keys.iter().filter_map(|key| run.get(key).err());
                touched += usize::from(errors.inspect(named).count() > 0);
                named(&run.verify().expect_err("it reads all"));
            }
        }
    }
    assert!(opened > 10 && touched > 10, "{opened} opened, {touched} touched");
}
