//! Paths over plain values, stored roots and views; records; limits; steps of any origin.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use gridmill_macros::record;
use gridmill_model::engine::{Damaged, ReadStore, RootStore, StoreRange};
use gridmill_model::path::{
    Limits, PathError, PathErrorKind, Step, check_steps, decode_steps, encode_steps, select_json,
};
use gridmill_model::prelude::*;
use gridmill_model::{KeyBytes, Root};
use proptest::prelude::*;

#[record(crate = gridmill_model)]
pub struct Todo {
    pub text: Str,
    pub completed_at: Option<i64>,
}

type Lists = Map<Str, List<u32>>;

const LISTS: PState<Lists> = PState::new("paths/lists");
const COUNTS: PState<Map<u64, i64>> = PState::new("paths/counts");
const TODOS: PState<Map<Str, List<Todo>>> = PState::new("paths/todos");
const TOTAL: PState<Todo> = PState::starting_with("paths/one", || todo("first"));

fn todo(text: &str) -> Todo {
    Todo { text: text.into(), completed_at: None }
}

/// A store as simple as one can be; it notes which keys count as written.
pub(crate) struct Store<V> {
    entries: BTreeMap<KeyBytes, Option<V>>,
    written: BTreeSet<KeyBytes>,
    damaged: Option<KeyBytes>,
}

impl<V: State> Store<V> {
    pub(crate) fn new<R: Root<Value = V>>(root: R) -> Self {
        let entries = root.into_entries().into_iter().map(|(key, value)| (key, Some(value)));
        Self { entries: entries.collect(), written: BTreeSet::new(), damaged: None }
    }

    fn check(&self, key: &[u8]) -> Result<(), Damaged> {
        match &self.damaged {
            Some(damaged) if damaged.as_slice() == key => Err(Damaged::new("run", 7, "crc")),
            _ => Ok(()),
        }
    }
}

impl<V: State> ReadStore<V> for Store<V> {
    fn get(&self, key: &[u8]) -> Result<Option<Ref<'_, V>>, Damaged> {
        self.check(key)?;
        Ok(self.entries.get(key).and_then(Option::as_ref).map(Ref::Borrowed))
    }

    fn len(&self) -> u64 {
        self.entries.values().flatten().count() as u64
    }

    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> StoreRange<'_, V> {
        let entries = self.entries.range::<[u8], _>((from, to));
        Box::new(entries.filter_map(|(key, value)| {
            // Owned values, as those that come out of files.
            let value = Ref::Owned(value.clone()?);
            Some(self.check(key).map(|()| (key.clone(), value)))
        }))
    }
}

impl<V: State> RootStore<V> for Store<V> {
    fn slot_mut(&mut self, key: &[u8]) -> Result<&mut Option<V>, Damaged> {
        self.check(key)?;
        self.written.insert(KeyBytes::from_slice(key));
        Ok(self.entries.entry(KeyBytes::from_slice(key)).or_default())
    }

