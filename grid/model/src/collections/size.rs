//! How much room collections take: of one that changed, only what it does not share is looked at.

use std::collections::HashMap;

use im::ordmap::DiffItem;
use im::ordset::DiffItem as SetDiffItem;

use super::block::Block;
use super::list::Repr;
use super::tree::{PIECE, Tree};
use super::{List, Set};
use crate::state::size::{gap, resize_elements};
use crate::{Key, Size, State};

/// The slots of a sorted node, of which about two thirds are filled where there are several.
const NODE: usize = 16;

/// What an allocation that clones share begins with: two counts.
const COUNTS: usize = 2 * size_of::<usize>();

/// The bytes of elements that are archived one after the other.
fn archived_elements<T>(len: usize) -> usize {
    gap::<T>() + len * size_of::<T>()
}

/// The heap bytes of the nodes of a set or map of entries `T` with keys `K`.
fn sorted_heap<K, T>(len: usize) -> usize {
    let nodes = |count: usize| if count <= NODE { 1 } else { count.div_ceil(NODE * 2 / 3) };
    if len == 0 {
        return 0;
    }
    let (leaves, ends) = (nodes(len), COUNTS);
    let branches = if leaves == 1 { 0 } else { nodes(leaves) };
    let branch = NODE * size_of::<K>() + (NODE + 1) * size_of::<usize>() + 3 * ends;
    leaves * (COUNTS + ends + NODE * size_of::<T>()) + branches * branch
}

/// The heap bytes of a list's own slots. Lists that are equal have the same, so that a list which takes the
/// place of an equal one changes no sum; but for those of 129 to 256 elements, of which a tree that shrank
/// and a block differ a little.
fn list_heap<T: Clone>(list: &List<T>) -> usize {
    match &list.0 {
        Repr::Flat(flat) => Block::<T>::bytes_for(flat.len()),
        Repr::Tree(tree) => {
            let pieces = tree.len().div_ceil(PIECE);
            size_of_val(&**tree) + pieces * (PIECE * size_of::<T>() + 2 * COUNTS)
        }
    }
}

/// The size of a list's own slots.
fn slots<T: State>(list: &List<T>) -> Size {
    Size { heap: list_heap(list), archive: archived_elements::<T::Archived>(list.len()) }
}

pub(super) fn size_of_list<T: State>(list: &List<T>) -> Size {
    slots(list) + Size::of_all(list)
}

pub(super) fn resize_list<T: State>(now: &List<T>, was: &List<T>, size: &mut Size) {
    size.replace(slots(was), slots(now));
    if T::FIXED {
        return;
    }
    match (&now.0, &was.0) {
        (Repr::Flat(now), Repr::Flat(was)) if now.shares_memory(was) => {
            resize_block(now, was, size);
        }
        (Repr::Tree(now), Repr::Tree(was)) => resize_tree(now, was, size),
        _ => {
            let (now, was): (Vec<&T>, Vec<&T>) = (now.iter().collect(), was.iter().collect());
            resize_elements(&now, &was, size);
        }
    }
}

/// Both are in the same memory: they differ in what lies behind the end of either, and in patches.
fn resize_block<T: State>(now: &Block<T>, was: &Block<T>, size: &mut Size) {
    let common = now.len().min(was.len());
    let mut seen = [false; 256];
    for index in now.patched_since(was) {
        let again = index >= common || std::mem::replace(&mut seen[index], true);
        if let (false, Some(now), Some(was)) = (again, now.get(index), was.get(index)) {
            now.resize(was, size);
        }
    }
    *size += Size::of_all((common..now.len()).filter_map(|index| now.get(index)));
    size.remove(Size::of_all((common..was.len()).filter_map(|index| was.get(index))));
}

/// Only the pieces that are not in both are looked into. (To find them is a look at the place of each.)
fn resize_tree<T: State>(now: &Tree<T>, was: &Tree<T>, size: &mut Size) {
    if now.is_same(was) {
        return;
    }
    let (mut new, mut old) = (Vec::new(), Vec::new());
    let (mut now, mut was) = (now.pieces(), was.pieces());
    loop {
        match (now.next(), was.next()) {
            (None, None) => break,
            (Some(now), Some(was)) if std::ptr::eq(now, was) => {}
            (now, was) => {
                new.extend(now);
                old.extend(was);
            }
        }
    }
    // What lies behind a piece that came or went has only moved.
    let same = |(now, was): &(&&[T], &&[T])| std::ptr::eq(**now, **was);
    let back = new.iter().rev().zip(old.iter().rev()).take_while(same).count();
    resize_pieces(&new[..new.len() - back], &old[..old.len() - back], size);
}

/// Pieces that stand in another place, seen from both ends; some may be in both all the same, more than once.
fn resize_pieces<T: State>(now: &[&[T]], was: &[&[T]], size: &mut Size) {
    let mut left: HashMap<*const [T], usize> = HashMap::new();
    for piece in was {
        *left.entry(std::ptr::from_ref(*piece)).or_default() += 1;
    }
    let mut take = |piece: &[T]| match left.get_mut(&std::ptr::from_ref(piece)) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    };
    let new: Vec<&T> = now.iter().filter(|piece| !take(piece)).copied().flatten().collect();
    let old: Vec<&T> = was.iter().filter(|piece| take(piece)).copied().flatten().collect();
    resize_elements(&new, &old, size);
}

pub(super) fn size_of_set<T: Key>(set: &Set<T>) -> Size {
    nodes_of_set::<T>(set.len()) + Size::of_all(set)
}

fn nodes_of_set<T: Key>(len: usize) -> Size {
    let heap = sorted_heap::<T, T>(len);
    Size { heap, archive: archived_elements::<T::Archived>(len) }
}

pub(super) fn resize_set<T: Key>(now: &Set<T>, was: &Set<T>, size: &mut Size) {
    size.replace(nodes_of_set::<T>(was.len()), nodes_of_set::<T>(now.len()));
    if T::FIXED {
        return;
    }
    for item in was.plain().diff(now.plain()) {
        match item {
            SetDiffItem::Add(element) => *size += element.size(),
            SetDiffItem::Remove(element) => size.remove(element.size()),
        }
    }
}

pub(super) fn size_of_map<K: Key, V: State>(map: &im::OrdMap<K, V>) -> Size {
    nodes_of_map::<K, V>(map.len()) + Size::of_all(map.keys()) + Size::of_all(map.values())
}

fn nodes_of_map<K: Key, V: State>(len: usize) -> Size {
    type Entry<K, V> = rkyv::collections::util::Entry<
        <K as rkyv::Archive>::Archived,
        <V as rkyv::Archive>::Archived,
    >;
    let heap = sorted_heap::<K, (K, V)>(len);
    Size { heap, archive: archived_elements::<Entry<K, V>>(len) }
}

pub(super) fn resize_map<K: Key, V: State>(
    now: &im::OrdMap<K, V>,
    was: &im::OrdMap<K, V>,
    size: &mut Size,
) {
    size.replace(nodes_of_map::<K, V>(was.len()), nodes_of_map::<K, V>(now.len()));
    if K::FIXED && V::FIXED {
        return;
    }
    for item in was.diff(now) {
        match item {
            DiffItem::Add(key, value) => *size += key.size() + value.size(),
            DiffItem::Remove(key, value) => size.remove(key.size() + value.size()),
            DiffItem::Update { old, new } => {
                new.0.resize(old.0, size);
                new.1.resize(old.1, size);
            }
        }
    }
}
