//! Row 223: a handler's `Err` undoes what it wrote, and reaches the appender.

use std::fmt;

use gridmill::client::{AppendErrorKind, Rejection};
use gridmill::prelude::*;

use crate::latch::Latch;

type Test = Result<(), Box<dyn std::error::Error>>;

#[record]
enum Order {
    Deposit {
        account: Str,
        amount: u64,
    },
    Withdraw {
        account: Str,
        amount: u64,
    },
    /// Replaces or empties everything, in one of several ways, and may then think better of it.
    Reset {
        account: Str,
        how: How,
        refuse: bool,
    },
}

#[record]
#[derive(Copy)]
enum How {
    Assign,
    Take,
    Clear,
    Swap,
}

#[record]
enum Refused {
    Overdrawn { account: Str, missing: u64 },
    NoReset,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overdrawn { account, missing } => write!(f, "{account} lacks {missing}"),
            Self::NoReset => f.write_str("nothing is reset"),
        }
    }
}

impl Order {
    fn account(&self) -> &str {
        match self {
            Self::Deposit { account, .. }
            | Self::Withdraw { account, .. }
            | Self::Reset { account, .. } => account,
        }
    }
}

fn deposit(account: &str, amount: u64) -> Order {
    Order::Deposit { account: account.into(), amount }
}

fn withdraw(account: &str, amount: u64) -> Order {
    Order::Withdraw { account: account.into(), amount }
}

fn reset(how: How, refuse: bool) -> Order {
    Order::Reset { account: "ann".into(), how, refuse }
}

const ORDERS: Depot<Order> = Depot::hash_by("bank/orders", |order| order.account().into());
const BALANCE: PState<Map<Str, u64>> = PState::new("bank/balance");
const COUNT: PState<Map<Str, u64>> = PState::new("bank/count");
const SEEN: PState<Map<Str, u64>> = PState::new("bank/seen");

/// Accounts that cannot be overdrawn, and a topology beside them that takes everything.
struct Bank;

impl Module for Bank {
    const NAME: &'static str = "bank";

    fn define(module: &mut Setup) {
        module.depot(ORDERS);
        module.stream("bank", (BALANCE, COUNT)).source(ORDERS).each(on_order);
        module.stream("seen", SEEN).source(ORDERS).each(
            |order: Order, seen: &mut Map<Str, u64>| {
                *seen.entry(order.account().into()).or_default() += 1;
            },
        );
    }
}

fn on_order(
    order: Order,
    (balance, count): (&mut Map<Str, u64>, &mut Map<Str, u64>),
) -> Result<(), Refused> {
    *count.entry(order.account().into()).or_default() += 1;
    match order {
        Order::Deposit { account, amount } => *balance.entry(account).or_default() += amount,
        Order::Withdraw { account, amount } => {
            let held = balance.entry(account.clone()).or_default();
            let before = std::mem::take(held);
            let Some(rest) = before.checked_sub(amount) else {
                return Err(Refused::Overdrawn { account, missing: amount - before });
            };
            *held = rest;
        }
        Order::Reset { account, how, refuse } => {
            match how {
                How::Assign => *balance = Map::default(),
                How::Take => drop(std::mem::take(balance)),
                How::Clear => balance.clear(),
                How::Swap => std::mem::swap(balance, count),
            }
            balance.insert(account, 1_000);
            if refuse {
                return Err(Refused::NoReset);
            }
        }
    }
    Ok(())
}

async fn of_ann(client: &Client) -> Result<[Option<u64>; 3], Box<dyn std::error::Error>> {
    Ok([
        client.select_one(BALANCE.key("ann")).await?,
        client.select_one(COUNT.key("ann")).await?,
        client.select_one(SEEN.key("ann")).await?,
    ])
}

/// The first of what refused an append.
pub(crate) fn rejection(kind: AppendErrorKind) -> Rejection {
    match kind {
        AppendErrorKind::Rejected(mut rejected) => rejected.rejections.remove(0),
        other => panic!("it was not rejected: {other}"),
    }
}

#[tokio::test]
async fn r223_err_undoes_its_writes_and_reaches_the_appender() -> Test {
    let grid = Grid::in_memory().partitions(1).module::<Bank>().start().await?;
    let client = grid.client();
    client.append(ORDERS, deposit("ann", 10)).await?;
    let error = client.append(ORDERS, withdraw("ann", 25)).await.expect_err("it is overdrawn");
    assert!(!error.kind.is_not_logged(), "the event is in the depot");
    let rejected = rejection(error.kind);
    assert_eq!((rejected.topology.as_str(), rejected.quarantined), ("bank", false));
    assert_eq!(rejected.message, "ann lacks 15");
    let typed = Refused::Overdrawn { account: "ann".into(), missing: 15 };
    assert_eq!(rejected.decode::<Refused>()?, Some(typed));
    // Undone here, seen by the other topology, kept in the depot.
    assert_eq!(of_ann(&client).await?, [Some(10), Some(1), Some(2)]);
    assert_eq!(client.depot_read(ORDERS, 0, 1..2).await?[0].event, withdraw("ann", 25));
    // A key that was not there before is not there after.
    client.append(ORDERS, withdraw("bob", 1)).await.expect_err("it is overdrawn");
    assert_eq!(client.select(BALANCE.map_keys()).await?, ["ann"]);
    assert_eq!(client.select_one(BALANCE.len()).await?, Some(1));
    assert_eq!(grid.stats().total(|partition| partition.rejected), 2);
    assert!(grid.quarantine().is_empty());
    // Who waits for less is not told, however fast the handler was.
    for _ in 0..20 {
        client.append_with(ORDERS, withdraw("bob", 1), Ack::Appended).await?;
    }
    grid.processed().await;
    assert_eq!(grid.stats().total(|partition| partition.rejected), 22);
    Ok(())
}

