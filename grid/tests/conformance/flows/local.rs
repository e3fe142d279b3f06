//! Stages in a unit test, without a grid.

use gridmill::Local;
use gridmill::client::AppendErrorKind;
use gridmill::prelude::*;

use super::modules::{bank, routes, walk, words};

type Test = Result<(), Box<dyn std::error::Error>>;

#[test]
fn r028_a_transfer_is_debited_here_and_credited_there() -> Test {
    use bank::{Bank, FUNDS, OPENED, TRANSFERS, Transfer};
    let bank = Local::<Bank>::new(4)?;
    for account in 0..4 {
        bank.append(OPENED, (account, 100))?;
    }
    bank.append(TRANSFERS, Transfer { from: 1, to: 3, cents: 30 })?;
    assert_eq!(bank.select_one(FUNDS.key(1))?, Some(70));
    assert_eq!(bank.select_one(FUNDS.key(3))?, Some(130));
    Ok(())
}

#[test]
fn r032_a_refusal_of_a_later_stage_reaches_the_appender_and_what_was_done_is_made_up_for() -> Test {
    use bank::{Bank, FUNDS, OPENED, TRANSFERS, Transfer};
    let bank = Local::<Bank>::new(4)?;
    bank.append(OPENED, (1, 100))?;
    let refused = bank.append(TRANSFERS, Transfer { from: 1, to: 9, cents: 30 }).unwrap_err();
    let AppendErrorKind::Rejected(rejected) = &refused.kind else { panic!("{refused}") };
    assert_eq!(rejected.rejections.len(), 1);
    assert_eq!(rejected.rejections[0].stage.as_deref(), Some("credit"));
    assert_eq!(
        refused.kind.to_string(),
        "rejected by topology `transfers` in stage `credit`: no such account"
    );
    assert_eq!(bank.select_one(FUNDS.key(1))?, Some(100), "the refund has arrived");
    let refused = bank.append(TRANSFERS, Transfer { from: 1, to: 2, cents: 101 }).unwrap_err();
    let AppendErrorKind::Rejected(rejected) = &refused.kind else { panic!("{refused}") };
    assert_eq!(rejected.rejections[0].stage, None);
    assert_eq!(bank.select_one(FUNDS.key(1))?, Some(100));
    Ok(())
}

#[test]
fn r002_words_are_counted_where_they_live() -> Test {
    let words = Local::<words::Words>::new(3)?;
    words.append(words::PAGES, "a mill and a grid and a mill".into())?;
    words.append(words::PAGES, "a grid".into())?;
    for (word, times) in [("a", 4), ("and", 2), ("mill", 2), ("grid", 2)] {
        assert_eq!(words.select_one(words::COUNTS.key(word))?, Some(times), "{word}");
    }
    Ok(())
}

#[test]
fn r122_a_walk_goes_over_all_partitions_and_replies_at_its_end() -> Test {
    use walk::{LINKS, WALKS, Walk, Walks};
    let walks = Local::<Walks>::new(5)?;
    for at in 0..40 {
        walks.append(LINKS, (at, at + 1))?;
    }
    let receipt = walks.append(WALKS, Walk { at: 0, steps: 0 })?;
    assert_eq!(receipt.reply::<Walk>("walk")?, Some(Walk { at: 40, steps: 40 }));
    Ok(())
}

#[test]
fn a_flow_without_end_is_told() -> Test {
    use walk::{LINKS, WALKS, Walk, Walks};
    let walks = Local::<Walks>::new(2)?;
    walks.append(LINKS, (1, 2))?;
    walks.append(LINKS, (2, 1))?;
    let error = walks.append(WALKS, Walk { at: 1, steps: 0 }).unwrap_err();
    assert!(error.to_string().contains("has to come to an end"), "{error}");
    Ok(())
}

fn seen(grid: &Local<routes::Routes>, key: u64) -> Result<Vec<u32>, Box<dyn std::error::Error>> {
    let client = grid.client();
    let lists = futures_lite(client.select_all(routes::SEEN.key(key)))?;
    Ok(lists.into_iter().flat_map(|list| list.iter().copied().collect::<Vec<_>>()).collect())
}