    fn clear(&mut self) {
        self.entries.clear();
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

fn stored<R: Root>(plain: R) -> R {
    R::from_store(Box::new(Store::new(plain))).unwrap()
}

fn store<R: Root>(root: &mut R) -> &mut Store<R::Value> {
    root.store_mut().unwrap().as_any_mut().downcast_mut().unwrap()
}

fn lists() -> Lists {
    [("a".into(), [3, 1, 2].into()), ("b".into(), List::new()), ("c".into(), [9].into())].into()
}

#[test]
fn fields_of_records_are_read_and_written() {
    let mut todos = Map::new();
    for text in ["one", "two"] {
        TODOS.key("ann").after_elem().set(todo(text)).apply(&mut todos);
    }
    let done = |at| TODOS.key("ann").nth(at).field(Todo::COMPLETED_AT);
    assert_eq!(done(1).set(Some(7)).apply(&mut todos), 1);
    let open = TODOS
        .key("ann")
        .all()
        .filter_selected(|it| it.field(Todo::COMPLETED_AT).filter_eq(None))
        .field(Todo::TEXT);
    assert_eq!(open.select(&todos).unwrap(), ["one"]);
    assert_eq!(done(1).some().select_one(&todos).unwrap(), Some(7));
    assert_eq!(done(0).some().select_one(&todos).unwrap(), None);
    assert_eq!(done(0).some().or(3).select_one(&todos).unwrap(), Some(3));
    done(0).some().set(5).apply(&mut todos);
    done(1).some().remove().apply(&mut todos);
    let all = TODOS.map_vals().all().field(Todo::COMPLETED_AT).select(&todos).unwrap();
    assert_eq!(all, [Some(5), None]);
    done(0).remove().apply(&mut todos);
    assert_eq!(done(0).select_one(&todos).unwrap(), Some(None));
}

#[test]
fn a_field_that_is_no_option_stays() {
    let mut one = todo("x");
    let error = TOTAL.field(Todo::TEXT).remove().try_apply(&mut one).unwrap_err();
    assert_eq!(*error.kind(), PathErrorKind::Write);
    assert_eq!(TOTAL.field(Todo::TEXT).remove().apply(&mut one), 0);
    assert_eq!(one, todo("x"));
}

#[test]
fn a_root_that_is_one_value_is_read_in_a_view() {
    let store = Store::new(todo("x"));
    let text = TOTAL.field(Todo::TEXT);
    assert_eq!(text.select_one_view(&store, Limits::DEFAULT).unwrap(), Some("x".into()));
    assert_eq!(TOTAL.into_path().partition(8), None);
    assert_eq!(TOTAL.global().into_path().partition(8), Some(0));
}

#[test]
fn entries_of_a_map_are_pairs() {
    let mut lists = lists();
    let pairs = LISTS.all().select(&lists).unwrap();
    assert_eq!(pairs[2], (Str::new("c"), List::from([9])));
    assert_eq!(LISTS.all().first().select(&lists).unwrap(), ["a", "b", "c"]);
    assert_eq!(LISTS.all().last().last().select(&lists).unwrap(), [2, 9]);
    let path = LISTS.all().filter_selected(|pair| pair.last().last().filter_gt(5_u32)).first();
    path.set("z").apply(&mut lists);
    assert_eq!(LISTS.map_keys().select(&lists).unwrap(), ["a", "b", "z"]);
    let path = LISTS.all().filter_selected(|pair| pair.last().len().filter_eq(0_u64));
    assert_eq!(path.remove().apply(&mut lists), 1);
    assert_eq!(LISTS.len().select_one(&lists).unwrap(), Some(2));
}

#[test]
fn what_is_reached_by_nothing_is_not_written() {
    let mut root = stored(lists());
    LISTS.key("none").index(0).move_to(1).apply(&mut root);
    LISTS.key("none").first().set(1).apply(&mut root);
    LISTS.key("none").update(|list| list.push_back(1)).apply(&mut root);
    LISTS.must("none").set([1]).apply(&mut root);
    LISTS.key("none").remove().apply(&mut root);
    LISTS.map_vals().filter_eq([7]).set([1]).apply(&mut root);
    LISTS.key_range("x"..).remove().apply(&mut root);
    assert!(store(&mut root).written.is_empty());
    LISTS
        .map_vals()
        .filter_selected(|it| it.all().filter_gt(8))
        .after_elem()
        .set(1)
        .apply(&mut root);
    LISTS.key_range("a".."b").map_vals().nth(0).set(8).apply(&mut root);
    let written: Vec<&[u8]> = store(&mut root).written.iter().map(KeyBytes::as_slice).collect();
    assert_eq!(written, [b"a", b"c"]);
}

#[test]
fn elements_that_a_filter_spares_stay_shared() {
    let mut list: Map<Str, List<u32>> = [("a".into(), (0..1000).collect())].into();
    let before = list.clone();
    let path = LISTS.key("a").all().filter_gt(5_000);
    assert_eq!(path.set(0).apply(&mut list), 0);
    assert_eq!(list, before);
}

#[test]
fn damage_ends_selects_and_transforms() {
    let mut root = stored(lists());
    store(&mut root).damaged = Some(KeyBytes::from_slice(b"b"));
    let is_damage = |error: PathError| matches!(error.kind(), PathErrorKind::Damaged(_));
    assert!(LISTS.key("a").select(&root).is_ok());
    assert!(is_damage(LISTS.key("b").select(&root).unwrap_err()));
    assert!(is_damage(LISTS.all().select(&root).unwrap_err()));
    assert!(is_damage(LISTS.key("b").set([1]).try_apply(&mut root).unwrap_err()));
    assert!(is_damage(LISTS.map_vals().set([1]).try_apply(&mut root).unwrap_err()));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        LISTS.key("b").set([1]).apply(&mut root)
    }));
    std::panic::set_hook(hook);
    assert_eq!(unwound.unwrap_err().downcast_ref::<Damaged>().unwrap().offset, 7);
}

