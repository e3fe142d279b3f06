//! All that can be done to a list, done to a `List` and to a `Vec`.

use std::fmt::Debug;

use gridmill_model::prelude::*;
use proptest::prelude::*;

/// An element that is sorted by a part of it, so that there are ties.
pub(crate) trait Element: Clone + Debug + PartialEq + 'static {
    fn new(number: u32) -> Self;
    fn number(&self) -> u32;

    fn rank(&self) -> u32 {
        self.number() % 7
    }
}

/// Where, in an act: the list's length decides how far that is.
type At = prop::sample::Index;

#[derive(Clone, Debug)]
pub(crate) enum Act {
    PushBack(u32),
    PushFront(u32),
    PopBack,
    PopFront,
    Insert(At, u32),
    Remove(At),
    Move(At, At),
    Set(At, u32),
    Change(At, u32),
    ChangeEnds(u32),
    ChangeAll(u32),
    Truncate(At),
    Extend(u32, usize),
    Append(u32, usize),
    Retain(u32),
    Sort,
    Clear,
}

pub(crate) fn act() -> impl Strategy<Value = Act> {
    let (at, n) = (any::<At>, any::<u32>);
    prop_oneof![
        2 => n().prop_map(Act::PushBack),
        2 => n().prop_map(Act::PushFront),
        2 => Just(Act::PopBack),
        3 => Just(Act::PopFront),
        3 => (at(), n()).prop_map(|(at, n)| Act::Insert(at, n)),
        3 => at().prop_map(Act::Remove),
        3 => (at(), at()).prop_map(|(from, to)| Act::Move(from, to)),
        2 => (at(), n()).prop_map(|(at, n)| Act::Set(at, n)),
        2 => (at(), n()).prop_map(|(at, n)| Act::Change(at, n)),
        1 => n().prop_map(Act::ChangeEnds),
        2 => n().prop_map(Act::ChangeAll),
        1 => at().prop_map(Act::Truncate),
        2 => (n(), 0..150_usize).prop_map(|(n, count)| Act::Extend(n, count)),
        2 => (n(), 0..400_usize).prop_map(|(n, count)| Act::Append(n, count)),
        2 => (2..40_u32).prop_map(Act::Retain),
        2 => Just(Act::Sort),
    ]
}

/// Elements with numbers from `first` on.
pub(crate) fn elements<E: Element>(first: u32, count: usize) -> Vec<E> {
    (0..count as u32).map(|n| E::new(first.wrapping_add(n.wrapping_mul(31)))).collect()
}

/// Past the end now and then.
fn place(at: At, len: usize) -> usize {
    at.index(len + 2)
}

/// Does it to a list. The answer is what the list said.
pub(crate) fn to_list<E: Element>(list: &mut List<E>, act: &Act) -> (bool, Option<E>) {
    let len = list.len();
    let said = |value: Option<E>| (value.is_some(), value);
    match *act {
        Act::PushBack(n) => list.push_back(E::new(n)),
        Act::PushFront(n) => list.push_front(E::new(n)),
        Act::PopBack => return said(list.pop_back()),
        Act::PopFront => return said(list.pop_front()),
        Act::Insert(at, n) => return (list.insert(place(at, len), E::new(n)), None),
        Act::Remove(at) => return said(list.remove(place(at, len))),
        Act::Move(from, to) => return (list.move_to(place(from, len), place(to, len)), None),
        Act::Set(at, n) => return said(list.set(place(at, len), E::new(n))),
        Act::Change(at, n) => {
            let place = list.get_mut(place(at, len));
            return said(place.map(|place| std::mem::replace(place, E::new(n))));
        }
        Act::ChangeEnds(n) => {
            list.front_mut().into_iter().for_each(|front| *front = E::new(n));
            list.back_mut().into_iter().for_each(|back| *back = E::new(n ^ 1));
        }
        Act::ChangeAll(n) => list.iter_mut().for_each(|e| *e = E::new(e.number() ^ n)),
        Act::Truncate(at) => list.truncate(place(at, len)),
        Act::Extend(n, count) => list.extend(elements::<E>(n, count)),
        Act::Append(n, count) => list.append(elements::<E>(n, count).into()),
        Act::Retain(n) => list.retain(|e| !e.number().is_multiple_of(n)),
        Act::Sort => list.sort_by(|one, other| one.rank().cmp(&other.rank())),
        Act::Clear => list.clear(),
    }
    (true, None)
}

/// Does it to a vector.
pub(crate) fn to_vec<E: Element>(vec: &mut Vec<E>, act: &Act) -> (bool, Option<E>) {
    let len = vec.len();
    let said = |value: Option<E>| (value.is_some(), value);
    match *act {
        Act::PushBack(n) => vec.push(E::new(n)),
        Act::PushFront(n) => vec.insert(0, E::new(n)),
        Act::PopBack => return said(vec.pop()),
        Act::PopFront => return said((len > 0).then(|| vec.remove(0))),
        Act::Insert(at, n) => {
            let (at, fits) = (place(at, len), place(at, len) <= len);
            if fits {
                vec.insert(at, E::new(n));
            }
            return (fits, None);
        }
        Act::Remove(at) => return said((place(at, len) < len).then(|| vec.remove(place(at, len)))),
        Act::Move(from, to) => {
            let (from, to) = (place(from, len), place(to, len));
            let fits = from.max(to) < len;
            if fits {
                let moved = vec.remove(from);
                vec.insert(to, moved);
            }
            return (fits, None);
        }
        Act::Set(at, n) | Act::Change(at, n) => {
            let place = vec.get_mut(place(at, len));
            return said(place.map(|place| std::mem::replace(place, E::new(n))));
        }
        Act::ChangeEnds(n) => {
            vec.first_mut().into_iter().for_each(|front| *front = E::new(n));
            vec.last_mut().into_iter().for_each(|back| *back = E::new(n ^ 1));
        }
        Act::ChangeAll(n) => vec.iter_mut().for_each(|e| *e = E::new(e.number() ^ n)),
        Act::Truncate(at) => vec.truncate(place(at, len)),
        Act::Extend(n, count) | Act::Append(n, count) => vec.extend(elements::<E>(n, count)),
        Act::Retain(n) => vec.retain(|e| !e.number().is_multiple_of(n)),
        Act::Sort => vec.sort_by_key(Element::rank),
        Act::Clear => vec.clear(),
    }
    (true, None)
}

/// Looks at a list in all ways that there are.
pub(crate) fn assert_shows<E: Element>(list: &List<E>, model: &[E]) {
    assert_eq!((list.len(), list.is_empty()), (model.len(), model.is_empty()));
    assert!(list.iter().eq(model), "{list:?} and {model:?}");
    assert!(list.iter().rev().eq(model.iter().rev()));
    assert_eq!((list.front(), list.back()), (model.first(), model.last()));
    for at in [0, 1, 63, 64, 65, 127, 128, 255, 256, 257, model.len() / 2, model.len()] {
        assert_eq!(list.get(at), model.get(at));
    }
    assert_eq!(*list, *model);
    if model.len() < 300 {
        assert_eq!(format!("{list:?}"), format!("{model:?}"));
    }
    let mut ends = (list.iter(), model.iter());
    while let (Some(one), Some(other)) = (ends.0.next(), ends.1.next()) {
        assert_eq!(one, other);
        assert_eq!(ends.0.next_back(), ends.1.next_back());
        assert_eq!(ends.0.len(), ends.1.len());
    }
    assert!(ends.0.next().is_none() && ends.0.next_back().is_none());
}
