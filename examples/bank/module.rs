//! The module: a debit where the payer's account is, a hop, a credit where the payee's is.

use gridmill::prelude::*;

#[record]
pub(crate) struct Transfer {
    /// Tells transfers apart.
    pub(crate) number: u64,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) cents: u64,
}

/// How often each part of a transfer was done on a partition.
#[record]
#[derive(Default)]
pub(crate) struct Steps {
    pub(crate) debits: u32,
    pub(crate) credits: u32,
    pub(crate) refunds: u32,
}

pub(crate) const OPENED: Depot<(u64, u64)> =
    Depot::hash_by("bank/opened", |(account, _)| (*account).into());
pub(crate) const TRANSFERS: Depot<Transfer> =
    Depot::hash_by("bank/transfers", |transfer| transfer.from.into());
/// Cents by account.
pub(crate) const FUNDS: PState<Map<u64, u64>> = PState::new("bank/funds");
/// By number of a transfer: each partition notes what it did itself.
pub(crate) const JOURNAL: PState<Map<u64, Steps>> = PState::new("bank/journal").local();

const CREDIT: Stage<Transfer> = Stage::hash_by("credit", |transfer| transfer.to.into());
const REFUND: Stage<Transfer> = Stage::hash_by("refund", |transfer| transfer.from.into());

pub(crate) struct Bank;

impl Module for Bank {
    const NAME: &'static str = "bank";

    fn define(module: &mut Setup) {
        module.depot(OPENED).depot(TRANSFERS);
        module
            .stream("transfers", (FUNDS, JOURNAL))
            .source(OPENED)
            .over(FUNDS)
            .each(open)
            .source(TRANSFERS)
            .each_with(debit)
            .stage(CREDIT)
            .each_with(credit)
            .stage(REFUND)
            .each(refund);
    }
}

type Views<'a> = (&'a mut Map<u64, u64>, &'a mut Map<u64, Steps>);

fn open((account, cents): (u64, u64), funds: &mut Map<u64, u64>) {
    funds.insert(account, cents);
}

/// Refuses whom the funds do not suffice: nothing has happened then.
fn debit(
    transfer: Transfer,
    (funds, journal): Views<'_>,
    flow: &mut Context<'_>,
) -> Result<(), Str> {
    let has = funds.get(transfer.from).map_or(0, |cents| *cents);
    let left = has.checked_sub(transfer.cents).ok_or("insufficient funds")?;
    funds.insert(transfer.from, left);
    journal.entry(transfer.number).or_default().debits += 1;
    flow.send(CREDIT, transfer);
    Ok(())
}

fn credit(transfer: Transfer, (funds, journal): Views<'_>, flow: &mut Context<'_>) {
    match funds.get_mut(transfer.to) {
        Some(cents) => {
            *cents += transfer.cents;
            journal.entry(transfer.number).or_default().credits += 1;
        }
        None => {
            // The caller is refused, and what was done stays: the money goes back.
            flow.reject(&"no such account");
            flow.send(REFUND, transfer);
        }
    }
}

fn refund(transfer: Transfer, (funds, journal): Views<'_>) {
    *funds.entry(transfer.from).or_default() += transfer.cents;
    journal.entry(transfer.number).or_default().refunds += 1;
}
