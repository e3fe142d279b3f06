//! What changed between two values: each kind of change is told as what it is, and applying what was told makes the
//! new value of the old one.

use gridmill_macros::record;
use gridmill_model::aggregate::{Aggregate, Count};
use gridmill_model::diff::{Diff, Edit, EditKind, Op};
use gridmill_model::path::{PathErrorKind, Step};
use gridmill_model::prelude::*;
use gridmill_model::{Bytes, State};

use proptest::prelude::*;

/// The diff, which makes `new` of `old`, also when it was sent, and when it is in simple edits.
#[track_caller]
fn diff_of<T: State>(old: &T, new: &T) -> Diff {
    let diff = Diff::between(Some(old), Some(new));
    let mut value = Some(old.clone());
    diff.apply(&mut value).unwrap();
    assert_eq!(value.as_ref(), Some(new), "{diff:?}");
    let sent: Diff = postcard::from_bytes(&postcard::to_stdvec(&diff).unwrap()).unwrap();
    assert_eq!(sent, diff);
    let simple = diff.expand(Some(old)).unwrap();
    let mut value = Some(old.clone());
    simple.apply(&mut value).unwrap();
    assert_eq!(value.as_ref(), Some(new), "{simple:?}");
    assert!(simple.edits().iter().all(is_simple), "{simple:?}");
    // Elements only come behind the last, and go from there: nothing moves.
    let mut value = Some(old.clone());
    for edit in simple.edits() {
        let before = value.clone();
        Diff::from(vec![edit.clone()]).apply(&mut value).unwrap();
        let again = Diff::between(before.as_ref(), value.as_ref()).expand(before.as_ref()).unwrap();
        assert!(again.edits().len() <= 1, "{edit:?} is {again:?}");
    }
    diff
}

fn is_simple(edit: &Edit) -> bool {
    !matches!(
        edit.kind(),
        EditKind::Spliced { .. }
            | EditKind::Moved { .. }
            | EditKind::KeyRenamed { .. }
            | EditKind::Other
    )
}

/// What the edits are, as they read.
#[track_caller]
fn told<T: State>(old: &T, new: &T) -> Vec<String> {
    let diff = diff_of(old, new);
    diff.edits().iter().map(|edit| format!("{} {}", place(edit), name(edit))).collect()
}

fn place(edit: &Edit) -> String {
    let names = edit.steps.iter().map(|step| match step {
        Step::Nth(at) | Step::Index(at) | Step::BeforeIndex(at) => format!("{} {at}", step.name()),
        Step::Range(from, to) => format!("range {from}..{to}"),
        Step::Field(at) | Step::Variant(at) => format!("{} {at}", step.name()),
        step => step.name().to_owned(),
    });
    format!("[{}]", names.collect::<Vec<_>>().join(", "))
}

fn name(edit: &Edit) -> String {
    let text = format!("{:?}", edit.kind());
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}

fn list(numbers: impl IntoIterator<Item = u64>) -> List<u64> {
    numbers.into_iter().collect()
}

#[record(crate = gridmill_model)]
struct Post {
    title: Str,
    tags: Set<u32>,
    draft: Option<List<u64>>,
    at: (u32, Str),
}

#[record(crate = gridmill_model)]
enum Mood {
    Calm,
    Loud(u32),
    Mixed { share: u32, words: List<u64> },
}

fn post() -> Post {
    Post { title: "a".into(), tags: [1, 2].into(), draft: Some(list([1, 2])), at: (1, "x".into()) }
}

#[test]
fn equal_values_have_no_diff() {
    assert!(Diff::between(Some(&post()), Some(&post())).is_empty());
    assert!(Diff::between::<u64>(None, None).is_empty());
    assert!(Diff::between(Some(&f64::NAN), Some(&f64::NAN)).is_empty());
    let lists = [vec![f64::NAN, 1.0], vec![f64::NAN, 1.0]].map(List::from);
    assert!(Diff::between(Some(&lists[0]), Some(&lists[1])).is_empty());
}

