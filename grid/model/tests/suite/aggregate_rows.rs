//! Aggregators: the whole table, over nothing, in parts, and what they refuse.

use gridmill_model::PathError;
use gridmill_model::aggregate::{
    Aggregate, AggregateError, Any, Avg, Bag, Collect, Combine, Concat, Count, Distinct, Every,
    First, Group, Last, Limit, Max, MergeMap, Min, Put, Sum, Top, Union, Without,
};
use gridmill_model::prelude::*;
use proptest::prelude::*;

type Rows = Vec<(String, u64)>;

fn rows(rows: &[(&str, u64)]) -> Rows {
    rows.iter().map(|(key, n)| ((*key).to_owned(), *n)).collect()
}

fn number((_, n): (String, u64)) -> u64 {
    n
}

fn key((key, _): (String, u64)) -> String {
    key
}

#[test]
fn r167_each_one_over_rows_and_over_nothing() -> Result<(), AggregateError> {
    let some = || rows(&[("a", 1), ("b", 5), ("a", 3)]);
    assert_eq!((Count::new().over(some())?, Count::<u8>::new().over([])?), (3, 0));
    let sum = Sum::new().of(number);
    assert_eq!((sum.over(some())?, sum.over([])?), (9, 0));
    let (min, max) = (Min::new().of(number), Max::new().of(number));
    assert_eq!((min.over(some())?, min.over([])?), (Some(1), None));
    assert_eq!((max.over(some())?, max.over([])?), (Some(5), None));
    let avg = Avg::new().of(number);
    assert_eq!((avg.over(some())?, avg.over([])?), (Some(3.0), None));
    let (first, last) = (First::new().of(number), Last::new().of(number));
    assert_eq!((first.over(some())?, first.over([])?), (Some(1), None));
    assert_eq!((last.over(some())?, last.over([])?), (Some(3), None));
    // Typed: nothing is true or false but `bool`s.
    assert_eq!(
        (Every.over([true, true])?, Every.over([true, false])?, Every.over([])?),
        (true, false, true)
    );
    assert_eq!((Any.over([false, true])?, Any.over([false])?, Any.over([])?), (true, false, false));
    let collect = Collect::new().of(number);
    assert_eq!((collect.over(some())?, collect.over([])?), ([1, 5, 3].into(), List::new()));
    let concat = Concat::new();
    assert_eq!(concat.over([List::from([1, 2]), List::new(), List::from([1])])?, [1, 2, 1]);
    let distinct = Distinct::new().of(key);
    assert_eq!((distinct.over(some())?.len(), distinct.over([])?.len()), (2, 0));
    assert_eq!(Union::new().over([Set::from([1, 2]), Set::from([2, 3])])?, [1, 2, 3].into());
    assert!(Union::<u64>::new().over([])?.is_empty());
    let put = Put::new();
    let kept = put.over(some())?;
    assert_eq!(kept, [("a".to_owned(), 3), ("b".to_owned(), 5)].into());
    assert!(Put::<u8, u8>::new().over([])?.is_empty());
    let bag = Bag::new().of(key).over(some())?;
    assert_eq!(bag, [("a".to_owned(), 2), ("b".to_owned(), 1)].into());
    let each = (Count::new(), Sum::new().of(number));
    let groups = Group::by(|row: &(String, u64)| row.0.clone()).of(each);
    let expected = [("a".to_owned(), (2, 4)), ("b".to_owned(), (1, 5))];
    assert_eq!(groups.over(some())?, expected.into());
    assert!(groups.over([])?.is_empty());
    let merged = MergeMap::new(Max::new());
    let maps = [Map::from([(1, Some(2))]), Map::from([(1, Some(9)), (2, None)])];
    assert_eq!(merged.over(maps)?, [(1, Some(9)), (2, None)].into());
    Ok(())
}

#[test]
fn r167_a_sum_that_does_not_fit_is_refused_and_changes_nothing() -> Result<(), AggregateError> {
    let mut sum = 250_u8;
    let error = Sum::new().add(&mut sum, 6).expect_err("256 does not fit");
    assert_eq!((sum, error.to_string().contains("250 + 6")), (250, true), "{error}");
    let both = (Count::new(), Sum::new());
    let mut state = (1, 250_u8);
    assert!(both.add(&mut state, 6).is_err());
    assert_eq!(state, (1, 250), "neither of them has it");
    assert_eq!(Min::new().over([f64::NAN, 2.0, f64::NAN])?, Some(2.0));
    assert_eq!(Max::new().over([f64::NAN])?, None);
    Ok(())
}

