//! Readers beside the writer, in any order of their steps: each view shows the end of one batch.

use gridmill_model::prelude::List;
use shuttle::sync::Mutex;
use shuttle::thread;

use super::*;

type View = Arc<MemtableView<List<u64>>>;

/// Orders of threads that each test tries.
const ORDERS: usize = 1000;

fn key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// Sets each of `keys` to `value`.
fn batch(view: &View, keys: impl IntoIterator<Item = u64>, value: u64) -> View {
    let mut appender = view.append(1);
    for number in keys {
        let (key, value) = (key(number), List::from([value]));
        let room = Room::of(Some(&value));
        appender.add(hash_key(&key), &key, Some(value), room, None);
    }
    appender.finish()
}

fn get(view: &View, number: u64) -> u64 {
    let key = key(number);
    view.get(&key, hash_key(&key)).flatten().map_or(0, |list| list[0])
}

/// The newest view, as readers find it.
struct Newest(Mutex<View>);

impl Newest {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Memtable::start(false))))
    }

    fn view(&self) -> View {
        Arc::clone(&self.0.lock().expect("nothing fails"))
    }

    fn batch(&self, keys: impl IntoIterator<Item = u64>, value: u64) {
        let view = batch(&self.view(), keys, value);
        let before = std::mem::replace(&mut *self.0.lock().expect("nothing fails"), view);
        drop(before);
    }
}

#[test]
fn a_view_shows_the_end_of_one_batch() {
    shuttle::check_random(
        || {
            let newest = Newest::new();
            let read = || {
                let newest = Arc::clone(&newest);
                thread::spawn(move || {
                    let mut last = 0;
                    for _ in 0..3 {
                        let view = newest.view();
                        let value = get(&view, 1);
                        assert!(value >= last, "views do not go back");
                        assert_eq!(get(&view, 2), value);
                        assert_eq!(get(&view, 1), value);
                        last = value;
                    }
                })
            };
            let readers = [read(), read()];
            (1..=4).for_each(|value| newest.batch([1, 2], value));
            readers.into_iter().for_each(|reader| reader.join().expect("it reads"));
        },
        ORDERS,
    );
}

#[test]
fn what_a_reader_holds_is_not_dropped() {
    shuttle::check_random(
        || {
            let newest = Newest::new();
            newest.batch([1, 2], 1);
            let held = newest.view();
            let reader = thread::spawn(move || {
                for _ in 0..3 {
                    assert_eq!((get(&held, 1), get(&held, 2), get(&held, 3)), (1, 1, 0));
                }
            });
            (2..=5).for_each(|value| newest.batch([1, 2, 3], value));
            reader.join().expect("it reads");
            // Now nobody holds them.
            newest.batch([1], 6);
            let view = newest.view();
            assert_eq!((get(&view, 1), get(&view, 2), get(&view, 3)), (6, 5, 5));
        },
        ORDERS,
    );
}

#[test]
fn keys_are_found_while_the_index_grows() {
    shuttle::check_random(
        || {
            let newest = Newest::new();
            // As many as the smallest table takes, but for two.
            newest.batch(0..40, 1);
            let reading = Arc::clone(&newest);
            let reader = thread::spawn(move || {
                for _ in 0..2 {
                    let view = reading.view();
                    let count = || (36..44).filter(|number| get(&view, *number) > 0).count();
                    let seen = count();
                    assert!(seen >= 4 && seen % 2 == 0, "a batch is seen as a whole");
                    assert_eq!(count(), seen);
                }
            });
            newest.batch([40, 41], 2);
            newest.batch([42, 43], 3);
            reader.join().expect("it reads");
            assert!((0..44).all(|number| get(&newest.view(), number) > 0));
        },
        ORDERS / 4,
    );
}
