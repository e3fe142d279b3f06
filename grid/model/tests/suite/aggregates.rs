//! Aggregators against plain Rust: over values at hand, made in parts and combined, and at the end of paths.

use std::collections::{BTreeMap, BTreeSet};

use gridmill_model::aggregate::{
    Aggregate, Any, Avg, Bag, Collect, Combine, Count, Distinct, Every, First, Group, Last, Limit,
    Max, Min, Sum, Top,
};
use gridmill_model::path::PathErrorKind;
use gridmill_model::prelude::*;
use proptest::prelude::*;

const SUMS: PState<Map<Str, Map<u32, u8>>> = PState::new("sums");
const BEST: PState<Map<Str, List<(u32, u32)>>> = PState::new("best");

/// What values come to, of which those before `at` are aggregated apart from the others.
fn in_parts<G: Combine<In: Clone>>(aggregator: &G, values: &[G::In], at: usize) -> G::Out {
    let part = |values: &[G::In]| {
        let mut state = aggregator.zero();
        values.iter().for_each(|value| aggregator.add(&mut state, value.clone()).unwrap());
        state
    };
    let (front, back) = values.split_at(at);
    let mut all = part(front);
    aggregator.combine(&mut all, part(back)).unwrap();
    aggregator.finish(all)
}

/// Whether an aggregator says this of the values, however they are split.
fn comes_to<G>(aggregator: G, values: &[G::In], at: usize, expected: &G::Out)
where
    G: Combine<In: Clone, Out: PartialEq + std::fmt::Debug>,
{
    assert_eq!(&aggregator.over(values.iter().cloned()).unwrap(), expected);
    assert_eq!(&in_parts(&aggregator, values, at), expected);
}

#[test]
fn r133_aggregates_of_nothing() {
    comes_to(Count::<u32>::new(), &[], 0, &0);
    comes_to(Sum::<u64>::new(), &[], 0, &0);
    comes_to(Avg::<u64>::new(), &[], 0, &None);
    comes_to(Min::<u32>::new(), &[], 0, &None);
    comes_to(Max::<u32>::new(), &[], 0, &None);
    comes_to(First::<u32>::new(), &[], 0, &None);
    comes_to(Last::<u32>::new(), &[], 0, &None);
    comes_to(Every, &[], 0, &true);
    comes_to(Any, &[], 0, &false);
    comes_to(Collect::<u32>::new(), &[], 0, &List::new());
    comes_to(Distinct::<u32>::new(), &[], 0, &Set::new());
    comes_to(Bag::<u32>::new(), &[], 0, &Map::new());
}

#[test]
fn r168_a_path_makes_what_is_missing() {
    let mut sums = Map::new();
    SUMS.key("a").key(1_u32).agg(Sum::new(), 200_u8).apply(&mut sums);
    SUMS.key("a").key(1_u32).agg(Sum::new(), 55_u8).apply(&mut sums);
    SUMS.key("a").key(2_u32).agg(Sum::new(), 1_u8).apply(&mut sums);
    let expected = Map::from([(Str::from("a"), Map::from([(1_u32, 255_u8), (2, 1)]))]);
    assert_eq!(sums, expected);
    // What the state cannot take is refused, and changes nothing.
    let error = SUMS.key("a").key(1_u32).agg(Sum::new(), 1_u8).try_apply(&mut sums).unwrap_err();
    assert_eq!(*error.kind(), PathErrorKind::Write);
    assert_eq!(sums, expected);
}

#[test]
fn r170_the_best_of_each_are_kept() {
    let by_score = || Top::new(2, |(_, score): &(u32, u32)| *score).distinct(|(who, _)| *who);
    let mut best = Map::new();
    for played in [(1, 5), (2, 9), (1, 11), (3, 7), (2, 1)] {
        BEST.key("chess").agg(by_score(), played).apply(&mut best);
    }
    assert_eq!(BEST.key("chess").all().select(&best).unwrap(), [(1, 11), (2, 9)]);
}

proptest! {
    #[test]
    fn r167_aggregates_equal_plain_rust(
        values in prop::collection::vec(0..20_u32, 0..40),
        at in any::<prop::sample::Index>(),
    ) {
        let at = at.index(values.len() + 1);
        comes_to(Count::new(), &values, at, &(values.len() as u64));
        comes_to(Sum::new(), &values, at, &values.iter().sum());
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64;
        comes_to(Avg::new(), &values, at, &(!values.is_empty()).then_some(mean));
        comes_to(Min::new(), &values, at, &values.iter().min().copied());
        comes_to(Max::new(), &values, at, &values.iter().max().copied());
        comes_to(First::new(), &values, at, &values.first().copied());
        comes_to(Last::new(), &values, at, &values.last().copied());
        comes_to(Collect::new(), &values, at, &values.iter().copied().collect());
        comes_to(Limit::new(3), &values, at, &values.iter().take(3).copied().collect());
        comes_to(Distinct::new(), &values, at, &values.iter().copied().collect());
        let above = |limit| move |value: u32| value > limit;
        comes_to(Every.of(above(2)), &values, at, &values.iter().all(|value| *value > 2));
        comes_to(Any.of(above(18)), &values, at, &values.iter().any(|value| *value > 18));
        let mut counts = BTreeMap::<u32, u64>::new();
        values.iter().for_each(|value| *counts.entry(*value).or_default() += 1);
        comes_to(Bag::new(), &values, at, &counts.clone().into_iter().collect());
        let by_rest = Group::by(|value: &u32| value % 3).of(Count::new());
        let mut rests = BTreeMap::<u32, u64>::new();
        values.iter().for_each(|value| *rests.entry(value % 3).or_default() += 1);
        comes_to(by_rest, &values, at, &rests.into_iter().collect());
        let best: List<u32> = values.iter().copied().collect::<BTreeSet<_>>().into_iter().rev().take(4).collect();
        comes_to(Top::new(4, |value: &u32| *value).distinct(|value| *value), &values, at, &best);
    }
}