#[test]
fn r170_the_top_of_an_order_each_once() -> Result<(), AggregateError> {
    let rows = || rows(&[("a", 1), ("b", 4), ("a", 6), ("c", 2)]);
    let top = |n| Top::new(n, |row: &(String, u64)| row.1);
    let distinct = |n| top(n).distinct(|row| row.0.clone());
    let [a, b, c] = [("a", 6), ("b", 4), ("c", 2)].map(|(id, n)| (id.to_owned(), n));
    assert_eq!(distinct(2).over(rows())?, [a.clone(), b.clone()]);
    assert_eq!(distinct(9).over(rows())?, [a.clone(), b.clone(), c.clone()]);
    assert_eq!(top(9).over(rows())?.len(), 4);
    assert_eq!(distinct(2).reversed().over(rows())?, [("a".to_owned(), 1), c]);
    assert!(top(0).over(rows())?.is_empty() && top(3).over([])?.is_empty());
    // What is stored stays small.
    let (mut state, top) = (top(5).zero(), top(5));
    for n in 0..1_000 {
        top.add(&mut state, (n.to_string(), n))?;
        assert!(state.len() < 10);
    }
    let best: Vec<_> = top.finish(state).iter().map(|row| row.1).collect();
    assert_eq!(best, [999, 998, 997, 996, 995]);
    Ok(())
}

#[test]
fn r171_the_first_few_sorted_reversed_numbered() -> Result<(), AggregateError> {
    let rows = || rows(&[("a", 1), ("b", 4), ("a", 6), ("c", 2)]);
    let numbers = |list: List<(String, u64)>| list.iter().map(|row| row.1).collect::<Vec<_>>();
    assert_eq!(numbers(Limit::new(2).over(rows())?), [1, 4]);
    let sorted = || Limit::new(2).sorted(|row: &(String, u64)| row.1);
    assert_eq!(numbers(sorted().over(rows())?), [1, 2]);
    // The same id may come twice.
    assert_eq!(numbers(sorted().reversed().over(rows())?), [6, 4]);
    let numbered = sorted().reversed().indexed().over(rows())?;
    assert_eq!(numbered, [(0, ("a".to_owned(), 6)), (1, ("b".to_owned(), 4))]);
    assert_eq!(Limit::new(1).indexed().over(rows())?, [(0, ("a".to_owned(), 1))]);
    assert!(Limit::new(0).over(rows())?.is_empty());
    Ok(())
}

#[test]
fn r172_what_is_taken_away_again() -> Result<(), AggregateError> {
    let mut members: Set<u64> = [1, 2].into();
    Without::new().add(&mut members, 2)?;
    Without::new().add(&mut members, 7)?;
    assert_eq!(members, [1].into());
    let mut bag = Bag::new().over([1, 1, 2])?;
    assert!(Bag::new().take(&mut bag, 1_u64));
    assert!(Bag::new().take(&mut bag, 2_u64) && !Bag::new().take(&mut bag, 2_u64));
    assert_eq!(bag, [(1, 1)].into());
    Ok(())
}

const TOTALS: PState<Map<Str, Map<u32, u64>>> = PState::new("aggregates/totals");
const SEEN: PState<Map<Str, List<Set<u64>>>> = PState::new("aggregates/seen");

#[test]
fn r168_what_is_missing_on_the_way_is_made() -> Result<(), PathError> {
    let mut totals = Map::new();
    for (user, day, amount) in [("ann", 1_u32, 5_u64), ("ann", 2, 7), ("bob", 1, 1), ("ann", 1, 2)]
    {
        let total = TOTALS.key(user).key(day).agg(Sum::new(), amount);
        assert_eq!(total.try_apply(&mut totals)?, 1);
    }
    let ann = [(1, 7), (2, 7)].into();
    assert_eq!(totals, [("ann".into(), ann), ("bob".into(), [(1, 1)].into())].into());
    // A list has the places that it has: one is added by a step that adds one.
    let mut seen = Map::new();
    SEEN.key("ann").after_elem().agg(Distinct::new(), 3_u64).try_apply(&mut seen)?;
    SEEN.key("ann").nth(0).agg(Distinct::new(), 4_u64).try_apply(&mut seen)?;
    assert_eq!(SEEN.key("ann").nth(0).select_one(&seen)?, Some([3, 4].into()));
    assert_eq!(SEEN.key("ann").nth(9).agg(Distinct::new(), 4_u64).try_apply(&mut seen)?, 0);
    // What does not fit is an error that leaves all as it is.
    let much = TOTALS.key("bob").key(1_u32).agg(Sum::new(), u64::MAX);
    assert!(much.try_apply(&mut totals).is_err());
    assert_eq!(TOTALS.key("bob").key(1_u32).select_one(&totals)?, Some(1));
    // And `remove` takes the place away.
    TOTALS.key("bob").key(1_u32).remove().try_apply(&mut totals)?;
    assert_eq!(TOTALS.key("bob").len().select_one(&totals)?, Some(0));
    Ok(())
}

