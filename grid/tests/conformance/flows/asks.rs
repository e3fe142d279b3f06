//! Row 164: queries that topologies ask. The answer comes back as a record.

use std::collections::BTreeMap;
use std::sync::Arc;

use gridmill::model::aggregate::Sum;
use gridmill::persistence::SimStorage;
use gridmill::prelude::*;
use gridmill::{Calls, Local, StartError};
use parking_lot::Mutex;

type Test = Result<(), Box<dyn std::error::Error>>;

/// Somebody pays into a pot, and wants to know what share of all pots that was.
#[record]
struct Paid {
    who: Str,
    cents: u64,
}

const PAID: Depot<Paid> = Depot::hash_by("asks/paid", |paid| paid.who.as_str().into());
const POTS: PState<Map<Str, u64>> = PState::new("asks/pots");
/// What was in all pots together when somebody had paid.
const TOTALS: PState<Map<Str, List<u64>>> = PState::new("asks/totals");
const ALL: Query<Str, u64> = Query::new("asks/all");
const ANSWER: Stage<(Paid, u64)> = Stage::here("answer");

/// How often the query ran for whom.
static ASKED: Mutex<BTreeMap<Str, u32>> = Mutex::new(BTreeMap::new());

fn asked(who: &str) -> u32 {
    ASKED.lock().get(who).copied().unwrap_or(0)
}

async fn all(ask: Ask, who: Str) -> Result<u64, AskError> {
    let times = {
        let mut asked = ASKED.lock();
        let times = asked.entry(who.clone()).or_default();
        *times += 1;
        *times
    };
    if who.starts_with("unlucky") && times == 1 {
        return Err(AskError::failed("not yet"));
    }
    if who.starts_with("hopeless") {
        return Err(AskError::failed("never"));
    }
    ask.all(POTS.map_vals()).fold(Sum::new()).await
}

fn pots(module: &mut Setup) {
    module.depot(PAID);
    module.stream("pots", POTS).source(PAID).each(|paid: Paid, pots: &mut Map<Str, u64>| {
        *pots.entry(paid.who).or_default() += paid.cents;
    });
    let calls = Calls::new().attempts(2).back_off(std::time::Duration::from_millis(1));
    module
        .stream("totals", TOTALS)
        .source(PAID)
        .calls(calls)
        .ask(ANSWER, ALL, |paid| paid.who.clone())
        .stage(ANSWER)
        .each_with(
            |(paid, total): (Paid, u64),
             totals: &mut Map<Str, List<u64>>,
             flow: &mut Context<'_>| {
                totals.entry(paid.who).or_default().push_back(total);
                flow.reply(&total);
            },
        );
}

struct Pots;

impl Module for Pots {
    const NAME: &'static str = "asks";

    fn define(module: &mut Setup) {
        pots(module);
        module.query(ALL, all);
    }
}

fn paid(who: &str, cents: u64) -> Paid {
    Paid { who: who.into(), cents }
}

#[tokio::test]
async fn r164_a_topology_asks_a_query_and_its_answer_is_a_record() -> Test {
    let folder = Arc::new(SimStorage::new());
    let builder = Grid::builder("/grid").storage(folder).partitions(4).module::<Pots>();
    let grid = builder.clone().start().await?;
    let client = grid.client();
    let mut all = 0;
    for (number, who) in (1..).zip(["ann", "bob", "cid", "dora", "ann"]) {
        all += number;
        let receipt = client.append(PAID, paid(who, number)).await?;
        assert_eq!(receipt.reply::<u64>("totals")?, Some(all), "it sees what was answered before");
    }
    assert_eq!(client.select_one(TOTALS.key("ann")).await?.unwrap_or_default(), [1, 15]);
    grid.halt().await;
    // A replay has the answers: nobody is asked again.
    let grid = builder.start().await?;
    grid.processed().await;
    let client = grid.client();
    assert_eq!(client.select_one(TOTALS.key("ann")).await?.unwrap_or_default(), [1, 15]);
    assert_eq!(["ann", "bob", "cid", "dora"].map(asked), [2, 1, 1, 1]);
    Ok(())
}

#[tokio::test]
async fn r164_a_query_that_fails_is_asked_again() -> Test {
    let grid = Grid::in_memory().partitions(2).module::<Pots>().start().await?;
    let client = grid.client();
    let receipt = client.append(PAID, paid("unlucky", 7)).await?;
    assert_eq!((receipt.reply::<u64>("totals")?, asked("unlucky")), (Some(7), 2));
    let error = client.append(PAID, paid("hopeless", 7)).await.unwrap_err();
    assert!(error.to_string().contains("never"), "{error}");
    let aside = grid.quarantine();
    assert_eq!((aside.len(), asked("hopeless")), (1, 2));
    assert!(aside[0].message.contains("query `asks/all`: never"), "{:?}", aside[0]);
    // Others are not held up.
    client.append(PAID, paid("unlucky", 1)).await?;
    Ok(())
}

#[test]
fn r164_in_local() -> Test {
    let local = Local::<Pots>::new(3)?;
    local.append(PAID, paid("local", 5))?;
    let receipt = local.append(PAID, paid("locals", 6))?;
    assert_eq!(receipt.reply::<u64>("totals")?, Some(11));
    Ok(())
}

struct Nobody;

impl Module for Nobody {
    const NAME: &'static str = "asks";

    fn define(module: &mut Setup) {
        pots(module);
    }
}

struct Differently;

impl Module for Differently {
    const NAME: &'static str = "asks";

    fn define(module: &mut Setup) {
        pots(module);
        module.query(Query::<u64, u64>::new("asks/all"), |_, number| async move { Ok(number) });
    }
}

#[test]
fn a_query_that_is_not_there_is_missed_at_the_start() {
    let problem = |error: StartError| {
        let StartError::Declaration { problems, .. } = error else { panic!("{error}") };
        problems.join("; ")
    };
    let none = problem(Local::<Nobody>::new(1).unwrap_err());
    let expected = "topology `totals` asks query `asks/all`, which the module does not declare; declare it with \
                    `module.query(..)`";
    assert_eq!(none, expected);
    let other = problem(Local::<Differently>::new(1).unwrap_err());
    assert!(other.contains("`asks/all`") && other.contains("`u64`"), "{other}");
}
