//! One run: some lives of a grid, each ended by a stop, a kill or a power loss, and a look at what is left.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use gridmill_client::engine::once;
use gridmill_persistence::{Faults, Position, SimStorage};

use crate::builder::GridBuilder;
use crate::panics::text_of;
use crate::shell::clock::Clock;
use crate::shell::partition::{Durability, Msg};

use super::asking;
use super::choices::{Choices, Chosen};
use super::clients::{Common, mend, send, send_at_once, send_many, watch};
use super::grid::SimGrid;
use super::inspect;
use super::later::LONGEST;
use super::ledger::{self, Early, Late, Newer};
use super::once::{Tried, send_once};
use super::options::{Failure, Options, Outcome};
use super::oracle::Oracle;
use super::watching::observe;

/// Things that may happen in one life, at most: more is a grid that does not come to rest.
const STEPS_MAX: u64 = 200_000;

/// Long enough for whatever waits for time.
const LONG: Duration = Duration::from_secs(60);

/// How often time passes until a grid has to be at rest, at most.
const ROUNDS_MAX: u32 = 1_000;

/// Too short for a job that failed a moment ago to be tried again.
const MOMENT: Duration = Duration::from_millis(10);

/// Runs a seed.
pub fn run(seed: u64, options: Options) -> Outcome {
    let mut run = Run::new(seed, options);
    let ended = run.lives();
    let failure = ended.err().map(|what| Failure { what, choices: run.choices.shown() });
    let acknowledged = run.oracle.borrow().acknowledged;
    Outcome { steps: run.choices.step(), digest: run.choices.digest(), acknowledged, failure }
}

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Stopped,
    Killed,
    PowerLost,
}

struct Run {
    options: Options,
    choices: Choices,
    storage: SimStorage,
    clock: Clock,
    durability: Durability,
    partitions: u32,
    oracle: Rc<RefCell<Oracle>>,
    /// Of events about which the outside is asked.
    asks: Rc<RefCell<Oracle>>,
    senders: u64,
    /// Events with ids of their own.
    tried: Tried,
    /// Whether a start came to its end: from then on the folder knows how many partitions it has.
    begun: bool,
    /// Whether the topology that comes and goes is there, and since when, by partition.
    late: Option<Vec<Position>>,
    /// A fault happens once in so many steps.
    fault_every: u64,
}

impl Run {
    fn new(seed: u64, options: Options) -> Self {
        ledger::mend_to(if options.workload.has_quarantine() { 0 } else { u64::MAX });
        asking::begin();
        let mut choices = Choices::new(seed);
        let durability = match choices.below(5) {
            0 => Durability::Interval(Duration::from_millis(5)),
            1 => Durability::Os,
            _ => Durability::Sync,
        };
        let partitions = 1 + choices.below(3) as u32;
        let fault_every = [40, 120, 400, 100_000][choices.below(4)];
        Self {
            options,
            storage: SimStorage::with_faults(choices.number(), Faults::default()),
            clock: Clock::manual(1_000_000),
            durability,
            partitions,
            oracle: Rc::default(),
            asks: Rc::default(),
            senders: 0,
            tried: Tried::default(),
            begun: false,
            late: None,
            fault_every,
            choices,
        }
    }

    fn lives(&mut self) -> Result<(), String> {
        for _ in 0..self.options.lives {
            let mut grid = self.start()?;
            // Otherwise clients come while topologies still read the past.
            if self.choices.once_in(2) {
                self.rest(&mut grid)?;
                self.look(&grid)?;
            }
            self.send_clients(&mut grid);
            let end = self.live(&mut grid)?;
            self.end(grid, end)?;
        }
        self.senders += 1;
        if self.options.workload.has_quarantine() {
            ledger::mend_to(self.senders);
        }
        let mut grid = self.start()?;
        self.rest(&mut grid)?;
        self.look(&grid)?;
        self.end(grid, End::Stopped)?;
        inspect::verify(&self.storage)
    }

