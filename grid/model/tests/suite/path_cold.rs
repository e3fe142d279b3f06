//! Values in archives are walked where they lie: only what a path asks for is read, and the answers are those of
//! the same value in memory.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::Mutex;

use gridmill_macros::record;
use gridmill_model::__private::rkyv::util::AlignedVec;
use gridmill_model::archive::ArchiveBuf;
use gridmill_model::engine::{Archive, Damaged, Found, ReadStore, StoreRange, StoreScan};
use gridmill_model::path::{Limits, PathErrorKind, Walk};
use gridmill_model::prelude::*;
use gridmill_model::{KeyBytes, Root};

#[record(crate = gridmill_model)]
pub struct Note {
    pub text: Str,
    pub at: Option<i64>,
    pub tags: Set<Str>,
    pub parts: List<(u32, Str)>,
    pub by_day: Map<u32, List<i64>>,
    pub kind: Kind,
}

#[record(crate = gridmill_model)]
#[derive(Default)]
pub enum Kind {
    #[default]
    Plain,
    Sized(i64),
    Named(Str, u8),
}

type Notes = Map<Str, Note>;

const NOTES: PState<Notes> = PState::new("cold/notes");
const ONE: PState<Note> = PState::starting_with("cold/one", || note(0));
const LONG: PState<Map<Str, List<Note>>> = PState::new("cold/long");
const TEXTS: PState<Map<Str, Str>> = PState::new("cold/texts");

fn note(n: u32) -> Note {
    let long = format!("a text that is too long to lie in the value itself, number {n}");
    Note {
        text: if n.is_multiple_of(2) { long.as_str().into() } else { "short".into() },
        at: (!n.is_multiple_of(3)).then_some(i64::from(n)),
        tags: (0..n % 5).map(|tag| Str::from(format!("tag-number-{tag}"))).collect(),
        parts: (0..n % 7).map(|part| (part, Str::from(format!("part {part} of {n}")))).collect(),
        by_day: (0..n % 4).map(|day| (day * 10, (0..i64::from(day)).collect())).collect(),
        kind: match n % 3 {
            0 => Kind::Plain,
            1 => Kind::Sized(i64::from(n)),
            _ => Kind::Named(long.as_str().into(), 3),
        },
    }
}

/// Archived values, and which of their bytes were asked for.
pub(crate) struct Archived {
    values: BTreeMap<KeyBytes, AlignedVec>,
    seen: Seen,
}

#[derive(Default)]
struct Seen {
    parts: Mutex<Vec<Range<usize>>>,
    damaged: Mutex<bool>,
}

impl Archived {
    pub(crate) fn new<R: Root>(root: R) -> Self {
        let mut values = BTreeMap::new();
        for (key, value) in root.into_entries() {
            let mut buf = ArchiveBuf::new();
            value.archive(&mut buf).unwrap();
            let mut bytes: AlignedVec = AlignedVec::new();
            bytes.extend_from_slice(buf.as_slice());
            values.insert(key, bytes);
        }
        Self { values, seen: Seen::default() }
    }

    fn lend<'a, V: State>(&'a self, buf: &'a AlignedVec) -> Found<'a, V> {
        let archive = Archive::new(buf.as_slice(), &self.seen, note_part, broken);
        archive
            .root::<V>()
            .map_or_else(|| Found::Made(V::unarchive(buf.as_slice()).unwrap()), Found::Cold)
    }

    /// How many bytes were asked for since the last call.
    fn bytes_seen(&self) -> usize {
        self.seen.parts.lock().unwrap().drain(..).map(|part| part.len()).sum()
    }
}

fn note_part(seen: &(dyn Any + Send + Sync), part: &[u8]) -> Result<(), Damaged> {
    let seen: &Seen = seen.downcast_ref().unwrap();
    let start = part.as_ptr() as usize;
    seen.parts.lock().unwrap().push(start..start + part.len());
    if *seen.damaged.lock().unwrap() { Err(Damaged::new("run", 7, "crc")) } else { Ok(()) }
}

