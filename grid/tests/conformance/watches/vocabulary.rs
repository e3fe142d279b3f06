//! What handlers do to a value is told as what it was, and can be told in simpler words.

use gridmill::Local;
use gridmill::client::Change;
use gridmill::model::diff::{Diff, Edit, EditKind};
use gridmill::prelude::*;

use super::acts::{Test, next};

#[record]
struct Shelf {
    list: List<u64>,
    tags: Set<u64>,
    names: Map<Str, u64>,
    note: Option<Str>,
    state: State,
}

#[record]
enum State {
    New,
    Lent { to: Str, times: u64 },
}

#[record]
enum Do {
    Begin,
    Append(u64),
    Prepend(u64),
    InsertBefore { at: u64, value: u64 },
    Extend(List<u64>),
    SetAt { at: u64, value: u64 },
    RemoveAt(u64),
    RemoveRange { from: u64, to: u64 },
    MoveTo { from: u64, to: u64 },
    AddTag(u64),
    RemoveTag(u64),
    SetName { name: Str, value: u64 },
    AddToName { name: Str, more: u64 },
    RemoveName(Str),
    RenameTo { from: Str, to: Str },
    SetNames(List<(Str, u64)>),
    Note(Str),
    ForgetNote,
    Lend(Str),
    LendAgain,
    Replace(u64),
    End,
}

const DONE: Depot<Do> = Depot::random("shelf/done").global();
const SHELVES: PState<Map<u64, Shelf>> = PState::new("shelf/shelves").global();

struct Shelves;

impl Module for Shelves {
    const NAME: &'static str = "shelf";

    fn define(module: &mut Setup) {
        module.depot(DONE);
        module.stream("shelves", SHELVES).source(DONE).each(on_do);
    }
}

fn shelf() -> Shelf {
    let names = [("a".into(), 1), ("b".into(), 2)].into();
    Shelf { list: (10..20).collect(), tags: [1, 2].into(), names, note: None, state: State::New }
}

/// Each with a path, as handlers that use paths do.
fn on_do(done: Do, shelves: &mut Map<u64, Shelf>) {
    let list = || SHELVES.key(1).field(Shelf::LIST);
    let tags = || SHELVES.key(1).field(Shelf::TAGS);
    let names = || SHELVES.key(1).field(Shelf::NAMES);
    match done {
        Do::Begin => SHELVES.key(1).set(shelf()).apply(shelves),
        Do::Append(value) => list().after_elem().set(value).apply(shelves),
        Do::Prepend(value) => list().before_elem().set(value).apply(shelves),
        Do::InsertBefore { at, value } => list().before_index(at).set(value).apply(shelves),
        Do::Extend(values) => list().end().set(values).apply(shelves),
        Do::SetAt { at, value } => list().nth(at).set(value).apply(shelves),
        Do::RemoveAt(at) => list().nth(at).remove().apply(shelves),
        Do::RemoveRange { from, to } => list().range(from..to).remove().apply(shelves),
        Do::MoveTo { from, to } => list().index(from).move_to(to).apply(shelves),
        Do::AddTag(tag) => tags().add_elem().set(tag).apply(shelves),
        Do::RemoveTag(tag) => tags().elem(tag).remove().apply(shelves),
        Do::SetName { name, value } => names().key(name).set(value).apply(shelves),
        Do::AddToName { name, more } => names().key(name).add(more).apply(shelves),
        Do::RemoveName(name) => names().key(name).remove().apply(shelves),
        Do::RenameTo { from, to } => names().map_key(from).set(to).apply(shelves),
        Do::SetNames(all) => {
            all.into_iter().map(|(name, value)| names().key(name).set(value).apply(shelves)).sum()
        }
        Do::Note(note) => SHELVES.key(1).field(Shelf::NOTE).some().set(note).apply(shelves),
        Do::ForgetNote => SHELVES.key(1).field(Shelf::NOTE).some().remove().apply(shelves),
        Do::Lend(to) => {
            SHELVES.key(1).field(Shelf::STATE).variant(State::LENT).set((to, 1)).apply(shelves)
        }
        Do::LendAgain => {
            let times = SHELVES.key(1).field(Shelf::STATE).variant(State::LENT).part::<1>();
            times.add(1).apply(shelves)
        }
        Do::Replace(first) => SHELVES
            .key(1)
            .update(|it| {
                *it =
                    Shelf { list: [first].into(), tags: Set::new(), names: Map::new(), ..shelf() };
            })
            .apply(shelves),
        Do::End => SHELVES.key(1).remove().apply(shelves),
    };
}

