//! Drives the service over HTTP: timelines come live, and are held against plain lists.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use gridmill_examples::Failed;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::crowd::{Crowd, USERS, followed_by};
use crate::module::SHOWN;
use crate::{Service, open, web};

/// More posts than a timeline keeps.
const POSTS: usize = 3 * SHOWN;

pub(crate) async fn run() -> Result<(), Failed> {
    let data = tempfile::tempdir()?;
    let listener = web::listen(0).await?;
    let address = listener.local_addr()?;
    let grid = open(data.path()).await?;
    Crowd::new(grid.client()).settle().await?;
    let service = Service::start(listener, &grid);
    let users = get(address, "/users").await?;
    expect("the users", users, json!(USERS))?;
    let mut open_timelines = Vec::new();
    for user in USERS {
        open_timelines.push(Timeline::open(address, user).await?);
    }
    post_and_compare(address, &mut open_timelines).await?;
    follow_and_share(address, &mut open_timelines[0]).await?;
    refusals(address).await?;
    grid.shutdown().await?;
    for timeline in &mut open_timelines {
        let (event, why) = timeline.next().await?;
        if event != "end" {
            return Err(format!("the grid has ended, and a timeline got {event}: {why}").into());
        }
    }
    service.stop().await?;
    gridmill_examples::print("every timeline had each post once, as it came\n")
}

/// Everybody posts, and each post comes live to those who follow its author, and to nobody else.
async fn post_and_compare(address: SocketAddr, timelines: &mut [Timeline]) -> Result<(), Failed> {
    let mut due: BTreeMap<usize, usize> = BTreeMap::new();
    for number in 0..POSTS {
        let author = number * 5 % USERS.len();
        let body = json!({ "author": USERS[author], "text": format!("post {number}") });
        let post = send(address, "/posts", &body).await?;
        let followers = (0..USERS.len()).filter(|who| followed_by(*who).any(|whom| whom == author));
        for follower in followers {
            *due.entry(follower).or_default() += 1;
            let timeline = &mut timelines[follower];
            timeline.until(|posts| posts.first().map(|seen| &seen["post"]) == Some(&post)).await?;
            if timeline.posts.len() > SHOWN {
                return Err(format!("{} sees more than {SHOWN}", USERS[follower]).into());
            }
        }
    }
    gridmill_examples::print(&format!(
        "{POSTS} posts came to {} timelines as they were made\n",
        due.values().sum::<usize>()
    ))?;
    Ok(())
}

/// Suggestions, followers and the reach of a post follow the graph.
async fn follow_and_share(address: SocketAddr, ada: &mut Timeline) -> Result<(), Failed> {
    let suggested = get(address, "/suggestions/ada").await?;
    let first = suggested[0].clone();
    // Of those whom ada follows, most follow the user who is next in the circle.
    expect("the first suggestion", first, json!({ "user": "edsger", "by": 3 }))?;
    let body = json!({ "who": "ada", "whom": "edsger", "follow": true });
    send(address, "/follows", &body).await?;
    let suggested = get(address, "/suggestions/ada").await?;
    if suggested.as_array().into_iter().flatten().any(|it| it["user"] == "edsger") {
        return Err("ada follows edsger, who is suggested still".into());
    }
    let post = send(address, "/posts", &json!({ "author": "edsger", "text": "new here" })).await?;
    ada.until(|posts| posts.first().map(|seen| &seen["post"]) == Some(&post)).await?;
    let reach = format!("/reach/{}", post["id"].as_str().unwrap_or_default());
    // Four of the circle, and ada.
    expect("the reach of a post", get(address, &reach).await?, json!({ "users": 5 }))?;
    let shared = send(address, "/shares", &json!({ "who": "ada", "post": post })).await?;
    // The followers of ada, two of whom follow edsger too.
    let expected = reached(&[4, 0], true);
    expect("the reach of a shared post", shared, json!({ "users": expected }))?;
    let body = json!({ "who": "radia", "whom": "ada", "follow": false });
    send(address, "/follows", &body).await?;
    ada.until_followers(3).await
}

