//! PostgreSQL with synchronous commit: a server of its own for each workload that compares with it.

mod todos;
mod transfers;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use crate::error::{Result, failed};

use super::server::{Server, find, free_port, give, postgres_folders, servant};

pub use todos::PostgresPeer;
pub use transfers::PostgresTransfers;

/// Connections, each with a transaction at a time.
const CONNECTIONS: usize = 32;

/// A server with tables, in a folder of its own.
struct PostgresServer {
    /// Its first connection: for what is not measured.
    client: Client,
    address: String,
    runtime: Runtime,
    server: Server,
    _folder: TempDir,
}

impl PostgresServer {
    /// Starts a server and makes `tables`.
    fn start(tables: &str) -> Result<Self> {
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
        let client = server.wait_for(|| runtime.block_on(connect(&address)))?;
        let made = runtime.block_on(client.batch_execute(tables));
        made.map_err(failed("the tables"))?;
        Ok(Self { client, address, runtime, server, _folder: folder })
    }

    fn number(&self, query: &str) -> Result<u64> {
        let row = self.runtime.block_on(self.client.query_one(query, &[]));
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
