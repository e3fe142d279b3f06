//! Maps: changes, entry by entry, so that a stored map writes only what changed.

use super::Walk;
use super::change::{Blind, Change, Effect};
use super::entries;
use super::visit::{AnyValue, Visit};
use super::{branch, steps};
use crate::engine::RootStore;
use crate::key::bytes_of;
use crate::path::data::keys::decode_key;
use crate::path::data::limits::Limits;
use crate::path::data::step::{Every, Step};
use crate::path::error::PathError;
use crate::{Damaged, Key, Map, State};

/// Changes what one step reaches.
pub(in crate::path) fn walk_mut<K: Key, V: State>(
    map: &mut Map<K, V>,
    step: &Step,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    match step {
        Step::Key(key) | Step::Must(key) => {
            let create = matches!(step, Step::Key(_));
            if let Some(store) = map.root_mut() {
                return stored_mut(store, key, create, rest, change);
            }
            let key = decode_key(key).map_err(|e| change.trail.misfit(step, rest.len(), e))?;
            plain_mut(map, key, create, rest, change)
        }
        Step::MapVals => vals_mut(map, keys(map, change)?, rest, change),
        Step::MapKeys => keys_mut(map, keys(map, change)?, rest, change),
        Step::All => pairs_mut(map, keys(map, change)?, rest, change),
        Step::Backwards(every) => {
            let mut keys = keys(map, change)?;
            keys.reverse();
            match every {
                Every::Value => vals_mut(map, keys, rest, change),
                Every::Key => keys_mut(map, keys, rest, change),
                Every::Element => pairs_mut(map, keys, rest, change),
            }
        }
        Step::MapKey(key) => {
            let key = decode_key(key).map_err(|e| change.trail.misfit(step, rest.len(), e))?;
            rename(map, key, rest, change)
        }
        Step::KeyRange(_) | Step::Keys(_) => part_mut(map, step, rest, change),
        Step::Len => steps::computed(map.len() as u64, step, rest, change),
        step => steps::walk_mut(map, step, rest, change),
    }
}

fn damaged(change: &Change<'_>) -> impl Fn(Damaged) -> PathError {
    let pstate = change.trail.pstate().to_owned();
    move |damaged| PathError::damaged(&pstate, damaged)
}

/// Changes an entry of a partition's store; a missing one is not touched unless it is made.
fn stored_mut<V: State>(
    store: &mut dyn RootStore<V>,
    key: &[u8],
    create: bool,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let fail = |change: &Change<'_>, e| PathError::damaged(change.trail.pstate(), e);
    if let Some(blind) = change.blind().filter(|_| rest.is_empty()) {
        return write_blindly(store, key, create, blind, change);
    }
    let effect = match store.get_mut(key).map_err(|e| fail(change, e))? {
        Some(value) => value.walk_mut(rest, change)?,
        None if create => {
            let Some(value) = V::create(rest, change)? else { return Ok(Effect::Kept) };
            *store.slot_mut(key).map_err(|e| fail(change, e))? = Some(value);
            return Ok(Effect::Changed);
        }
        None => return Ok(Effect::Kept),
    };
    if effect != Effect::Removed {
        return Ok(effect);
    }
    *store.slot_mut(key).map_err(|e| fail(change, e))? = None;
    Ok(Effect::Changed)
}

/// Writes an entry of a partition's store whatever is in it: its value is not read.
fn write_blindly<V: State>(
    store: &mut dyn RootStore<V>,
    key: &[u8],
    create: bool,
    blind: Blind,
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let fail = |change: &Change<'_>, e| PathError::damaged(change.trail.pstate(), e);
    let makes = create && blind == Blind::Set;
    if !makes && !store.contains(key).map_err(|e| fail(change, e))? {
        return Ok(Effect::Kept);
    }
    let value = match blind {
        Blind::Set => change.make::<V>()?,
        Blind::Remove => {
            change.count();
            None
        }
    };
    store.put(key, value).map_err(|e| fail(change, e))?;
    Ok(Effect::Changed)
}

/// Changes an entry of a map in memory.
fn plain_mut<K: Key, V: State>(
    map: &mut Map<K, V>,
    key: K,
    create: bool,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let effect = match map.get_mut(&key) {
        Some(value) => value.walk_mut(rest, change)?,
        None if create => {
            let Some(value) = V::create(rest, change)? else { return Ok(Effect::Kept) };
            map.insert(key, value);
            return Ok(Effect::Changed);
        }
        None => return Ok(Effect::Kept),
    };
    if effect != Effect::Removed {
        return Ok(effect);
    }
    map.remove(&key);
    Ok(Effect::Changed)
}

/// The keys as they are before the change.
fn keys<K: Key, V: State>(map: &Map<K, V>, change: &Change<'_>) -> Result<Vec<K>, PathError> {
    let mut keys = Vec::with_capacity(map.len());
    let mut entries = map.iter();
    while let Some(entry) = entries.try_next() {
        keys.push(entry.map_err(damaged(change))?.0);
    }
    Ok(keys)
}

