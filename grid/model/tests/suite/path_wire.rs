//! The bytes of steps: a path that was sent or stored is read by later code as it was meant.

use gridmill_model::KeyBytes;
use gridmill_model::path::{
    Amount, Compare, Edge, Every, Filter, KeyRange, NumberKind, Side, Step, StepKey, Term,
    Transformed, View, decode_steps, encode_steps,
};

fn key() -> KeyBytes {
    KeyBytes::from_slice(b"k")
}

fn step_key() -> StepKey {
    StepKey(key())
}

fn transformed(term: Term) -> Step {
    Step::Transformed(Box::new(Transformed { count: 3, term }))
}

fn range(from: Edge, to: Edge) -> Step {
    Step::KeyRange(Box::new(KeyRange { from, to, limit: Some(7), keep_last: true }))
}

fn vectors() -> Vec<(Step, Vec<u8>)> {
    let filter = Filter { compare: Compare::Gt, value: [9].into() };
    vec![
        (Step::Key(key()), vec![0, 1, b'k']),
        (Step::Must(key()), vec![1, 1, b'k']),
        (Step::Nth(300), vec![2, 0xac, 2]),
        (Step::Index(5), vec![3, 5]),
        (Step::First, vec![4]),
        (Step::Last, vec![5]),
        (Step::All, vec![6]),
        (Step::MapVals, vec![7]),
        (Step::MapKeys, vec![8]),
        (Step::Field(2), vec![9, 2]),
        (Step::Some, vec![10]),
        (Step::Elem(key()), vec![11, 1, b'k']),
        (Step::AfterElem, vec![12]),
        (Step::BeforeElem, vec![13]),
        (Step::AddElem, vec![14]),
        (Step::Or([1, 2].into()), vec![15, 2, 1, 2]),
        (
            range(Edge::Including(key()), Edge::Excluding(key())),
            vec![16, 1, 1, b'k', 2, 1, b'k', 1, 7, 1],
        ),
        (Step::Len, vec![17]),
        (Step::Filter(Box::new(filter)), vec![18, 2, 1, 9]),
        (Step::FilterSelected(4), vec![19, 4]),
        (Step::FilterNotSelected(4), vec![20, 4]),
        (Step::If(1, 2, 3), vec![21, 1, 2, 3]),
        (Step::Multi([1, 2].into()), vec![22, 2, 1, 2]),
        (Step::Stop, vec![23]),
        (Step::Range(1, 2), vec![24, 1, 2]),
        (Step::Take(4, Side::Last), vec![25, 4, 1]),
        (Step::Filtered(2), vec![26, 2]),
        (Step::BeforeIndex(3), vec![27, 3]),
        (Step::Splice(Side::First), vec![28, 0]),
        (Step::MapKey(key()), vec![29, 1, b'k']),
        (Step::IndexedVals, vec![30]),
        (Step::Keys([step_key(), step_key()].into()), vec![31, 2, 1, b'k', 1, b'k']),
        (Step::Backwards(Every::Element), vec![32, 0]),
        (Step::Backwards(Every::Value), vec![32, 1]),
        (Step::Backwards(Every::Key), vec![32, 2]),
        (Step::View(View::Sum(NumberKind::Float)), vec![33, 0, 2]),
        (Step::View(View::Min), vec![33, 1]),
        (Step::View(View::Max), vec![33, 2]),
        (Step::View(View::Avg), vec![33, 3]),
        (transformed(Term::Set([8].into())), vec![34, 3, 0, 1, 8]),
        (transformed(Term::Remove), vec![34, 3, 1]),
        (transformed(Term::Add([8].into())), vec![34, 3, 2, 1, 8]),
        (Step::Subselect(2), vec![35, 2]),
        (Step::Collect(Amount::One, 2), vec![36, 0, 2]),
        (Step::Collect(Amount::All, 2), vec![36, 1, 2]),
        (Step::Put([5].into()), vec![37, 1, 5]),
        (Step::Dispense, vec![38]),
        (Step::Variant(1), vec![39, 1]),
    ]
}

#[test]
fn each_step_has_its_bytes() {
    for (step, bytes) in vectors() {
        let steps = [step];
        let path = [&[1], bytes.as_slice()].concat();
        assert_eq!(encode_steps("x", &steps).unwrap(), path, "{}", steps[0]);
        assert_eq!(decode_steps("x", &path).unwrap().as_slice(), steps, "{}", steps[0]);
    }
    // A step of one's own is its name and its arguments.
    let own = [1, 40, 2, b'm', b'y', 1, 4];
    let steps = decode_steps("x", &own).unwrap();
    assert_eq!(steps[0].name(), "my");
    assert_eq!(encode_steps("x", &steps).unwrap(), own);
}

#[test]
fn bytes_that_are_cut_off_or_unknown_are_refused() {
    for (step, bytes) in vectors() {
        for len in 0..bytes.len() {
            let cut = [&[1], &bytes[..len]].concat();
            assert!(decode_steps("x", &cut).is_err(), "{step} cut to {len} bytes");
        }
    }
    for unknown in [41_u8, 200] {
        let error = decode_steps("x", &[1, unknown]).unwrap_err();
        assert_eq!(error.expected(), "the encoded steps of a path");
    }
    // A length is believed only as far as there are bytes.
    assert!(decode_steps("x", &[0xff, 0xff, 0xff, 0xff, 0x0f, 4]).is_err());
}