fn broken(_: &(dyn Any + Send + Sync), what: String) -> Damaged {
    Damaged::new("run", 0, what)
}

impl<V: State> ReadStore<V> for Archived {
    fn get(&self, key: &[u8]) -> Result<Option<Ref<'_, V>>, Damaged> {
        let found: Option<Found<'_, V>> = self.look(key)?;
        found.map(Found::into_ref).transpose()
    }

    fn look(&self, key: &[u8]) -> Result<Option<Found<'_, V>>, Damaged> {
        Ok(self.values.get(key).map(|buf| self.lend(buf)))
    }

    fn len(&self) -> u64 {
        self.values.len() as u64
    }

    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> StoreRange<'_, V> {
        let scan: StoreScan<'_, V> = self.scan(from, to);
        Box::new(scan.map(|entry| {
            let (key, value) = entry?;
            Ok((key, value.into_ref()?))
        }))
    }

    fn scan<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> StoreScan<'a, V>
    where
        V: 'a,
    {
        let entries = self.values.range::<[u8], _>((from, to));
        Box::new(entries.map(|(key, buf)| Ok((key.clone(), self.lend(buf)))))
    }
}

/// What a path selects in archives is what it selects in memory.
fn same<R: Root, L: Walk + std::fmt::Debug>(root: &R, store: &Archived, path: &Path<R, L>) {
    let cold = path.select_view(store, Limits::DEFAULT).unwrap();
    assert_eq!(cold, path.select(root).unwrap(), "{path:?}");
}

#[test]
fn archived_values_are_walked_as_those_in_memory() {
    let notes: Notes = (0..60).map(|n| (Str::from(format!("n{n}")), note(n))).collect();
    let store = Archived::new(notes.clone());
    let all = || NOTES.map_vals();
    same(&notes, &store, &NOTES.into_path());
    same(&notes, &store, &NOTES.map_keys_rev());
    same(&notes, &store, &all().field(Note::TEXT));
    same(&notes, &store, &all().field(Note::AT));
    same(&notes, &store, &all().field(Note::AT).some());
    same(&notes, &store, &all().field(Note::AT).some().or(-1));
    same(&notes, &store, &all().field(Note::TAGS));
    same(&notes, &store, &all().field(Note::TAGS).all_rev());
    same(&notes, &store, &all().field(Note::TAGS).elem("tag-number-2"));
    same(&notes, &store, &all().field(Note::TAGS).key_range("tag-number-1".."tag-number-3"));
    same(&notes, &store, &all().field(Note::TAGS).subset(["tag-number-0", "none"]));
    same(&notes, &store, &all().field(Note::TAGS).max());
    same(&notes, &store, &all().field(Note::PARTS).nth(3).last());
    same(&notes, &store, &all().field(Note::PARTS).range(1..4));
    same(&notes, &store, &all().field(Note::PARTS).last_n(2).all_rev().part::<1>());
    same(&notes, &store, &all().field(Note::PARTS).indexed_vals());
    same(&notes, &store, &all().field(Note::PARTS).filtered(|p| p.first().filter_gt(2)));
    same(&notes, &store, &all().field(Note::PARTS).transformed(|it| it.nth(0).remove()));
    same(&notes, &store, &all().field(Note::PARTS).len());
    same(&notes, &store, &all().field(Note::BY_DAY).key(10));
    same(&notes, &store, &all().field(Note::BY_DAY).key(20).sum());
    same(&notes, &store, &all().field(Note::BY_DAY).must(20).nth(1));
    same(&notes, &store, &all().field(Note::BY_DAY).map_key(20));
    same(&notes, &store, &all().field(Note::BY_DAY).all().first());
    same(&notes, &store, &all().field(Note::BY_DAY).last_keys(1).map_vals());
    same(&notes, &store, &all().field(Note::BY_DAY).key_range(5_u32..).len());
    same(&notes, &store, &all().field(Note::BY_DAY).sub_map([20_u32, 0]).map_keys());
    same(&notes, &store, &all().field(Note::KIND));
    same(&notes, &store, &all().field(Note::KIND).variant(Kind::NAMED).part::<0>());
    same(&notes, &store, &all().filter_selected(|n| n.field(Note::AT).some().filter_gt(20)));
    same(&notes, &store, &all().filter_selected(|n| n.field(Note::TAGS).all()).field(Note::TEXT));
    same(
        &notes,
        &store,
        &all().if_path(
            |n| n.field(Note::AT).some(),
            |n| n.field(Note::PARTS).all().last(),
            |n| n.field(Note::TEXT),
        ),
    );
    same(
        &notes,
        &store,
        &NOTES.subselect(|it| it.map_vals().field(Note::PARTS).all().first()).sum(),
    );
    same(&notes, &store, &NOTES.key_range("n2".."n4").map_vals().field(Note::AT));
    same(&notes, &store, &NOTES.key("n7").field(Note::TEXT));
    let one = note(11);
    let store = Archived::new(one.clone());
    same(&one, &store, &ONE.field(Note::PARTS).nth(2).last());
    same(&one, &store, &ONE.field(Note::KIND));
    same(&one, &store, &ONE.into_path());
}

