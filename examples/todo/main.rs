//! A todo list as a web service with a grid inside.
//!
//! ```text
//! cargo run --release --example todo                  # then open the address that it prints
//! cargo run --release --example todo -- --smoke       # drives itself over HTTP, exit code 0 or 1
//! ```

mod http;
#[expect(unreachable_pub, reason = "it reads as it would in a library of its own")]
mod module;
mod server;
mod smoke;
mod web;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use gridmill::prelude::*;
use gridmill_examples::{Failed, Usage};
use module::TodoModule;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

const USAGE: &str = "\
A todo list as a web service with a grid inside.

Usage: cargo run --release --example todo -- [options]
  --data DIR   the folder that holds the data (default: todo-data)
  --port N     the port to listen on (default: 8080; 0 takes any that is free)
  --smoke      run once against itself in a temporary folder, check every answer, and leave
  --help       show this";

struct Options {
    data: PathBuf,
    port: u16,
    smoke: bool,
}

fn main() -> ExitCode {
    gridmill_examples::run(USAGE, options(), |options| async move {
        if options.smoke { smoke::run().await } else { serve_until_ctrl_c(options).await }
    })
}

fn options() -> Result<Options, Usage> {
    use lexopt::prelude::*;
    let mut options = Options { data: "todo-data".into(), port: 8080, smoke: false };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("data") => options.data = arguments.value()?.into(),
            Long("port") => options.port = arguments.value()?.parse()?,
            Long("smoke") => options.smoke = true,
            Long("help") | Short('h') => return Err(Usage::Help),
            _ => return Err(argument.unexpected().into()),
        }
    }
    Ok(options)
}

async fn serve_until_ctrl_c(options: Options) -> Result<(), Failed> {
    let listener = listen(options.port).await?;
    let address = listener.local_addr()?;
    let grid = open(options.data.clone()).await?;
    println!("Todo list: http://{address}/   data: {}", options.data.display());
    println!("Stop with Ctrl-C.");
    serve(listener, grid, gridmill_examples::interrupted()).await?;
    println!("Stopped; everything is in {}.", options.data.display());
    Ok(())
}

/// Binds before the grid starts, so that a taken port costs nothing.
async fn listen(port: u16) -> Result<TcpListener, Failed> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).await.map_err(|error| {
        format!("cannot listen on {address}: {error}; choose another port with --port").into()
    })
}

async fn open(data: PathBuf) -> Result<Grid, Failed> {
    Ok(Grid::builder(data).partitions(4).module::<TodoModule>().start().await?)
}

/// Serves until `stop` is ready, then answers what is under way and closes the grid.
async fn serve(
    listener: TcpListener,
    grid: Grid,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Failed> {
    server::serve(listener, web::router(grid.client()), stop).await;
    Ok(grid.shutdown().await?)
}

/// A running service on a port of its own, for the smoke test.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<Result<(), Failed>>,
}

impl Running {
    async fn start(data: PathBuf) -> Result<Self, Failed> {
        let listener = listen(0).await?;
        let address = listener.local_addr()?;
        let grid = open(data).await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move { drop(stopped.await) };
        let served = tokio::spawn(serve(listener, grid, stopped));
        Ok(Self { address, stop, served })
    }

    async fn stop(self) -> Result<(), Failed> {
        drop(self.stop);
        self.served.await?
    }
}
