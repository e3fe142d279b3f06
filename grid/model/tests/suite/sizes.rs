//! Sizes: what is kept up from changes is what a look at the whole value says, and an archive takes no more.

use gridmill_macros::record;
use gridmill_model::Size;
use gridmill_model::archive::ArchiveBuf;
use gridmill_model::prelude::*;
use proptest::prelude::*;

use crate::archive::{Nested, Part, nested};
use crate::records::{Todo, everything};

/// Bytes of the archive, and what its size says.
fn archived<T: State>(value: &T) -> (usize, usize) {
    let mut buf = ArchiveBuf::new();
    value.archive(&mut buf).unwrap();
    (buf.len(), T::archive_len(value.size()))
}

/// How many parts of a value begin at an aligned place.
fn aligned_parts(value: &Nested) -> usize {
    let of_list =
        |list: &List<Part>| 1 + list.iter().map(|(_, _, map)| 2 + map.len()).sum::<usize>();
    2 + value.values().map(|list| of_list(&list)).sum::<usize>()
}

proptest! {
    #[test]
    fn an_archive_takes_no_more_than_the_size_says(value in nested()) {
        let (got, said) = archived(&value);
        prop_assert!(got <= said, "{got} bytes, {said} were said");
        prop_assert!(said <= got + 15 * aligned_parts(&value), "{got} bytes, {said} were said");
    }
}

#[test]
fn sizes_without_gaps_are_exact() {
    assert_eq!(archived(&7_u64), (8, 8));
    assert_eq!(archived(&Some(7_u64)).0, archived(&Some(7_u64)).1);
    // A string may lie up to 3 bytes behind its text.
    for len in [0, 1, 8, 9, 22, 23, 24, 1000] {
        let text = "x".repeat(len);
        let (got, said) = archived(&Str::new(&text));
        assert!((got..got + 4).contains(&said), "{len}: {got} and {said}");
        assert_eq!(archived(&Str::new(&text)), archived(&text));
    }
    let (got, said) = archived(&everything());
    assert!(got <= said && said <= got + 400, "{got} and {said}");
}

/// Everything that holds something, in everything that holds.
#[record(crate = gridmill_model)]
#[derive(Default)]
struct Deep {
    texts: List<Str>,
    todos: List<Todo>,
    lists: List<List<Str>>,
    maps: Map<u8, Map<Str, List<Str>>>,
    names: Set<Str>,
    kind: Kind,
    one: Option<Todo>,
    pair: (Bytes, Vec<String>),
}

#[record(crate = gridmill_model)]
#[derive(Default)]
enum Kind {
    #[default]
    None,
    Text(Str),
    Many {
        texts: List<Str>,
        count: u64,
    },
}

/// A text that no other step makes, on the heap or not.
fn text(step: usize, len: usize) -> Str {
    format!("{step}{}", "x".repeat(len % 40)).into()
}

fn change(deep: &mut Deep, step: usize, what: u8, at: usize, len: usize) {
    let text = || text(step, len);
    let todo = || Todo { text: text(), completed_at: (len > 20).then_some(1) };
    let texts = &mut deep.texts;
    let at_text = at % (texts.len() + 1);
    match what {
        0 => texts.push_back(text()),
        1 => (0..len * 10).for_each(|number| texts.push_back(format!("{step}-{number}").into())),
        2 => assert!(texts.insert(at_text, text())),
        3 => drop(texts.remove(at_text)),
        4 => texts.get_mut(at_text).into_iter().for_each(|it| *it = text()),
        5 => texts.truncate(texts.len().saturating_sub(len)),
        6 => texts.retain(|it| it.len() % 3 != at % 3),
        7 => assert!(texts.move_to(at_text, 0) || at_text == texts.len()),
        8 => texts.sort_by(|one, other| one.cmp(other)),
        9 => texts.clear(),
        10 => deep.todos.push_back(todo()),
        11 => deep.todos.get_mut(at % 5).into_iter().for_each(|it| it.text = text()),
        12 => deep.lists.push_back([text(), text()].into()),
        13 => deep.lists.get_mut(at % 5).into_iter().for_each(|it| it.push_back(text())),
        14 => drop(deep.lists.pop_front()),
        15 => {
            let map = deep.maps.entry((at % 7) as u8).or_default();
            map.entry(format!("{}", at % 50).into()).or_default().push_back(text());
        }
        16 => {
            let map = deep.maps.get_mut((at % 7) as u8);
            drop(map.and_then(|map| map.remove(&*format!("{}", at % 50))));
        }
        17 => drop(deep.maps.remove((at % 7) as u8)),
        18 => deep.names.extend((0..len * 5).map(|number| Str::from(format!("{at}-{number}")))),
        19 => {
            deep.names.remove(&*format!("{at}-{}", len / 2));
        }
        20 => deep.kind = Kind::Text(text()),
        21 => deep.kind = Kind::Many { texts: [text()].into(), count: 1 },
        22 => {
            if let Kind::Many { texts, count } = &mut deep.kind {
                texts.push_back(text());
                *count += 1;
            }
        }
        23 => deep.one = (len > 10).then(todo),
        24 => deep.pair.0 = Bytes::from(vec![1; len * 10]),
        _ => deep.pair.1.push(text().to_string()),
    }
}

proptest! {
    #[test]
    fn a_size_follows_what_changes(
        steps in prop::collection::vec((0..26_u8, 0..300_usize, 0..40_usize), 1..60),
        each in 1..5_usize,
    ) {
        let mut deep = Deep::default();
        let mut size = deep.size();
        for (number, steps) in steps.chunks(each).enumerate() {
            let was = deep.clone();
            for (step, &(what, at, len)) in steps.iter().enumerate() {
                change(&mut deep, number * 10 + step, what, at, len);
            }
            deep.resize(&was, &mut size);
            prop_assert_eq!(size, deep.size(), "after {:?}", steps);
            let (got, said) = archived(&deep);
            prop_assert!(got <= said, "{} bytes, {} were said", got, said);
        }
    }
}

/// Whatever has one size takes no room beyond that of its type.
#[test]
fn fixed_types_have_no_size() {
    const { assert!(u64::FIXED && <Option<(u8, bool)>>::FIXED && !Str::FIXED && !Todo::FIXED) };
    const { assert!(<List<u64>>::QUICK && Str::QUICK && !<List<Str>>::QUICK && !Deep::QUICK) };
    assert_eq!(Some((1_u8, true)).size(), Size::default());
}
