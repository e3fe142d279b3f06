//! The operations of the workloads, and what they add up to.

use gridmill::model::RouteKey;
use gridmill::prelude::Str;

use crate::args::Options;
use crate::draw::Draw;
use crate::modules::count::Hit;
use crate::modules::todo::TodoEvent;
use crate::modules::transfers::Transfer;

use super::fan::AUTHORS;

/// The seed of all operations: runs do the same.
const SEED: u64 = 42;

/// Bytes of a hit without its note: a key of up to 2 million, and the note's length.
const KEY_BYTES: usize = 4;

/// A stream of events. Two of the same options are the same.
pub trait Feed {
    /// Their type.
    type Event: gridmill::prelude::Event;

    /// The next one.
    fn next(&mut self) -> Self::Event;

    /// One event for each key, where a workload wants all keys to be there from the start.
    fn every_key(&self) -> impl Iterator<Item = Self::Event> {
        std::iter::empty()
    }
}

/// Hits on random keys.
#[derive(Clone, Debug)]
pub struct Hits {
    draw: Draw,
    keys: u64,
    note: Str,
}

impl Hits {
    /// Hits as the options want them.
    pub fn new(options: &Options) -> Self {
        let note = options.event_bytes.saturating_sub(KEY_BYTES);
        let draw = Draw::new(SEED, options.keys, options.dist);
        Self { draw, keys: options.keys as u64, note: Str::from("x".repeat(note)) }
    }

    /// How many keys there are.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// The key of the next one.
    pub fn key(&mut self) -> u64 {
        self.draw.key()
    }
}

impl Feed for Hits {
    type Event = Hit;

    fn next(&mut self) -> Hit {
        Hit { key: self.draw.key(), note: self.note.clone() }
    }

    fn every_key(&self) -> impl Iterator<Item = Hit> {
        (0..self.keys).map(|key| Hit { key, note: self.note.clone() })
    }
}

/// One user of an application with todos: half of the events are new todos, 40 % complete one, 10 %
/// move one. Users at their cap complete instead.
#[derive(Clone, Debug)]
pub struct Todos {
    draw: Draw,
    cap: u32,
    users: Vec<User>,
}

/// One of the users: what an act needs lies in one place.
#[derive(Clone, Debug)]
struct User {
    /// Made once: to write names is not what is measured.
    name: Str,
    /// How many todos there are.
    len: u32,
}

/// What a user does.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// A new todo at the end of the list.
    New,
    /// Completes the one at this index.
    Complete(u32),
    /// Moves one.
    Move(u32, u32),
}

impl Todos {
    /// All users' events.
    pub fn new(options: &Options) -> Self {
        Self::part(options, 0, 1)
    }

    /// The events of every `step`th user, from `first` on: several feeds share the users between them.
    pub fn part(options: &Options, first: usize, step: usize) -> Self {
        let count = options.keys.div_ceil(step);
        let name = |user: usize| user_name((first + user * step) as u64);
        Self {
            draw: Draw::new(SEED + first as u64, count, options.dist),
            cap: if options.cap == 0 { u32::MAX } else { options.cap as u32 },
            users: (0..count).map(|user| User { name: name(user), len: 0 }).collect(),
        }
    }

    /// The next act, and who does it.
    pub fn act(&mut self) -> (Str, Act) {
        let (user, act) = self.next_act();
        (self.users[user].name.clone(), act)
    }

    /// The next act, and which of the feed's users does it.
    fn next_act(&mut self) -> (usize, Act) {
        let user = self.draw.key() as usize;
        let len = &mut self.users[user].len;
        let kind = self.draw.below(10);
        let act = if *len == 0 || (kind < 5 && *len < self.cap) {
            *len += 1;
            Act::New
        } else if kind < 9 {
            Act::Complete(self.draw.below(u64::from(*len)) as u32)
        } else {
            let (from, to) = (self.draw.below(u64::from(*len)), self.draw.below(u64::from(*len)));
            Act::Move(from as u32, to as u32)
        };
        (user, act)
    }

