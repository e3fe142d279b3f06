//! PostgreSQL with the seed's tables: one transaction an operation, synchronous commit.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use futures_util::future::try_join_all;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Statement};

use crate::args::Options;
use crate::error::{Result, check, failed};
use crate::measure::{Recorder, Subject};
use crate::workloads::events::{Act, TEXT, Todos};

use super::server::{Server, find, free_port, give, postgres_folders, servant};

/// Connections, each with a transaction at a time.
const CONNECTIONS: usize = 32;

const TABLES: &str = "
    CREATE TABLE todos (
        id bigserial PRIMARY KEY, username text NOT NULL, place double precision NOT NULL,
        text text NOT NULL, completed_at bigint);
    CREATE INDEX ON todos (username, place);
    CREATE TABLE stats (username text PRIMARY KEY, completed bigint NOT NULL)";

const NEW: &str = "INSERT INTO todos (username, place, text) VALUES ($1, $2, $3)";

const COMPLETE: &str = "
    WITH one AS (SELECT id FROM todos WHERE username = $1 ORDER BY place OFFSET $2 LIMIT 1),
    done AS (UPDATE todos SET completed_at = $3
             WHERE id = (SELECT id FROM one) AND completed_at IS NULL RETURNING 1)
    INSERT INTO stats SELECT $1, 1 FROM done
    ON CONFLICT (username) DO UPDATE SET completed = stats.completed + 1";

/// An entry moves between two neighbours: the middle of their places.
const MOVE: &str = "
    WITH list AS (SELECT id, place, row_number() OVER (ORDER BY place) - 1 AS index
                  FROM todos WHERE username = $1),
    rest AS (SELECT place, row_number() OVER (ORDER BY place) - 1 AS index
             FROM list WHERE index <> $2)
    UPDATE todos SET place = COALESCE(
        ((SELECT place FROM rest WHERE index = $3) + (SELECT place FROM rest WHERE index = $3 - 1)) / 2,
        (SELECT place FROM rest WHERE index = $3) - 1,
        (SELECT place FROM rest WHERE index = $3 - 1) + 1,
        place)
    WHERE id = (SELECT id FROM list WHERE index = $2)";

struct Connection {
    client: Client,
    new: Statement,
    complete: Statement,
    moves: Statement,
    feed: Todos,
    done: u64,
}

/// A server of its own, used by the todo workload.
pub struct PostgresPeer {
    connections: Vec<Connection>,
    options: Options,
    runtime: Runtime,
    server: Server,
    _folder: TempDir,
}

impl PostgresPeer {
    /// Starts a server in a folder of its own, and makes the tables.
    ///
    /// # Errors
    /// [`BenchError::Missing`](crate::error::BenchError::Missing) where it is not installed.
    pub fn new(options: &Options) -> Result<Self> {
        let folders = postgres_folders();
        let initdb = find("postgres", "initdb", "postgresql", &folders)?;
        let postgres = find("postgres", "postgres", "postgresql", &folders)?;
        let folder = tempfile::tempdir().map_err(failed("a folder"))?;
        give(folder.path())?;
        let data = folder.path().join("data");
        let mut init = as_servant(&initdb, folder.path());
        init.arg("-D").arg(&data).args(["-U", "bench", "-A", "trust", "-E", "UTF8", "--no-sync"]);
        let output = init.output().map_err(failed("initdb"))?;
        if !output.status.success() {
            return Err(failed("initdb")(String::from_utf8_lossy(&output.stderr)));
        }
        let port = free_port()?;
        let mut serve = as_servant(&postgres, folder.path());
        serve.arg("-D").arg(&data).args(["-p", &port.to_string(), "-k", ""]);
        serve.args(["-c", "listen_addresses=127.0.0.1", "-c", "synchronous_commit=on"]);
        let mut server = Server::start(&mut serve)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed("a runtime"))?;
        let address = format!("host=127.0.0.1 port={port} user=bench dbname=postgres");
        let first = server.wait_for(|| runtime.block_on(connect(&address)))?;
        let made = runtime.block_on(first.batch_execute(TABLES));
        made.map_err(failed("the tables"))?;
        let mut connections = Vec::new();
        for number in 0..CONNECTIONS {
            let feed = Todos::part(options, number, CONNECTIONS);
            connections.push(runtime.block_on(Connection::open(&address, feed))?);
        }
        let options = options.clone();
        Ok(Self { connections, options, runtime, server, _folder: folder })
    }

    fn number(&self, query: &str) -> Result<u64> {
        let row = self.runtime.block_on(self.connections[0].client.query_one(query, &[]));
        let number: i64 = row.map_err(failed("postgres"))?.get(0);
        Ok(number as u64)
    }
}