    /// Starts the grid, with code that is chosen; the power may go while it starts.
    fn start(&mut self) -> Result<SimGrid, String> {
        let workload = self.options.workload;
        let late = self.choices.once_in(2) && workload.has_catch_up();
        if self.choices.once_in(2) && workload.has_quarantine() {
            // Of all that were there so far.
            ledger::mend_to(self.senders + 1);
        }
        loop {
            if self.choices.once_in(4) {
                self.refused_start()?;
            }
            if self.choices.once_in(4) {
                self.lose_power_later(300);
            }
            let name = if late { "the late topology" } else { "no late topology" };
            self.choices.note(Chosen::Start(name));
            let builder = self.builder();
            let builder = if late { builder.module::<Late>() } else { builder.module::<Early>() };
            match SimGrid::start(&builder, &self.storage, &mut self.choices) {
                Ok(_) if self.storage.is_off() => self.storage = self.lose_power(),
                Ok(grid) => {
                    self.begun = true;
                    self.note_late(late, &grid);
                    return Ok(grid);
                }
                Err(_) if self.storage.is_off() => self.storage = self.lose_power(),
                Err(error) => return Err(format!("the grid does not start: {error}")),
            }
        }
    }

    fn builder(&self) -> GridBuilder {
        GridBuilder::in_memory()
            .partitions(self.partitions)
            .threads(1)
            .check_handlers(false)
            .durability(self.durability)
            .clock(self.clock.clone())
            .overlay_bytes_max(6 << 10)
            .tail_bytes_max(6 << 10)
            .cache_bytes_max(4 << 10)
            .flow_bytes_max(2 << 10)
    }

    /// Remembers from where on the topology that comes and goes is another one than before.
    fn note_late(&mut self, late: bool, grid: &SimGrid) {
        match (late, &self.late) {
            (false, _) => self.late = None,
            (true, None) => {
                self.late =
                    Some(grid.shared().iter().map(|shared| shared.published.log_end()).collect());
            }
            (true, Some(_)) => {}
        }
    }

    /// A start that must be refused leaves every byte as it was.
    fn refused_start(&mut self) -> Result<(), String> {
        if !self.begun {
            return Ok(());
        }
        // A power loss may have taken the lock file, which every start makes.
        drop(self.builder().lock(&self.storage));
        let before = self.storage.digest();
        let newer = self.choices.once_in(2);
        let (what, builder) = if newer {
            ("newer code", self.builder().module::<Newer>())
        } else {
            let builder = self.builder().partitions(self.partitions + 1);
            ("one partition more", builder.module::<Early>())
        };
        self.choices.note(Chosen::Start(what));
        match SimGrid::start(&builder, &self.storage, &mut self.choices) {
            // Every partition has handled all that is in its log: other code need not handle any of it again.
            Ok(grid) if newer => {
                self.storage = self.storage.kill();
                drop(grid);
                self.late = None;
                Ok(())
            }
            Ok(_) => Err("a start with another count of partitions was not refused".to_owned()),
            Err(error) if self.storage.digest() != before => {
                Err(format!("a start that was refused changed the folder: {error}"))
            }
            Err(_) => Ok(()),
        }
    }

    fn send_clients(&mut self, grid: &mut SimGrid) {
        let (oracle, asks) = (Rc::clone(&self.oracle), Rc::clone(&self.asks));
        let observers = grid.observers.clone();
        let common = Common { client: grid.client.clone(), oracle, asks, observers };
        for _ in 0..2 + self.choices.below(3) {
            self.senders += 1;
            let (choices, count) = (self.fork(), 5 + self.choices.below(25) as u64);
            let (common, sender) = (common.clone(), self.senders);
            match self.choices.below(6) {
                0 => grid.tasks.spawn(send_many(common, choices, sender, count * 2)),
                1 => grid.tasks.spawn(send_at_once(common, choices, sender, count * 2)),
                2 | 3 => {
                    let tried = Rc::clone(&self.tried);
                    grid.tasks.spawn(send_once(common, tried, choices, sender, count));
                }
                _ => grid.tasks.spawn(send(common, choices, sender, count)),
            }
        }
        let choices = self.fork();
        grid.tasks.spawn(observe(common.clone(), choices, 12));
        let choices = self.fork();
        grid.tasks.spawn(watch(common, choices, 30));
        if self.options.workload.has_quarantine() {
            let choices = self.fork();
            grid.tasks.spawn(mend(grid.shared(), choices, 20));
        }
    }