    /// How many todos the users of this feed have.
    pub fn total(&self) -> u64 {
        self.users.iter().map(|user| u64::from(user.len)).sum()
    }

    /// How many todos `acts` of a feed like this one complete: the same acts on plain vectors.
    pub fn completed(mut fresh: Self, acts: u64) -> u64 {
        let mut lists: Vec<Vec<bool>> = vec![Vec::new(); fresh.users.len()];
        let mut completed = 0;
        for _ in 0..acts {
            let (user, act) = fresh.next_act();
            let list = &mut lists[user];
            match act {
                Act::New => list.push(false),
                Act::Complete(index) => {
                    completed += u64::from(!std::mem::replace(&mut list[index as usize], true));
                }
                Act::Move(from, to) => {
                    let done = list.remove(from as usize);
                    list.insert(to as usize, done);
                }
            }
        }
        completed
    }
}

/// What a user calls themselves.
pub fn user_name(user: u64) -> Str {
    Str::from(format!("user-{user:07}"))
}

/// The text of a todo.
pub const TEXT: &str = "water the plants";

impl Feed for Todos {
    type Event = TodoEvent;

    fn next(&mut self) -> TodoEvent {
        let (user, act) = self.act();
        match act {
            Act::New => TodoEvent::New { user, text: Str::new(TEXT) },
            Act::Complete(index) => TodoEvent::Complete { user, index, at: 1_700_000_000_000_000 },
            Act::Move(from, to) => TodoEvent::Reorder { user, from, to },
        }
    }
}

/// What an account of the transfers has at first: nobody is ever without funds.
pub const OPENING: u64 = 1 << 40;

/// The most that a transfer moves.
const CENTS_MAX: u64 = 100;

/// After so many payees on the payer's own partition, the payer's neighbour is taken.
const PAYEES_MAX: usize = 64;

/// Transfers between accounts of different partitions.
#[derive(Clone, Debug)]
pub struct Transfers {
    draw: Draw,
    accounts: u64,
    partitions: u32,
}

impl Transfers {
    /// Transfers as the options want them.
    pub fn new(options: &Options) -> Self {
        Self::part(options, 0)
    }

    /// Those of one of several callers.
    pub fn part(options: &Options, caller: usize) -> Self {
        Self {
            draw: Draw::new(SEED + caller as u64, options.keys, options.dist),
            accounts: options.keys as u64,
            partitions: options.partitions,
        }
    }

    /// Somebody on another partition than `from`, where there is more than one.
    fn payee(&mut self, from: u64) -> u64 {
        for _ in 0..PAYEES_MAX {
            let to = self.draw.key();
            let partition = |account: u64| RouteKey::from(account).partition(self.partitions);
            if to != from && (self.partitions == 1 || partition(to) != partition(from)) {
                return to;
            }
        }
        (from + 1) % self.accounts
    }

    /// Makes the next `count` transfers on plain numbers.
    pub fn settle(mut self, count: u64, funds: &mut [u64]) {
        for _ in 0..count {
            let Transfer { from, to, cents } = self.next();
            funds[from as usize] -= cents;
            funds[to as usize] += cents;
        }
    }
}

impl Feed for Transfers {
    type Event = Transfer;

    fn next(&mut self) -> Transfer {
        let from = self.draw.key();
        Transfer { from, to: self.payee(from), cents: 1 + self.draw.below(CENTS_MAX) }
    }
}

/// Posts, by each author in turn.
#[derive(Clone, Debug, Default)]
pub struct Posts {
    made: u64,
}

impl Feed for Posts {
    type Event = (u64, u64);

    fn next(&mut self) -> (u64, u64) {
        self.made += 1;
        (self.made % AUTHORS, self.made)
    }
}

/// In how many places two lists differ, and in how many one of them has nothing.
pub fn differing(expected: &[u64], got: &[u64]) -> u64 {
    let different = expected.iter().zip(got).filter(|(expected, got)| expected != got).count();
    (different + expected.len().abs_diff(got.len())) as u64
}
