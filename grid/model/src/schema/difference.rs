//! Where two shapes differ.

use super::Schema;

/// Names the first place where two shapes differ, and how. The names of types do not count.
pub fn difference(old: &Schema, new: &Schema) -> Option<String> {
    at("", old, new)
}

fn at(place: &str, old: &Schema, new: &Schema) -> Option<String> {
    match (old, new) {
        (Schema::Option(old), Schema::Option(new)) => at(&inside(place, "Some"), old, new),
        (Schema::List(old), Schema::List(new)) => at(&inside(place, "[element]"), old, new),
        (Schema::Set(old), Schema::Set(new)) => at(&inside(place, "[element]"), old, new),
        (Schema::Map(old_key, old), Schema::Map(new_key, new)) => {
            at(&inside(place, "[key]"), old_key, new_key)
                .or_else(|| at(&inside(place, "[value]"), old, new))
        }
        (Schema::Tuple(old), Schema::Tuple(new)) if old.len() == new.len() => old
            .iter()
            .zip(new)
            .enumerate()
            .find_map(|(index, (old, new))| at(&inside(place, &index.to_string()), old, new)),
        (Schema::Struct { fields: old, .. }, Schema::Struct { fields: new, .. }) => {
            members(place, "field", old, new)
        }
        (Schema::Enum { variants: old, .. }, Schema::Enum { variants: new, .. }) => {
            members(place, "variant", old, new)
        }
        (old, new) if old.canonical() == new.canonical() => None,
        (old, new) => Some(format!("{}: was {old}, is now {new}", shown(place))),
    }
}

/// Compares fields or variants: names and order first, then what each holds.
fn members(
    place: &str,
    kind: &str,
    old: &[(String, Schema)],
    new: &[(String, Schema)],
) -> Option<String> {
    let place_shown = shown(place);
    for (name, _) in old {
        if !new.iter().any(|(other, _)| other == name) {
            return Some(format!("{place_shown}: {kind} `{name}` is gone"));
        }
    }
    for (name, _) in new {
        if !old.iter().any(|(other, _)| other == name) {
            return Some(format!("{place_shown}: {kind} `{name}` is new"));
        }
    }
    old.iter().zip(new).find_map(|((name, old), (other, new))| {
        if name == other {
            at(&inside(place, name), old, new)
        } else {
            Some(format!("{place_shown}: {kind} `{other}` stands where `{name}` stood"))
        }
    })
}

fn inside(place: &str, part: &str) -> String {
    match place {
        "" => part.to_owned(),
        place => format!("{place}.{part}"),
    }
}

fn shown(place: &str) -> &str {
    if place.is_empty() { "the whole" } else { place }
}