#[test]
fn keys_counts_and_conditions_on_keys_read_no_value() {
    let texts: Map<Str, Str> =
        (0..100).map(|n| (n.to_string().into(), "x".repeat(99).into())).collect();
    let store = Archived::new(texts);
    for path in [TEXTS.map_keys(), TEXTS.key_range("2".."4").map_keys(), TEXTS.all().first()] {
        assert!(path.select_view(&store, Limits::DEFAULT).unwrap().len() >= 22);
    }
    for path in [TEXTS.len(), TEXTS.key_range("2".."4").len(), TEXTS.first_keys(3).len()] {
        assert_eq!(path.select_view(&store, Limits::DEFAULT).unwrap().len(), 1);
    }
    let some = TEXTS.all().filter_selected(|entry| entry.first().filter_eq("7")).first();
    assert_eq!(TEXTS.map_key("7").select_view(&store, Limits::DEFAULT).unwrap(), ["7"]);
    assert_eq!(store.bytes_seen(), 0);
    assert_eq!(some.select_view(&store, Limits::DEFAULT).unwrap(), ["7"]);
}

/// The pages of a grid's files are counted in the grid's own tests; here it is bytes.
#[test]
fn r234_one_field_of_one_element_of_a_cold_list_is_read_alone() {
    let long: List<Note> = (0..20_000).map(note).collect();
    let bytes = {
        let mut buf = ArchiveBuf::new();
        long.archive(&mut buf).unwrap();
        buf.len()
    };
    let store = Archived::new(Map::from([(Str::from("a"), long)]));
    assert!(bytes > 4 << 20);
    let element = || LONG.key("a").nth(14_442);
    let select = |seen_at_most: usize, found: &dyn Fn() -> usize| {
        assert_eq!(found(), 1);
        let seen = store.bytes_seen();
        assert!(seen <= seen_at_most, "{seen} bytes");
    };
    let one = |path: Path<_, i64>| path.select_view(&store, Limits::DEFAULT).unwrap().len();
    select(64, &|| {
        element().field(Note::BY_DAY).len().select_view(&store, Limits::DEFAULT).unwrap().len()
    });
    select(64, &|| one(element().field(Note::AT).or(Some(1)).some().or(1)));
    select(200, &|| {
        element().field(Note::TEXT).select_view(&store, Limits::DEFAULT).unwrap().len()
    });
    select(16, &|| LONG.key("a").len().select_view(&store, Limits::DEFAULT).unwrap().len());
    select(400, &|| {
        LONG.key("a")
            .nth(14_442)
            .field(Note::BY_DAY)
            .key(10)
            .nth(0)
            .or(7)
            .select_view(&store, Limits::DEFAULT)
            .unwrap()
            .len()
    });
    // One that is too large to be returned is refused before it is decoded.
    let limits = Limits { bytes: 1 << 20, ..Limits::DEFAULT };
    for path in [LONG.key("a"), LONG.key("a").range(10..19_000)] {
        let error = path.select_one_view(&store, limits).unwrap_err();
        assert_eq!(*error.kind(), PathErrorKind::Limit);
        assert!(error.help().contains("range"), "{error}");
        assert!(store.bytes_seen() < 64);
    }
    assert_eq!(LONG.key("a").range(10..12).select_view(&store, limits).unwrap()[0].len(), 2);
}

