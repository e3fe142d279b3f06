//! Runs around and beyond the number of entries that their writer remembers in memory.

use std::ops::Bound;
use std::path::Path;

use super::{Model, aligned, bytes_of, disk, open, slot, write};

/// So many entries are remembered in memory.
const KEPT: u64 = 256 << 10;

/// What the entries of a run look like.
#[derive(Clone, Copy, Debug)]
enum Form {
    Uniform,
    Loose,
    Mixed,
}

/// Keys that are even numbers, so that the odd ones are absent.
fn entries(form: Form, count: u64) -> Model {
    let entry = |number: u64| {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
        let value = match form {
            Form::Mixed if number < count / 2 => Some(vec![5; 4]),
            Form::Uniform => Some(vec![5; 4]),
            Form::Loose | Form::Mixed => (mixed != 7).then(|| vec![5; mixed as usize]),
        };
        (key(2 * number), value)
    };
    (0..count).map(entry).collect()
}

fn key(number: u64) -> Vec<u8> {
    number.to_be_bytes()[3..].to_vec()
}

fn check(form: Form, count: u64) {
    let (storage, model) = (disk(), entries(form, count));
    let info = write(&storage, "table.run", aligned(1), &model).unwrap();
    assert_eq!(storage.list(Path::new("")).unwrap(), ["table.run"]);
    let run = open(&storage, "table.run").unwrap();
    assert_eq!((run.info(), run.len()), (info, count));
    run.verify().unwrap();
    for (number, (key, value)) in model.iter().enumerate() {
        let absent = self::key(2 * number as u64 + 1);
        assert_eq!(run.get(key).unwrap(), Some(slot(value)), "{form:?} {count}");
        assert_eq!(run.get(&absent).unwrap(), None, "{form:?} {count}");
        if number % 10_007 == 0 {
            let next = run.range(Bound::Excluded(&absent), Bound::Unbounded).next();
            let next = next.map(|item| item.unwrap().0.to_vec());
            let bounds = (Bound::Excluded(absent), Bound::Unbounded);
            assert_eq!(next.as_ref(), model.range(bounds).next().map(|(key, _)| key));
        }
    }
    let all = run.range(Bound::Unbounded, Bound::Unbounded).map(Result::unwrap);
    assert!(all.eq(model.iter().map(|(key, value)| (key.as_slice(), slot(value)))));
}

#[test]
fn no_entry_and_one() {
    for form in [Form::Uniform, Form::Loose] {
        check(form, 0);
        check(form, 1);
    }
}

#[test]
fn as_many_entries_as_are_kept_in_memory() {
    check(Form::Mixed, KEPT - 1);
    check(Form::Mixed, KEPT);
}

#[test]
fn one_entry_more() {
    check(Form::Mixed, KEPT + 1);
}

#[test]
fn many_more() {
    check(Form::Uniform, KEPT + 50_000);
    check(Form::Loose, KEPT + 50_000);
    check(Form::Mixed, 3 * KEPT + 12_345);
}

#[test]
fn the_same_entries_give_the_same_bytes() {
    let (storage, model) = (disk(), entries(Form::Mixed, KEPT + 50_000));
    write(&storage, "one.run", aligned(1), &model).unwrap();
    write(&storage, "two.run", aligned(1), &model).unwrap();
    assert!(bytes_of(&storage, "one.run") == bytes_of(&storage, "two.run"));
}
