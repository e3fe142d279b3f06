//! One bench for each stage of the path: appending by batch size, applying, publishing, selecting,
//! reading a run, opening.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench that cannot run may panic")]

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::FutureExt;
use gridmill::client::{Ack, Client};
use gridmill::persistence::{FileStorage, Log, LogOptions, RecordMeta};
use gridmill::prelude::*;
use gridmill_benches::modules::count::{COUNTS, CountModule, HITS, Hit, HitsOnly};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const KEYS: u64 = 100_000;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn grid<M: Module>(runtime: &Runtime, folder: &TempDir, durability: Durability) -> Grid {
    let builder = Grid::builder(folder.path()).partitions(1).threads(1).durability(durability);
    runtime.block_on(builder.module::<M>().start()).unwrap()
}

fn hits(count: usize) -> Vec<Hit> {
    let hit = |n: usize| Hit { key: (n as u64).wrapping_mul(7919) % KEYS, note: "".into() };
    (0..count).map(hit).collect()
}

fn append(runtime: &Runtime, client: &Client, hits: Vec<Hit>, ack: Ack) {
    runtime.block_on(client.append_many_with(HITS, hits, ack)).unwrap();
}

/// Durable appends without a topology.
fn appends(criterion: &mut Criterion) {
    let (runtime, folder) = (runtime(), TempDir::new().unwrap());
    let grid = grid::<HitsOnly>(&runtime, &folder, Durability::Sync);
    let client = grid.client();
    let mut group = criterion.benchmark_group("append");
    for batch in [1, 256, 4096] {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
            let run = |hits| append(&runtime, &client, hits, Ack::Appended);
            bencher.iter_batched(|| hits(batch), run, BatchSize::SmallInput);
        });
    }
    group.finish();
    runtime.block_on(grid.halt());
}

/// Records pushed into a batch of the log, and the batch written, not synced.
fn log(criterion: &mut Criterion) {
    let folder = TempDir::new().unwrap();
    let storage = std::sync::Arc::new(FileStorage::new(folder.path()));
    let opened = Log::open(storage, "log".as_ref(), LogOptions::default());
    let (mut log, _) = opened.unwrap();
    let meta =
        |n| RecordMeta { time: 0, depot_offset: n, type_id: 0, source: 0, kind: 0, id: None };
    let mut group = criterion.benchmark_group("log");
    group.throughput(Throughput::Elements(256));
    group.bench_function("256 records of 100 bytes", |bencher| {
        let mut offset = 0;
        bencher.iter(|| {
            for _ in 0..256 {
                log.push(&meta(offset), &[7; 100]).unwrap();
                offset += 1;
            }
            log.write().unwrap()
        });
    });
    group.finish();
}

/// Applying a batch and publishing it, nothing synced.
fn apply_and_publish(criterion: &mut Criterion) {
    let (runtime, folder) = (runtime(), TempDir::new().unwrap());
    let grid = grid::<CountModule>(&runtime, &folder, Durability::Os);
    let client = grid.client();
    append(&runtime, &client, hits(KEYS as usize), Ack::Processed);
    let mut group = criterion.benchmark_group("apply and publish");
    for batch in [1, 256, 4096] {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
            let run = |hits| append(&runtime, &client, hits, Ack::Processed);
            bencher.iter_batched(|| hits(batch), run, BatchSize::SmallInput);
        });
    }
    group.finish();
    runtime.block_on(grid.halt());
}

/// Point selects: of a fresh overlay, of a settled run, and of nothing.
fn selects(criterion: &mut Criterion) {
    let (runtime, folder) = (runtime(), TempDir::new().unwrap());
    let fresh = grid::<CountModule>(&runtime, &folder, Durability::Os);
    append(&runtime, &fresh.client(), hits(KEYS as usize), Ack::Processed);
    let mut group = criterion.benchmark_group("select");
    let mut read = |name: &str, client: &Client, first: u64| {
        let mut n = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                n = (n + 7919) % KEYS;
                black_box(client.select_one(COUNTS.key(first + n)).now_or_never())
            });
        });
    };
    read("overlay", &fresh.client(), 0);
    runtime.block_on(fresh.shutdown()).unwrap();
    let settled = grid::<CountModule>(&runtime, &folder, Durability::Os);
    read("run", &settled.client(), 0);
    read("missing", &settled.client(), KEYS);
    group.finish();
    runtime.block_on(settled.halt());
}

/// Starting on a folder that was stopped cleanly, and stopping again.
fn open(criterion: &mut Criterion) {
    let (runtime, folder) = (runtime(), TempDir::new().unwrap());
    let first = grid::<CountModule>(&runtime, &folder, Durability::Os);
    append(&runtime, &first.client(), hits(KEYS as usize), Ack::Processed);
    runtime.block_on(first.shutdown()).unwrap();
    criterion.bench_function("open and close", |bencher| {
        bencher.iter(|| {
            let grid = grid::<CountModule>(&runtime, &folder, Durability::Os);
            runtime.block_on(grid.shutdown()).unwrap();
        });
    });
}

criterion_group! {
    name = stages;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(2));
    targets = appends, log, apply_and_publish, selects, open
}
criterion_main!(stages);
