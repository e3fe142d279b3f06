//! A new variant of an event is not forgotten: the handler's `match` stops compiling.

use gridmill::prelude::*;

#[record]
enum TodoEvent {
    New { user: Str, text: Str },
    Complete { user: Str, index: u32 },
    Archive { user: Str },
}

fn on_event(event: TodoEvent, todos: &mut Map<Str, List<Str>>) {
    match event {
        TodoEvent::New { user, text } => todos.entry(user).or_default().push_back(text),
        TodoEvent::Complete { user, index } => {
            let list = todos.get_mut(user);
            list.and_then(|list| list.remove(index as usize));
        }
    }
}

fn main() {}
