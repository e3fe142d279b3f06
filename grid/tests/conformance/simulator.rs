//! Grids that are driven from a seed: everything that goes wrong on its way may go wrong at any step.

use std::process::Command;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use gridmill::persistence::planted::{Bug, plant};
use gridmill::sim::{Failure, Options, run, silence_simulated_panics};

/// Seeds that no run before had, in each run of the tests.
const FRESH_SEEDS: u64 = 40;

/// Seeds within which every planted fault has to be found.
const SEEDS_FOR_A_BUG: u64 = 1000;

/// A fault, and a seed that found it.
fn found(bug: Bug) -> Option<(u64, Failure)> {
    plant(Some(bug));
    let failures = (0..SEEDS_FOR_A_BUG).map(|seed| (seed, run(seed, Options::default()).failure));
    let found = failures.filter_map(|(seed, failure)| Some((seed, failure?))).next();
    plant(None);
    found
}

#[test]
fn a_grid_keeps_what_it_promises_whatever_happens_to_it() {
    silence_simulated_panics();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let first = since.as_micros() as u64;
    println!("seeds {first} to {}", first + FRESH_SEEDS - 1);
    for seed in first..first + FRESH_SEEDS {
        let outcome = run(seed, Options::default());
        if let Some(failure) = outcome.failure {
            panic!("seed {seed}, step {}: {failure}", outcome.steps);
        }
    }
}

#[test]
fn two_runs_of_one_seed_make_the_same_choices() {
    silence_simulated_panics();
    for seed in 0..5 {
        let (one, other) = (run(seed, Options::default()), run(seed, Options::default()));
        assert_eq!((one.digest, one.steps), (other.digest, other.steps), "seed {seed}");
        assert!(one.acknowledged > 0, "seed {seed} appends nothing");
    }
}

#[test]
fn each_planted_bug_is_found() {
    silence_simulated_panics();
    let left = Mutex::new(Bug::ALL.into_iter());
    let next = || left.lock().expect("no finder panics").next();
    let find = || {
        while let Some(bug) = next() {
            match found(bug) {
                Some((seed, failure)) => println!("{bug:?}: seed {seed}: {}", failure.what),
                None => return Some(bug),
            }
        }
        None
    };
    let missed = std::thread::scope(|scope| {
        let finders = [scope.spawn(find), scope.spawn(find)];
        finders.map(|finder| finder.join().expect("what panics in a run is its failure"))
    });
    assert_eq!(missed, [None, None], "nothing finds it");
}

#[test]
fn the_simulator_ends_quietly_when_nobody_reads_what_it_finds() -> std::io::Result<()> {
    for arguments in [&["--help"][..], &["--seeds", "1"]] {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_simulate"));
        let ended = command.args(arguments).stdout(writer).output()?;
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
        assert!(ended.status.success(), "{:?}", ended.status);
    }
    Ok(())
}