#[tokio::test]
async fn r223_others_of_the_batch_keep_their_writes() -> Test {
    let grid = Grid::in_memory().partitions(1).module::<Bank>().start().await?;
    let client = grid.client();
    let orders = [
        deposit("ann", 10),
        withdraw("ann", 11),
        withdraw("ann", 4),
        withdraw("bob", 1),
        withdraw("ann", 7),
        deposit("ann", 1),
    ];
    let receipt = client.append_many(ORDERS, orders).await?;
    let refused: Vec<_> = receipt.rejections.iter().map(|(index, _)| *index).collect();
    assert_eq!((receipt.count, refused.as_slice()), (6, &[1, 3, 4][..]));
    assert_eq!(receipt.rejections[2].1.message, "ann lacks 1");
    assert_eq!(of_ann(&client).await?, [Some(7), Some(3), Some(5)]);
    assert_eq!(client.select(BALANCE.map_keys()).await?, ["ann"]);
    Ok(())
}

#[tokio::test]
async fn r223_err_after_the_root_was_replaced_undoes_that_too() -> Test {
    for how in [How::Assign, How::Take, How::Clear, How::Swap] {
        let grid = Grid::in_memory().partitions(1).module::<Bank>().start().await?;
        let client = grid.client();
        client.append(ORDERS, deposit("bob", 3)).await?;
        // Alone in a batch, and among others that count.
        client.append(ORDERS, reset(how, true)).await.expect_err("it refuses");
        assert_eq!(client.select(BALANCE.map_keys()).await?, ["bob"], "{how:?}");
        let orders = [deposit("ann", 5), reset(how, true), deposit("ann", 6), withdraw("ann", 20)];
        let receipt = client.append_many(ORDERS, orders).await?;
        let refused: Vec<_> = receipt.rejections.iter().map(|(index, _)| *index).collect();
        assert_eq!(refused, [1, 3], "{how:?}");
        assert_eq!(receipt.rejections[0].1.decode()?, Some(Refused::NoReset));
        assert_eq!(of_ann(&client).await?, [Some(11), Some(2), Some(5)], "{how:?}");
        assert_eq!(client.select_one(BALANCE.key("bob")).await?, Some(3), "{how:?}");
        assert_eq!(client.select_one(BALANCE.len()).await?, Some(2), "{how:?}");
    }
    Ok(())
}

#[tokio::test]
async fn r223_a_root_that_was_replaced_stays_so_without_an_err() -> Test {
    for how in [How::Assign, How::Take, How::Clear, How::Swap] {
        let grid = Grid::in_memory().partitions(1).module::<Bank>().start().await?;
        let client = grid.client();
        client.append(ORDERS, deposit("bob", 3)).await?;
        let orders = [deposit("ann", 5), reset(how, false), withdraw("ann", 2_000)];
        let receipt = client.append_many(ORDERS, orders).await?;
        assert_eq!(receipt.rejections.len(), 1, "{how:?}");
        assert_eq!(client.select_one(BALANCE.key("ann")).await?, Some(1_000), "{how:?}");
        let (bob, ann) = match how {
            How::Swap => (Some(1), Some(5)),
            _ => (None, Some(2)),
        };
        assert_eq!(client.select_one(BALANCE.key("bob")).await?, bob, "{how:?}");
        assert_eq!(client.select_one(COUNT.key("ann")).await?, ann, "{how:?}");
    }
    Ok(())
}

const ADD: Depot<u64> = Depot::random("till/add").global();
const SPEND: Depot<u64> = Depot::random("till/spend").global();
const TILL: PState<u64> = PState::new("till/money").global().initial(|| 100);
static AT_TILL: Latch = Latch::new();

/// One value, written by a handler that may refuse and by one that may not.
struct Till;

impl Module for Till {
    const NAME: &'static str = "till";

    fn define(module: &mut Setup) {
        module.depot(ADD).depot(SPEND);
        module
            .stream("till", TILL)
            .source(ADD)
            .each(|amount: u64, till: &mut u64| {
                if amount == 0 {
                    AT_TILL.pass();
                }
                *till += amount;
            })
            .source(SPEND)
            .each(|amount: u64, till: &mut u64| {
                let rest = till.checked_sub(amount);
                *till = 0;
                *till = rest.ok_or_else(|| format!("{amount} is too much"))?;
                Ok::<(), String>(())
            });
    }
}

#[tokio::test]
async fn r223_one_value_is_undone_to_what_it_was_before_the_record() -> Test {
    let grid = Grid::in_memory().module::<Till>().start().await?;
    let client = grid.client();
    client.append(SPEND, 101).await.expect_err("it is too much");
    assert_eq!(client.select_one(TILL).await?, Some(100), "as it began");
    // What waits while the handler is held makes one batch.
    let held = client.try_append(ADD, 0)?;
    let latch = AT_TILL.reached().await;
    let added = client.try_append(ADD, 5)?;
    let refused = client.try_append(SPEND, 1_000)?;
    let spent = client.try_append(SPEND, 2)?;
    let added_too = client.try_append(ADD, 7)?;
    latch.open();
    held.await?;
    added.await?;
    let error = refused.await.expect_err("it is too much");
    assert_eq!(rejection(error.kind).message, "1000 is too much");
    spent.await?;
    added_too.await?;
    assert_eq!(client.select_one(TILL).await?, Some(110));
    Ok(())
}
