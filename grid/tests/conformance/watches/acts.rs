//! A module whose values are watched.

use std::fmt::Debug;

use gridmill::client::{Change, Watch};
use gridmill::model::State;
use gridmill::prelude::*;

pub(super) type Test<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What happens to the list of a key.
#[record]
pub(super) enum Act {
    Push {
        key: u64,
        value: u64,
    },
    Pop {
        key: u64,
    },
    Clear {
        key: u64,
    },
    Touch {
        key: u64,
    },
    /// All entries go, of the partition of the key.
    Empty {
        key: u64,
    },
}

impl Act {
    pub(super) fn key(&self) -> u64 {
        match self {
            Self::Push { key, .. }
            | Self::Pop { key }
            | Self::Clear { key }
            | Self::Touch { key }
            | Self::Empty { key } => *key,
        }
    }
}

pub(super) const ACTS: Depot<Act> = Depot::hash_by("watch/acts", |act| act.key().into());
pub(super) const LISTS: PState<Map<u64, List<u64>>> = PState::new("watch/lists");
pub(super) const SECRET: PState<Map<u64, u64>> = PState::new("watch/secret").private();

pub(super) struct Acts;

impl Module for Acts {
    const NAME: &'static str = "watch";

    fn define(module: &mut Setup) {
        module.depot(ACTS);
        module.stream("lists", (LISTS, SECRET)).source(ACTS).each(act);
    }
}

fn act(act: Act, (lists, secret): (&mut Map<u64, List<u64>>, &mut Map<u64, u64>)) {
    *secret.entry(act.key()).or_default() += 1;
    match act {
        Act::Push { key, value } => lists.entry(key).or_default().push_back(value),
        Act::Pop { key } => {
            if let Some(list) = lists.get_mut(key) {
                list.pop_front();
            }
        }
        Act::Clear { key } => drop(lists.remove(key)),
        Act::Touch { key } => drop(lists.get_mut(key)),
        Act::Empty { .. } => lists.clear(),
    }
}

pub(super) fn push(key: u64, value: u64) -> Act {
    Act::Push { key, value }
}

/// The next item, which goes on from the one before; where it is none, that is wrong.
pub(super) async fn next<V: State + Debug>(watch: &mut Watch<V>) -> Change<V> {
    let before = (watch.value().cloned(), watch.at());
    let change = watch.next().await.expect("it goes on").expect("nothing fails");
    assert_eq!(change.old, before.0, "each goes on from the one before");
    assert!(change.at >= before.1, "positions never go back: {change:?}");
    if !change.resync {
        let mut value = change.old.clone();
        change.diff.apply(&mut value).expect("the diff is of the old value");
        assert_eq!(value, change.new, "{:?}", change.diff);
        assert!(change.old != change.new, "equal values bring nothing: {change:?}");
    }
    assert_eq!(watch.value(), change.new.as_ref());
    change
}

/// Whether nothing more has come.
pub(super) fn is_quiet<V: State>(watch: &mut Watch<V>) -> bool {
    let mut next = std::pin::pin!(watch.next());
    let waker = std::task::Waker::noop();
    next.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending()
}
