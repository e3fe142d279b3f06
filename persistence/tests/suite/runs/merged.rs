//! Merging runs, on disk and while reading.

use std::path::Path;
use std::sync::Arc;

use gridmill_persistence::run::{MergedRange, Run, RunError, RunOptions, RunWriter, merge};
use proptest::prelude::*;

use super::model::models;
use super::{Model, aligned, counted, disk, open, slot, written};

/// What several models say together, newest first.
fn together(models: &[Model]) -> Model {
    models.iter().rev().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn merged(runs: &[Run], align: usize, drop_tombstones: bool) -> Result<Run, RunError> {
    let storage = disk();
    let mut writer = RunWriter::create(Arc::clone(&storage), Path::new("out.run"), aligned(align))?;
    merge(runs, &mut writer, drop_tombstones, &mut |_| ())?;
    writer.finish()?;
    open(&storage, "out.run")
}

fn contents(run: &Run) -> Model {
    let entry = |item: Result<(&[u8], gridmill_persistence::run::Slot<'_>), RunError>| {
        let (key, slot) = item.unwrap();
        (key.to_vec(), slot.value().map(<[u8]>::to_vec))
    };
    run.range(std::ops::Bound::Unbounded, std::ops::Bound::Unbounded).map(entry).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_newest_wins(
        models in prop::collection::vec(models(40), 0..5),
        ends in prop::collection::vec(any::<bool>(), 1..8),
    ) {
        let runs: Vec<Run> = models.iter().map(|model| written(model, aligned(8))).collect();
        let mut expected = together(&models);

        let mut items = MergedRange::of_runs(&runs);
        let mut truth = expected.iter().map(|(key, value)| (key.as_slice(), slot(value)));
        for front in ends.iter().cycle() {
            let (got, want) = match front {
                true => (items.next(), truth.next()),
                false => (items.next_back(), truth.next_back()),
            };
            prop_assert_eq!(got.transpose().unwrap(), want);
            if want.is_none() {
                break;
            }
        }

        let kept = merged(&runs, 16, false).unwrap();
        kept.verify().unwrap();
        prop_assert_eq!(&contents(&kept), &expected);
        expected.retain(|_, value| value.is_some());
        let dropped = merged(&runs, 8, true).unwrap();
        dropped.verify().unwrap();
        prop_assert_eq!(contents(&dropped), expected);
    }
}

#[test]
fn the_throttle_hears_of_nearly_all_bytes_in_small_steps() {
    let run = written(&counted(50_000), aligned(8));
    let mut writer = RunWriter::create(disk(), Path::new("out.run"), aligned(8)).unwrap();
    let (mut heard, mut calls) = (0, 0);
    merge(&[run], &mut writer, false, &mut |bytes| {
        assert!((256 << 10..257 << 10).contains(&bytes));
        heard += bytes;
        calls += 1;
    })
    .unwrap();
    assert!(calls >= 4 && writer.bytes_written() - heard < 257 << 10);
}

#[test]
fn runs_of_another_schema_or_alignment_are_not_mixed() {
    let other = written(&counted(3), RunOptions { schema: 5, ..aligned(8) });
    let error = merged(&[other], 8, false).expect_err("another schema");
    assert!(matches!(error, RunError::MergeMismatch { what: "schema", got: 5, .. }), "{error}");
    let wider = written(&counted(3), aligned(16));
    let error = merged(&[wider], 8, false).expect_err("a wider alignment");
    assert!(matches!(error, RunError::MergeMismatch { got: 16, .. }), "{error}");
}
