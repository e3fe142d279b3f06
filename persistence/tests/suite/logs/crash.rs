//! Kills and power losses at every operation: what was acknowledged is there, once and in order;
//! what was not is there as whole batches or not at all.

use gridmill_persistence::log::HowStopped;
use gridmill_persistence::{Faults, LogError, Position, SimStorage};

use super::{Entry, Maker, open, push, read_all};

/// What a run of the log has promised so far.
#[derive(Default)]
struct Model {
    /// Batches in the order of writing; the log holds a prefix of them.
    batches: Vec<Vec<(Position, Entry)>>,
    /// How many of them a sync has acknowledged.
    acknowledged: usize,
    maker: Maker,
    makers: Vec<Maker>,
}

impl Model {
    fn work(&mut self, storage: &SimStorage, seed: u64, steps: u64) -> Result<(), LogError> {
        let (mut log, recovered) = open(storage)?;
        let found = read_all(&log.reader())?;
        self.settle(&found);
        assert_eq!(recovered.end.number(), found.len() as u64);
        for step in 0..steps {
            let dice = seed.wrapping_mul(31).wrapping_add(step * 7 + 3) % 10;
            self.makers.push(self.maker.clone());
            let batch: Vec<_> = (0..=dice)
                .map(|_| {
                    let entry = self.maker.next(seed);
                    (push(&mut log, &entry), entry)
                })
                .collect();
            self.batches.push(batch);
            if step % 2 == 0 {
                log.write_direct()?
            } else {
                log.write()?
            };
            if dice.is_multiple_of(3) {
                log.syncer().sync()?;
                self.acknowledged = self.batches.len();
            } else if dice % 3 == 1 {
                log.syncer().expose();
            }
        }
        if seed.is_multiple_of(5) {
            log.close_clean()?;
            self.acknowledged = self.batches.len();
        }
        Ok(())
    }

    /// Compares what a restart found, and goes on from there.
    fn settle(&mut self, found: &[(Position, Entry)]) {
        let mut at = 0;
        let mut whole = 0;
        for batch in &self.batches {
            if at == found.len() {
                break;
            }
            assert_eq!(found.get(at..at + batch.len()), Some(&batch[..]), "batch {whole} is torn");
            at += batch.len();
            whole += 1;
        }
        assert_eq!(at, found.len(), "more was found than written");
        assert!(whole >= self.acknowledged, "{whole} batches of {} left", self.acknowledged);
        if whole < self.batches.len() {
            self.maker = self.makers[whole].clone();
        }
        self.batches.truncate(whole);
        self.makers.truncate(whole);
        // A restart makes durable what it shows.
        self.acknowledged = whole;
    }
}

/// Four lives, each ended by a power loss or a kill as `power_loss` says, then one that looks.
fn run(seed: u64, power_loss: impl Fn(u64) -> bool) {
    let mut storage = SimStorage::with_faults(seed, Faults::default());
    let mut model = Model::default();
    for life in 0..4 {
        let at = 1 + (seed * 13 + life * 29) % 90;
        storage.set_faults(Faults { power_off: Some(at), ..Faults::default() });
        if let Err(error @ LogError::Damaged { .. }) =
            model.work(&storage, seed + life, 2 + seed % 59)
        {
            panic!("seed {seed}, life {life}: {error}");
        }
        storage = if power_loss(life) { storage.crash() } else { storage.kill() };
    }
    model.work(&storage, seed, 3).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let (log, _) = open(&storage.kill()).expect("opened");
    log.reader().verify().expect("whole");
}

#[test]
fn power_losses_take_only_what_was_not_acknowledged() {
    (0..2000).for_each(|seed| run(seed, |_| true));
}

#[test]
fn kills_take_nothing_that_was_written() {
    (0..500).for_each(|seed| run(seed, |_| false));
}

#[test]
fn what_a_restart_after_a_kill_has_shown_survives_a_power_loss() {
    (0..1000).for_each(|seed| run(seed, |life| (seed + life) % 2 == 1));
}

#[test]
fn each_unclean_start_begins_an_epoch_and_clean_ones_do_not() {
    let mut storage = SimStorage::new();
    let mut maker = Maker::default();
    for epoch in 0..5 {
        let (mut log, recovered) = open(&storage).expect("opened");
        assert_eq!(recovered.end, Position::new(epoch, maker.made));
        super::write(&mut log, &mut maker, 4);
        log.syncer().sync().expect("synced");
        log.close_clean().expect("closed");
        let (mut log, recovered) = open(&storage).expect("opened");
        assert_eq!(recovered.how, HowStopped::Clean);
        super::write(&mut log, &mut maker, 4);
        drop(log);
        storage = storage.kill();
    }
    let (log, recovered) = open(&storage).expect("opened");
    assert_eq!(recovered.how, HowStopped::Unclean);
    assert_eq!(read_all(&log.reader()).expect("read").len(), 40);
}
