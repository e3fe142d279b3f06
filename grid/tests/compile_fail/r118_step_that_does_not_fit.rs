//! A path takes the steps of the type that it has come to.

use gridmill::prelude::*;

const TODOS: PState<Map<Str, List<Str>>> = PState::new("todo/todos");

fn main() {
    TODOS.nth(0);
    TODOS.key("alice").key("bob");
    TODOS.key("alice").add_elem();
    TODOS.key("alice").nth(0).len();
}