    fn fork(&mut self) -> Choices {
        Choices::new(self.choices.number())
    }

    /// Lets things happen until all clients have ended, or the process has.
    fn live(&mut self, grid: &mut SimGrid) -> Result<End, String> {
        let end_early = self.choices.once_in(2).then(|| self.choices.below(600) as u64);
        let begin = self.choices.step();
        while grid.tasks.open() > 0 {
            if end_early.is_some_and(|steps| self.choices.step() - begin >= steps) {
                return Ok(self.sudden_end());
            }
            if self.choices.once_in(self.fault_every)
                && let Some(end) = self.fault(grid)
            {
                return Ok(end);
            }
            self.turn(grid, begin)?;
            if grid.has_given_up() || self.storage.is_off() {
                return Ok(self.sudden_end());
            }
        }
        Ok(if self.choices.once_in(2) { End::Stopped } else { self.sudden_end() })
    }

    fn turn(&mut self, grid: &mut SimGrid, begin: u64) -> Result<(), String> {
        if self.options.until.is_some_and(|until| self.choices.step() >= until) {
            return Err(format!("step {} is reached", self.choices.step()));
        }
        if self.choices.once_in(8) {
            let time = self.clock.now() + self.choices.below(2_000) as i64 - 500;
            self.clock.set(time);
        }
        if self.choices.once_in(16) {
            let time = if self.choices.once_in(8) { LONG } else { MOMENT };
            grid.pass(time);
        }
        if !grid.turn(&mut self.choices) {
            // A sync that goes by interval alone, a job that is tried again, a call that takes too long.
            self.clock.set(self.clock.now() + LONGEST);
            grid.pass(LONG);
            if !grid.turn(&mut self.choices) {
                let open = grid.tasks.open();
                return Err(format!("{open} clients wait, and nothing is left to happen"));
            }
        }
        self.check()?;
        let steps = self.choices.step() - begin;
        if steps == STEPS_MAX / 2 {
            // Where the disk is full, clients may wait until it is not.
            self.storage.set_faults(Faults::default());
        }
        if steps > STEPS_MAX {
            return Err(format!("the grid does not come to rest within {STEPS_MAX} steps"));
        }
        Ok(())
    }

    /// Whether anything was wrong so far.
    fn check(&self) -> Result<(), String> {
        self.oracle.borrow().check()?;
        self.asks.borrow().check()
    }

    /// What ends a life without a word.
    fn sudden_end(&mut self) -> End {
        if self.storage.is_off() || self.choices.once_in(2) { End::PowerLost } else { End::Killed }
    }

    /// Something goes wrong; or the whole life ends.
    fn fault(&mut self, grid: &mut SimGrid) -> Option<End> {
        match self.choices.below(9) {
            0 => {
                self.choices.note(Chosen::Fault("the process is killed"));
                return Some(End::Killed);
            }
            8 => return Some(End::PowerLost),
            1 | 2 => {
                let partition = self.choices.below(self.partitions as usize);
                self.choices.note(Chosen::Fault("a partition is killed"));
                grid.kill(partition);
            }
            3 => {
                self.choices.note(Chosen::Fault("the disk has little room"));
                let bytes = self.choices.below(40 << 10) as u64;
                self.storage.set_faults(Faults { space_left: Some(bytes), ..Faults::default() });
            }
            4 => {
                self.choices.note(Chosen::Fault("the disk is well again"));
                self.storage.set_faults(Faults::default());
            }
            5 => {
                self.choices.note(Chosen::Fault("a write will fail"));
                let nth = 1 + self.choices.below(4) as u64;
                self.storage.set_faults(Faults { fail_write: Some(nth), ..Faults::default() });
            }
            6 => {
                self.choices.note(Chosen::Fault("a sync will fail"));
                let nth = 1 + self.choices.below(4) as u64;
                self.storage.set_faults(Faults { fail_sync: Some(nth), ..Faults::default() });
            }
            _ => self.lose_power_later(40),
        }
        None
    }

