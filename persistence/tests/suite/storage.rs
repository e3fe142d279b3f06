//! What every storage must do, run against the real disk and the simulated one; then what only the
//! simulated one can show.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use gridmill_persistence::{Faults, FileStorage, LogError, SimStorage, Storage, manifest};

/// Runs a test against both disks.
fn on_both(test: impl Fn(Arc<dyn Storage>)) {
    let folder = tempfile::tempdir().expect("a folder");
    test(Arc::new(FileStorage::new(folder.path())));
    test(Arc::new(SimStorage::new()));
}

fn kind<T>(result: std::io::Result<T>) -> ErrorKind {
    result.err().expect("an error").kind()
}

#[test]
fn written_bytes_are_mapped_and_old_maps_keep_their_bytes() {
    on_both(|storage| {
        storage.create_dir_all(Path::new("a/b")).expect("folders");
        let file = storage.create(Path::new("a/b/f")).expect("created");
        file.write_at(5, b"world").expect("written");
        file.write_at(0, b"hello").expect("written");
        let map = file.map(0..10).expect("mapped");
        file.write_at(10, &[7; 100_000]).expect("grown");
        assert_eq!(&map[..], b"helloworld");
        assert_eq!(&file.map(9..12).expect("mapped")[..], b"d\x07\x07");
        assert_eq!(file.len().expect("length"), 100_010);
        assert_eq!(kind(file.map(0..100_011)), ErrorKind::UnexpectedEof);
        assert!(file.map(3..3).expect("empty").is_empty());
        storage.remove(Path::new("a/b/f")).expect("removed");
        assert_eq!(&map.slice(5..10)[..], b"world");
    });
}

#[test]
fn names_are_created_listed_renamed_and_removed() {
    on_both(|storage| {
        storage.create_dir_all(Path::new("d")).expect("folder");
        storage.create_dir_all(Path::new("d")).expect("again");
        storage.create(Path::new("d/x")).expect("created");
        assert_eq!(kind(storage.create(Path::new("d/x"))), ErrorKind::AlreadyExists);
        storage.create(Path::new("d/y")).and_then(|y| y.write_at(0, b"y")).expect("created");
        storage.rename(Path::new("d/y"), Path::new("d/x")).expect("renamed");
        assert_eq!(storage.list(Path::new("d")).expect("listed"), ["x"]);
        assert_eq!(
            &storage.open_read(Path::new("d/x")).expect("open").map(0..1).expect("map")[..],
            b"y"
        );
        storage.remove(Path::new("d/x")).expect("removed");
        assert_eq!(kind(storage.open(Path::new("d/x"))), ErrorKind::NotFound);
        assert_eq!(kind(storage.list(Path::new("nowhere"))), ErrorKind::NotFound);
        assert_eq!(kind(storage.create(Path::new("nowhere/x"))), ErrorKind::NotFound);
        storage.sync_dir(Path::new("d")).expect("synced");
    });
}

#[test]
fn a_lock_has_one_holder() {
    on_both(|storage| {
        storage.create_dir_all(Path::new("")).expect("root");
        let held = storage.lock(Path::new("lock")).expect("locked");
        assert_eq!(kind(storage.lock(Path::new("lock"))), ErrorKind::WouldBlock);
        drop(held);
        storage.lock(Path::new("lock")).expect("free again");
    });
}

#[test]
fn a_manifest_is_replaced_as_a_whole() {
    on_both(|storage| {
        let dir = Path::new("m");
        storage.create_dir_all(dir).expect("folder");
        assert_eq!(manifest::read_checked(&*storage, dir, "manifest").expect("absent"), None);
        for payload in [&b"first"[..], b"", &[9; 70_000]] {
            manifest::write_atomic(&*storage, dir, "manifest", payload).expect("written");
            let read = manifest::read_checked(&*storage, dir, "manifest").expect("read");
            assert_eq!(read.as_deref(), Some(payload));
        }
    });
}

