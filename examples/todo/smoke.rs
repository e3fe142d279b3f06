//! Drives the service over HTTP as a person would, and compares every answer.

use std::net::SocketAddr;

use gridmill_examples::Failed;
use serde_json::{Value, json};

use crate::Running;
use crate::http::send;

/// A request and the answer that is expected.
struct Step {
    method: &'static str,
    path: &'static str,
    body: Value,
    status: u16,
    answer: Value,
}

/// Adds, completes, reorders, stops, starts on the same folder and reads again.
pub(crate) async fn run() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    drive(folder.path(), first_run()).await?;
    println!("stopped; started again on the same folder");
    drive(folder.path(), second_run()).await?;
    println!("every answer was as expected");
    Ok(())
}

fn first_run() -> Vec<Step> {
    let open = |text| (text, false);
    let (ship, tea, write, drunk) =
        (open("ship it"), open("drink tea"), open("write tests"), ("drink tea", true));
    vec![
        read("alice", &[], 0),
        post("/todos/alice", add("ship it"), &[ship], 0),
        post("/todos/alice", add("drink tea"), &[ship, tea], 0),
        post("/todos/alice", add("write tests"), &[ship, tea, write], 0),
        post("/todos/alice/1/complete", Value::Null, &[ship, drunk, write], 1),
        // Completing twice counts once, and what is not there cannot be completed.
        post("/todos/alice/1/complete", Value::Null, &[ship, drunk, write], 1),
        post("/todos/alice/9/complete", Value::Null, &[ship, drunk, write], 1),
        post("/todos/alice/reorder", json!({"from": 2, "to": 0}), &[write, ship, drunk], 1),
        post("/todos/bob", add("sleep"), &[open("sleep")], 0),
        refused("/todos/alice", add("  "), 400, "the text has 0 bytes, expected 1 to 1000"),
    ]
}

fn second_run() -> Vec<Step> {
    let after = [("write tests", false), ("ship it", false), ("drink tea", true)];
    vec![
        read("alice", &after, 1),
        read("bob", &[("sleep", false)], 0),
        post("/todos/bob/0/complete", Value::Null, &[("sleep", true)], 1),
    ]
}

fn read(user: &str, todos: &[(&str, bool)], completed: u64) -> Step {
    let path = if user == "alice" { "/todos/alice" } else { "/todos/bob" };
    Step { method: "GET", path, body: Value::Null, status: 200, answer: list(todos, completed) }
}

fn post(path: &'static str, body: Value, todos: &[(&str, bool)], completed: u64) -> Step {
    Step { method: "POST", path, body, status: 200, answer: list(todos, completed) }
}

fn refused(path: &'static str, body: Value, status: u16, error: &str) -> Step {
    Step { method: "POST", path, body, status, answer: json!({ "error": error }) }
}

fn add(text: &str) -> Value {
    json!({ "text": text })
}

/// An answer as it is expected, with `true` where there is some time.
fn list(todos: &[(&str, bool)], completed: u64) -> Value {
    let todo = |(text, done): &(&str, bool)| {
        let completed_at = if *done { Value::Bool(true) } else { Value::Null };
        json!({ "text": text, "completed_at": completed_at })
    };
    json!({ "todos": todos.iter().map(todo).collect::<Vec<_>>(), "completed": completed })
}

/// Starts the service on `folder`, takes the steps and stops it.
async fn drive(folder: &std::path::Path, steps: Vec<Step>) -> Result<(), Failed> {
    let service = Running::start(folder.into()).await?;
    for step in steps {
        check(service.address, step).await?;
    }
    service.stop().await
}

async fn check(service: SocketAddr, step: Step) -> Result<(), Failed> {
    let Step { method, path, body, status, answer: expected } = step;
    let mut answer = send(service, method, path, &body).await?;
    hide_times(&mut answer.body);
    println!(
        "{method:4} {path}  {}",
        if body.is_null() { String::new() } else { body.to_string() }
    );
    println!("  {} {}", answer.status, answer.body);
    if answer.status == status && answer.body == expected {
        return Ok(());
    }
    let (got_status, got) = (answer.status, answer.body);
    Err(format!(
        "{method} {path} {body}\n  expected {status} {expected}\n  got      {got_status} {got}"
    )
    .into())
}

/// Puts `true` in the place of every time, which differs from run to run.
fn hide_times(answer: &mut Value) {
    let todos = answer.get_mut("todos").and_then(Value::as_array_mut);
    for todo in todos.into_iter().flatten() {
        match todo.get_mut("completed_at") {
            Some(time) if time.is_number() => *time = Value::Bool(true),
            _ => {}
        }
    }
}