    fn lose_power_later(&mut self, operations_max: usize) {
        self.choices.note(Chosen::Fault("the power will go"));
        let nth = 1 + self.choices.below(operations_max) as u64;
        self.storage.set_faults(Faults { power_off: Some(nth), ..Faults::default() });
    }

    fn lose_power(&mut self) -> SimStorage {
        self.choices.note(Chosen::Fault("the power goes"));
        if self.durability != Durability::Sync {
            self.oracle.borrow_mut().forgives(self.durability);
            self.asks.borrow_mut().forgives(self.durability);
        }
        self.storage.crash()
    }

    /// Lets everything end that has begun, without faults.
    fn rest(&mut self, grid: &mut SimGrid) -> Result<(), String> {
        self.storage.set_faults(Faults::default());
        let begin = self.choices.step();
        if self.choices.once_in(2) {
            self.clock.set(self.clock.now() + LONGEST);
        }
        // What has restarted meanwhile may wait for time once more, and calls do again and again.
        for round in 0..ROUNDS_MAX {
            if round > 1 && !grid.has_calls() && grid.tasks.open() == 0 {
                break;
            }
            if grid.has_calls() {
                self.clock.set(self.clock.now() + LONGEST);
            }
            grid.pass(LONG);
            while grid.turn(&mut self.choices) {
                self.check()?;
                if self.choices.step() - begin > STEPS_MAX {
                    return Err(format!("the grid is not at rest after {STEPS_MAX} steps"));
                }
            }
        }
        match grid.tasks.open() {
            0 => Ok(()),
            open => Err(format!("{open} clients were never answered")),
        }
    }

    /// Holds the views of a grid at rest against its log, and its log against what clients were told.
    fn look(&mut self, grid: &SimGrid) -> Result<(), String> {
        let now = self.clock.now();
        inspect::look(grid, &mut self.oracle.borrow_mut(), self.late.as_deref(), now)?;
        inspect::look_at_asks(grid, &mut self.asks.borrow_mut())?;
        grid.observers.check(&grid.client)?;
        self.check()
    }

    fn end(&mut self, mut grid: SimGrid, end: End) -> Result<(), String> {
        match end {
            End::Stopped => {
                self.rest(&mut grid)?;
                self.look(&grid)?;
                self.choices.note(Chosen::Fault("the grid is stopped"));
                self.stop(&mut grid)?;
                grid.save_root()?;
                drop(grid);
                inspect::verify(&self.storage)?;
                self.storage = self.storage.kill();
            }
            // Before what the process holds is dropped: nothing of it may reach the disk any more.
            End::Killed => {
                self.storage = self.storage.kill();
                drop(grid);
            }
            End::PowerLost => {
                self.storage = self.lose_power();
                drop(grid);
            }
        }
        Ok(())
    }

    fn stop(&mut self, grid: &mut SimGrid) -> Result<(), String> {
        let stopped: Rc<RefCell<BTreeMap<u32, String>>> = Rc::default();
        for shared in grid.shared() {
            shared.gate.close();
            let (done, answer) = once::channel();
            shared.send(Msg::Shutdown(done));
            let (partition, stopped) = (shared.partition, Rc::clone(&stopped));
            grid.tasks.spawn(async move {
                let gone = || Err("its actor is gone".to_owned());
                if let Err(message) = answer.await.unwrap_or_else(|_| gone()) {
                    stopped.borrow_mut().insert(partition, message);
                }
            });
        }
        self.rest(grid)?;
        match stopped.borrow().first_key_value() {
            None => Ok(()),
            Some((partition, message)) => {
                Err(format!("partition {partition} does not stop cleanly: {message}"))
            }
        }
    }
}

/// Keeps panics that are part of a run off the terminal.
pub fn silence_simulated_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = text_of(panic.payload());
        if text != Some(ledger::PANIC) {
            before(panic);
        }
    }));
}