/// The spread of numbers: one that users write.
#[derive(Clone)]
struct Spread;

impl Aggregate for Spread {
    type In = i64;
    type State = Option<(i64, i64)>;
    type Out = i64;

    fn zero(&self) -> Self::State {
        None
    }

    fn add(&self, to: &mut Self::State, value: i64) -> Result<(), AggregateError> {
        self.combine(to, Some((value, value)))
    }

    fn finish(&self, state: Self::State) -> i64 {
        state.map_or(0, |(least, most)| most - least)
    }
}

impl Combine for Spread {
    fn combine(&self, to: &mut Self::State, from: Self::State) -> Result<(), AggregateError> {
        *to = match (*to, from) {
            (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
            (one, other) => one.or(other),
        };
        Ok(())
    }
}

#[test]
fn r169_an_own_one_is_used_as_the_others_are() -> Result<(), PathError> {
    const SPREADS: PState<Map<Str, Option<(i64, i64)>>> = PState::new("aggregates/spreads");
    let mut spreads = Map::new();
    for value in [4, -3, 2] {
        SPREADS.key("it").agg(Spread, value).try_apply(&mut spreads)?;
    }
    let state = SPREADS.key("it").select_one(&spreads)?.flatten();
    assert_eq!((Spread.finish(state), Spread.finish(None)), (7, 0));
    Ok(())
}

/// Aggregated in parts is as aggregated at once.
fn check<G: Combine<In: Clone>>(of: &G, values: &[G::In], cut: usize)
where
    G::Out: PartialEq + std::fmt::Debug,
{
    let whole = of.over(values.iter().cloned());
    let parts = values.chunks(cut).map(|part| {
        let mut state = of.zero();
        part.iter().try_for_each(|value| of.add(&mut state, value.clone())).map(|()| state)
    });
    let mut all = of.zero();
    let combined = parts.into_iter().try_for_each(|part| of.combine(&mut all, part?));
    match whole {
        Ok(whole) => {
            combined.expect("its parts fit where the whole does");
            assert_eq!(of.finish(all), whole);
        }
        Err(_) => assert!(combined.is_err()),
    }
}

proptest! {
    #[test]
    fn parts_are_combined_to_what_the_whole_is(
        values in prop::collection::vec(0_u64..50, 0..80),
        cut in 1_usize..20,
    ) {
        let small: Vec<u8> = values.iter().map(|value| *value as u8).collect();
        check(&Count::new(), &values, cut);
        check(&Sum::new(), &values, cut);
        check(&Sum::new(), &small, cut);
        check(&Avg::new(), &values, cut);
        check(&(Min::new(), Max::new(), First::new(), Last::new()), &values, cut);
        check(&Every.of(|value: u64| value < 49), &values, cut);
        check(&Any.of(|value: u64| value == 7), &values, cut);
        check(&(Collect::new(), Distinct::new(), Limit::new(5)), &values, cut);
        check(&Bag::new(), &values, cut);
        check(&Put::new().of(|value: u64| (value % 7, value)), &values, cut);
        check(&Group::by(|value: &u64| value % 5).of(Sum::new()), &values, cut);
        check(&Spread.of(|value: u64| value as i64), &values, cut);
        let pairs: Vec<_> = (0_u64..).zip(&values).map(|(at, value)| (at, *value)).collect();
        check(&Top::new(6, |pair: &(u64, u64)| pair.1), &pairs, cut);
        check(&Top::new(6, |pair: &(u64, u64)| pair.1).distinct(|pair| pair.1), &pairs, cut);
        check(&Limit::new(6).sorted(|pair: &(u64, u64)| pair.1).indexed(), &pairs, cut);
        let sets: Vec<Set<u64>> = values.iter().map(|value| [*value, value / 2].into()).collect();
        check(&Union::new(), &sets, cut);
        let maps: Vec<Map<u64, u64>> = values.iter().map(|value| [(value % 9, 1)].into()).collect();
        check(&MergeMap::new(Sum::new()), &maps, cut);
    }
}