#[test]
fn damage_is_met_only_where_it_is_read() {
    let store = Archived::new(Map::from([(Str::from("a"), note(5)), ("b".into(), note(6))]));
    *store.seen.damaged.lock().unwrap() = true;
    assert_eq!(NOTES.map_keys().select_view(&store, Limits::DEFAULT).unwrap(), ["a", "b"]);
    for error in [
        NOTES.key("a").field(Note::TEXT).select_view(&store, Limits::DEFAULT).unwrap_err(),
        NOTES
            .key("a")
            .field(Note::PARTS)
            .all()
            .last()
            .select_view(&store, Limits::DEFAULT)
            .unwrap_err(),
        NOTES.key("a").select_one_view(&store, Limits::DEFAULT).map(drop).unwrap_err(),
    ] {
        assert!(matches!(error.kind(), PathErrorKind::Damaged(_)), "{error}");
    }
}

/// Bytes that are no archive of the type are answered with an error, whatever they are.
#[test]
fn bytes_of_any_origin_are_walked_without_harm() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let paths = [
        NOTES.key("a").field(Note::PARTS).all().last(),
        NOTES.key("a").field(Note::TAGS).all(),
        NOTES.key("a").field(Note::TEXT),
        NOTES.key("a").field(Note::KIND).variant(Kind::NAMED).part::<0>(),
    ];
    let mut intact = ArchiveBuf::new();
    note(33).archive(&mut intact).unwrap();
    for round in 0..2_000 {
        let mut bytes: AlignedVec = AlignedVec::new();
        bytes.extend_from_slice(intact.as_slice());
        for _ in 0..=round % 8 {
            let at = next() as usize % bytes.len();
            bytes[at] = next() as u8;
        }
        let store = Forged { bytes, seen: Seen::default() };
        for path in &paths {
            let _ = path.select_view(&store, Limits::DEFAULT);
        }
        let _ = NOTES
            .key("a")
            .field(Note::BY_DAY)
            .map_vals()
            .all()
            .select_view(&store, Limits::DEFAULT);
        let _ = NOTES.key("a").field(Note::BY_DAY).key(20).select_view(&store, Limits::DEFAULT);
    }
}

/// One value of forged bytes under every key.
struct Forged {
    bytes: AlignedVec,
    seen: Seen,
}

impl ReadStore<Note> for Forged {
    fn get(&self, _: &[u8]) -> Result<Option<Ref<'_, Note>>, Damaged> {
        Ok(Note::unarchive(&self.bytes).ok().map(Ref::Owned))
    }

    fn look(&self, _: &[u8]) -> Result<Option<Found<'_, Note>>, Damaged> {
        let archive = Archive::new(&self.bytes, &self.seen, note_part, broken);
        Ok(archive.root::<Note>().map(Found::Cold))
    }

    fn len(&self) -> u64 {
        1
    }

    fn range(&self, _: Bound<&[u8]>, _: Bound<&[u8]>) -> StoreRange<'_, Note> {
        Box::new(std::iter::empty())
    }
}
