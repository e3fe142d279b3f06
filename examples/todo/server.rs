//! The HTTP server, with a bound on whatever a caller may hold up: hyper under an axum router.

use std::error::Error as _;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::Listener;
use http_body_util::LengthLimitError;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::web::Failure;

/// Connections at a time. The next ones wait outside, so that descriptors are left for the grid.
const CONNECTIONS_MAX: usize = 128;

/// How long a connection may take to send the head of its next request.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// How long the body of a request may take.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a stop waits for requests that are under way.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);

/// The largest parts of a request, in bytes. hyper's own limits lie behind these (a path of 64 KiB,
/// a head of 400 KiB): what exceeds them too gets the status alone.
const PATH_BYTES_MAX: usize = 8 << 10;
const HEADERS_BYTES_MAX: usize = 16 << 10;
const BODY_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 1000;

/// Serves until `stop` is ready; then answers what is under way, as long as that comes in time.
pub(crate) async fn serve(
    mut listener: TcpListener,
    service: Router,
    stop: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX).max_headers(HEADERS_MAX);
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let place = room.clone().acquire_owned().await;
            // That of the trait goes on after an error, such as a lack of descriptors.
            (place, Listener::accept(&mut listener).await.0)
        };
        let (place, stream) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let service = TowerToHyperService::new(service.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // An error is the caller's: it went away, or was too slow. Nobody is left to be told.
            drop(connection.await);
            drop(place);
        });
    }
    drop(listener);
    drop(timeout(STOP_TIME_MAX, connections.shutdown()).await);
}

/// Hands a request on when all of it is there and within its limits.
pub(crate) async fn within_limits(request: Request, next: Next) -> Result<Response, Failure> {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or(0, |path| path.as_str().len());
    within(path, "the path", PATH_BYTES_MAX, StatusCode::URI_TOO_LONG)?;
    let headers = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    within(headers, "the header", HEADERS_BYTES_MAX, status)?;
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    within(announced, "the body", BODY_BYTES_MAX, StatusCode::PAYLOAD_TOO_LARGE)?;
    let body = timeout(BODY_TIME_MAX, to_bytes(body, BODY_BYTES_MAX)).await;
    let body = body.map_err(|_| Failure {
        status: StatusCode::REQUEST_TIMEOUT,
        message: format!("the body did not come within {} s", BODY_TIME_MAX.as_secs()),
    })?;
    let body = body.map_err(|error| not_whole(&error))?;
    Ok(next.run(Request::from_parts(head, body.into())).await)
}

/// Why a body could not be read to its end.
fn not_whole(error: &axum::Error) -> Failure {
    if error.source().is_some_and(|source| source.is::<LengthLimitError>()) {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Failure {
            status,
            message: format!("the body has more than {BODY_BYTES_MAX} bytes"),
        };
    }
    let status = StatusCode::BAD_REQUEST;
    Failure { status, message: format!("the body was broken off: {error}") }
}

fn within(bytes: usize, what: &str, max: usize, status: StatusCode) -> Result<(), Failure> {
    if bytes <= max {
        return Ok(());
    }
    Err(Failure { status, message: format!("{what} has {bytes} bytes, expected at most {max}") })
}
