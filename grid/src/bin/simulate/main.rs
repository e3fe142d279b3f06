//! Runs the simulator on many seeds: a grid, its disk and its clients, with all that can go wrong.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use gridmill::persistence::planted::{Bug, plant};
use gridmill::sim::{Options, Outcome, Workload, run, silence_simulated_panics};
use lexopt::prelude::*;

const USAGE: &str = "\
Runs a simulated grid once for each seed and checks what it holds. A seed that fails is shown with its
last choices; `--seed` repeats it.

Usage: simulate [options]
  --seeds N      so many seeds, from a number on that is shown: 1000
  --from N       from this seed on; without it, from one that no run before had
  --seed S       this seed alone
  --until STEP   ends that seed after this step, and shows what led to it
  --workload W   what goes on beside appends and reads: all; or one of
                 WORKLOADS
  --lives N      lives of the process in each run: 4
  --threads N    threads: one for each core
  --bug NAME     plants a fault, to see that it is found: one of
                 BUGS
  --help         show this

Exit codes: 0 nothing was found, 1 a seed failed, 2 wrong arguments.";

/// Each so many seeds are run twice, and have to make the same choices.
const TWICE: u64 = 50;

/// Seeds that failed and are shown; more say nothing more.
const SHOWN_MAX: u64 = 3;

struct Arguments {
    first: u64,
    count: u64,
    options: Options,
    threads: usize,
    bug: Option<Bug>,
}

fn main() -> ExitCode {
    match read() {
        Ok(Some(arguments)) => simulate(&arguments),
        Ok(None) => {
            let bugs = Bug::ALL.map(Bug::name).join(" ");
            let workloads = Workload::ALL.map(Workload::name).join(" ");
            let usage = USAGE.replace("BUGS", &bugs).replace("WORKLOADS", &workloads);
            say(format_args!("{usage}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("simulate: {error}\nTry `simulate --help`.");
            ExitCode::from(2)
        }
    }
}

/// `None` where help was asked for.
fn read() -> Result<Option<Arguments>, lexopt::Error> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut first, mut count, mut options, mut bug) = (None, 1000, Options::default(), None);
    let (mut threads, mut alone) = (threads, false);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seeds") => count = parser.value()?.parse()?,
            Long("from") => first = Some(parser.value()?.parse()?),
            Long("seed") => {
                first = Some(parser.value()?.parse()?);
                alone = true;
            }
            Long("until") => options.until = Some(parser.value()?.parse()?),
            Long("lives") => options.lives = parser.value()?.parse()?,
            Long("workload") => {
                let named = |name: &str| named("workload", name, &Workload::ALL, Workload::name);
                options.workload = parser.value()?.parse_with(named)?;
            }
            Long("threads") => threads = parser.value()?.parse()?,
            Long("bug") => {
                let named = |name: &str| named("fault", name, &Bug::ALL, Bug::name);
                bug = Some(parser.value()?.parse_with(named)?);
            }
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    if alone {
        count = 1;
    } else if options.until.is_some() {
        return Err("--until belongs to --seed".into());
    }
    if count == 0 || threads == 0 || options.lives == 0 {
        return Err("--seeds, --threads and --lives need a number from 1".into());
    }
    let first = first.unwrap_or_else(fresh);
    Ok(Some(Arguments { first, count, options, threads, bug }))
}

/// The one of `all` that `name_of` calls `name`.
fn named<T: Copy>(
    what: &str,
    name: &str,
    all: &[T],
    name_of: fn(T) -> &'static str,
) -> Result<T, String> {
    let found = all.iter().copied().find(|&one| name_of(one) == name);
    found.ok_or_else(|| format!("there is no {what} `{name}`; see --help"))
}

/// A seed that no run before had.
fn fresh() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as u64
}

fn simulate(arguments: &Arguments) -> ExitCode {
    silence_simulated_panics();
    let begun = Instant::now();
    let Arguments { first, count, threads, .. } = *arguments;
    say(format_args!("seeds {first} to {}", first.wrapping_add(count - 1)));
    let (next, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let (steps, acknowledged) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                plant(arguments.bug);
                loop {
                    let number = next.fetch_add(1, Relaxed);
                    if number >= count || failed.load(Relaxed) >= SHOWN_MAX {
                        break;
                    }
                    let outcome = one(first.wrapping_add(number), number, arguments);
                    steps.fetch_add(outcome.steps, Relaxed);
                    acknowledged.fetch_add(outcome.acknowledged, Relaxed);
                    failed.fetch_add(u64::from(outcome.failure.is_some()), Relaxed);
                }
            });
        }
    });
    let (done, failed) = (next.into_inner().min(count), failed.into_inner());
    let seconds = begun.elapsed().as_secs_f64();
    say(format_args!(
        "{done} seeds, {failed} failed; {} choices, {} events acknowledged; {seconds:.1} s, {:.0} seeds a minute",
        steps.into_inner(),
        acknowledged.into_inner(),
        60.0 * done as f64 / seconds.max(0.001),
    ));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints a line. Where nobody reads any more (`simulate | head`), that is the end, and no failure.
fn say(line: fmt::Arguments<'_>) {
    if let Err(error) = writeln!(io::stdout().lock(), "{line}") {
        if error.kind() == io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        eprintln!("simulate: cannot write what was found: {error}");
        std::process::exit(2);
    }
}

/// Runs a seed, sometimes twice, and shows what it found.
fn one(seed: u64, number: u64, arguments: &Arguments) -> Outcome {
    let outcome = run(seed, arguments.options);
    if let Some(failure) = &outcome.failure {
        say(format_args!(
            "seed {seed} fails at step {}: {failure}repeat it with --seed {seed}",
            outcome.steps
        ));
    } else if number.is_multiple_of(TWICE) {
        let again = run(seed, arguments.options);
        assert_eq!(again.digest, outcome.digest, "seed {seed}: two runs made other choices");
    }
    outcome
}
