//! The modules that workloads run.

use gridmill::prelude::*;

pub mod asking;

/// The seed's todo application.
#[allow(missing_docs, reason = "the derives of a record leave a field of theirs without a word")]
pub mod todo {
    use super::*;

    /// One entry of a user's list.
    #[record]
    pub struct Todo {
        /// What to do.
        pub text: Str,
        /// When it was done, in microseconds.
        pub completed_at: Option<i64>,
    }

    /// What users do.
    #[record]
    pub enum TodoEvent {
        /// A new todo at the end of the list.
        New {
            /// Whose list.
            user: Str,
            /// What to do.
            text: Str,
        },
        /// A todo is done.
        Complete {
            /// Whose list.
            user: Str,
            /// Which entry.
            index: u32,
            /// When.
            at: i64,
        },
        /// A todo moves in the list.
        Reorder {
            /// Whose list.
            user: Str,
            /// Which entry.
            from: u32,
            /// Its new place.
            to: u32,
        },
    }

    impl TodoEvent {
        fn user(&self) -> &str {
            match self {
                Self::New { user, .. }
                | Self::Complete { user, .. }
                | Self::Reorder { user, .. } => user,
            }
        }
    }

    type Todos = Map<Str, List<Todo>>;
    type Completed = Map<Str, u64>;

    /// What users did.
    pub const EVENTS: Depot<TodoEvent> = Depot::hash_by("todo/events", |event| event.user().into());
    /// Each user's list.
    pub const TODOS: PState<Todos> = PState::new("todo/todos");
    /// How many todos each user completed.
    pub const COMPLETED: PState<Completed> = PState::new("todo/completed");

    /// The whole application.
    #[derive(Debug)]
    pub struct TodoModule;

    impl Module for TodoModule {
        const NAME: &'static str = "todo";

        fn define(module: &mut Setup) {
            module.depot(EVENTS);
            module.stream("todos", (TODOS, COMPLETED)).source(EVENTS).each(on_event);
        }
    }

    /// The depot alone, for `replay`: the view is added later.
    #[derive(Debug)]
    pub struct EventsOnly;

    impl Module for EventsOnly {
        const NAME: &'static str = "todo";

        fn define(module: &mut Setup) {
            module.depot(EVENTS);
        }
    }

    fn on_event(event: TodoEvent, (todos, completed): (&mut Todos, &mut Completed)) {
        match event {
            TodoEvent::New { user, text } => {
                todos.entry(user).or_default().push_back(Todo { text, completed_at: None });
            }
            TodoEvent::Complete { user, index, at } => {
                let Some(list) = todos.get_mut(&user) else { return };
                let Some(todo) = list.get_mut(index as usize) else { return };
                if todo.completed_at.replace(at).is_none() {
                    *completed.entry(user).or_default() += 1;
                }
            }
            TodoEvent::Reorder { user, from, to } => {
                TODOS.key(user).index(from).move_to(to).apply(todos);
            }
        }
    }
}

/// A counter for each key.
pub mod count {
    use super::*;

    /// Something happened to `key`.
    #[record]
    pub struct Hit {
        /// What is counted.
        pub key: u64,
        /// More that one wants to know; nobody reads it here.
        pub note: Str,
    }

    /// What happened.
    pub const HITS: Depot<Hit> = Depot::hash_by("count/hits", |hit| hit.key.into());
    /// How often.
    pub const COUNTS: PState<Map<u64, u64>> = PState::new("count/counts");

    /// The counter.
    #[derive(Debug)]
    pub struct CountModule;

    impl Module for CountModule {
        const NAME: &'static str = "count";

        fn define(module: &mut Setup) {
            module.depot(HITS);
            module.stream("count", COUNTS).source(HITS).each(
                |hit: Hit, counts: &mut Map<u64, u64>| {
                    *counts.entry(hit.key).or_default() += 1;
                },
            );
        }
    }

    /// The depot alone: for `log`, and for `replay`, which adds the view later.
    #[derive(Debug)]
    pub struct HitsOnly;

