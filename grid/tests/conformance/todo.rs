//! The todo module that many rows are shown on.

use gridmill::prelude::*;

#[record]
#[derive(Eq)]
pub(crate) struct Todo {
    pub(crate) text: Str,
    pub(crate) completed_at: Option<i64>,
}

#[record]
pub(crate) enum TodoEvent {
    New { user: Str, text: Str },
    Complete { user: Str, index: u32, at: i64 },
    Reorder { user: Str, from: u32, to: u32 },
}

impl TodoEvent {
    fn user(&self) -> &str {
        match self {
            Self::New { user, .. } | Self::Complete { user, .. } | Self::Reorder { user, .. } => {
                user
            }
        }
    }
}

pub(crate) type Todos = Map<Str, List<Todo>>;
pub(crate) type Completed = Map<Str, u64>;

pub(crate) const EVENTS: Depot<TodoEvent> =
    Depot::hash_by("todo/events", |event| event.user().into());
pub(crate) const TODOS: PState<Todos> = PState::new("todo/todos");
pub(crate) const COMPLETED: PState<Completed> = PState::new("todo/completed");

pub(crate) struct TodoModule;

impl Module for TodoModule {
    const NAME: &'static str = "todo";

    fn define(module: &mut Setup) {
        module.depot(EVENTS);
        module.stream("todos", (TODOS, COMPLETED)).source(EVENTS).each(on_event);
    }
}

pub(crate) fn on_event(event: TodoEvent, (todos, completed): (&mut Todos, &mut Completed)) {
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