fn names(diff: &Diff) -> Vec<String> {
    let name = |edit: &Edit| {
        let kind = format!("{:?}", edit.kind());
        kind.split([' ', '{']).next().unwrap_or_default().to_owned()
    };
    diff.edits().iter().map(name).collect()
}

/// What came of each, in order.
fn changes(all: impl IntoIterator<Item = Do>) -> Test<Vec<Change<Shelf>>> {
    let local = Local::<Shelves>::new(1)?;
    let client = local.client();
    futures::executor::block_on(async {
        local.append(DONE, Do::Begin)?;
        let mut shelf = client.watch(SHELVES.key(1)).await?;
        next(&mut shelf).await;
        let mut changes = Vec::new();
        for done in all {
            local.append(DONE, done)?;
            changes.push(next(&mut shelf).await);
        }
        Ok(changes)
    })
}

#[test]
fn r082_each_transform_is_told_as_what_it_is() -> Test {
    let name = |name: &str| Str::from(name);
    let all = [
        (Do::Append(1), "Inserted"),
        (Do::Prepend(2), "Inserted"),
        (Do::InsertBefore { at: 3, value: 3 }, "Inserted"),
        (Do::Extend([7, 8, 9].into()), "Spliced"),
        (Do::SetAt { at: 2, value: 77 }, "ElementChanged"),
        (Do::RemoveAt(4), "ElementRemoved"),
        (Do::RemoveRange { from: 1, to: 4 }, "Spliced"),
        (Do::MoveTo { from: 5, to: 1 }, "Moved"),
        (Do::MoveTo { from: 0, to: 6 }, "Moved"),
        (Do::AddTag(5), "ElemAdded"),
        (Do::RemoveTag(1), "ElemRemoved"),
        (Do::SetName { name: name("c"), value: 3 }, "KeyAdded"),
        (Do::SetName { name: name("c"), value: 4 }, "KeyChanged"),
        (Do::AddToName { name: name("a"), more: 6 }, "KeyChanged"),
        (Do::RemoveName(name("a")), "KeyRemoved"),
        (Do::RenameTo { from: name("b"), to: name("z") }, "KeyRenamed"),
        (Do::SetNames([(name("x"), 1), (name("y"), 2)].into()), "KeyAdded KeyAdded"),
        (Do::Note(name("torn")), "PartChanged"),
        (Do::Note(name("mended")), "PartChanged"),
        (Do::ForgetNote, "PartRemoved"),
        (Do::Lend(name("alice")), "PartChanged"),
        (Do::LendAgain, "PartChanged"),
        (Do::Replace(4), "Replaced"),
        (Do::End, "Removed"),
    ];
    let (done, expected): (Vec<Do>, Vec<&str>) = all.into_iter().unzip();
    let told: Vec<String> = changes(done)?.iter().map(|it| names(&it.diff).join(" ")).collect();
    // Where little is left of it, the value as a whole is told.
    assert_eq!(told, expected);
    Ok(())
}

/// Keeps a list by what it is told: it knows how to set a position, to append and to take the last.
fn follow(list: &mut Vec<u64>, diff: &Diff) -> Test {
    for edit in diff.edits() {
        match edit.kind() {
            EditKind::ElementChanged { at, value } => list[at as usize] = value.decode()?,
            EditKind::Inserted { at, value } if at == list.len() as u64 => {
                list.push(value.decode()?);
            }
            EditKind::ElementRemoved { at } if at + 1 == list.len() as u64 => drop(list.pop()),
            unhandled => return Err(format!("{unhandled:?}").into()),
        }
    }
    Ok(())
}

#[test]
fn r083_edits_are_told_in_simpler_words_to_who_knows_no_others() -> Test {
    let all = [
        Do::Prepend(2),
        Do::InsertBefore { at: 3, value: 3 },
        Do::Extend([7, 8, 9].into()),
        Do::RemoveAt(4),
        Do::RemoveRange { from: 1, to: 4 },
        Do::MoveTo { from: 5, to: 1 },
        Do::Append(5),
    ];
    let mut list: Vec<u64> = (10..20).collect();
    for change in changes(all)? {
        // As they are, it does not know them all.
        let simple = change.diff.expand(change.old.as_ref())?;
        follow(&mut list, &simple)?;
        let expected: Vec<u64> = change.new.into_iter().flat_map(|shelf| shelf.list).collect();
        assert_eq!(list, expected);
    }
    Ok(())
}
