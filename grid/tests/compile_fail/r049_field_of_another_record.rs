//! A field handle names its record: another record's, or one that does not exist, does not compile.

use gridmill::prelude::*;

#[record]
struct Todo {
    text: Str,
    done_at: Option<i64>,
}

#[record]
struct User {
    name: Str,
}

const TODOS: PState<Map<Str, Todo>> = PState::new("todo/todos");

fn main() {
    TODOS.key("alice").field(User::NAME);
    TODOS.key("alice").field(Todo::TITLE);
    TODOS.key("alice").field(Todo::TEXT).set(5_u64);
}
