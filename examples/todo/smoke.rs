//! Drives the service over HTTP as a person would, and compares every answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use gridmill_examples::Failed;
use serde_json::{Value, json};

use crate::Running;
use crate::http::{Answer, send, send_half};

/// A request and the answer that is expected.
struct Step {
    method: &'static str,
    path: String,
    body: Value,
    status: u16,
    answer: Value,
}

/// When each todo was completed, by its text. Nothing that is asked later may move it.
type Times = BTreeMap<String, i64>;

/// Adds, completes, reorders, stops, starts on the same folder and reads again.
pub(crate) async fn run() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let mut times = Times::new();
    drive(folder.path(), first_run(), &mut times).await?;
    println!("stopped; started again on the same folder");
    drive(folder.path(), second_run(), &mut times).await?;
    println!("every answer was as expected");
    Ok(())
}

const SHIP: (u64, &str, bool) = (0, "ship it", false);
const TEA: (u64, &str, bool) = (1, "drink tea", false);
const DRUNK: (u64, &str, bool) = (1, "drink tea", true);
const WRITE: (u64, &str, bool) = (2, "write tests", false);

fn first_run() -> Vec<Step> {
    let mut steps = vec![
        read("alice", &[], 0),
        post("/todos/alice", add("ship it"), &[SHIP], 0),
        post("/todos/alice", add("drink tea"), &[SHIP, TEA], 0),
        post("/todos/alice", add("write tests"), &[SHIP, TEA, WRITE], 0),
        post("/todos/alice/reorder", json!({"id": 2, "to": 0}), &[WRITE, SHIP, TEA], 0),
        // It is the todo that is completed, wherever it stands.
        post("/todos/alice/1/complete", Value::Null, &[WRITE, SHIP, DRUNK], 1),
        // Completing twice counts once.
        post("/todos/alice/1/complete", Value::Null, &[WRITE, SHIP, DRUNK], 1),
        post("/todos/bob", add("sleep"), &[(0, "sleep", false)], 0),
    ];
    steps.extend(refusals());
    steps.push(read("alice", &[WRITE, SHIP, DRUNK], 1));
    steps
}

fn refusals() -> Vec<Step> {
    let (todos, reorder) = ("/todos/alice", "/todos/alice/reorder");
    let unknown = "Failed to deserialize the JSON body into the target type: due: unknown field \
                   `due`, expected `text` at line 1 column 6";
    let method = "/todos/alice does not take DELETE; the `allow` header says what";
    vec![
        refused("POST", todos, add("  "), 400, "the text has 0 bytes, expected 1 to 1000"),
        refused("POST", todos, json!({"due": 1, "text": "a"}), 422, unknown),
        refused(
            "POST",
            "/todos/alice/9/complete",
            Value::Null,
            404,
            "alice has no todo with the id 9",
        ),
        refused("POST", reorder, json!({"id": 9, "to": 0}), 404, "alice has no todo with the id 9"),
        refused(
            "POST",
            reorder,
            json!({"id": 0, "to": 3}),
            400,
            "place 3 is behind the last of 3 todos",
        ),
        refused("GET", "/nothing", Value::Null, 404, "there is nothing at /nothing"),
        refused("DELETE", todos, Value::Null, 405, method),
        refused(
            "GET",
            &"/long".repeat(2000),
            Value::Null,
            414,
            "the path has 10000 bytes, expected at most 8192",
        ),
    ]
}

fn second_run() -> Vec<Step> {
    vec![
        read("alice", &[WRITE, SHIP, DRUNK], 1),
        post("/todos/alice/1/complete", Value::Null, &[WRITE, SHIP, DRUNK], 1),
        read("bob", &[(0, "sleep", false)], 0),
        post("/todos/bob/0/complete", Value::Null, &[(0, "sleep", true)], 1),
    ]
}

fn read(user: &str, todos: &[(u64, &str, bool)], completed: u64) -> Step {
    let path = format!("/todos/{user}");
    Step { method: "GET", path, body: Value::Null, status: 200, answer: list(todos, completed) }
}

fn post(path: &str, body: Value, todos: &[(u64, &str, bool)], completed: u64) -> Step {
    let answer = list(todos, completed);
    Step { method: "POST", path: path.into(), body, status: 200, answer }
}

fn refused(method: &'static str, path: &str, body: Value, status: u16, error: &str) -> Step {
    Step { method, path: path.into(), body, status, answer: json!({ "error": error }) }
}

fn add(text: &str) -> Value {
    json!({ "text": text })
}

/// An answer as it is expected, with `true` where there is some time.
fn list(todos: &[(u64, &str, bool)], completed: u64) -> Value {
    let todo = |(id, text, done): &(u64, &str, bool)| {
        let completed_at = if *done { Value::Bool(true) } else { Value::Null };
        json!({ "id": id, "text": text, "completed_at": completed_at })
    };
    json!({ "todos": todos.iter().map(todo).collect::<Vec<_>>(), "completed": completed })
}

/// Starts the service on `folder`, takes the steps and stops it.
async fn drive(folder: &Path, steps: Vec<Step>, times: &mut Times) -> Result<(), Failed> {
    let service = Running::start(folder.into()).await?;
    for step in steps {
        check(service.address, step, times).await?;
    }
    check_bodies(service.address).await?;
    service.stop().await
}

/// A body that is too long, and one that ends too early.
async fn check_bodies(service: SocketAddr) -> Result<(), Failed> {
    let long =
        format!("transfer-encoding: chunked\r\n\r\n11170\r\n{}\r\n0\r\n\r\n", "a".repeat(70_000));
    for (rest, status, error) in [
        (long.as_str(), 413, "the body has more than 65536 bytes"),
        ("content-length: 100\r\n\r\n{\"text\":", 400, "the body was broken off"),
    ] {
        let request =
            format!("POST /todos/alice HTTP/1.1\r\nhost: here\r\nconnection: close\r\n{rest}");
        let answer = send_half(service, &request).await?;
        let got = answer.body["error"].as_str().unwrap_or_default();
        if answer.status != status || !got.starts_with(error) {
            return Err(
                format!("expected {status} {error:?}, got {} {got:?}", answer.status).into()
            );
        }
    }
    Ok(())
}

async fn check(service: SocketAddr, step: Step, times: &mut Times) -> Result<(), Failed> {
    let Step { method, path, body, status, answer: expected } = step;
    let mut answer = send(service, method, &path, &body).await?;
    keep_times(&mut answer, times)?;
    let asked = if body.is_null() { String::new() } else { body.to_string() };
    println!("{method:4} {path:.60}  {asked}\n  {} {}", answer.status, answer.body);
    if answer.status == status && answer.body == expected {
        return Ok(());
    }
    let (got_status, got) = (answer.status, answer.body);
    Err(format!(
        "{method} {path} {asked}\n  expected {status} {expected}\n  got      {got_status} {got}"
    )
    .into())
}

/// Puts `true` in the place of every time, which differs from run to run, and compares it with the
/// one that was seen before.
fn keep_times(answer: &mut Answer, times: &mut Times) -> Result<(), Failed> {
    let todos = answer.body.get_mut("todos").and_then(Value::as_array_mut);
    for todo in todos.into_iter().flatten() {
        let text = todo["text"].as_str().unwrap_or_default().to_owned();
        let Some(time) = todo["completed_at"].as_i64() else { continue };
        let first = *times.entry(text.clone()).or_insert(time);
        if first != time {
            return Err(format!("`{text}` was completed at {first}, now it says {time}").into());
        }
        todo["completed_at"] = Value::Bool(true);
    }
    Ok(())
}
