//! The gate against a model of it: free bytes, and a queue.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use gridmill_client::{Admission, Gate, Refused};
use proptest::prelude::*;

/// Bytes that the gate lets in at a time.
const ROOM: u32 = 10;

#[derive(Clone, Debug)]
enum Step {
    /// Somebody comes and waits if need be.
    Enter(u32),
    /// Somebody comes and does not wait.
    Try(u32),
    /// One of those inside leaves.
    Leave(usize),
    /// One of those who wait gives up.
    GiveUp(usize),
    /// Of those inside, one hands what it has to another.
    Merge(usize, usize),
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..=ROOM + 2).prop_map(Step::Enter),
        3 => (0..=ROOM + 2).prop_map(Step::Try),
        6 => any::<usize>().prop_map(Step::Leave),
        2 => any::<usize>().prop_map(Step::GiveUp),
        1 => any::<(usize, usize)>().prop_map(|(one, other)| Step::Merge(one, other)),
    ];
    let open = prop::collection::vec(step, 0..200);
    (open, any::<bool>()).prop_map(|(mut steps, close)| {
        steps.extend(close.then_some(Step::Close));
        steps
    })
}

type Entering<'a> = Pin<Box<dyn Future<Output = Result<Admission, Refused>> + 'a>>;

fn poll(entering: &mut Entering<'_>) -> Poll<Result<Admission, Refused>> {
    entering.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// What has to hold: who is inside with how many bytes, and who waits for how many.
#[derive(Default)]
struct Model {
    inside: Vec<u32>,
    waiting: VecDeque<u32>,
}

impl Model {
    fn has_room(&self, bytes: u32) -> bool {
        self.inside.iter().sum::<u32>() + bytes <= ROOM
    }

    /// Lets in who is next; returns how many.
    fn admit(&mut self) -> usize {
        let mut admitted = 0;
        while let Some(&bytes) = self.waiting.front().filter(|bytes| self.has_room(**bytes)) {
            self.waiting.pop_front();
            self.inside.push(bytes);
            admitted += 1;
        }
        admitted
    }
}

proptest! {
    #[test]
    fn a_gate_lets_in_what_fits_in_the_order_of_arrival(steps in steps()) {
        let gate = Gate::new(ROOM);
        let mut model = Model::default();
        let mut inside: Vec<Admission> = Vec::new();
        let mut waiting: VecDeque<Entering<'_>> = VecDeque::new();
        for step in steps {
            match step {
                Step::Enter(bytes) | Step::Try(bytes) => {
                    let charge = bytes.clamp(1, ROOM);
                    let fits = model.waiting.is_empty() && model.has_room(charge);
                    if let Step::Try(_) = step {
                        let entered = gate.try_enter(bytes as usize);
                        prop_assert_eq!(entered.as_ref().err(), (!fits).then_some(&Refused::Full));
                        inside.extend(entered);
                    } else {
                        let mut entering: Entering<'_> = Box::pin(gate.enter(bytes as usize));
                        match poll(&mut entering) {
                            Poll::Ready(entered) => inside.push(entered.expect("it is open")),
                            Poll::Pending => waiting.push_back(entering),
                        }
                        if !fits {
                            model.waiting.push_back(charge);
                        }
                    }
                    model.inside.extend(fits.then_some(charge));
                }
                Step::Leave(who) if !inside.is_empty() => {
                    let who = who % inside.len();
                    model.inside.remove(who);
                    drop(inside.remove(who));
                }
                Step::GiveUp(who) if !waiting.is_empty() => {
                    let who = who % waiting.len();
                    model.waiting.remove(who);
                    drop(waiting.remove(who));
                }
                Step::Merge(one, other) if inside.len() > 1 => {
                    let (one, other) = (one % inside.len(), other % (inside.len() - 1));
                    let (taken, bytes) = (inside.remove(one), model.inside.remove(one));
                    inside[other].merge(taken);
                    model.inside[other] += bytes;
                }
                Step::Close => {
                    gate.close();
                    for mut entering in waiting.drain(..) {
                        prop_assert!(matches!(poll(&mut entering), Poll::Ready(Err(Refused::Closed))));
                    }
                    prop_assert!(matches!(gate.try_enter(1), Err(Refused::Closed)));
                    return Ok(());
                }
                Step::Leave(_) | Step::GiveUp(_) | Step::Merge(..) => {}
            }
            for _ in 0..model.admit() {
                let entered = poll(waiting.front_mut().expect("one that the model lets in"));
                let Poll::Ready(entered) = entered else { panic!("the model lets it in") };
                inside.push(entered.expect("it is open"));
                waiting.pop_front();
            }
            prop_assert_eq!(inside.len(), model.inside.len());
            for entering in &mut waiting {
                prop_assert!(poll(entering).is_pending());
            }
        }
    }
}

#[test]
fn threads_that_come_give_up_and_go_never_exceed_the_room_and_lose_none_of_it() {
    let gate = Gate::new(ROOM);
    let inside = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let (gate, inside) = (&gate, &inside);
            scope.spawn(move || {
                for turn in 0..20_000_u32 {
                    let bytes = 1 + (turn + thread) % 7;
                    let mut entering: Entering<'_> = Box::pin(gate.enter(bytes as usize));
                    let entered = match poll(&mut entering) {
                        Poll::Ready(entered) => entered,
                        // Dropped at any moment, also while it is let in.
                        Poll::Pending if turn % 3 == 0 => continue,
                        Poll::Pending => futures::executor::block_on(entering),
                    };
                    let entered = entered.expect("it is open");
                    assert!(inside.fetch_add(bytes, Ordering::SeqCst) + bytes <= ROOM);
                    inside.fetch_sub(bytes, Ordering::SeqCst);
                    drop(entered);
                }
            });
        }
    });
    drop(gate.try_enter(ROOM as usize).expect("all of the room is free again"));
}