#[test]
fn values_come_and_go() {
    let mut value: Option<u64> = None;
    let came = Diff::between(None, Some(&5_u64));
    assert!(matches!(came.edits()[0].kind(), EditKind::Replaced { .. }));
    came.apply(&mut value).unwrap();
    assert_eq!(value, Some(5));
    let went = Diff::between(Some(&5_u64), None);
    assert_eq!(went.edits()[0].kind(), EditKind::Removed);
    went.apply(&mut value).unwrap();
    assert_eq!(value, None);
    assert_eq!(told(&1_u32, &2), ["[] Replaced"]);
}

#[test]
fn entries_come_change_go_and_are_renamed() {
    let old: Map<Str, u64> = [("a".into(), 1), ("b".into(), 2), ("c".into(), 3)].into();
    let mut new = old.clone();
    new.insert("d".into(), 4);
    assert_eq!(told(&old, &new), ["[key] KeyAdded"]);
    new.insert("a".into(), 9);
    assert_eq!(told(&old, &new), ["[must] KeyChanged", "[key] KeyAdded"]);
    new = old.clone();
    new.remove("b");
    assert_eq!(told(&old, &new), ["[must] KeyRemoved"]);
    new.insert("z".into(), 2);
    let diff = diff_of(&old, &new);
    let EditKind::KeyRenamed { from, to } = diff.edits()[0].kind() else { panic!("{diff:?}") };
    assert_eq!(
        (from.decode::<Str>().unwrap(), to.decode::<Str>().unwrap()),
        ("b".into(), "z".into())
    );
}

#[test]
fn members_come_and_go() {
    let old: Set<u64> = (0..100).collect();
    let mut new = old.clone();
    new.insert(1_000);
    new.remove(5_u64);
    let mut edits = told(&old, &new);
    edits.sort();
    assert_eq!(edits, ["[add_elem] ElemAdded", "[elem] ElemRemoved"]);
}

/// Of a list in one block, of one in a tree, and of one that shares nothing with what it was before.
fn forms() -> [List<u64>; 3] {
    [list(0..10), list(0..2_000), list(0..2_000)]
}

#[test]
fn elements_come_change_go_and_move() {
    for (form, old) in forms().into_iter().enumerate() {
        let len = old.len() as u64;
        let changed = |change: &dyn Fn(&mut List<u64>)| {
            let mut new = if form == 2 { old.iter().copied().collect() } else { old.clone() };
            change(&mut new);
            told(&old, &new)
        };
        let one = |text: &str| vec![text.to_owned()];
        assert_eq!(
            changed(&|new| new.push_back(77)),
            one(&format!("[before_index {len}] Inserted"))
        );
        assert_eq!(changed(&|new| new.push_front(77)), one("[before_index 0] Inserted"));
        assert_eq!(changed(&|new| drop(new.insert(4, 77))), one("[before_index 4] Inserted"));
        assert_eq!(changed(&|new| drop(new.remove(3))), one("[nth 3] ElementRemoved"));
        assert_eq!(changed(&|new| drop(new.set(3, 77))), one("[nth 3] ElementChanged"));
        assert_eq!(changed(&|new| drop(new.move_to(7, 2))), one("[index 7] Moved"));
        assert_eq!(changed(&|new| drop(new.move_to(1, 9))), one("[index 1] Moved"));
        let two = changed(&|new| {
            new.set(1, 77);
            new.set(8, 78);
        });
        assert_eq!(two, ["[nth 1] ElementChanged", "[nth 8] ElementChanged"]);
        let end = format!("[range {len}..{len}] Spliced");
        assert_eq!(changed(&|new| new.extend([7, 8, 9])), one(&end));
        let cut = changed(&|new| new.truncate(len as usize - 3));
        assert_eq!(cut, one(&format!("[range {}..{len}] Spliced", len - 3)));
        let slid = changed(&|new| {
            new.push_front(77);
            new.pop_back();
        });
        assert_eq!(
            slid,
            [format!("[nth {}] ElementRemoved", len - 1), "[before_index 0] Inserted".into()]
        );
        let slid = changed(&|new| {
            new.push_back(77);
            new.pop_front();
        });
        assert_eq!(
            slid,
            [format!("[before_index {len}] Inserted"), "[nth 0] ElementRemoved".into()]
        );
    }
}