fn as_servant(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    if let Some((user, group)) = servant() {
        command.uid(user).gid(group);
    }
    command
}

async fn connect(address: &str) -> Result<Client> {
    let connected = tokio_postgres::connect(address, NoTls).await;
    let (client, connection) = connected.map_err(failed("postgres"))?;
    tokio::spawn(connection);
    Ok(client)
}

impl Connection {
    async fn open(address: &str, feed: Todos) -> Result<Self> {
        let client = connect(address).await?;
        let prepare = async |query| client.prepare(query).await.map_err(failed("postgres"));
        let (new, complete) = (prepare(NEW).await?, prepare(COMPLETE).await?);
        let moves = prepare(MOVE).await?;
        Ok(Self { client, new, complete, moves, feed, done: 0 })
    }

    async fn act(&mut self) -> std::result::Result<u64, tokio_postgres::Error> {
        let (user, act) = self.feed.act();
        let user = user.as_str();
        self.done += 1;
        match act {
            Act::New => {
                // Behind all others: a move to the end adds 1 to a place, and is an act itself.
                let place = self.done as f64;
                self.client.execute(&self.new, &[&user, &place, &TEXT]).await
            }
            Act::Complete(index) => {
                let at = 1_700_000_000_000_000_i64;
                self.client.execute(&self.complete, &[&user, &i64::from(index), &at]).await
            }
            Act::Move(from, to) => {
                let (from, to) = (i64::from(from), i64::from(to));
                self.client.execute(&self.moves, &[&user, &from, &to]).await
            }
        }
    }

    async fn run(
        &mut self,
        until: Instant,
        seen: &std::cell::RefCell<&mut Recorder>,
    ) -> Result<()> {
        while Instant::now() < until {
            let start = Instant::now();
            self.act().await.map_err(failed("postgres"))?;
            seen.borrow_mut().answered(1, start);
        }
        Ok(())
    }
}

impl Subject for PostgresPeer {
    fn name(&self) -> &str {
        "postgres"
    }

    fn run(&mut self, until: Instant, seen: &mut Recorder) -> Result<()> {
        let seen = std::cell::RefCell::new(seen);
        let all = self.connections.iter_mut().map(|connection| connection.run(until, &seen));
        self.runtime.block_on(try_join_all(all)).map(drop)
    }

    fn check(&mut self) -> Result<()> {
        let todos = self.connections.iter().map(|connection| connection.feed.total()).sum();
        check("postgres", "todos", todos, self.number("SELECT count(*) FROM todos")?)?;
        let of = |(number, connection): (usize, &Connection)| {
            Todos::completed(Todos::part(&self.options, number, CONNECTIONS), connection.done)
        };
        let completed = self.connections.iter().enumerate().map(of).sum();
        let query = "SELECT COALESCE(sum(completed), 0)::bigint FROM stats";
        check("postgres", "completed todos", completed, self.number(query)?)
    }

    fn servers(&self) -> Vec<u32> {
        vec![self.server.pid()]
    }
}

impl std::fmt::Debug for PostgresPeer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresPeer").finish_non_exhaustive()
    }
}