/// A copy of the value under a key.
fn value<K: Key, V: State>(
    map: &Map<K, V>,
    key: &K,
    change: &Change<'_>,
) -> Result<Option<V>, PathError> {
    let found = map.try_get(key).map_err(damaged(change))?;
    Ok(found.map(crate::Ref::into_owned))
}

fn changed_if(changed: bool) -> Effect {
    if changed { Effect::Changed } else { Effect::Kept }
}

/// Changes every value. Where filters may spare entries, these are only looked at.
fn vals_mut<K: Key, V: State>(
    map: &mut Map<K, V>,
    keys: Vec<K>,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let probe = branch::probe(rest);
    let mut changed = false;
    for key in keys {
        change.place()?;
        if probe.is_some() && !worth(map, &key, probe, rest, change)? {
            continue;
        }
        let effect = match map.root_mut() {
            Some(store) => stored_mut(store, &bytes_of(&key), false, rest, change)?,
            None => plain_mut(map, key, false, rest, change)?,
        };
        changed |= effect == Effect::Changed;
    }
    Ok(changed_if(changed))
}

fn worth<K: Key, V: State>(
    map: &Map<K, V>,
    key: &K,
    probe: Option<&[Step]>,
    rest: &[Step],
    change: &Change<'_>,
) -> Result<bool, PathError> {
    let Some(value) = map.try_get(key).map_err(damaged(change))? else { return Ok(false) };
    branch::worth(&*value, probe, rest, change.trail)
}

/// Entries that leave their key, with what comes instead.
type Moves<K, V> = Vec<(K, Option<(K, V)>)>;

/// Renames entries.
fn keys_mut<K: Key, V: State>(
    map: &mut Map<K, V>,
    keys: Vec<K>,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let mut moves: Moves<K, V> = Vec::new();
    for old in keys {
        change.place()?;
        let mut new = old.clone();
        match new.walk_mut(rest, change)? {
            Effect::Kept => {}
            Effect::Removed => moves.push((old, None)),
            Effect::Changed => {
                let value = value(map, &old, change)?;
                moves.push((old, value.map(|value| (new, value))));
            }
        }
    }
    Ok(apply_moves(map, moves))
}

/// Changes entries as pairs.
fn pairs_mut<K: Key, V: State>(
    map: &mut Map<K, V>,
    keys: Vec<K>,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let mut moves: Moves<K, V> = Vec::new();
    for old in keys {
        change.place()?;
        let Some(value) = value(map, &old, change)? else { continue };
        let mut pair = (old.clone(), value);
        match pair.walk_mut(rest, change)? {
            Effect::Kept => {}
            Effect::Removed => moves.push((old, None)),
            Effect::Changed => moves.push((old, Some(pair))),
        }
    }
    Ok(apply_moves(map, moves))
}

/// Carries moves out. Of two entries that end under one key, the later in the old order stays.
fn apply_moves<K: Key, V: State>(map: &mut Map<K, V>, moves: Moves<K, V>) -> Effect {
    let effect = changed_if(!moves.is_empty());
    for (old, new) in &moves {
        if new.as_ref().is_none_or(|(new, _)| new != old) {
            map.remove(old);
        }
    }
    let mut settled: Vec<K> = Vec::new();
    for (old, new) in moves {
        let Some((new, value)) = new else { continue };
        let stays = new > old && map.contains_key(&new) && settled.binary_search(&new).is_err();
        if stays {
            continue;
        }
        if let Err(at) = settled.binary_search(&new) {
            settled.insert(at, new.clone());
        }
        map.insert(new, value);
    }
    effect
}

/// Gives an entry another key. What lay under that key goes.
fn rename<K: Key, V: State>(
    map: &mut Map<K, V>,
    old: K,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let Some(value) = value(map, &old, change)? else { return Ok(Effect::Kept) };
    let mut new = old.clone();
    let effect = new.walk_mut(rest, change)?;
    if effect == Effect::Kept || (effect == Effect::Changed && new == old) {
        return Ok(effect);
    }
    map.remove(&old);
    if effect == Effect::Changed {
        map.insert(new, value);
    }
    Ok(Effect::Changed)
}

/// Changes a part as a map of its own, then writes back what differs.
fn part_mut<K: Key, V: State>(
    map: &mut Map<K, V>,
    step: &Step,
    rest: &[Step],
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let mut nobody = AnyValue(false);
    let mut visit = Visit::along(change.trail, &mut nobody, Limits::NONE);
    let old = entries::part::<K, V, Map<K, V>>(map, step, rest, &mut visit)?.unwrap_or_default();
    let mut new = old.clone();
    match new.walk_mut(rest, change)? {
        Effect::Kept => return Ok(Effect::Kept),
        Effect::Removed => new = Map::new(),
        Effect::Changed => {}
    }
    if old.is_empty() && new.is_empty() {
        return Ok(change.undone());
    }
    for (key, _) in &old {
        if !new.contains_key(&key) {
            map.remove(&key);
        }
    }
    for (key, value) in new {
        if old.get(&key).is_none_or(|old| !old.is_same(&value) && *old != value) {
            map.insert(key, value);
        }
    }
    Ok(Effect::Changed)
}
