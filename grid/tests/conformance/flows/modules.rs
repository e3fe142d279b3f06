//! Modules with stages, as a user would write them.

#![expect(unreachable_pub, reason = "a user would make them public")]

/// Debit, hop, credit; refused at either end.
pub mod bank {
    use gridmill::prelude::*;

    #[record]
    pub struct Transfer {
        pub from: u64,
        pub to: u64,
        pub cents: u64,
    }

    pub const OPENED: Depot<(u64, u64)> =
        Depot::hash_by("bank/opened", |(account, _)| (*account).into());
    pub const TRANSFERS: Depot<Transfer> =
        Depot::hash_by("bank/transfers", |transfer| transfer.from.into());
    pub const FUNDS: PState<Map<u64, u64>> = PState::new("bank/funds");
    const CREDIT: Stage<Transfer> = Stage::hash_by("credit", |transfer| transfer.to.into());
    const REFUND: Stage<Transfer> = Stage::hash_by("refund", |transfer| transfer.from.into());

    type Funds = Map<u64, u64>;

    pub struct Bank;

    impl Module for Bank {
        const NAME: &'static str = "bank";

        fn define(module: &mut Setup) {
            module.depot(OPENED).depot(TRANSFERS);
            module
                .stream("transfers", FUNDS)
                .source(OPENED)
                .each(|(account, cents): (u64, u64), funds: &mut Funds| {
                    funds.insert(account, cents);
                })
                .source(TRANSFERS)
                .each_with(debit)
                .stage(CREDIT)
                .each_with(credit)
                .stage(REFUND)
                .each(|back: Transfer, funds: &mut Funds| {
                    *funds.entry(back.from).or_default() += back.cents;
                });
        }
    }

    fn debit(transfer: Transfer, funds: &mut Funds, flow: &mut Context<'_>) -> Result<(), Str> {
        let has = funds.get(transfer.from).map_or(0, |cents| *cents);
        let Some(left) = has.checked_sub(transfer.cents) else {
            return Err("insufficient funds".into());
        };
        funds.insert(transfer.from, left);
        flow.send(CREDIT, transfer);
        Ok(())
    }

    fn credit(transfer: Transfer, funds: &mut Funds, flow: &mut Context<'_>) {
        match funds.get_mut(transfer.to) {
            Some(cents) => *cents += transfer.cents,
            None => {
                // The caller is refused, and what was done stays: the money goes back.
                flow.reject(&"no such account");
                flow.send(REFUND, transfer);
            }
        }
    }
}

/// A split, and a stage whose source needs no state.
pub mod words {
    use gridmill::prelude::*;

    pub const PAGES: Depot<Str> = Depot::random("words/pages");
    pub const COUNTS: PState<Map<Str, u64>> = PState::new("words/counts");
    const WORDS: Stage<(Str, u64)> = Stage::hash_by("words", |(word, _)| word.as_str().into());

    pub struct Words;

    impl Module for Words {
        const NAME: &'static str = "words";

        fn define(module: &mut Setup) {
            module.depot(PAGES);
            module
                .stream("count", COUNTS)
                .source(PAGES)
                .over(())
                .each_with(split)
                .stage(WORDS)
                .each(count);
        }
    }

    fn split(page: Str, (): (), flow: &mut Context<'_>) {
        let mut words = std::collections::BTreeMap::<&str, u64>::new();
        for word in page.split_whitespace() {
            *words.entry(word).or_default() += 1;
        }
        for (word, times) in words {
            flow.send(WORDS, (word.into(), times));
        }
    }

    fn count((word, times): (Str, u64), counts: &mut Map<Str, u64>) {
        *counts.entry(word).or_default() += times;
    }
}

/// A loop over partitions.
pub mod walk {
    use gridmill::prelude::*;

    #[record]
    pub struct Walk {
        pub at: u64,
        pub steps: u64,
    }

    pub const LINKS: Depot<(u64, u64)> = Depot::hash_by("walk/links", |(from, _)| (*from).into());
    pub const WALKS: Depot<Walk> = Depot::hash_by("walk/walks", |walk| walk.at.into());
    pub const NEXT: PState<Map<u64, u64>> = PState::new("walk/next");
    const STEP: Stage<Walk> = Stage::hash_by("step", |walk| walk.at.into());

    pub struct Walks;

    impl Module for Walks {
        const NAME: &'static str = "walks";