#[test]
fn results_and_visited_places_are_limited() {
    let counts: Map<u64, i64> = (0..100).map(|n| (n, n as i64)).collect();
    let store = Store::new(counts);
    let select = |results, places| {
        COUNTS
            .map_vals()
            .filter_lt(10)
            .select_view(&store, Limits { results, places, ..Limits::NONE })
    };
    assert_eq!(select(10, 100).unwrap().len(), 10);
    let error = select(9, 100).unwrap_err();
    assert_eq!(*error.kind(), PathErrorKind::Limit);
    assert!(error.to_string().contains("at most 9 results"), "{error}");
    assert_eq!(*select(10, 99).unwrap_err().kind(), PathErrorKind::Limit);
    let whole = COUNTS.select_limited(&store, 99);
    assert_eq!(*whole.unwrap_err().kind(), PathErrorKind::Limit);
    let first = COUNTS.filter_selected(|it| it.map_vals()).len();
    let places = Limits { results: 1, places: 2, ..Limits::NONE };
    assert_eq!(first.select_one_view(&store, places).unwrap(), Some(100));
}

trait SelectLimited {
    fn select_limited(self, store: &Store<i64>, places: u64) -> Result<Map<u64, i64>, PathError>;
}

impl SelectLimited for PState<Map<u64, i64>> {
    fn select_limited(self, store: &Store<i64>, places: u64) -> Result<Map<u64, i64>, PathError> {
        let found = self
            .into_path()
            .select_one_view(store, Limits { results: 1, places, ..Limits::NONE })?;
        Ok(found.unwrap_or_default())
    }
}

#[test]
fn paths_that_are_too_long_are_refused() {
    let mut path = LISTS.key("a");
    for _ in 0..64 {
        path = path.filter_ne([7]);
    }
    let error = path.select(&lists()).unwrap_err();
    assert!(error.to_string().contains("at most 64 steps, got 65 steps"), "{error}");
    assert!(path.clone().set([1]).try_apply(&mut lists()).is_err());
    assert_eq!(path.set([1]).apply(&mut lists()), 0);
}

#[test]
fn paths_print_as_they_are_built() {
    let path = LISTS.key("ann").filter_selected(|it| it.len().filter_gt(3_u64)).index(0);
    let shown = "paths/lists.key(\"ann\").filter_selected(it.len().filter_gt(0x03)).index(0)";
    assert_eq!(path.to_string(), shown);
    let path = LISTS.key_range("a"..="b");
    assert_eq!(path.to_string(), "paths/lists.key_range(\"a\"..=\"b\")");
}

