//! The module: one depot of what people did, and two views computed from it.

use gridmill::prelude::*;

#[record]
pub struct Todo {
    pub text: Str,
    pub completed_at: Option<i64>,
}

#[record]
pub enum TodoEvent {
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

pub const EVENTS: Depot<TodoEvent> = Depot::hash_by("todo/events", |event| event.user().into());
pub const TODOS: PState<Map<Str, List<Todo>>> = PState::new("todo/todos");
pub const COMPLETED: PState<Map<Str, u64>> = PState::new("todo/completed");

pub struct TodoModule;
impl Module for TodoModule {
    const NAME: &'static str = "todo";

    fn define(module: &mut Setup) {
        module.depot(EVENTS);
        module.stream("todos", (TODOS, COMPLETED)).source(EVENTS).each(on_event);
    }
}

type Views<'a> = (&'a mut Map<Str, List<Todo>>, &'a mut Map<Str, u64>);

fn on_event(event: TodoEvent, (todos, completed): Views<'_>) {
    match event {
        TodoEvent::New { user, text } => {
            todos.entry(user).or_default().push_back(Todo { text, completed_at: None });
        }
        TodoEvent::Complete { user, index, at } => {
            let list = todos.get_mut(&user);
            let Some(todo) = list.and_then(|list| list.get_mut(index as usize)) else { return };
            if todo.completed_at.replace(at).is_none() {
                *completed.entry(user).or_default() += 1;
            }
        }
        TodoEvent::Reorder { user, from, to } => {
            TODOS.key(user).index(from).move_to(to).apply(todos);
        }
    }
}