#[test]
fn every_flipped_bit_of_a_manifest_is_named() {
    for bit in 0..(24 + 5) * 8 {
        let storage = SimStorage::new();
        let dir = Path::new("");
        manifest::write_atomic(&storage, dir, "manifest", b"state").expect("written");
        storage.flip_bit(Path::new("manifest"), bit / 8, (bit % 8) as u8).expect("flipped");
        let error = manifest::read_checked(&storage, dir, "manifest").expect_err("damage");
        let LogError::Damaged { file, .. } = &error else { panic!("{error}") };
        assert_eq!(file, Path::new("sim:/manifest"));
    }
}

#[test]
fn a_power_loss_leaves_the_old_manifest_or_the_new_one() {
    for seed in 0..200 {
        let faults = Faults { power_off: Some(1 + seed % 9), ..Faults::default() };
        let storage = SimStorage::with_faults(seed, Faults::default());
        manifest::write_atomic(&storage, Path::new(""), "manifest", &[1; 2000]).expect("written");
        storage.set_faults(faults);
        let done = manifest::write_atomic(&storage, Path::new(""), "manifest", &[2; 3000]);
        let storage = storage.crash();
        let read = manifest::read_checked(&storage, Path::new(""), "manifest").expect("whole");
        let read = read.expect("present");
        assert!(read == [2; 3000] || (done.is_err() && read == [1; 2000]), "seed {seed}");
    }
}

#[test]
fn a_power_loss_takes_what_was_not_synced_and_nothing_else() {
    let (mut lost, mut kept, mut vanished) = (0, 0, 0);
    for seed in 0..100 {
        let storage = SimStorage::with_faults(seed, Faults::default());
        let file = storage.create(Path::new("f")).expect("created");
        storage.sync_dir(Path::new("")).expect("synced");
        file.write_at(0, &[1; 2048]).expect("written");
        file.sync().expect("synced");
        file.write_at(512, &[2; 512]).expect("written");
        storage.create(Path::new("g")).expect("created");
        let after = storage.crash();
        assert!(file.write_at(0, b"x").is_err(), "old handles are dead");
        assert!(storage.list(Path::new("")).is_err(), "the old machine is off");
        let map = after.open(Path::new("f")).and_then(|file| file.map(0..2048)).expect("mapped");
        assert!(map[..512].iter().chain(&map[1024..]).all(|&byte| byte == 1), "seed {seed}");
        if map[512] == 1 {
            lost += 1
        } else {
            kept += 1
        }
        vanished += usize::from(after.open(Path::new("g")).is_err());
    }
    assert!(lost > 20 && kept > 20, "{lost} lost, {kept} kept");
    assert!((20..80).contains(&vanished), "{vanished} vanished");
}

#[test]
fn a_full_disk_refuses_growth_until_there_is_room() {
    let storage = SimStorage::new();
    let file = storage.create(Path::new("f")).expect("created");
    file.write_at(0, &[0; 1000]).expect("written");
    storage.set_space_left(Some(100));
    assert_eq!(kind(file.write_at(950, &[1; 200])), ErrorKind::StorageFull);
    file.write_at(500, &[1; 500]).expect("no growth");
    storage.remove(Path::new("f")).expect("removed");
    let other = storage.create(Path::new("g")).expect("created");
    other.write_at(0, &[1; 1100]).expect("the removed file made room");
}

#[test]
fn a_failed_sync_loses_what_it_covered_for_good() {
    let lost = (0..50).filter(|&seed| {
        let storage = SimStorage::with_faults(seed, Faults::default());
        let file = storage.create(Path::new("f")).expect("created");
        storage.sync_dir(Path::new("")).expect("synced");
        file.write_at(0, &[0; 512]).expect("written");
        file.sync().expect("synced");
        storage.set_faults(Faults { fail_sync: Some(1), ..Faults::default() });
        file.write_at(0, &[7; 512]).expect("written");
        assert!(file.sync().is_err());
        file.sync().expect("the system thinks that all is well");
        let after = storage.crash().open(Path::new("f")).expect("open");
        after.map(0..1).expect("mapped")[0] == 0
    });
    assert!(lost.count() > 10);
}