        fn define(module: &mut Setup) {
            module.depot(LINKS).depot(WALKS);
            module
                .stream("walk", NEXT)
                .source(LINKS)
                .each(|(from, to): (u64, u64), next: &mut Map<u64, u64>| {
                    next.insert(from, to);
                })
                .source(WALKS)
                .each_with(step)
                .stage(STEP)
                .each_with(step);
        }
    }

    fn step(walk: Walk, next: &mut Map<u64, u64>, flow: &mut Context<'_>) {
        match next.get(walk.at).map(|next| *next) {
            Some(at) => flow.send(STEP, Walk { at, steps: walk.steps + 1 }),
            None => flow.reply(&walk),
        }
    }
}

/// All routes, an append from a handler, and what goes wrong when a handler sends.
pub mod routes {
    use gridmill::prelude::*;

    #[record]
    pub enum Ask {
        Here,
        All,
        Global,
        Shuffle,
        Custom { partition: u32 },
        To { partition: u32 },
        Append { key: u64 },
        AppendHere,
        Undeclared,
        OtherType,
        AppendUndeclared,
        TooLarge,
        TooMuch,
        Refused,
        Twice,
    }

    pub const ASKS: Depot<(u64, Ask)> = Depot::hash_by("routes/asks", |(key, _)| (*key).into());
    pub const LOGGED: Depot<u64> = Depot::hash_by("routes/logged", |key| (*key).into());
    pub const OTHER: Depot<u64> = Depot::hash_by("routes/other", |key| (*key).into());
    /// By number of the asking event: what arrived, with the partition on which it did.
    pub const SEEN: PState<Map<u64, List<u32>>> = PState::new("routes/seen").local();
    pub const APPENDED: PState<Map<u64, u32>> = PState::new("routes/appended").local();

    const HERE: Stage<u64> = Stage::here("here");
    const ALL: Stage<u64> = Stage::all("all");
    const GLOBAL: Stage<u64> = Stage::global("global");
    const SHUFFLE: Stage<u64> = Stage::shuffle("shuffle");
    const CUSTOM: Stage<(u64, u32)> = Stage::custom("custom", |(_, partition), _| *partition);
    const LARGE: Stage<Str> = Stage::here("large");
    const NOWHERE: Stage<u64> = Stage::here("nowhere");
    const HERE_OF_TEXT: Stage<Str> = Stage::here("here");

    pub struct Routes;

    impl Module for Routes {
        const NAME: &'static str = "routes";

        fn define(module: &mut Setup) {
            module.depot(ASKS).depot(LOGGED).depot(OTHER);
            module
                .stream("route", SEEN)
                .appends(LOGGED)
                .source(ASKS)
                .each_with(ask)
                .stage(HERE)
                .each_with(arrived)
                .stage(ALL)
                .each_with(arrived)
                .stage(GLOBAL)
                .each_with(arrived)
                .stage(SHUFFLE)
                .each_with(arrived)
                .stage(CUSTOM)
                .each_with(
                    |(key, _): (u64, u32),
                     seen: &mut Map<u64, List<u32>>,
                     flow: &mut Context<'_>| {
                        arrived(key, seen, flow);
                    },
                )
                .stage(LARGE)
                .over(())
                .each(|_: Str, (): ()| {});
            module.stream("log", APPENDED).source(LOGGED).each_with(
                |key: u64, appended: &mut Map<u64, u32>, flow: &mut Context<'_>| {
                    appended.insert(key, flow.partition());
                },
            );
        }
    }

    fn arrived(key: u64, seen: &mut Map<u64, List<u32>>, flow: &mut Context<'_>) {
        seen.entry(key).or_default().push_back(flow.partition());
        flow.reply(&flow.partition());
    }

    fn ask(
        (key, ask): (u64, Ask),
        seen: &mut Map<u64, List<u32>>,
        flow: &mut Context<'_>,
    ) -> Result<(), Str> {
        match ask {
            Ask::Here => flow.send(HERE, key),
            Ask::All => flow.send(ALL, key),
            Ask::Global => flow.send(GLOBAL, key),
            Ask::Shuffle => flow.send(SHUFFLE, key),
            Ask::Custom { partition } => flow.send(CUSTOM, (key, partition)),
            Ask::To { partition } => flow.send_to(partition, HERE, key),
            Ask::Append { key } => flow.append(LOGGED, key),
            Ask::AppendHere => flow.append_here(LOGGED, key),
            Ask::Undeclared => flow.send(NOWHERE, key),
            Ask::OtherType => flow.send(HERE_OF_TEXT, "text".into()),
            Ask::AppendUndeclared => flow.append(OTHER, key),
            Ask::TooLarge => flow.send(LARGE, "x".repeat(2 << 20).as_str().into()),
            Ask::TooMuch => {
                let megabyte: Str = "x".repeat(1 << 19).as_str().into();
                (0..40).for_each(|_| flow.send(LARGE, megabyte.clone()));
            }
            Ask::Refused => {
                seen.entry(key).or_default().push_back(99);
                flow.send(HERE, key);
                return Err("refused after it had sent".into());
            }
            Ask::Twice => {
                flow.send(HERE, key);
                flow.send(GLOBAL, key);
            }
        }
        Ok(())
    }
}

