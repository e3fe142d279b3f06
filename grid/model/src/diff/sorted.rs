//! Maps and sets: by what they do not share.

use im::ordmap::DiffItem;
use im::ordset::DiffItem as SetDiffItem;

use super::Op;
use super::out::{DiffOut, encoded, unchanged};
use crate::key::bytes_of;
use crate::path::Step;
use crate::{Key, State};

/// Of more entries that went it is not asked whether they have come back under another key.
const RENAMED_MAX: usize = 16;

pub(crate) fn maps<K: Key, V: State>(
    old: &im::OrdMap<K, V>,
    new: &im::OrdMap<K, V>,
    out: &mut DiffOut,
) {
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    for item in old.diff(new) {
        match item {
            DiffItem::Add(key, value) => come.push((key, value)),
            DiffItem::Remove(key, value) => gone.push((key, value)),
            DiffItem::Update { old, new } => {
                out.inside(Step::Must(bytes_of(new.0)), old.1, new.1);
            }
        }
    }
    if !out.is_simple() && gone.len() <= RENAMED_MAX && come.len() <= RENAMED_MAX {
        renamed(&mut gone, &mut come, out);
    }
    for (key, _) in gone {
        out.remove_at(Step::Must(bytes_of(key)));
    }
    for (key, value) in come {
        out.set_at(Step::Key(bytes_of(key)), value);
    }
}

/// Entries that went from one key and came to another, with the same value.
fn renamed<'m, K: Key, V: State>(
    gone: &mut Vec<(&'m K, &'m V)>,
    come: &mut Vec<(&'m K, &'m V)>,
    out: &mut DiffOut,
) {
    gone.retain(|(from, value)| {
        let Some(at) = come.iter().position(|(_, new)| unchanged(*value, *new)) else {
            return true;
        };
        let (to, _) = come.remove(at);
        out.op_at(Step::MapKey(bytes_of(*from)), || Op::Rename(encoded(to)));
        false
    });
}

pub(crate) fn sets<T: Key>(old: &im::OrdSet<T>, new: &im::OrdSet<T>, out: &mut DiffOut) {
    for item in old.diff(new) {
        match item {
            SetDiffItem::Add(elem) => out.op_at(Step::AddElem, || Op::Insert(encoded(elem))),
            SetDiffItem::Remove(elem) => out.remove_at(Step::Elem(bytes_of(elem))),
        }
    }
}