    impl Module for HitsOnly {
        const NAME: &'static str = "count";

        fn define(module: &mut Setup) {
            module.depot(HITS);
        }
    }
}

/// A debit, a hop and a credit.
pub mod transfers {
    use super::*;

    /// Money goes from one account to another.
    #[record]
    pub struct Transfer {
        /// Who pays.
        pub from: u64,
        /// Who is paid.
        pub to: u64,
        /// How much.
        pub cents: u64,
    }

    type Funds = Map<u64, u64>;

    /// Accounts, each with what it has at first.
    pub const OPENED: Depot<(u64, u64)> =
        Depot::hash_by("transfers/opened", |(account, _)| (*account).into());
    /// What is paid.
    pub const TRANSFERS: Depot<Transfer> =
        Depot::hash_by("transfers/transfers", |transfer| transfer.from.into());
    /// What each account has.
    pub const FUNDS: PState<Funds> = PState::new("transfers/funds");
    const CREDIT: Stage<Transfer> = Stage::hash_by("credit", |transfer| transfer.to.into());
    const REFUND: Stage<Transfer> = Stage::hash_by("refund", |transfer| transfer.from.into());

    /// The bank.
    #[derive(Debug)]
    pub struct TransferModule;

    impl Module for TransferModule {
        const NAME: &'static str = "transfers";

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

    fn debit(
        transfer: Transfer,
        funds: &mut Funds,
        flow: &mut Context<'_>,
    ) -> std::result::Result<(), Str> {
        let paid = funds.get_mut(transfer.from).and_then(|has| {
            *has = has.checked_sub(transfer.cents)?;
            Some(())
        });
        paid.ok_or("insufficient funds")?;
        flow.send(CREDIT, transfer);
        Ok(())
    }

    fn credit(transfer: Transfer, funds: &mut Funds, flow: &mut Context<'_>) {
        match funds.get_mut(transfer.to) {
            Some(cents) => *cents += transfer.cents,
            None => {
                flow.reject(&"no such account");
                flow.send(REFUND, transfer);
            }
        }
    }
}

/// Posts, and the timelines of those who follow their authors.
pub mod timelines {
    use super::*;

    /// Who is followed, and by whom.
    pub const FOLLOWED: Depot<(u64, u64)> =
        Depot::hash_by("timelines/followed", |(author, _)| (*author).into());
    /// The author of a post, and its number.
    pub const POSTS: Depot<(u64, u64)> =
        Depot::hash_by("timelines/posts", |(author, _)| (*author).into());
    /// Everybody's followers.
    pub const FOLLOWERS: PState<Map<u64, Set<u64>>> = PState::new("timelines/followers");
    /// The posts of those whom somebody follows.
    pub const TIMELINES: PState<Map<u64, List<u64>>> = PState::new("timelines/timelines");
    const DELIVER: Fan<u64, u64> = Fan::new("deliver");

    /// Declares them.
    #[derive(Debug)]
    pub struct TimelineModule;

    impl Module for TimelineModule {
        const NAME: &'static str = "timelines";

        fn define(module: &mut Setup) {
            module.depot(FOLLOWED).depot(POSTS);
            module
                .stream("timelines", (FOLLOWERS, TIMELINES))
                .source(FOLLOWED)
                .over(FOLLOWERS)
                .each(|(author, who): (u64, u64), followers: &mut Map<u64, Set<u64>>| {
                    followers.entry(author).or_default().insert(who);
                })
                .source(POSTS)
                .over(FOLLOWERS)
                .each_with(post)
                .fan(DELIVER)
                .over(TIMELINES)
                .each(|user: u64, post: &u64, timelines: &mut Map<u64, List<u64>>| {
                    timelines.entry(user).or_default().push_back(*post);
                });
        }
    }

    fn post(
        (author, post): (u64, u64),
        followers: &mut Map<u64, Set<u64>>,
        flow: &mut Context<'_>,
    ) {
        if let Some(followers) = followers.get(author) {
            flow.fan(DELIVER, followers.iter().copied(), post);
        }
    }
}