#[test]
fn a_first_key_says_where_a_path_lives() {
    let path = COUNTS.key(5);
    assert_eq!(path.partition(8), Some(RouteKey::of(&5_u64).partition(8)));
    assert_eq!(COUNTS.must(5).filter_gt(1).partition(8), path.partition(8));
    assert_eq!(COUNTS.map_vals().partition(8), None);
    assert_eq!(COUNTS.filter_selected(|it| it.key(5)).map_vals().partition(8), None);
    let by_hundred = COUNTS.partition_by(|key, count| (key / 100) as u32 % count);
    assert_eq!(by_hundred.key(250).partition(8), Some(2));
    assert_eq!(COUNTS.local().key(5).partition(8), None);
}

#[test]
fn steps_travel_as_bytes() {
    let path = LISTS.key("ann").filter_selected(|it| it.all().filter_gt(3_u32)).nth(2).or(4);
    let bytes = encode_steps("paths/lists", path.steps()).unwrap();
    let steps = decode_steps("paths/lists", &bytes).unwrap();
    assert_eq!(steps.as_slice(), path.steps());
    check_steps::<Lists>("paths/lists", &steps).unwrap();
    let error = check_steps::<Map<u64, i64>>("paths/counts", &steps).unwrap_err();
    assert_eq!(error.step_number(), 1);
    let error = check_steps::<Map<Str, i64>>("paths/counts", &steps).unwrap_err();
    assert_eq!((error.step_number(), error.step()), (3, "all()"));
    assert_eq!(
        error.to_string(),
        "path on PState 'paths/counts', step 3 (all()): expected a list, a set or a map, got i64; \
         leave out `all`, or take it at another place",
    );
}

#[test]
fn conditions_that_lie_about_their_length_are_refused() {
    let steps = [Step::FilterSelected(2), Step::All];
    assert_eq!(check_steps::<Lists>("l", &steps).unwrap_err().step_number(), 1);
    assert!(select_json::<Lists>("l", &Store::new(lists()), &steps, Limits::DEFAULT).is_err());
    let nested = [Step::FilterSelected(8), Step::FilterSelected(7), Step::FilterSelected(6)];
    let nested: Vec<Step> =
        nested.into_iter().chain((0..6).rev().map(Step::FilterSelected)).collect();
    let error = check_steps::<Lists>("l", &nested).unwrap_err();
    assert!(error.to_string().contains("nested at most 8 deep"), "{error}");
}

/// A transform through a path, and the same as plain Rust.
#[derive(Clone, Debug)]
enum Op {
    Append(u8, u32),
    Prepend(u8, u32),
    Move(u8, u64, u64),
    Bump(u8),
    RemoveAbove(u32),
    RemoveNth(u8, u64),
    RemoveKeys(u8, u8),
    Replace(u8, Vec<u32>),
}

fn op() -> impl Strategy<Value = Op> {
    let (key, value, at) = (0..6_u8, 0..20_u32, 0..5_u64);
    prop_oneof![
        (key.clone(), value.clone()).prop_map(|(k, v)| Op::Append(k, v)),
        (key.clone(), value.clone()).prop_map(|(k, v)| Op::Prepend(k, v)),
        (key.clone(), at.clone(), at.clone()).prop_map(|(k, i, j)| Op::Move(k, i, j)),
        key.clone().prop_map(Op::Bump),
        value.clone().prop_map(Op::RemoveAbove),
        (key.clone(), at).prop_map(|(k, i)| Op::RemoveNth(k, i)),
        (key.clone(), key.clone()).prop_map(|(a, b)| Op::RemoveKeys(a, b)),
        (key, prop::collection::vec(value, 0..4)).prop_map(|(k, v)| Op::Replace(k, v)),
    ]
}

fn name(key: u8) -> Str {
    Str::from(format!("k{key}"))
}

