//! Transfers between accounts: debit and credit in one transaction.

use std::time::Instant;

use futures_util::future::try_join_all;
use tokio_postgres::{Client, Statement};

use crate::args::Options;
use crate::error::{Result, check, failed};
use crate::measure::{Recorder, Subject};
use crate::modules::transfers::Transfer;
use crate::workloads::events::{Feed, OPENING, Transfers, differing};

use super::{CONNECTIONS, PostgresServer, connect};

const TABLES: &str =
    "CREATE TABLE accounts (id bigint PRIMARY KEY, cents bigint NOT NULL CHECK (cents >= 0))";

/// One round trip. Both rows are locked in the order of their keys: transfers there and back would wait for each
/// other otherwise.
const PAY: &str = "
    WITH pair AS MATERIALIZED (
        SELECT id FROM accounts WHERE id IN ($1::bigint, $2::bigint) ORDER BY id FOR UPDATE)
    UPDATE accounts SET cents = cents
        - CASE WHEN id = $1 THEN $3::bigint ELSE 0 END + CASE WHEN id = $2 THEN $3::bigint ELSE 0 END
    WHERE id IN (SELECT id FROM pair)";

struct Connection {
    client: Client,
    pay: Statement,
    feed: Transfers,
    done: u64,
}

/// A server of its own, used by the workload of transfers.
pub struct PostgresTransfers {
    connections: Vec<Connection>,
    options: Options,
    postgres: PostgresServer,
}

impl PostgresTransfers {
    /// Starts a server in a folder of its own, and opens the accounts.
    ///
    /// # Errors
    /// [`BenchError::Missing`](crate::error::BenchError::Missing) where it is not installed.
    pub fn new(options: &Options) -> Result<Self> {
        let postgres = PostgresServer::start(TABLES)?;
        let open = format!(
            "INSERT INTO accounts SELECT id, {OPENING} FROM generate_series(0, {}) AS id",
            options.keys - 1
        );
        let opened = postgres.runtime.block_on(postgres.client.batch_execute(&open));
        opened.map_err(failed("the accounts"))?;
        let mut connections = Vec::new();
        for number in 0..CONNECTIONS {
            let feed = Transfers::part(options, number);
            let opened = Connection::open(&postgres.address, feed);
            connections.push(postgres.runtime.block_on(opened)?);
        }
        Ok(Self { connections, options: options.clone(), postgres })
    }

    /// All accounts, by number.
    fn funds(&self) -> Result<Vec<u64>> {
        let query = self.postgres.client.query("SELECT cents FROM accounts ORDER BY id", &[]);
        let rows = self.postgres.runtime.block_on(query).map_err(failed("postgres"))?;
        Ok(rows.iter().map(|row| row.get::<_, i64>(0) as u64).collect())
    }
}

impl Connection {
    async fn open(address: &str, feed: Transfers) -> Result<Self> {
        let client = connect(address).await?;
        let pay = client.prepare(PAY).await.map_err(failed("postgres"))?;
        Ok(Self { client, pay, feed, done: 0 })
    }

    async fn run(
        &mut self,
        until: Instant,
        seen: &std::cell::RefCell<&mut Recorder>,
    ) -> Result<()> {
        while Instant::now() < until {
            let start = Instant::now();
            let Transfer { from, to, cents } = self.feed.next();
            let (from, to, cents) = (from as i64, to as i64, cents as i64);
            let paid = self.client.execute(&self.pay, &[&from, &to, &cents]).await;
            paid.map_err(failed("postgres"))?;
            self.done += 1;
            seen.borrow_mut().answered(1, start);
        }
        Ok(())
    }
}

impl Subject for PostgresTransfers {
    fn name(&self) -> &str {
        "postgres"
    }

    fn run(&mut self, until: Instant, seen: &mut Recorder) -> Result<()> {
        let seen = std::cell::RefCell::new(seen);
        let all = self.connections.iter_mut().map(|connection| connection.run(until, &seen));
        self.postgres.runtime.block_on(try_join_all(all)).map(drop)
    }

    fn check(&mut self) -> Result<()> {
        let mut expected = vec![OPENING; self.options.keys];
        for (number, connection) in self.connections.iter().enumerate() {
            Transfers::part(&self.options, number).settle(connection.done, &mut expected);
        }
        check("postgres", "accounts with wrong funds", 0, differing(&expected, &self.funds()?))
    }

    fn servers(&self) -> Vec<u32> {
        vec![self.postgres.server.pid()]
    }
}

impl std::fmt::Debug for PostgresTransfers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresTransfers").finish_non_exhaustive()
    }
}
