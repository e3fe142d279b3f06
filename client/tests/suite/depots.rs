//! Direct reads of a depot.

use gridmill_client::engine::StoredEvent;
use gridmill_client::{DepotError, DepotRange};
use gridmill_model::{Event, Str};

use crate::appends::{BY_NAME, visit};
use crate::engine::Fixture;

fn record(offset: u64, name: &str) -> StoredEvent {
    let mut bytes = Vec::new();
    visit(name, offset).encode_fields(&mut bytes).expect("it encodes");
    StoredEvent { offset, position: 10 * offset, time: 7, variant: 0, bytes }
}

fn fixture() -> Fixture {
    Fixture::new(|fake| {
        fake.depot(BY_NAME, 2, 1 << 20);
        fake.records = vec![record(0, "alice"), record(1, "bob"), record(2, "carol")];
        fake.records[2].bytes.push(0);
    })
}

#[tokio::test]
async fn info_counts_partitions_and_records() {
    let info = fixture().client.depot_info(BY_NAME).await.expect("it is there");
    assert_eq!(info.partitions, 2);
    assert_eq!(info.ranges, [DepotRange { start: 0, end: 3 }; 2]);
    assert_eq!(info.records(), 6);
}

#[tokio::test]
async fn records_are_read_with_offset_position_and_time() {
    let read = fixture().client.depot_read(BY_NAME, 1, 1..2).await.expect("it is there");
    assert_eq!(read.len(), 1);
    assert_eq!((read[0].offset, read[0].position, read[0].time), (1, 10, 7));
    assert_eq!(read[0].event, (Str::from("bob"), 1));
    assert!(fixture().client.depot_read(BY_NAME, 1, 1..1).await.expect("nothing").is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_refused() {
    let client = fixture().client;
    #[expect(clippy::reversed_empty_ranges, reason = "a caller may get it wrong")]
    for range in [2..4, 3..4, 2..1, 0..u64::MAX] {
        let error = client.depot_read(BY_NAME, 0, range).await.expect_err("out of range");
        assert!(matches!(error, DepotError::OutOfRange { start: 0, end: 3, .. }), "{error}");
    }
    let error = client.depot_read(BY_NAME, 2, 0..1).await.expect_err("there is no partition 2");
    assert!(matches!(error, DepotError::BadPartition { expected: 2, got: 2, .. }));
}

#[tokio::test]
async fn a_record_that_is_no_event_is_named() {
    let error = fixture().client.depot_read(BY_NAME, 0, 0..3).await.expect_err("one byte more");
    assert!(matches!(error, DepotError::Decode { offset: 2, .. }), "{error}");
}
