//! Checks the books: the total, and every transfer.

use std::collections::BTreeMap;
use std::path::Path;

use gridmill::prelude::*;
use gridmill_examples::{Failed, counted};

use crate::lives::Answers;
use crate::module::{FUNDS, JOURNAL, Steps};
use crate::transfers::{ACCOUNTS, Answer, OPENING, numbers, transfer};

/// Opens the folder that a killed process left, and checks what `life` did against what it had answered; a line
/// that says what was found.
pub(crate) async fn audit(data: &Path, life: u64, answers: &Answers) -> Result<String, Failed> {
    let grid = crate::open(data).await?;
    // What was under way between partitions arrives now.
    grid.processed().await;
    let client = grid.client().with_limit(usize::MAX);
    let total = total(&client).await?;
    let journal = journal(&client, life).await?;
    // Killed as well, in a way: the next process finds no clean end either.
    grid.halt().await;
    let unanswered = journal.keys().filter(|number| !answers.contains_key(number)).count();
    for number in answers.keys().chain(journal.keys()) {
        check(*number, answers.get(number).copied(), journal.get(number))?;
    }
    let count = |wanted| answers.values().filter(|answer| **answer == wanted).count();
    Ok(format!(
        "{}: {} done, {} without funds, {} to nobody; {unanswered} more ended without an answer; {}",
        counted(answers.len() as u64, "answer"),
        count(Answer::Done),
        count(Answer::NoFunds),
        count(Answer::NoAccount),
        in_the_bank(total),
    ))
}

/// What all accounts have together, if it is what there was at first.
pub(crate) async fn total(client: &Client) -> Result<u64, Failed> {
    let total = client.select_all(FUNDS.map_vals()).await?.into_iter().sum();
    let expected = ACCOUNTS * OPENING;
    if total == expected {
        return Ok(total);
    }
    Err(format!("{}, and there were {} at first", in_the_bank(total), money(expected)).into())
}

/// What all partitions together did for each transfer of `life`.
async fn journal(client: &Client, life: u64) -> Result<BTreeMap<u64, Steps>, Failed> {
    let mut sums = BTreeMap::<u64, Steps>::new();
    for (number, steps) in client.select_all(JOURNAL.key_range(numbers(life)).all()).await? {
        let sum = sums.entry(number).or_default();
        sum.debits += steps.debits;
        sum.credits += steps.credits;
        sum.refunds += steps.refunds;
    }
    Ok(sums)
}

/// A transfer that was answered was done exactly as the answer says; any other one as a whole or not at all.
fn check(number: u64, answer: Option<Answer>, steps: Option<&Steps>) -> Result<(), Failed> {
    let transfer = transfer(number);
    let (answered, whole) = match answer {
        Some(answer) => (answer.name(), vec![answer.steps()]),
        None if transfer.to > ACCOUNTS => ("nothing", vec![Answer::NoAccount.steps()]),
        None => ("nothing", vec![Answer::Done.steps()]),
    };
    let done = steps.cloned().unwrap_or_default();
    if whole.contains(&done) {
        return Ok(());
    }
    Err(format!("{transfer:?} was answered `{answered}`, but what was done is {done:?}").into())
}

/// That there is so much in the bank.
pub(crate) fn in_the_bank(cents: u64) -> String {
    format!("{} in the bank", money(cents))
}

/// Cents as people write them.
pub(crate) fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
