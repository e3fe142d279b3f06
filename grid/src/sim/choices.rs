//! The seed's choices: what runs next, and what goes wrong. Everything that happens in a run follows from
//! them.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::Xxh3Default;

/// How many choices a failing run shows.
const SHOWN: usize = 60;

/// What was chosen to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Chosen {
    /// A partition's actor handles its next message.
    Message(usize, &'static str),
    /// A job of a partition does its next step.
    Job(usize, &'static str),
    /// A client's future is polled.
    Task(usize),
    /// A partition that died is opened again.
    Restart(usize),
    /// The whole grid is started.
    Start(&'static str),
    /// Something goes wrong, or comes back.
    Fault(&'static str),
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(partition, what) => write!(f, "partition {partition} handles {what}"),
            Self::Job(partition, what) => {
                write!(f, "a {what} job of partition {partition} goes on")
            }
            Self::Task(task) => write!(f, "client task {task} is polled"),
            Self::Restart(partition) => write!(f, "partition {partition} is opened again"),
            Self::Start(code) => write!(f, "the grid starts with {code}"),
            Self::Fault(what) => f.write_str(what),
        }
    }
}

/// A generator of choices, and what was chosen.
pub(super) struct Choices {
    /// splitmix64: the same on every machine.
    state: u64,
    step: u64,
    hash: Xxh3Default,
    last: VecDeque<(u64, Chosen)>,
}

impl fmt::Debug for Choices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Choices").field("step", &self.step).finish_non_exhaustive()
    }
}

impl Choices {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed, step: 0, hash: Xxh3Default::new(), last: VecDeque::new() }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.state)
    }

    /// A number below `count`, which is not 0.
    pub(super) fn below(&mut self, count: usize) -> usize {
        (self.number() % count as u64) as usize
    }

    /// True once in `times`, on average.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.number().is_multiple_of(times)
    }

    /// Notes what happens next.
    pub(super) fn note(&mut self, chosen: Chosen) {
        self.step += 1;
        chosen.hash(&mut self.hash);
        if self.last.len() == SHOWN {
            self.last.pop_front();
        }
        self.last.push_back((self.step, chosen));
    }

    pub(super) fn step(&self) -> u64 {
        self.step
    }

    /// Two runs of one seed must agree on it.
    pub(super) fn digest(&self) -> u64 {
        self.hash.finish()
    }

    /// The last choices, oldest first.
    pub(super) fn shown(&self) -> Vec<String> {
        self.last.iter().map(|(step, chosen)| format!("{step:>6}  {chosen}")).collect()
    }
}

/// The output step of splitmix64 (Steele, Lea and Flood, 2014).
pub(super) fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
