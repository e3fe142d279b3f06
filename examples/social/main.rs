//! A small social network: timelines that come by themselves, whom to follow, and how far a post has gone.
//!
//! ```text
//! cargo run --release --example social                # then open the address that it prints
//! ```

mod crowd;
mod live;
mod module;
mod smoke;
mod web;

use std::path::Path;
use std::process::ExitCode;

use gridmill::prelude::*;
use gridmill_examples::{Failed, Usage};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crowd::Crowd;
use module::Social;

const USAGE: &str = "\
A social network with a grid inside, some users in it who post all the time, and a page that shows it live.

Usage: cargo run --release --example social -- [options]
  --port N       the port to listen on (default: 8082; 0 takes any that is free)
  --every N      milliseconds between two posts of the crowd; 0: it is quiet (default: 1500)
  --smoke        drive it over HTTP, with timelines that come live, check every answer, and leave
  --help         show this";

struct Options {
    port: u16,
    every: u64,
    smoke: bool,
}

fn main() -> ExitCode {
    gridmill_examples::run(USAGE, options(), |options| async move {
        if options.smoke { smoke::run().await } else { show(&options).await }
    })
}

fn options() -> Result<Options, Usage> {
    use lexopt::prelude::*;
    let mut options = Options { port: 8082, every: 1500, smoke: false };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("port") => options.port = arguments.value()?.parse()?,
            Long("every") => options.every = arguments.value()?.parse()?,
            Long("smoke") => options.smoke = true,
            Long("help") | Short('h') => return Err(Usage::Help),
            _ => return Err(argument.unexpected().into()),
        }
    }
    Ok(options)
}

async fn open(data: &Path) -> Result<Grid, Failed> {
    Ok(Grid::builder(data).partitions(4).module::<Social>().start().await?)
}

async fn show(options: &Options) -> Result<(), Failed> {
    let data = tempfile::tempdir()?;
    let listener = web::listen(options.port).await?;
    let grid = open(data.path()).await?;
    let crowd = Crowd::new(grid.client());
    crowd.settle().await?;
    println!("Social network: http://{}/", listener.local_addr()?);
    println!("Stop with Ctrl-C.");
    let chatter = (options.every > 0).then(|| tokio::spawn(crowd.chatter(options.every)));
    let service = Service::start(listener, &grid);
    gridmill_examples::interrupted().await;
    chatter.iter().for_each(JoinHandle::abort);
    // Timelines that are open end with the grid.
    grid.shutdown().await?;
    service.stop().await
}

/// The running web service.
struct Service {
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

impl Service {
    fn start(listener: TcpListener, grid: &Grid) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move { drop(stopped.await) };
        let serve = axum::serve(listener, web::router(grid.client()));
        let serve = serve.with_graceful_shutdown(stopped);
        Self { stop, served: tokio::spawn(async move { serve.await }) }
    }

    async fn stop(self) -> Result<(), Failed> {
        drop(self.stop);
        Ok(self.served.await??)
    }
}