#[test]
fn parts_of_records_change_by_themselves() {
    let old = post();
    let changed = |change: &dyn Fn(&mut Post)| {
        let mut new = old.clone();
        change(&mut new);
        told(&old, &new)
    };
    assert_eq!(changed(&|new| new.title = "b".into()), ["[field 0] PartChanged"]);
    assert_eq!(changed(&|new| drop(new.tags.insert(7))), ["[field 1, add_elem] ElemAdded"]);
    let pushed = changed(&|new| new.draft.as_mut().unwrap().push_back(3));
    assert_eq!(pushed, ["[field 2, some, before_index 2] Inserted"]);
    assert_eq!(changed(&|new| new.draft = None), ["[field 2, some] PartRemoved"]);
    assert_eq!(changed(&|new| new.at.1 = "y".into()), ["[field 3, field 1] PartChanged"]);
    let none = Post { draft: None, ..old.clone() };
    assert_eq!(told(&none, &old), ["[field 2, some] PartChanged"]);
}

#[test]
fn variants_change_inside_or_are_another() {
    let mixed = |share, words: &[u64]| Mood::Mixed { share, words: list(words.iter().copied()) };
    assert_eq!(told(&Mood::Calm, &Mood::Loud(1)), ["[] Replaced"]);
    assert_eq!(told(&Mood::Loud(1), &Mood::Loud(2)), ["[variant 1] PartChanged"]);
    let words = told(&mixed(1, &[1, 2]), &mixed(1, &[1, 2, 3]));
    assert_eq!(words, ["[variant 2, field 1, before_index 2] Inserted"]);
    assert!(told(&Mood::Calm, &Mood::Calm).is_empty());
}

#[test]
fn a_diff_is_as_small_as_what_changed() {
    let old: Map<Str, u64> = (0..100_000).map(|n| (Str::from(format!("key-{n:05}")), n)).collect();
    let mut new = old.clone();
    new.insert("another".into(), 1);
    let diff = diff_of(&old, &new);
    let sent = postcard::to_stdvec(&diff).unwrap().len();
    assert!(sent <= 64 && diff.bytes() <= 64, "{sent} bytes");
    // Where little is left, one value takes the place of the other.
    let far: Map<Str, u64> = (0..1_000).map(|n| (Str::from(format!("other-{n}")), n)).collect();
    let diff = diff_of(&old, &far);
    assert!(matches!(diff.edits()[0].kind(), EditKind::Replaced { .. }));
    assert!(diff.bytes() <= far.encoded_len() + 8);
    // No list of edits is longer than anybody would read.
    let long = list(0..200_000);
    let odd: List<u64> = long.iter().map(|n| n + n % 7 / 6).collect();
    assert!(diff_of(&long, &odd).edits().len() <= 1 << 16);
}

#[test]
fn an_edit_can_be_read_without_the_value() {
    let old: Map<u32, List<Str>> = [(7, ["a".into()].into())].into();
    let mut new = old.clone();
    new.get_mut(7).unwrap().push_front("b".into());
    let diff = diff_of(&old, &new);
    let [edit] = diff.edits() else { panic!("{diff:?}") };
    assert!(matches!(edit.within(), [Step::Must(_)]));
    let EditKind::Inserted { at: 0, value } = edit.kind() else { panic!("{edit:?}") };
    assert_eq!(value.decode::<Str>().unwrap(), "b");
}

