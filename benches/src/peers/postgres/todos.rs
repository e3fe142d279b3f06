//! The seed's tables: one transaction an operation.

use std::time::Instant;

use futures_util::future::try_join_all;
use tokio_postgres::{Client, Statement};

use crate::args::Options;
use crate::error::{Result, check, failed};
use crate::measure::{Recorder, Subject};
use crate::workloads::events::{Act, TEXT, Todos};

use super::{CONNECTIONS, PostgresServer, connect};

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
    postgres: PostgresServer,
}

impl PostgresPeer {
    /// Starts a server in a folder of its own, and makes the tables.
    ///
    /// # Errors
    /// [`BenchError::Missing`](crate::error::BenchError::Missing) where it is not installed.
    pub fn new(options: &Options) -> Result<Self> {
        let postgres = PostgresServer::start(TABLES)?;
        let mut connections = Vec::new();
        for number in 0..CONNECTIONS {
            let feed = Todos::part(options, number, CONNECTIONS);
            let opened = Connection::open(&postgres.address, feed);
            connections.push(postgres.runtime.block_on(opened)?);
        }
        Ok(Self { connections, options: options.clone(), postgres })
    }
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
        self.postgres.runtime.block_on(try_join_all(all)).map(drop)
    }

    fn check(&mut self) -> Result<()> {
        let todos = self.connections.iter().map(|connection| connection.feed.total()).sum();
        check("postgres", "todos", todos, self.postgres.number("SELECT count(*) FROM todos")?)?;
        let of = |(number, connection): (usize, &Connection)| {
            Todos::completed(Todos::part(&self.options, number, CONNECTIONS), connection.done)
        };
        let completed = self.connections.iter().enumerate().map(of).sum();
        let query = "SELECT COALESCE(sum(completed), 0)::bigint FROM stats";
        check("postgres", "completed todos", completed, self.postgres.number(query)?)
    }

    fn servers(&self) -> Vec<u32> {
        vec![self.postgres.server.pid()]
    }
}

impl std::fmt::Debug for PostgresPeer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresPeer").finish_non_exhaustive()
    }
}
