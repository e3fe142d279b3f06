//! Row 233: a record that always panics is set aside, visible, and handled again when asked.

use std::sync::Arc;

use gridmill::client::AppendErrorKind;
use gridmill::persistence::{Position, SimStorage, Storage};
use gridmill::prelude::*;
use gridmill::{Quarantined, StartError};

type Test = Result<(), Box<dyn std::error::Error>>;

const EVENTS: Depot<(Str, u64)> = Depot::hash_by("poison/events", |event| (&event.0).into());
const SUMS: PState<Map<Str, u64>> = PState::new("poison/sums");
const COUNTS: PState<Map<Str, u64>> = PState::new("poison/counts");

/// Panics on 13.
struct Poisoned;
/// The same module after its handler was repaired.
struct Repaired;

impl Module for Poisoned {
    const NAME: &'static str = "poison";

    fn define(module: &mut Setup) {
        define(module, |(key, number), sums| {
            *sums.entry(key).or_default() += number;
            assert_ne!(number, 13, "no thirteen, please");
        });
    }
}

impl Module for Repaired {
    const NAME: &'static str = "poison";
    const VERSION: u32 = 2;

    fn define(module: &mut Setup) {
        define(module, |(key, number), sums| *sums.entry(key).or_default() += number);
    }
}

fn define(module: &mut Setup, sum: fn((Str, u64), &mut Map<Str, u64>)) {
    module.depot(EVENTS);
    module.stream("sums", SUMS).source(EVENTS).each(sum);
    module.stream("counts", COUNTS).source(EVENTS).each(count);
}

fn count((key, _): (Str, u64), counts: &mut Map<Str, u64>) {
    *counts.entry(key).or_default() += 1;
}

async fn start<M: Module>(disk: &Arc<SimStorage>) -> Result<Grid, StartError> {
    let disk: Arc<dyn Storage> = Arc::clone(disk) as _;
    Grid::in_memory().partitions(2).storage(disk).module::<M>().start().await
}

async fn of_ann(client: &Client) -> Result<(u64, u64), Box<dyn std::error::Error>> {
    let sum = client.select_one(SUMS.key("ann")).await?.unwrap_or(0);
    let count = client.select_one(COUNTS.key("ann")).await?.unwrap_or(0);
    Ok((sum, count))
}

