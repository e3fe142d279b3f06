//! The page with its chart, and the same as JSON.
//!
//! ```text
//! GET /pages                                           all pages, and the minutes from the first render to the last
//! GET /stats/{page}?from=..&to=..                      what is known of a range of minutes since 1970
//! GET /stats/{page}?from=..&to=..&parts=120            the same, and for each of its parts
//! ```

use std::net::{Ipv4Addr, SocketAddr};

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use gridmill::prelude::{AskError, Client, Str};
use gridmill_examples::Failed;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::module::{CHART, SUMMARY, Summary};
use crate::renders::{PAGES, Past};

/// The most parts that a chart may have.
const PARTS_MAX: u32 = 1000;

/// What the service answers from.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) client: Client,
    pub(crate) past: Past,
}

pub(crate) async fn listen(port: u16) -> Result<TcpListener, Failed> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).await.map_err(|error| {
        format!("cannot listen on {address}: {error}; choose another port with --port").into()
    })
}

pub(crate) fn router(service: Service) -> Router {
    Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/pages", get(pages))
        .route("/stats/{page}", get(stats))
        .with_state(service)
}

/// The range that somebody asks about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    from: i64,
    to: i64,
    parts: Option<u32>,
}

async fn pages(State(Service { past, .. }): State<Service>) -> Json<Value> {
    Json(json!({ "pages": PAGES, "from": past.from, "to": past.to }))
}

async fn stats(
    State(Service { client, .. }): State<Service>,
    page: Result<Path<Str>, PathRejection>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Value>, Failure> {
    let (Path(page), Query(Wanted { from, to, parts })) = (page?, wanted?);
    check(from, to, parts)?;
    let asked = (page, from, to);
    let all = client.query(SUMMARY, asked.clone()).await?;
    let mut answer = json!({ "from": from, "to": to, "all": shown(&all) });
    if let Some(parts) = parts {
        let parts = client.query(CHART, (asked, parts)).await?;
        answer["parts"] = parts.iter().map(shown).collect();
    }
    Ok(Json(answer))
}

fn check(from: i64, to: i64, parts: Option<u32>) -> Result<(), Failure> {
    // Ten thousand years: what lies further away is a mistake, and would not fit the arithmetic.
    const MINUTES_MAX: i64 = 5_256_000_000;
    let bad = |message: String| Err(Failure { status: StatusCode::BAD_REQUEST, message });
    if from > to || from < -MINUTES_MAX || to > MINUTES_MAX {
        return bad(format!(
            "expected `from` up to `to`, in minutes since 1970; got {from} and {to}"
        ));
    }
    match parts {
        Some(parts) if !(1..=PARTS_MAX).contains(&parts) => {
            bad(format!("`parts` is from 1 to {PARTS_MAX}, got {parts}"))
        }
        _ => Ok(()),
    }
}

fn shown(summary: &Summary) -> Value {
    let Summary { stats, entries } = summary;
    let measured = stats.average().map(
        |average| json!({ "average": average, "fastest": stats.fastest, "slowest": stats.slowest }),
    );
    json!({ "renders": stats.renders, "entries": entries, "millis": measured })
}

/// An error as the caller sees it: a status and `{"error": ".."}`.
struct Failure {
    status: StatusCode,
    message: String,
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

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        Self { status: rejection.status(), message: rejection.body_text() }
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, message: error.to_string() }
    }
}
