//! Clones of a list share memory, in which one of them appends and patches: none may see what another does.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Barrier};

use gridmill_model::prelude::*;
use proptest::prelude::*;

/// An element that is counted as long as it lives.
#[derive(Clone, Debug)]
struct Counted(u16, #[expect(dead_code, reason = "its count is looked at")] Arc<()>);

/// What can be done to one of several clones.
#[derive(Clone, Debug)]
enum Act {
    Push(u16),
    Pop,
    Insert(usize, u16),
    Remove(usize),
    Set(usize, u16),
    Move(usize, usize),
    SetAll(u16),
    Truncate(usize),
    RetainOdd,
    AppendItself,
    Clone,
    Drop,
}

fn act() -> impl Strategy<Value = Act> {
    let at = 0..12_usize;
    prop_oneof![
        4 => any::<u16>().prop_map(Act::Push),
        1 => Just(Act::Pop),
        1 => (at.clone(), any::<u16>()).prop_map(|(at, value)| Act::Insert(at, value)),
        1 => at.clone().prop_map(Act::Remove),
        5 => (at.clone(), any::<u16>()).prop_map(|(at, value)| Act::Set(at, value)),
        1 => (at.clone(), at.clone()).prop_map(|(from, to)| Act::Move(from, to)),
        1 => any::<u16>().prop_map(Act::SetAll),
        1 => at.prop_map(Act::Truncate),
        1 => Just(Act::RetainOdd),
        1 => Just(Act::AppendItself),
        3 => Just(Act::Clone),
        1 => Just(Act::Drop),
    ]
}

type Pair = (List<Counted>, Vec<u16>);

/// Does it to one of the clones and to its model.
fn apply(pairs: &mut Vec<Pair>, which: usize, act: &Act, token: &Arc<()>) {
    let which = which % pairs.len();
    let (list, model) = &mut pairs[which];
    let counted = |value| Counted(value, Arc::clone(token));
    match *act {
        Act::Push(value) => (list.push_back(counted(value)), model.push(value)).0,
        Act::Pop => assert_eq!(list.pop_back().map(|gone| gone.0), model.pop()),
        Act::Insert(at, value) if at <= model.len() => {
            assert!(list.insert(at, counted(value)));
            model.insert(at, value);
        }
        Act::Remove(at) if at < model.len() => {
            assert_eq!(list.remove(at).unwrap().0, model.remove(at));
        }
        Act::Set(at, value) if at < model.len() => {
            let old = std::mem::replace(&mut model[at], value);
            assert_eq!(list.set(at, counted(value)).unwrap().0, old);
        }
        Act::Move(from, to) => {
            let fits = from.max(to) < model.len();
            assert_eq!(list.move_to(from, to), fits);
            if fits {
                let value = model.remove(from);
                model.insert(to, value);
            }
        }
        Act::SetAll(value) => {
            list.iter_mut().for_each(|element| *element = counted(value));
            model.fill(value);
        }
        Act::Truncate(len) => (list.truncate(len), model.truncate(len)).0,
        Act::RetainOdd => {
            list.retain(|element| element.0 % 2 == 1);
            model.retain(|value| value % 2 == 1);
        }
        Act::AppendItself if model.len() < 64 => {
            list.append(list.clone());
            model.extend_from_within(..);
        }
        Act::Clone if pairs.len() < 8 => {
            let pair = pairs[which].clone();
            pairs.push(pair);
        }
        Act::Drop if pairs.len() > 1 => drop(pairs.swap_remove(which)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn clones_are_vecs_of_their_own(acts in prop::collection::vec((0..8_usize, act()), 1..120)) {
        let token = Arc::new(());
        let mut pairs: Vec<Pair> = vec![(List::new(), Vec::new())];
        for (which, act) in &acts {
            apply(&mut pairs, *which, act, &token);
            for (list, model) in &pairs {
                prop_assert!(list.iter().map(|element| &element.0).eq(model), "{act:?}: {list:?}");
            }
        }
        drop(pairs);
        prop_assert_eq!(Arc::strong_count(&token), 1, "each element is dropped, and once");
    }
}

#[test]
fn threads_append_to_and_change_their_clones_of_one_list() {
    let token = Arc::new(());
    for base in 1..40_u16 {
        let list: List<Counted> = (0..base).map(|n| Counted(n, Arc::clone(&token))).collect();
        let barrier = Barrier::new(4);
        std::thread::scope(|scope| {
            for thread in 1..=4_u16 {
                let (mut mine, barrier, token) = (list.clone(), &barrier, &token);
                scope.spawn(move || {
                    barrier.wait();
                    for n in 0..20 {
                        let before = mine.clone();
                        mine.push_back(Counted(thread * 100 + n, Arc::clone(token)));
                        assert_eq!(before.len() + 1, mine.len());
                        let at = usize::from(n % base);
                        let old = before[at].0;
                        mine.set(at, Counted(thread * 1000 + n, Arc::clone(token)));
                        assert_eq!((before[at].0, mine[at].0), (old, thread * 1000 + n));
                    }
                    let changed = |at| (0..20).rfind(|n| n % base == at).map(|n| thread * 1000 + n);
                    let old = (0..base).map(|at| changed(at).unwrap_or(at));
                    let expected = old.chain((0..20).map(|n| thread * 100 + n));
                    assert!(mine.iter().map(|element| element.0).eq(expected));
                });
            }
        });
        assert!(list.iter().map(|element| element.0).eq(0..base));
    }
    assert_eq!(Arc::strong_count(&token), 1, "each element is dropped, and once");
}

/// The other owner goes at any moment of an append behind what it had.
#[test]
fn a_list_may_become_unshared_while_it_grows() {
    let token = Arc::new(());
    let (gone, going) = std::sync::mpsc::channel::<List<Counted>>();
    let dropper = std::thread::spawn(move || going.into_iter().for_each(drop));
    for round in 0..20_000_u16 {
        let counted = |value| Counted(value, Arc::clone(&token));
        let mut list: List<Counted> = (0..4).map(counted).collect();
        gone.send(list.clone()).unwrap();
        list.pop_back();
        list.push_back(counted(round));
        assert!(list.iter().map(|element| element.0).eq([0, 1, 2, round]));
    }
    drop(gone);
    dropper.join().unwrap();
    assert_eq!(Arc::strong_count(&token), 1, "each element is dropped, and once");
}

thread_local! {
    /// So many clones succeed before one panics.
    static CLONES_LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// An element that may refuse to be cloned.
#[derive(Debug)]
struct Reluctant(Counted);

impl Clone for Reluctant {
    fn clone(&self) -> Self {
        let left = CLONES_LEFT.get();
        assert!(left > 0, "no more clones");
        CLONES_LEFT.set(left - 1);
        Self(self.0.clone())
    }
}

#[test]
fn a_clone_that_panics_leaves_all_lists_as_they_were() {
    let token = Arc::new(());
    let element = |n| Reluctant(Counted(n, Arc::clone(&token)));
    for succeed in 0..10 {
        let mut list: List<Reluctant> = (0..10).map(element).collect();
        let shared = list.clone();
        CLONES_LEFT.set(succeed);
        let caught = catch_unwind(AssertUnwindSafe(|| list.iter_mut().len()));
        CLONES_LEFT.set(usize::MAX);
        assert!(caught.is_err(), "it has to copy ten elements");
        for list in [&list, &shared] {
            assert!(list.iter().map(|element| element.0.0).eq(0..10));
        }
        list.push_back(element(10));
        assert_eq!((list.len(), shared.len()), (11, 10));
    }
    assert_eq!(Arc::strong_count(&token), 1, "each element is dropped, and once");
}

#[test]
fn a_list_may_be_changed_more_often_than_there_is_room_for() {
    let token = Arc::new(());
    let counted = |value| Counted(value, Arc::clone(&token));
    let mut list: List<Counted> = (0..256).map(counted).collect();
    let first = list.clone();
    // The first copies; then there is room for many.
    let mut views = Vec::new();
    for n in 0..40_u16 {
        let at = [255, 0, 17, 255][usize::from(n) % 4];
        list.set(at, counted(1000 + n)).unwrap();
        views.push(list.clone());
        assert_eq!((list[at].0, list[1].0), (1000 + n, 1));
    }
    for (n, view) in (0..).zip(&views) {
        let newest =
            |at, of: &[u16]| (0..=n).rfind(|n| of.contains(&(n % 4))).map_or(at, |n| 1000 + n);
        let expected = [newest(0, &[1]), newest(17, &[2]), newest(255, &[0, 3])];
        assert_eq!([view[0].0, view[17].0, view[255].0], expected);
    }
    assert_eq!(list.pop_back().unwrap().0, 1039);
    list.push_back(counted(7));
    assert_eq!((list[255].0, views[39][255].0), (7, 1039));
    assert!(first.iter().map(|element| element.0).eq(0..256));
    drop((list, first, views));
    assert_eq!(Arc::strong_count(&token), 1, "each element is dropped, and once");
}

#[test]
fn a_patch_that_panics_leaves_all_lists_as_they_were() {
    let token = Arc::new(());
    let element = |n| Reluctant(Counted(n, Arc::clone(&token)));
    let mut list: List<Reluctant> = List::new();
    (0..10).for_each(|n| list.push_back(element(n)));
    let shared = list.clone();
    CLONES_LEFT.set(0);
    let caught = catch_unwind(AssertUnwindSafe(|| list.get_mut(3).is_some()));
    CLONES_LEFT.set(1);
    assert!(caught.is_err(), "it has to copy the element");
    list.get_mut(3).unwrap().0.0 = 33;
    assert!(list.get_mut(10).is_none());
    CLONES_LEFT.set(usize::MAX);
    assert!(shared.iter().map(|element| element.0.0).eq(0..10));
    assert_eq!((list[3].0.0, list[4].0.0), (33, 4));
    drop((list, shared));
    assert_eq!(Arc::strong_count(&token), 1, "each element is dropped, and once");
}

#[test]
fn elements_may_have_any_size_and_alignment() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(align(64))]
    struct Wide(u8);

    let mut wide: List<Wide> = (0..5).map(Wide).collect();
    let before = wide.clone();
    wide.push_back(Wide(5));
    wide.set(1, Wide(9));
    assert_eq!(before, [0, 1, 2, 3, 4].map(Wide));
    assert_eq!(wide, [0, 9, 2, 3, 4, 5].map(Wide));
    assert!(wide.iter().all(|element| std::ptr::from_ref(element).addr().is_multiple_of(64)));

    let mut nothing: List<()> = List::new();
    for len in 1..100 {
        nothing.push_back(());
        let before = nothing.clone();
        assert_eq!(nothing.set(len - 1, ()), Some(()));
        assert_eq!(before.len(), len);
    }
}