/// How many follow one of those users; ada follows edsger too, where `ada` says so.
fn reached(of: &[usize], ada: bool) -> usize {
    let follows = |who: usize| {
        followed_by(who).any(|whom| of.contains(&whom)) || (ada && who == 0 && of.contains(&4))
    };
    (0..USERS.len()).filter(|who| follows(*who)).count()
}

async fn refusals(address: SocketAddr) -> Result<(), Failed> {
    let refused = [
        (
            "/posts",
            json!({ "author": "ada", "text": " " }),
            "the text has 0 bytes, expected 1 to 500",
        ),
        (
            "/follows",
            json!({ "who": "ada", "whom": "ada", "follow": true }),
            "ada cannot follow themselves",
        ),
    ];
    for (path, body, message) in refused {
        let (status, answer) = ask(address, "POST", path, &body).await?;
        expect("the status", json!(status), json!(400))?;
        expect("a refusal", answer, json!({ "error": message }))?;
    }
    Ok(())
}

fn expect(what: &str, got: Value, expected: Value) -> Result<(), Failed> {
    if got == expected {
        Ok(())
    } else {
        Err(format!("{what}: expected {expected}, got {got}").into())
    }
}

async fn get(address: SocketAddr, path: &str) -> Result<Value, Failed> {
    well(path, ask(address, "GET", path, &Value::Null).await?)
}

async fn send(address: SocketAddr, path: &str, body: &Value) -> Result<Value, Failed> {
    well(path, ask(address, "POST", path, body).await?)
}

fn well(path: &str, (status, answer): (u16, Value)) -> Result<Value, Failed> {
    if status == 200 { Ok(answer) } else { Err(format!("{path}: {status} {answer}").into()) }
}

async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<(u16, Value), Failed> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer has no end of its head")?;
    let status = head.split(' ').nth(1).ok_or("the answer has no status")?.parse()?;
    Ok((status, serde_json::from_str(body)?))
}

/// A timeline as a browser has it.
struct Timeline {
    lines: tokio::io::Lines<BufReader<TcpStream>>,
    posts: Vec<Value>,
    followers: u64,
}

impl Timeline {
    /// Opens it, and waits until it is there.
    async fn open(address: SocketAddr, user: &str) -> Result<Self, Failed> {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET /timeline/{user} HTTP/1.1\r\nhost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let lines = BufReader::new(stream).lines();
        let mut timeline = Self { lines, posts: Vec::new(), followers: u64::MAX };
        timeline.until(|posts| !posts.is_empty()).await?;
        timeline.until_followers(4).await?;
        Ok(timeline)
    }

    async fn until(&mut self, has: impl Fn(&[Value]) -> bool) -> Result<(), Failed> {
        while !has(&self.posts) {
            self.go_on().await?;
        }
        Ok(())
    }

    async fn until_followers(&mut self, count: u64) -> Result<(), Failed> {
        while self.followers != count {
            self.go_on().await?;
        }
        Ok(())
    }

    /// Does what the page does with the next event.
    async fn go_on(&mut self) -> Result<(), Failed> {
        let (event, data) = self.next().await?;
        match event.as_str() {
            "all" => self.posts = serde_json::from_value(data)?,
            "seen" => {
                self.posts.insert(0, data);
                self.posts.truncate(SHOWN);
            }
            "followers" => self.followers = serde_json::from_value(data)?,
            _ => return Err(format!("{event}: {data}").into()),
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<(String, Value), Failed> {
        let mut event = String::new();
        while let Some(line) = self.lines.next_line().await? {
            if let Some(name) = line.strip_prefix("event: ") {
                event = name.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                let data = serde_json::from_str(data).unwrap_or_else(|_| json!(data));
                return Ok((event, data));
            }
        }
        Err("the timeline has ended".into())
    }
}
