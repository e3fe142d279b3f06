//! Redis with the same data in lists: every command synced before its answer, pipelines of 16.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use crate::args::Options;
use crate::error::{BenchError, Result, check, failed};
use crate::measure::{Recorder, Subject};
use crate::workloads::events::{Act, TEXT, Todos};

use super::server::{Server, find, free_port};

/// Connections, in two halves: one is answered while the other waits.
const CONNECTIONS: usize = 48;

/// Commands that a connection sends before it reads answers.
const PIPELINE: usize = 16;

/// Marks the entry at an index as done, and counts it the first time.
const COMPLETE: &str = "local t = redis.call('LINDEX', KEYS[1], ARGV[1]) \
    if t and string.sub(t, 1, 1) == '0' then \
    redis.call('LSET', KEYS[1], ARGV[1], '1' .. ARGV[2] .. string.sub(t, 2)) \
    redis.call('INCR', KEYS[2]) end return 1";

/// Moves an entry: a marker takes its place, and the entry goes beside its new neighbour.
const MOVE: &str = "local l = redis.call('LRANGE', KEYS[1], 0, -1) \
    local t = table.remove(l, ARGV[1] + 1) table.insert(l, ARGV[2] + 1, t) \
    local from, to = math.min(ARGV[1], ARGV[2]), math.max(ARGV[1], ARGV[2]) \
    for i = from, to do redis.call('LSET', KEYS[1], i, l[i + 1]) end return 1";

#[derive(Debug)]
struct Connection {
    stream: BufReader<TcpStream>,
    feed: Todos,
    done: u64,
    request: Vec<u8>,
    sent: Instant,
}

/// A server of its own, used by the todo workload.
#[derive(Debug)]
pub struct RedisPeer {
    connections: Vec<Connection>,
    scripts: [String; 2],
    options: Options,
    server: Server,
    _folder: TempDir,
}

/// Starts a server that syncs every command.
pub(crate) fn start(folder: &Path, synced: bool) -> Result<(Server, BufReader<TcpStream>, u16)> {
    let program = find("redis", "redis-server", "redis-server", &[])?;
    let port = free_port()?;
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    command.arg("--dir").arg(folder);
    if synced {
        command.args(["--appendonly", "yes", "--appendfsync", "always"]);
    }
    let mut server = Server::start(&mut command)?;
    let stream = server.wait_for(|| connect(port))?;
    Ok((server, stream, port))
}

fn connect(port: u16) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).map_err(failed("redis"))?;
    stream.set_nodelay(true).map_err(failed("redis"))?;
    Ok(BufReader::new(stream))
}

/// Adds a command in redis' protocol: an array of strings.
pub(super) fn command(request: &mut Vec<u8>, words: &[&str]) {
    request.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        request.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}

/// Reads one answer: a number, a line or a string.
pub(super) fn answer(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).map_err(failed("redis"))?;
    let line = line.trim_end();
    let (kind, rest) = line.split_at_checked(1).unwrap_or(("-", "it hung up"));
    match kind {
        "-" => Err(BenchError::Failed { what: "redis", message: rest.to_owned() }),
        "$" => {
            let length = rest.parse::<usize>().unwrap_or(0);
            let mut bytes = vec![0; length + 2];
            stream.read_exact(&mut bytes).map_err(failed("redis"))?;
            Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
        }
        _ => Ok(rest.to_owned()),
    }
}

/// Sends one command and reads its answer.
pub(crate) fn ask(stream: &mut BufReader<TcpStream>, words: &[&str]) -> Result<String> {
    let mut request = Vec::new();
    command(&mut request, words);
    stream.get_mut().write_all(&request).map_err(failed("redis"))?;
    answer(stream)
}

/// Sends so many commands at once and reads their answers.
pub(crate) fn ask_all<'a, const N: usize>(
    stream: &mut BufReader<TcpStream>,
    commands: impl Iterator<Item = [&'a str; N]>,
) -> Result<()> {
    let (mut request, mut count) = (Vec::new(), 0);
    for words in commands {
        command(&mut request, &words);
        count += 1;
    }
    stream.get_mut().write_all(&request).map_err(failed("redis"))?;
    (0..count).try_for_each(|_| answer(stream).map(drop))
}

