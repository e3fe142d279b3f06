//! The web service: JSON endpoints over a client, and the page that uses them.
//!
//! ```text
//! GET  /todos/{user}                    the user's todos and how many are completed
//! POST /todos/{user}                    {"text": "ship it"}
//! POST /todos/{user}/{id}/complete
//! POST /todos/{user}/reorder            {"id": 2, "to": 0}
//! ```
//!
//! Every answer to a POST is the list after it: an append is answered once it is processed, so the
//! select behind it sees it. Every other answer is `{"error": ".."}` with the status that fits.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use gridmill::client::{AppendError, ReadError};
use gridmill::prelude::*;
use serde::{Deserialize, Serialize};

use crate::module::{COMPLETED, EVENTS, TODOS, Todo, TodoEvent};
use crate::server;

/// The longest name of a user and the longest todo, in bytes.
const USER_BYTES_MAX: usize = 100;
const TEXT_BYTES_MAX: usize = 1000;

/// The service on top of `client`.
pub(crate) fn router(client: Client) -> Router {
    Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/todos/{user}", get(list).post(add))
        .route("/todos/{user}/{id}/complete", post(complete))
        .route("/todos/{user}/reorder", post(reorder))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn(server::within_limits))
        .with_state(client)
}

/// What a user sees.
#[derive(Serialize)]
struct Answer {
    todos: List<Todo>,
    completed: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reorder {
    id: u64,
    to: u32,
}

async fn list(
    State(client): State<Client>,
    user: Result<Path<String>, PathRejection>,
) -> Result<Json<Answer>, Failure> {
    let user = checked(user?.0, "the user", USER_BYTES_MAX)?;
    answer(&client, &user).await
}

async fn add(
    State(client): State<Client>,
    user: Result<Path<String>, PathRejection>,
    body: Result<Json<Add>, JsonRejection>,
) -> Result<Json<Answer>, Failure> {
    let user = checked(user?.0, "the user", USER_BYTES_MAX)?;
    let text = checked(body?.0.text, "the text", TEXT_BYTES_MAX)?;
    client.append(EVENTS, TodoEvent::New { user: user.clone(), text }).await?;
    answer(&client, &user).await
}

async fn complete(
    State(client): State<Client>,
    path: Result<Path<(String, u64)>, PathRejection>,
) -> Result<Json<Answer>, Failure> {
    let (user, id) = path?.0;
    let user = checked(user, "the user", USER_BYTES_MAX)?;
    check_has(&client, &user, id).await?;
    let event = TodoEvent::Complete { user: user.clone(), id, at: now() };
    client.append(EVENTS, event).await?;
    answer(&client, &user).await
}

async fn reorder(
    State(client): State<Client>,
    user: Result<Path<String>, PathRejection>,
    body: Result<Json<Reorder>, JsonRejection>,
) -> Result<Json<Answer>, Failure> {
    let user = checked(user?.0, "the user", USER_BYTES_MAX)?;
    let Reorder { id, to } = body?.0;
    let count = check_has(&client, &user, id).await?;
    if to as usize >= count {
        return Err(Failure::bad(format!("place {to} is behind the last of {count} todos")));
    }
    client.append(EVENTS, TodoEvent::Reorder { user: user.clone(), id, to }).await?;
    answer(&client, &user).await
}

/// Refuses a todo that the user does not have; says how many there are. To ask before the append is
/// enough, because todos are never removed.
async fn check_has(client: &Client, user: &str, id: u64) -> Result<usize, Failure> {
    let todos = client.select_one(TODOS.key(user)).await?.unwrap_or_default();
    if todos.iter().any(|todo| todo.id == id) {
        return Ok(todos.len());
    }
    let message = format!("{user} has no todo with the id {id}");
    Err(Failure { status: StatusCode::NOT_FOUND, message })
}

async fn no_such_path(uri: Uri) -> Failure {
    let message = format!("there is nothing at {}", uri.path());
    Failure { status: StatusCode::NOT_FOUND, message }
}

async fn no_such_method(method: Method, uri: Uri) -> Failure {
    let message = format!("{} does not take {method}; the `allow` header says what", uri.path());
    Failure { status: StatusCode::METHOD_NOT_ALLOWED, message }
}

async fn answer(client: &Client, user: &str) -> Result<Json<Answer>, Failure> {
    let todos = client.select_one(TODOS.key(user)).await?.unwrap_or_default();
    let completed = client.select_one(COMPLETED.key(user)).await?.unwrap_or_default();
    Ok(Json(Answer { todos, completed }))
}

fn checked(text: String, what: &str, bytes_max: usize) -> Result<Str, Failure> {
    let text = text.trim();
    if text.is_empty() || text.len() > bytes_max {
        let message = format!("{what} has {} bytes, expected 1 to {bytes_max}", text.len());
        return Err(Failure::bad(message));
    }
    Ok(text.into())
}

/// Milliseconds since 1970. The clock is asked here, never in a handler: a handler that runs again
/// must come to the same state.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// An error as the caller sees it: a status and `{"error": ".."}`.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Failure {
    fn bad(message: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(serde_json::json!({ "error": self.message }))).into_response()
    }
}

impl From<PathRejection> for Failure {
    fn from(rejection: PathRejection) -> Self {
        Self { status: rejection.status(), message: rejection.body_text() }
    }
}

impl From<JsonRejection> for Failure {
    fn from(rejection: JsonRejection) -> Self {
        Self { status: rejection.status(), message: rejection.body_text() }
    }
}

impl<T> From<AppendError<T>> for Failure {
    fn from(error: AppendError<T>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, message: error.to_string() }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, message: error.to_string() }
    }
}