#[test]
fn a_diff_of_something_else_is_refused() {
    let (old, new) = (list([1, 2, 3]), list([1, 2, 3, 4]));
    let appended = Diff::between(Some(&old), Some(&new));
    let mut short = Some(list([1]));
    let error = appended.apply(&mut short).unwrap_err();
    assert_eq!(*error.kind(), PathErrorKind::Write);
    let said = "path on a value: expected the value that the diff starts from, got a value without the place of an \
                edit; apply each diff once, in order, or start again from a whole value";
    assert_eq!(error.to_string(), said);
    assert_eq!(short, Some(list([1])));
    let error = appended.apply::<List<u64>>(&mut None).unwrap_err();
    assert!(error.to_string().contains("got no value"), "{error}");
    // Another type, unknown bytes, too many steps.
    assert!(appended.apply(&mut Some(5_u64)).is_err());
    let strange =
        Edit { steps: [Step::Nth(0)].into_iter().collect(), op: Op::Set(Box::new([0xff])) };
    assert!(Diff::from(vec![strange]).apply(&mut Some(old.clone())).is_err());
    let deep = Edit { steps: std::iter::repeat_n(Step::Some, 70).collect(), op: Op::Remove };
    assert!(Diff::from(vec![deep]).apply(&mut Some(old.clone())).is_err());
    let rename = Edit { steps: [].into_iter().collect(), op: Op::Rename(Box::new([])) };
    assert_eq!(rename.kind(), EditKind::Other);
    assert!(Diff::from(vec![rename]).apply(&mut Some(old)).is_err());
}

/// A change of a nested value.
#[derive(Clone, Debug)]
enum Act {
    Put(u8, u64),
    Take(u8),
    Rename(u8, u8),
    Push(u8, u64),
    Front(u8, u64),
    Insert(u8, u16, u64),
    Drop(u8, u16),
    Set(u8, u16, u64),
    Move(u8, u16, u16),
    Grow(u8, u16),
    Cut(u8, u16),
    Sort(u8),
    Tag(u8, u8),
    Draft(u8, Option<u8>),
    Mood(u8, u8),
    /// As after a stop: the value shares nothing with what it was.
    Reread,
}

fn acts() -> impl Strategy<Value = Act> {
    let key = || 0..6_u8;
    let at = || 0..400_u16;
    prop_oneof![
        (key(), any::<u64>()).prop_map(|(k, n)| Act::Put(k, n)),
        key().prop_map(Act::Take),
        (key(), key()).prop_map(|(k, to)| Act::Rename(k, to)),
        (key(), 0..5_u64).prop_map(|(k, n)| Act::Push(k, n)),
        (key(), 0..5_u64).prop_map(|(k, n)| Act::Front(k, n)),
        (key(), at(), 0..5_u64).prop_map(|(k, i, n)| Act::Insert(k, i, n)),
        (key(), at()).prop_map(|(k, i)| Act::Drop(k, i)),
        (key(), at(), 0..5_u64).prop_map(|(k, i, n)| Act::Set(k, i, n)),
        (key(), at(), at()).prop_map(|(k, i, j)| Act::Move(k, i, j)),
        (key(), at()).prop_map(|(k, n)| Act::Grow(k, n)),
        (key(), at()).prop_map(|(k, n)| Act::Cut(k, n)),
        key().prop_map(Act::Sort),
        (key(), any::<u8>()).prop_map(|(k, n)| Act::Tag(k, n)),
        (key(), any::<Option<u8>>()).prop_map(|(k, n)| Act::Draft(k, n)),
        (key(), any::<u8>()).prop_map(|(k, n)| Act::Mood(k, n)),
        Just(Act::Reread),
    ]
}

#[record(crate = gridmill_model)]
struct Shelf {
    list: List<u64>,
    tags: Set<u8>,
    draft: Option<(u8, Vec<u64>)>,
    mood: Mood,
    blob: Bytes,
    weights: List<f64>,
}

type Value = Map<u8, Shelf>;

fn shelf() -> Shelf {
    let (tags, mood, blob) = (Set::new(), Mood::Calm, Bytes::default());
    Shelf { list: List::new(), tags, draft: None, mood, blob, weights: List::new() }
}

fn of(value: &mut Value, key: u8) -> &mut Shelf {
    value.entry(key).or_insert_with(shelf)
}

