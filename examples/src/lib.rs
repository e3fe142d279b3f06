//! What the examples share: how they read their arguments, report failures and stop.
//!
//! Nothing here is about Gridmill; look into `todo/` and `gitlog/` for that.

use std::future::Future;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Why an example ended without success, as a message for people.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Why an example does not start.
#[derive(Debug)]
pub enum Usage {
    /// Somebody asked how to use it.
    Help,
    /// The arguments are wrong in that way.
    Wrong(String),
}

impl From<lexopt::Error> for Usage {
    fn from(error: lexopt::Error) -> Self {
        Self::Wrong(error.to_string())
    }
}

/// Runs an example with its options.
///
/// The exit code is 0 for success and help, 1 for a failure and 2 for wrong arguments, which are
/// told together with `usage`.
pub fn run<O, F>(usage: &str, options: Result<O, Usage>, example: impl FnOnce(O) -> F) -> ExitCode
where
    F: Future<Output = Result<(), Failed>>,
{
    match options {
        Ok(options) => finish(block_on(example(options))),
        Err(Usage::Help) => {
            println!("{usage}");
            ExitCode::SUCCESS
        }
        Err(Usage::Wrong(message)) => {
            eprintln!("error: {message}\n\n{usage}");
            ExitCode::from(2)
        }
    }
}

fn block_on<T>(example: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(example)
}

fn finish(result: Result<(), Failed>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints `text` where somebody still reads; a reader that has seen enough, as `head` does, is no
/// failure.
///
/// # Errors
/// The output cannot be written for another reason.
pub fn print(text: &str) -> Result<(), Failed> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Waits until somebody asks the process to stop: Ctrl-C, or a service manager's SIGTERM.
pub async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let ctrl_c = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = ctrl_c => {}
            _ = terminate.recv() => {}
        },
        Err(_) => drop(ctrl_c.await),
    }
}

/// The README, whose code the tests compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub struct Readme;