fn by_path(root: &mut Lists, op: &Op) {
    match op.clone() {
        Op::Append(k, v) => LISTS.key(name(k)).after_elem().set(v).apply(root),
        Op::Prepend(k, v) => LISTS.key(name(k)).before_elem().set(v).apply(root),
        Op::Move(k, i, j) => LISTS.must(name(k)).index(i).move_to(j).apply(root),
        Op::Bump(k) => LISTS.key(name(k)).all().update(|v| *v += 1).apply(root),
        Op::RemoveAbove(v) => LISTS.map_vals().all().filter_gt(v).remove().apply(root),
        Op::RemoveNth(k, i) => LISTS.key(name(k)).nth(i).remove().apply(root),
        Op::RemoveKeys(a, b) => LISTS.key_range(name(a)..name(b)).remove().apply(root),
        Op::Replace(k, v) => LISTS.key(name(k)).set(v).apply(root),
    };
}

fn by_hand(model: &mut BTreeMap<Str, Vec<u32>>, op: &Op) {
    match op.clone() {
        Op::Append(k, v) => model.entry(name(k)).or_default().push(v),
        Op::Prepend(k, v) => model.entry(name(k)).or_default().insert(0, v),
        Op::Move(k, i, j) => {
            let (i, j) = (i as usize, j as usize);
            if let Some(list) = model.get_mut(&name(k)).filter(|l| i < l.len() && j < l.len()) {
                let value = list.remove(i);
                list.insert(j, value);
            }
        }
        Op::Bump(k) => model.entry(name(k)).or_default().iter_mut().for_each(|v| *v += 1),
        Op::RemoveAbove(limit) => model.values_mut().for_each(|l| l.retain(|v| *v <= limit)),
        Op::RemoveNth(k, i) => {
            let i = i as usize;
            if let Some(list) = model.get_mut(&name(k)).filter(|list| i < list.len()) {
                list.remove(i);
            }
        }
        Op::RemoveKeys(a, b) => model.retain(|key, _| !(name(a) <= *key && *key < name(b))),
        Op::Replace(k, v) => {
            model.insert(name(k), v);
        }
    }
}

/// What a path of a few bytes could make of one select: each is ended by its limit, whatever the data.
#[test]
fn branches_in_branches_come_to_an_end() {
    use gridmill_model::path::{Term, Transformed};
    let many = || Step::Multi(vec![0; 1_000].into());
    let limits = Limits { places: 10_000, ..Limits::DEFAULT };
    let select = |steps: &[Step]| {
        let view = Store::new(Map::from([(Str::from("a"), List::from([1_u32]))]));
        select_json::<Lists>("x", &view, steps, limits).unwrap_err()
    };
    let mut steps = vec![many(); 20];
    assert_eq!(*select(&steps).kind(), PathErrorKind::Limit);
    // Where the result is not even asked for, in conditions and in transforms of values on the way.
    steps.insert(0, Step::FilterSelected(21));
    steps.push(Step::Stop);
    assert_eq!(*select(&steps).kind(), PathErrorKind::Limit);
    steps[0] = Step::Transformed(Box::new(Transformed { count: 20, term: Term::Set([0].into()) }));
    steps.insert(0, Step::MapVals);
    assert_eq!(*select(&steps).kind(), PathErrorKind::Limit);
    steps[1] = Step::Subselect(20);
    assert_eq!(*select(&steps).kind(), PathErrorKind::Limit);
    let error = select(&vec![many(); 65]);
    assert_eq!(error.expected(), "at most 64 steps");
    // Results count by their bytes, too.
    let text = Map::from([(Str::from("a"), List::from_iter((0..100_u32).collect::<Vec<_>>()))]);
    let few = Limits { bytes: 300, ..Limits::DEFAULT };
    let all = LISTS.key("a").all().select_view(&Store::new(text.clone()), few).unwrap_err();
    assert_eq!(
        (all.kind(), all.expected()),
        (&PathErrorKind::Limit, "at most 300 bytes of values")
    );
    let whole = LISTS.key("a").select_one_view(&Store::new(text.clone()), few).unwrap_err();
    assert_eq!(*whole.kind(), PathErrorKind::Limit);
    assert_eq!(
        LISTS.key("a").first_n(20).select_view(&Store::new(text), few).unwrap()[0].len(),
        20
    );
}