/// The one record that stands in quarantine.
fn only(grid: &Grid) -> Quarantined {
    let mut all = grid.quarantine();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// Appends numbers to ann; one of them is poison, another of them comes in a batch after it.
async fn poison(client: &Client) -> Test {
    client.append(EVENTS, ("ann".into(), 1)).await?;
    let error = client.append(EVENTS, ("ann".into(), 13)).await.expect_err("it panics");
    let AppendErrorKind::Rejected(rejected) = &error.kind else { panic!("{error}") };
    let rejection = &rejected.rejections[0];
    assert!(rejection.quarantined && rejection.message.contains("no thirteen"), "{rejection}");
    client.append_many(EVENTS, [("ann".into(), 20), ("ann".into(), 300)]).await?;
    Ok(())
}

#[tokio::test]
async fn r233_poison_is_set_aside_and_the_rest_flows() -> Test {
    let disk = Arc::new(SimStorage::new());
    let grid = start::<Poisoned>(&disk).await?;
    let client = grid.client();
    poison(&client).await?;
    assert_eq!(of_ann(&client).await?, (321, 4), "the other topology has taken it");
    let record = only(&grid);
    assert_eq!((record.module.as_str(), record.topology.as_str()), ("poison", "sums"));
    assert_eq!(record.partition, RouteKey::from("ann").partition(2));
    assert_eq!((record.depot.as_str(), record.offset), ("poison/events", 1));
    assert_eq!(record.attempts, 3);
    assert!(record.message.contains("no thirteen"), "{}", record.message);
    let logged = client.depot_read(EVENTS, record.partition, 1..2).await?;
    assert_eq!(logged[0].event, ("ann".into(), 13), "it stays in the depot");
    assert_eq!((logged[0].position, logged[0].time), (record.position.to_bits(), record.time));

    // It still panics: it goes back, under its new position.
    let again = grid.retry_quarantined(&record).await.expect_err("it panics again");
    assert!(again.message.contains("no thirteen"), "{again}");
    let moved = only(&grid);
    assert!(moved.position > record.position, "{moved:?}");
    assert_eq!((moved.offset, of_ann(&client).await?), (1, (321, 4)));
    let gone = grid.retry_quarantined(&record).await.expect_err("the old position is gone");
    assert!(gone.message.contains("no record at position"), "{gone}");
    Ok(())
}

#[tokio::test]
async fn r233_quarantine_outlives_restarts_and_is_emptied_by_a_retry() -> Test {
    let disk = Arc::new(SimStorage::new());
    let grid = start::<Poisoned>(&disk).await?;
    poison(&grid.client()).await?;
    let record = only(&grid);
    grid.halt().await;
    // The replay skips what the verdict names: it is a record of the log.
    let grid = start::<Poisoned>(&disk).await?;
    assert!(grid.stats().total(|partition| partition.replayed) > 0);
    assert_eq!(only(&grid), record);
    assert_eq!(of_ann(&grid.client()).await?, (321, 4));
    grid.shutdown().await?;
    // The snapshot holds it too; another version of the handlers gets it when asked.
    let grid = start::<Repaired>(&disk).await?;
    assert_eq!(only(&grid), record);
    assert_eq!(of_ann(&grid.client()).await?, (321, 4));
    grid.retry_quarantined(&record).await?;
    assert_eq!(of_ann(&grid.client()).await?, (334, 4), "once, by the one topology");
    assert!(grid.quarantine().is_empty());
    grid.halt().await;
    let grid = start::<Repaired>(&disk).await?;
    assert_eq!(of_ann(&grid.client()).await?, (334, 4), "the retry is replayed, once");
    assert!(grid.quarantine().is_empty());
    grid.shutdown().await?;
    let grid = start::<Repaired>(&disk).await?;
    assert_eq!(of_ann(&grid.client()).await?, (334, 4));
    Ok(())
}

#[tokio::test]
async fn r233_a_discarded_record_is_forgotten() -> Test {
    let disk = Arc::new(SimStorage::new());
    let grid = start::<Poisoned>(&disk).await?;
    poison(&grid.client()).await?;
    let record = only(&grid);
    grid.discard_quarantined(&record).await?;
    assert!(grid.quarantine().is_empty());
    grid.discard_quarantined(&record).await.expect_err("it is gone");
    grid.halt().await;
    let grid = start::<Poisoned>(&disk).await?;
    assert!(grid.quarantine().is_empty());
    assert_eq!(of_ann(&grid.client()).await?, (321, 4));
    grid.client().append(EVENTS, ("ann".into(), 1)).await?;
    assert_eq!(of_ann(&grid.client()).await?, (322, 5));
    Ok(())
}

#[tokio::test]
async fn r233_poison_in_a_batch_takes_nothing_with_it() -> Test {
    let grid = start::<Poisoned>(&Arc::default()).await?;
    let client = grid.client();
    let numbers = [1, 13, 20, 13, 300];
    let receipt = client.append_many(EVENTS, numbers.map(|n| ("ann".into(), n))).await?;
    let refused: Vec<_> = receipt.rejections.iter().map(|(index, _)| *index).collect();
    assert_eq!(refused, [1, 3]);
    assert_eq!(of_ann(&client).await?, (321, 5));
    assert_eq!(grid.quarantine().iter().map(|record| record.offset).collect::<Vec<_>>(), [1, 3]);
    Ok(())
}

#[tokio::test]
async fn r233_poison_is_answered_where_nothing_is_synced() -> Test {
    // The verdict is a second write behind the batch: it must not be waited for in vain.
    let never = std::time::Duration::from_secs(3_600);
    for durability in [Durability::Os, Durability::Interval(never), Durability::Sync] {
        let grid = Grid::in_memory().durability(durability).module::<Poisoned>().start().await?;
        poison(&grid.client()).await?;
        assert_eq!(of_ann(&grid.client()).await?, (321, 4), "{durability:?}");
        grid.retry_quarantined(&only(&grid)).await.expect_err("it panics again");
        grid.discard_quarantined(&only(&grid)).await?;
        assert!(grid.quarantine().is_empty(), "{durability:?}");
    }
    Ok(())
}

/// The module without the topology that has set records aside.
struct WithoutSums;

impl Module for WithoutSums {
    const NAME: &'static str = "poison";

    fn define(module: &mut Setup) {
        module.depot(EVENTS).remove("sums").remove("poison/sums");
        module.stream("counts", COUNTS).source(EVENTS).each(count);
    }
}

#[tokio::test]
async fn r233_a_topology_added_again_has_nothing_to_do_with_its_former_life() -> Test {
    let disk = Arc::new(SimStorage::new());
    let grid = start::<Poisoned>(&disk).await?;
    poison(&grid.client()).await?;
    grid.retry_quarantined(&only(&grid)).await.expect_err("it panics again");
    let record = only(&grid);
    grid.shutdown().await?;
    let grid = start::<WithoutSums>(&disk).await?;
    assert!(grid.quarantine().is_empty());
    grid.shutdown().await?;

    // With code that can, it handles what its former self could not, once, in its place.
    let grid = start::<Repaired>(&disk).await?;
    grid.caught_up("sums").await;
    assert!(grid.quarantine().is_empty(), "{:?}", grid.quarantine());
    assert_eq!(of_ann(&grid.client()).await?, (334, 4));
    grid.retry_quarantined(&record).await.expect_err("that was another topology's");
    grid.shutdown().await?;
    let grid = start::<WithoutSums>(&disk).await?;
    grid.shutdown().await?;

    // With code that cannot, it sets aside anew, and a start after a crash knows that.
    let grid = start::<Poisoned>(&disk).await?;
    grid.caught_up("sums").await;
    let aside = only(&grid);
    assert_eq!((aside.offset, aside.attempts), (1, 3));
    assert_ne!(aside.position, record.position, "the one of the retry is not met again");
    assert_eq!(of_ann(&grid.client()).await?, (321, 4));
    grid.client().append(EVENTS, ("ann".into(), 1)).await?;
    grid.halt().await;
    let grid = start::<Poisoned>(&disk).await?;
    grid.caught_up("sums").await;
    assert_eq!(only(&grid), aside);
    assert_eq!(of_ann(&grid.client()).await?, (322, 5));
    grid.discard_quarantined(&aside).await?;
    grid.halt().await;
    let grid = start::<Poisoned>(&disk).await?;
    grid.caught_up("sums").await;
    assert!(grid.quarantine().is_empty());
    assert_eq!(of_ann(&grid.client()).await?, (322, 5));
    Ok(())
}

#[tokio::test]
async fn r233_records_are_set_aside_at_a_start_once_and_before_they_are_handled() -> Test {
    let disk = Arc::new(SimStorage::new());
    let builder = || {
        let storage: Arc<dyn Storage> = Arc::clone(&disk) as _;
        Grid::in_memory().partitions(1).storage(storage)
    };
    let grid = builder().module::<WithoutSums>().start().await?;
    let receipt = grid.client().append(EVENTS, ("ann".into(), 1)).await?;
    grid.client().append(EVENTS, ("ann".into(), 20)).await?;
    grid.shutdown().await?;

    // One topology has handled the record, the other will read it in the past.
    let position = Position::from_bits(receipt.position);
    let again = || builder().module::<Poisoned>().quarantine_at("poison", 0, position).start();
    let mut grid = again().await?;
    grid.caught_up("sums").await;
    let record = only(&grid);
    assert_eq!((record.topology.as_str(), record.position, record.attempts), ("sums", position, 0));
    assert_eq!(of_ann(&grid.client()).await?, (20, 2));
    grid.retry_quarantined(&record).await?;
    assert_eq!(of_ann(&grid.client()).await?, (21, 2));

    // Whoever leaves it in the code does not set aside again what was seen to.
    for number in 2..5 {
        grid.client().append(EVENTS, ("ann".into(), 100)).await?;
        grid.halt().await;
        grid = again().await?;
        grid.caught_up("sums").await;
        assert!(grid.quarantine().is_empty(), "{:?}", grid.quarantine());
        assert_eq!(of_ann(&grid.client()).await?, (21 + 100 * (number - 1), number + 1));
    }
    Ok(())
}

/// What a handler panics with; to drop it panics too.
struct Loud;

impl Drop for Loud {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("dropping a panic panics");
        }
    }
}

struct Exploding;

impl Module for Exploding {
    const NAME: &'static str = "exploding";

    fn define(module: &mut Setup) {
        define(module, |(key, number), sums| {
            *sums.entry(key).or_default() += number;
            if number == 13 {
                std::panic::panic_any(Loud);
            }
        });
    }
}

// Row 233: whatever a handler panics with, its record is set aside and the partition goes on.
#[tokio::test]
async fn r233_a_panic_that_panics_when_it_is_dropped() -> Test {
    let grid = Grid::in_memory().partitions(2).module::<Exploding>().start().await?;
    let client = grid.client();
    client.append(EVENTS, ("ann".into(), 1)).await?;
    let error = client.append(EVENTS, ("ann".into(), 13)).await.err().ok_or("it was handled")?;
    assert!(matches!(error.kind, AppendErrorKind::Rejected(_)), "{error}");
    client.append(EVENTS, ("ann".into(), 2)).await?;
    assert_eq!(of_ann(&client).await?, (3, 3));
    assert_eq!(grid.quarantine().len(), 1);
    assert_eq!(grid.stats().total(|partition| partition.restarts), 0);
    Ok(())
}
