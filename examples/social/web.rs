//! The page, and what it asks.
//!
//! ```text
//! GET  /users                      all who follow somebody
//! GET  /timeline/{user}            the user's timeline as it comes: server-sent events, see `live.rs`
//! GET  /suggestions/{user}         whom the user may want to follow
//! GET  /reach/{post}               how many users a post has reached
//! POST /posts                      {"author": "ada", "text": "hello"}
//! POST /shares                     {"who": "ada", "post": {..}}
//! POST /follows                    {"who": "ada", "whom": "alan", "follow": true}
//! ```

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use gridmill::client::{AppendError, ReadError, WatchError};
use gridmill::prelude::*;
use gridmill_examples::Failed;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::live::Live;
use crate::module::{DID, Did, FOLLOWS, Post, REACH, WHO_TO_FOLLOW};

/// The longest name and the longest text, in bytes.
const NAME_BYTES_MAX: usize = 60;
const TEXT_BYTES_MAX: usize = 500;

/// How many users are suggested.
const SUGGESTED: u32 = 5;

pub(crate) async fn listen(port: u16) -> Result<TcpListener, Failed> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).await.map_err(|error| {
        format!("cannot listen on {address}: {error}; choose another port with --port").into()
    })
}

pub(crate) fn router(client: Client) -> Router {
    Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/users", get(users))
        .route("/timeline/{user}", get(timeline))
        .route("/suggestions/{user}", get(suggestions))
        .route("/reach/{post}", get(reach))
        .route("/posts", post(publish))
        .route("/shares", post(share))
        .route("/follows", post(follow))
        .with_state(client)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Publish {
    author: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Share {
    who: String,
    post: Post,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Follow {
    who: String,
    whom: String,
    follow: bool,
}

async fn users(State(client): State<Client>) -> Result<Json<Value>, Failure> {
    let mut users = client.select_all(FOLLOWS.map_keys()).await?;
    users.sort_unstable();
    Ok(Json(json!(users)))
}

async fn timeline(
    State(client): State<Client>,
    user: Result<Path<String>, PathRejection>,
) -> Result<Sse<Live>, Failure> {
    let user = checked(&user?.0, "the user", NAME_BYTES_MAX)?;
    Ok(Sse::new(Live::of(&client, &user).await?).keep_alive(KeepAlive::default()))
}

async fn suggestions(
    State(client): State<Client>,
    user: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Failure> {
    let user = checked(&user?.0, "the user", NAME_BYTES_MAX)?;
    let users = client.query(WHO_TO_FOLLOW, (user, SUGGESTED)).await?;
    let shown = |(user, by): &(Str, u64)| json!({ "user": user, "by": by });
    Ok(Json(users.iter().map(shown).collect()))
}

async fn reach(
    State(client): State<Client>,
    post: Result<Path<Uuid>, PathRejection>,
) -> Result<Json<Value>, Failure> {
    Ok(Json(json!({ "users": client.query(REACH, post?.0).await? })))
}

async fn publish(
    State(client): State<Client>,
    body: Result<Json<Publish>, JsonRejection>,
) -> Result<Json<Post>, Failure> {
    let Json(Publish { author, text }) = body?;
    let author = checked(&author, "the author", NAME_BYTES_MAX)?;
    let text = checked(&text, "the text", TEXT_BYTES_MAX)?;
    let post = new_post(author, text);
    client.append(DID, Did::Post { post: post.clone() }).await?;
    Ok(Json(post))
}

async fn share(
    State(client): State<Client>,
    body: Result<Json<Share>, JsonRejection>,
) -> Result<Json<Value>, Failure> {
    let Json(Share { who, post }) = body?;
    let who = checked(&who, "the user", NAME_BYTES_MAX)?;
    checked(&post.text, "the text", TEXT_BYTES_MAX)?;
    checked(&post.author, "the author", NAME_BYTES_MAX)?;
    let id = post.id;
    client.append(DID, Did::Share { who, post }).await?;
    // The append was answered when the post had arrived everywhere, so it counts here.
    Ok(Json(json!({ "users": client.query(REACH, id).await? })))
}

async fn follow(
    State(client): State<Client>,
    body: Result<Json<Follow>, JsonRejection>,
) -> Result<Json<Value>, Failure> {
    let Json(Follow { who, whom, follow }) = body?;
    let who = checked(&who, "the user", NAME_BYTES_MAX)?;
    let whom = checked(&whom, "who is followed", NAME_BYTES_MAX)?;
    if who == whom {
        return Err(Failure::bad(format!("{who} cannot follow themselves")));
    }
    let did = if follow { Did::Follow { who, whom } } else { Did::Unfollow { who, whom } };
    client.append(DID, did).await?;
    Ok(Json(json!({})))
}

/// The clock and the random number are asked here, never in a handler: a handler that runs again must come to the
/// same state.
pub(crate) fn new_post(author: Str, text: Str) -> Post {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    Post { id: fresh_id(since.as_nanos()), author, text, at }
}

/// An id that no other post of this process has, and hardly one of another.
fn fresh_id(nanos: u128) -> Uuid {
    use std::hash::{BuildHasher, RandomState};
    Uuid::from_u64_pair(RandomState::new().hash_one(nanos), RandomState::new().hash_one(nanos))
}

fn checked(text: &str, what: &str, bytes_max: usize) -> Result<Str, Failure> {
    let text = text.trim();
    if text.is_empty() || text.len() > bytes_max {
        let message = format!("{what} has {} bytes, expected 1 to {bytes_max}", text.len());
        return Err(Failure::bad(message));
    }
    Ok(text.into())
}

/// An error as the caller sees it: a status and `{"error": ".."}`.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    message: String,
}

impl Failure {
    fn bad(message: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.message }))).into_response()
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

macro_rules! unavailable {
    ($($error:ty),+) => { $(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self { status: StatusCode::SERVICE_UNAVAILABLE, message: error.to_string() }
            }
        }
    )+ };
}

unavailable!(AppendError<Did>, ReadError, AskError, WatchError);