impl RedisPeer {
    /// Starts a server in a folder of its own.
    ///
    /// # Errors
    /// [`BenchError::Missing`] where it is not installed.
    pub fn new(options: &Options) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(failed("a folder"))?;
        let (server, mut stream, port) = start(folder.path(), true)?;
        let complete = ask(&mut stream, &["SCRIPT", "LOAD", COMPLETE])?;
        let moves = ask(&mut stream, &["SCRIPT", "LOAD", MOVE])?;
        let mut connections = Vec::new();
        for number in 0..CONNECTIONS {
            connections.push(Connection {
                stream: connect(port)?,
                feed: Todos::part(options, number, CONNECTIONS),
                done: 0,
                request: Vec::new(),
                sent: Instant::now(),
            });
        }
        let options = options.clone();
        Ok(Self { connections, scripts: [complete, moves], options, server, _folder: folder })
    }

    fn send(&mut self, half: usize) -> Result<()> {
        let scripts = &self.scripts;
        let (one, other) = self.connections.split_at_mut(CONNECTIONS / 2);
        let half = if half == 0 { one } else { other };
        half.iter_mut().try_for_each(|connection| connection.send(scripts))
    }

    fn receive(&mut self, half: usize, seen: &mut Recorder) -> Result<()> {
        let (one, other) = self.connections.split_at_mut(CONNECTIONS / 2);
        for connection in if half == 0 { one } else { other } {
            for _ in 0..PIPELINE {
                answer(&mut connection.stream)?;
            }
            seen.answered(PIPELINE as u64, connection.sent);
        }
        Ok(())
    }

    fn sum(&mut self, read: &str, prefix: &str) -> Result<u64> {
        let script = format!(
            "local s = 0 for _, k in ipairs(redis.call('KEYS', '{prefix}*')) do \
             s = s + redis.call('{read}', k) end return s"
        );
        let sum = ask(&mut self.connections[0].stream, &["EVAL", &script, "0"])?;
        sum.parse().map_err(failed("redis"))
    }
}

impl Connection {
    fn send(&mut self, [complete, moves]: &[String; 2]) -> Result<()> {
        self.request.clear();
        for _ in 0..PIPELINE {
            let (user, act) = self.feed.act();
            let (list, count) = (format!("t:{user}"), format!("c:{user}"));
            let request = &mut self.request;
            match act {
                Act::New => command(request, &["RPUSH", &list, &format!("0{TEXT}")]),
                Act::Complete(index) => {
                    let (index, at) = (index.to_string(), "1700000000000000 ");
                    command(request, &["EVALSHA", complete, "2", &list, &count, &index, at]);
                }
                Act::Move(from, to) => {
                    let (from, to) = (from.to_string(), to.to_string());
                    command(request, &["EVALSHA", moves, "1", &list, &from, &to]);
                }
            }
        }
        self.done += PIPELINE as u64;
        self.sent = Instant::now();
        self.stream.get_mut().write_all(&self.request).map_err(failed("redis"))
    }
}

impl Subject for RedisPeer {
    fn name(&self) -> &str {
        "redis"
    }

    fn run(&mut self, until: Instant, seen: &mut Recorder) -> Result<()> {
        self.send(0)?;
        while Instant::now() < until {
            self.send(1)?;
            self.receive(0, seen)?;
            self.send(0)?;
            self.receive(1, seen)?;
        }
        self.receive(0, seen)
    }

    fn check(&mut self) -> Result<()> {
        let todos = self.connections.iter().map(|connection| connection.feed.total()).sum();
        check("redis", "todos", todos, self.sum("LLEN", "t:")?)?;
        let of = |(number, connection): (usize, &Connection)| {
            Todos::completed(Todos::part(&self.options, number, CONNECTIONS), connection.done)
        };
        let completed = self.connections.iter().enumerate().map(of).sum();
        check("redis", "completed todos", completed, self.sum("GET", "c:")?)
    }

    fn servers(&self) -> Vec<u32> {
        vec![self.server.pid()]
    }
}
