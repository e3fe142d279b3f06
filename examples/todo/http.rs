//! Just enough of an HTTP client for the smoke test: one request a connection.

use std::net::SocketAddr;

use gridmill_examples::Failed;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer: its status and its body as JSON.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// Sends `body` (nothing, where it is null) and reads the whole answer.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<Answer, Failed> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    answer(stream).await
}

/// Sends a part of a request and breaks off; reads the whole answer.
pub(crate) async fn send_half(address: SocketAddr, request: &str) -> Result<Answer, Failed> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    stream.shutdown().await?;
    answer(stream).await
}

async fn answer(mut stream: TcpStream) -> Result<Answer, Failed> {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    parse(&answer)
}

fn parse(answer: &str) -> Result<Answer, Failed> {
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer has no end of its head")?;
    let status = head.split(' ').nth(1).ok_or("the answer has no status")?.parse()?;
    Ok(Answer { status, body: serde_json::from_str(body)? })
}