/// A post to many followers travels once to each partition.
pub mod timelines {
    use gridmill::prelude::*;

    #[record]
    pub struct Post {
        pub author: u64,
        pub id: u64,
    }

    pub const FOLLOWS: Depot<(u64, u64)> =
        Depot::hash_by("social/follows", |(_, followed)| (*followed).into());
    pub const POSTS: Depot<Post> = Depot::hash_by("social/posts", |post| post.author.into());
    pub const FOLLOWERS: PState<Map<u64, Set<u64>>> = PState::new("social/followers");
    pub const TIMELINES: PState<Map<u64, List<u64>>> = PState::new("social/timelines");
    const DELIVER: Fan<u64, Post> = Fan::new("deliver");

    type Views<'a> = (&'a mut Map<u64, Set<u64>>, &'a mut Map<u64, List<u64>>);

    pub struct Social;

    impl Module for Social {
        const NAME: &'static str = "social";

        fn define(module: &mut Setup) {
            module.depot(FOLLOWS).depot(POSTS);
            module
                .stream("timelines", (FOLLOWERS, TIMELINES))
                .source(FOLLOWS)
                .over(FOLLOWERS)
                .each(follow)
                .source(POSTS)
                .each_with(post)
                .fan(DELIVER)
                .over(TIMELINES)
                .each(deliver);
        }
    }

    fn follow((who, whom): (u64, u64), followers: &mut Map<u64, Set<u64>>) {
        followers.entry(whom).or_default().insert(who);
    }

    fn post(post: Post, (followers, _): Views<'_>, flow: &mut Context<'_>) {
        let Some(all) = followers.get(post.author) else { return };
        flow.fan(DELIVER, all.iter().copied(), post);
    }

    fn deliver(user: u64, post: &Post, timelines: &mut Map<u64, List<u64>>) {
        let timeline = timelines.entry(user).or_default();
        timeline.push_back(post.id);
        if timeline.len() > 800 {
            timeline.pop_front();
        }
    }
}

/// Hits a minute, closed by a tick on every partition; idle pages are forgotten by a timer.
pub mod rates {
    use std::time::Duration;

    use gridmill::prelude::*;

    pub const HITS: Depot<Str> = Depot::hash_by("rates/hits", |page| page.into());
    pub const MINUTE: Depot<Tick> = Depot::tick("rates/minute", Duration::from_secs(60));
    pub const NOW: PState<Map<Str, u64>> = PState::new("rates/now");
    pub const PAST: PState<Map<Str, Map<i64, u64>>> = PState::new("rates/past");
    const CLOSE: Stage<Tick> = Stage::all("close");
    const FORGET: Stage<(Str, i64)> = Stage::hash_by("forget", |(page, _)| page.into());
    type Rates<'a> = (&'a mut Map<Str, u64>, &'a mut Map<Str, Map<i64, u64>>);

    pub struct RateModule;

    impl Module for RateModule {
        const NAME: &'static str = "rates";

        fn define(module: &mut Setup) {
            module.depot(HITS).depot(MINUTE);
            module
                .stream("rates", (NOW, PAST))
                .source(HITS)
                .over(NOW)
                .each(|page: Str, now: &mut Map<Str, u64>| {
                    *now.entry(page).or_default() += 1;
                })
                .source(MINUTE)
                .over(())
                .each_with(|tick: Tick, (): (), flow: &mut Context<'_>| flow.send(CLOSE, tick))
                .stage(CLOSE)
                .each_with(close)
                .stage(FORGET)
                .each(forget);
        }
    }

    fn forget((page, minute): (Str, i64), (_, past): Rates<'_>) {
        if let Some(minutes) = past.get_mut(&page) {
            minutes.remove(minute);
        }
    }

    fn close(tick: Tick, (now, past): Rates<'_>, flow: &mut Context<'_>) {
        for (page, hits) in std::mem::take(now).iter() {
            past.entry(page.clone()).or_default().insert(tick.at, *hits);
            flow.schedule(tick.at + 3_600_000_000, FORGET, (page, tick.at));
        }
    }
}
