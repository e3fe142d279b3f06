//! A path takes keys of the PState's key type, at every depth.

use gridmill::prelude::*;

const TODOS: PState<Map<Str, List<Str>>> = PState::new("todo/todos");
const GRADES: PState<Map<u32, Map<Str, u64>>> = PState::new("school/grades");

fn main() {
    TODOS.key(5_u32);
    TODOS.must(Some("alice"));
    GRADES.key(7).key(8);
    GRADES.key_range("a".."b");
}