proptest! {
    #[test]
    fn transforms_equal_plain_rust(ops in prop::collection::vec(op(), 0..40)) {
        let (mut plain, mut root) = (Lists::new(), stored(Lists::new()));
        let mut model = BTreeMap::<Str, Vec<u32>>::new();
        for op in &ops {
            // A change of all elements of nothing makes no list; the model would.
            if matches!(op, Op::Bump(k) if !model.contains_key(&name(*k))) {
                continue;
            }
            by_path(&mut plain, op);
            by_path(&mut root, op);
            by_hand(&mut model, op);
        }
        let expected: Lists =
            model.into_iter().map(|(key, list)| (key, List::from(list))).collect();
        prop_assert_eq!(&plain, &expected);
        prop_assert_eq!(&root.clone(), &expected);
        let view = Store::new(plain);
        let above = LISTS.map_vals().all().filter_gt(7);
        let naive: Vec<u32> =
            expected.values().flat_map(|l| l.iter().copied().collect::<Vec<_>>())
                .filter(|v| *v > 7).collect();
        prop_assert_eq!(&above.select(&expected).unwrap(), &naive);
        prop_assert_eq!(&above.select(&root).unwrap(), &naive);
        prop_assert_eq!(&above.select_view(&view, Limits::DEFAULT).unwrap(), &naive);
        let keys = LISTS.key_range("k1".."k4");
        prop_assert_eq!(
            keys.select(&expected).unwrap(),
            keys.select_view(&view, Limits::DEFAULT).unwrap()
        );
    }

    #[test]
    fn bytes_of_any_origin_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(steps) = decode_steps("x", &bytes) {
            walk_anything(&steps);
        }
    }

    /// The same where what gathers is sure to come to something, and is compared with bytes of any origin.
    #[test]
    fn gathered_lists_are_compared_with_anything(
        depth in 1..4_u16,
        value in prop::collection::vec(0..4_u8, 0..6),
        kind in 0..3,
    ) {
        use gridmill_model::path::{Compare, Filter, Term, Transformed};
        let value = value.into_boxed_slice();
        let mut steps: Vec<Step> = (0..depth).rev().map(|inner| Step::Subselect(inner + 1)).collect();
        steps.push(Step::MapVals);
        let end = match kind {
            0 => Step::Filter(Box::new(Filter { compare: Compare::Eq, value })),
            1 => Step::Or(value),
            _ => Step::Transformed(Box::new(Transformed { count: 0, term: Term::Set(value) })),
        };
        steps.push(end);
        walk_anything(&steps);
    }

    #[test]
    fn steps_of_any_origin_never_panic(steps in prop::collection::vec(step(), 0..12)) {
        walk_anything(&steps);
    }
}

/// Steps that no builder made, walked unchecked; those that pass the check do not fail.
fn walk_anything(steps: &[Step]) {
    fn walk<R: Root>(root: R, steps: &[Step]) {
        let fits = check_steps::<R>("x", steps);
        let walked = select_json::<R>("x", &Store::new(root), steps, Limits::DEFAULT);
        if let Err(error) = walked {
            // What depends on the values, and not on their types.
            let of_values = [
                PathErrorKind::Json,
                PathErrorKind::Write,
                PathErrorKind::ManyValues,
                PathErrorKind::Overflow,
            ];
            let expected = fits.is_err() || of_values.contains(error.kind());
            assert!(expected, "{error} after a successful check");
        }
    }
    walk(lists(), steps);
    let todos: Map<Str, List<Todo>> = [("a".into(), [todo("x")].into())].into();
    walk(todos, steps);
    let sets: Map<u32, Set<i64>> = [(1, [2, 3].into())].into();
    walk(sets, steps);
    walk(todo("y"), steps);
}