fn futures_lite<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

#[test]
fn r123_every_route_leads_where_it_says() -> Test {
    use routes::{ASKS, Ask, Routes};
    let grid = Local::<Routes>::new(4)?;
    let asked = |key: u64, ask: Ask| -> Result<(u32, Vec<u32>), Box<dyn std::error::Error>> {
        let receipt = grid.append(ASKS, (key, ask))?;
        Ok((receipt.partition, seen(&grid, key)?))
    };
    let (home, at) = asked(1, Ask::Here)?;
    assert_eq!(at, [home]);
    let (_, mut at) = asked(2, Ask::All)?;
    at.sort_unstable();
    assert_eq!(at, [0, 1, 2, 3]);
    assert_eq!(asked(3, Ask::Global)?.1, [0]);
    assert_eq!(asked(4, Ask::Custom { partition: 2 })?.1, [2]);
    assert_eq!(asked(5, Ask::To { partition: 3 })?.1, [3]);
    let shuffled = (10..60).map(|key| Ok(asked(key, Ask::Shuffle)?.1));
    let shuffled: Result<Vec<_>, Box<dyn std::error::Error>> = shuffled.collect();
    let mut met = shuffled?.concat();
    assert_eq!(met.len(), 50);
    met.sort_unstable();
    met.dedup();
    assert_eq!(met, [0, 1, 2, 3], "fifty records meet every partition");
    Ok(())
}

#[test]
fn r035_a_handler_appends_to_a_depot_that_another_topology_reads() -> Test {
    use routes::{APPENDED, ASKS, Ask, Routes};
    let grid = Local::<Routes>::new(4)?;
    let here = grid.append(ASKS, (7, Ask::AppendHere))?.partition;
    let all = futures_lite(grid.client().select_all(APPENDED.key(7)))?;
    assert_eq!(all, [here]);
    grid.append(ASKS, (8, Ask::Append { key: 1234 }))?;
    assert_eq!(futures_lite(grid.client().select_all(APPENDED.key(1234)))?.len(), 1);
    Ok(())
}

#[test]
fn what_cannot_be_sent_sets_the_sending_record_aside_and_says_why() -> Test {
    use routes::{ASKS, Ask, Routes};
    let grid = Local::<Routes>::new(4)?;
    let cases = [
        (
            Ask::Undeclared,
            "stage `nowhere` was not declared in this topology; add `.stage(..)` and a handler",
        ),
        (Ask::OtherType, "stage `here` was declared with another type than"),
        (
            Ask::AppendUndeclared,
            "depot `routes/other` was not declared in this topology; add `.appends(..)`",
        ),
        (Ask::Custom { partition: 9 }, "is sent to partition 9, and there are 4 (0 to 3)"),
        (Ask::To { partition: 4 }, "is sent to partition 4, and there are 4 (0 to 3)"),
        (Ask::TooLarge, "at most 1048576 are allowed (`event_bytes_max`)"),
        (Ask::TooMuch, "one record sends more than 16777216 bytes to partition"),
    ];
    for (key, (ask, expected)) in (100..).zip(cases) {
        let error = grid.append(ASKS, (key, ask)).unwrap_err();
        let AppendErrorKind::Rejected(rejected) = &error.kind else { panic!("{error}") };
        assert!(rejected.rejections[0].quarantined, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(seen(&grid, key)?, [0; 0]);
    }
    Ok(())
}

#[test]
fn who_refuses_a_record_sends_nothing_for_it() -> Test {
    use routes::{ASKS, Ask, Routes};
    let grid = Local::<Routes>::new(4)?;
    grid.append(ASKS, (1, Ask::Refused)).unwrap_err();
    assert_eq!(seen(&grid, 1)?, [0; 0]);
    grid.append(ASKS, (2, Ask::Twice))?;
    assert_eq!(seen(&grid, 2)?.len(), 2);
    Ok(())
}
