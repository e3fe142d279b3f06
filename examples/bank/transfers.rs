//! The transfers that are made, and what may become of one.

use std::ops::Range;

use gridmill::client::{AppendError, AppendErrorKind, Receipt};
use gridmill_examples::Failed;

use crate::module::{Steps, Transfer};

/// Accounts have the numbers 1 to this one.
pub(crate) const ACCOUNTS: u64 = 100;
/// What each of them has at first, in cents.
pub(crate) const OPENING: u64 = 10_000;

/// The most that a transfer moves: after some of them, accounts run out of funds.
const CENTS_MAX: u64 = 8_000;
/// One of so many goes to an account that does not exist.
const TO_NOBODY: u64 = 16;
/// More than one life of the bank has.
const NUMBERS_A_LIFE: u64 = 1 << 32;

/// The numbers of the transfers that a process makes, one process after the other.
pub(crate) fn numbers(life: u64) -> Range<u64> {
    life * NUMBERS_A_LIFE..(life + 1) * NUMBERS_A_LIFE
}

/// Who pays whom how much follows from the number: whoever knows that knows the transfer.
pub(crate) fn transfer(number: u64) -> Transfer {
    let bits = mixed(number);
    let from = 1 + bits % ACCOUNTS;
    let to = match (bits >> 16) % TO_NOBODY {
        0 => ACCOUNTS + from,
        // Another one: 1 to ACCOUNTS - 1 further on.
        _ => 1 + (from + (bits >> 24) % (ACCOUNTS - 1)) % ACCOUNTS,
    };
    Transfer { number, from, to, cents: 1 + (bits >> 40) % CENTS_MAX }
}

/// What looks random, and is the same in every process.
pub(crate) fn mixed(number: u64) -> u64 {
    let bits = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits ^ (bits >> 29)
}

/// What the bank says of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    NoFunds,
    NoAccount,
}

impl Answer {
    /// From what the append of a transfer was answered with.
    pub(crate) fn of(answered: Result<Receipt, AppendError<Transfer>>) -> Result<Self, Failed> {
        let error = match answered {
            Ok(_) => return Ok(Self::Done),
            Err(error) => error,
        };
        let AppendErrorKind::Rejected(rejected) = &error.kind else { return Err(error.into()) };
        match rejected.rejections.as_slice() {
            [refusal] if !refusal.quarantined => Ok(match refusal.stage {
                None => Self::NoFunds,
                Some(_) => Self::NoAccount,
            }),
            _ => Err(error.into()),
        }
    }

    /// What has been done where this was answered.
    pub(crate) fn steps(self) -> Steps {
        let (debits, credits, refunds) = match self {
            Self::Done => (1, 1, 0),
            Self::NoFunds => (0, 0, 0),
            Self::NoAccount => (1, 0, 1),
        };
        Steps { debits, credits, refunds }
    }

    /// What it is called where one process tells another.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NoFunds => "no-funds",
            Self::NoAccount => "no-account",
        }
    }

    pub(crate) fn named(name: &str) -> Result<Self, Failed> {
        let all = [Self::Done, Self::NoFunds, Self::NoAccount];
        let found = all.into_iter().find(|answer| answer.name() == name);
        found.ok_or_else(|| format!("`{name}` is no answer of the bank").into())
    }
}
