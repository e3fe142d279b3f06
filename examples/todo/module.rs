//! The module: one depot of what people did, and two views computed from it.

use gridmill::prelude::*;

#[record]
pub struct Todo {
    pub id: u64,
    pub text: Str,
    pub completed_at: Option<i64>,
}

#[record]
pub enum TodoEvent {
    New { user: Str, text: Str },
    Complete { user: Str, id: u64, at: i64 },
    Reorder { user: Str, id: u64, to: u32 },
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
    let place = |list: &List<Todo>, id| list.iter().position(|todo| todo.id == id);
    match event {
        TodoEvent::New { user, text } => {
            let list = todos.entry(user).or_default();
            // Todos are never removed: their number is an id that none has.
            let id = list.len() as u64;
            list.push_back(Todo { id, text, completed_at: None });
        }
        TodoEvent::Complete { user, id, at } => {
            let Some(list) = todos.get_mut(&user) else { return };
            let Some(todo) = place(list, id).and_then(|place| list.get_mut(place)) else { return };
            if todo.completed_at.is_none() {
                todo.completed_at = Some(at);
                *completed.entry(user).or_default() += 1;
            }
        }
        TodoEvent::Reorder { user, id, to } => {
            let Some(from) = todos.get(&user).and_then(|list| place(&list, id)) else { return };
            TODOS.key(user).index(from).move_to(to).apply(todos);
        }
    }
}