fn step() -> impl Strategy<Value = Step> {
    use gridmill_model::path::{
        Amount, Compare, Edge, Every, Filter, KeyRange, NumberKind, Side, StepKey, Term,
        Transformed, View,
    };
    let key = || prop::collection::vec(any::<u8>(), 0..5).prop_map(|b| KeyBytes::from_slice(&b));
    let near = || prop_oneof![Just(KeyBytes::from_slice(b"a")), key()];
    let value = || prop::collection::vec(any::<u8>(), 0..5).prop_map(Vec::into_boxed_slice);
    let edge = || {
        prop_oneof![
            Just(Edge::Open),
            near().prop_map(Edge::Including),
            near().prop_map(Edge::Excluding)
        ]
    };
    let range = (edge(), edge(), prop::option::of(0..3_u64), any::<bool>());
    let compare = prop::sample::select(vec![Compare::Eq, Compare::Ne, Compare::Gt, Compare::Le]);
    let plain = vec![
        Step::First,
        Step::Last,
        Step::All,
        Step::All,
        Step::MapVals,
        Step::MapKeys,
        Step::Some,
        Step::Len,
        Step::AfterElem,
        Step::AddElem,
        Step::Nth(0),
        Step::Index(0),
        Step::Field(0),
        Step::Field(1),
        Step::Field(9),
        Step::Stop,
        Step::Range(0, 2),
        Step::Range(1, u64::MAX),
        Step::Take(1, Side::First),
        Step::Take(2, Side::Last),
        Step::BeforeIndex(1),
        Step::Splice(Side::First),
        Step::Splice(Side::Last),
        Step::IndexedVals,
        Step::Backwards(Every::Element),
        Step::Backwards(Every::Value),
        Step::Backwards(Every::Key),
        Step::View(View::Sum(NumberKind::Unsigned)),
        Step::View(View::Sum(NumberKind::Signed)),
        Step::View(View::Min),
        Step::View(View::Max),
        Step::View(View::Avg),
        Step::Dispense,
        Step::Variant(0),
    ];
    let count = || 0..4_u16;
    let term = prop_oneof![
        Just(Term::Remove),
        value().prop_map(Term::Set),
        Just(Term::Set([2].into())),
        Just(Term::Add([2].into())),
    ];
    prop_oneof![
        4 => prop::sample::select(plain),
        2 => near().prop_map(Step::Key),
        1 => near().prop_map(Step::Must),
        1 => near().prop_map(Step::Elem),
        1 => near().prop_map(Step::MapKey),
        1 => prop::collection::vec(near().prop_map(StepKey), 0..3).prop_map(|keys| Step::Keys(keys.into())),
        1 => count().prop_map(Step::FilterNotSelected),
        1 => count().prop_map(Step::Filtered),
        1 => count().prop_map(Step::Subselect),
        1 => (any::<bool>(), count()).prop_map(|(one, count)| {
            Step::Collect(if one { Amount::One } else { Amount::All }, count)
        }),
        1 => (count(), count(), count()).prop_map(|(a, b, c)| Step::If(a, b, c)),
        1 => prop::collection::vec(count(), 0..3).prop_map(|counts| Step::Multi(counts.into())),
        2 => (count(), term).prop_map(|(count, term)| {
            Step::Transformed(Box::new(Transformed { count, term }))
        }),
        1 => value().prop_map(Step::Put),
        1 => value().prop_map(Step::Or),
        1 => (0..4_u16).prop_map(Step::FilterSelected),
        1 => (compare, value())
            .prop_map(|(compare, value)| Step::Filter(Box::new(Filter { compare, value }))),
        1 => range.prop_map(|(from, to, limit, keep_last)| {
            Step::KeyRange(Box::new(KeyRange { from, to, limit, keep_last }))
        }),
    ]
}
