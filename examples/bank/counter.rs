//! What a client of the bank sees: a transfer that is done, and two that are refused.

use std::path::Path;

use gridmill::prelude::*;
use gridmill_examples::Failed;

use crate::audit::{in_the_bank, money, total};
use crate::module::{FUNDS, OPENED, TRANSFERS, Transfer};
use crate::say;
use crate::transfers::{ACCOUNTS, Answer, OPENING};

/// Opens all accounts and makes three transfers.
pub(crate) async fn run(data: &Path) -> Result<(), Failed> {
    let grid = crate::open(data).await?;
    let client = grid.client();
    client.append_many(OPENED, (1..=ACCOUNTS).map(|account| (account, OPENING))).await?;
    let each = money(OPENING);
    let all = in_the_bank(total(&client).await?);
    say(&format!("{ACCOUNTS} accounts with {each} each: {all}\n"))?;
    pay(&client, (1, 2, 2_500), (Answer::Done, 7_500)).await?;
    pay(&client, (1, 2, 50_000), (Answer::NoFunds, 7_500)).await?;
    pay(&client, (1, ACCOUNTS + 1, 2_500), (Answer::NoAccount, 7_500)).await?;
    total(&client).await?;
    Ok(grid.shutdown().await?)
}

/// Makes a transfer, says what it is answered with and what the payer has then, and checks both.
async fn pay(
    client: &Client,
    (from, to, cents): (u64, u64, u64),
    (expected, left): (Answer, u64),
) -> Result<(), Failed> {
    let transfer = Transfer { number: from * 1000 + to, from, to, cents };
    let answered = client.append(TRANSFERS, transfer).await;
    let said = answered.as_ref().map_or_else(ToString::to_string, |_| "done".into());
    // A refusal of a later stage has made good what the first one did before it is answered.
    let has = client.select_one(FUNDS.key(from)).await?.unwrap_or_default();
    say(&format!("account {from} pays {} to account {to}: {said}", money(cents)))?;
    say(&format!("  account {from} has {}", money(has)))?;
    let answer = Answer::of(answered)?;
    if (answer, has) == (expected, left) {
        return Ok(());
    }
    Err(format!("expected {expected:?} and {}, got {answer:?}", money(left)).into())
}