fn act(value: &mut Value, act: &Act) {
    match *act {
        Act::Put(key, n) => {
            of(value, key).weights.push_back(if n % 3 == 0 { f64::NAN } else { n as f64 })
        }
        Act::Take(key) => drop(value.remove(key)),
        Act::Rename(key, to) => {
            if let Some(shelf) = value.remove(key) {
                value.insert(to, shelf);
            }
        }
        Act::Push(key, n) => of(value, key).list.push_back(n),
        Act::Front(key, n) => of(value, key).list.push_front(n),
        Act::Insert(key, at, n) => drop(of(value, key).list.insert(at.into(), n)),
        Act::Drop(key, at) => drop(of(value, key).list.remove(at.into())),
        Act::Set(key, at, n) => drop(of(value, key).list.set(at.into(), n)),
        Act::Move(key, from, to) => drop(of(value, key).list.move_to(from.into(), to.into())),
        Act::Grow(key, n) => of(value, key).list.extend(0..u64::from(n)),
        Act::Cut(key, n) => of(value, key).list.truncate(n.into()),
        Act::Sort(key) => of(value, key).list.sort_by(|a, b| a.cmp(b)),
        Act::Tag(key, n) => {
            let tags = &mut of(value, key).tags;
            if !tags.insert(n) {
                tags.remove(n);
            }
        }
        Act::Draft(key, n) => of(value, key).draft = n.map(|n| (n % 3, vec![1; (n % 40).into()])),
        Act::Mood(key, n) => {
            of(value, key).mood = match n % 3 {
                0 => Mood::Calm,
                1 => Mood::Loud(n.into()),
                _ => Mood::Mixed { share: n.into(), words: list(0..u64::from(n % 5)) },
            }
        }
        Act::Reread => *value = postcard::from_bytes(&postcard::to_stdvec(value).unwrap()).unwrap(),
    }
}

/// The bytes: unlike `==`, they tell that a `NaN` is one.
fn bytes(value: Option<&Value>) -> Vec<u8> {
    postcard::to_stdvec(&value).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn r077_applying_a_diff_makes_the_new_value(
        acts in prop::collection::vec(prop::collection::vec(acts(), 1..5), 1..24),
        every in 1..4_usize,
    ) {
        let mut now = Some(Value::new());
        let (mut seen, mut simple) = (now.clone(), now.clone());
        for (number, batch) in acts.iter().enumerate() {
            batch.iter().for_each(|it| act(now.as_mut().unwrap(), it));
            if number % every != 0 {
                continue;
            }
            let diff = Diff::between(seen.as_ref(), now.as_ref());
            diff.expand(seen.as_ref()).unwrap().apply(&mut simple).unwrap();
            diff.apply(&mut seen).unwrap();
            prop_assert_eq!(bytes(seen.as_ref()), bytes(now.as_ref()), "{:?}", diff);
            prop_assert_eq!(bytes(simple.as_ref()), bytes(now.as_ref()));
            let whole = now.as_ref().unwrap().encoded_len();
            prop_assert!(diff.bytes() <= whole.max(64) + 16, "{} of {whole}", diff.bytes());
        }
    }

    #[test]
    fn bytes_of_any_origin_are_applied_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(diff) = postcard::from_bytes::<Diff>(&bytes) {
            let mut value = Some(Value::from([(1, shelf())]));
            let _ = diff.apply(&mut value);
            diff.edits().iter().for_each(|edit| drop(format!("{:?}", edit.kind())));
        }
    }
}

#[test]
fn moves_of_random_lists_are_moves() {
    let counted = (0..40_u64).flat_map(|from| (0..40_u64).map(move |to| (from, to)));
    let moves = counted.filter(|(from, to)| from != to).map(|(from, to)| {
        let old = list(100..140);
        let mut new = old.clone();
        new.move_to(from as usize, to as usize);
        let diff = diff_of(&old, &new);
        let [edit] = diff.edits() else { panic!("{diff:?}") };
        assert!(matches!(edit.kind(), EditKind::Moved { .. }), "{diff:?}");
    });
    assert_eq!(Count::new().over(moves).unwrap(), 40 * 39);
}
