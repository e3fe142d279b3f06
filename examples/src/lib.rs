//! What the examples share: how they read their arguments, report failures and stop.
//!
//! Nothing here is about Gridmill; look into `todo/` and `gitlog/` for that.

use std::future::Future;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

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
/// The exit code is 0 for success and help, 1 for a failure and 2 for wrong arguments, of which the
/// message and the way to the help are told.
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
            eprintln!("error: {message}\nTry `--help`.");
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

/// A number of things: `1 commit`, `2 commits`.
pub fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Waits until somebody asks the process to stop: Ctrl-C, or a service manager's SIGTERM.
///
/// Whoever asks a second time does not want to wait for an orderly end: the process ends at once.
/// For a grid that is what a kill is: nothing acknowledged is lost, and the next start replays.
pub async fn interrupted() {
    let Ok(mut signals) = Signals::new() else { return std::future::pending().await };
    signals.next().await;
    tokio::spawn(async move {
        signals.next().await;
        eprintln!("asked to stop again: ends at once");
        std::process::exit(INTERRUPTED);
    });
}

/// What shells call a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
        Ok(Self { interrupt: signal(interrupt)?, terminate: signal(terminate)? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The README, whose code the tests compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub struct Readme;

#[cfg(test)]
mod tests {
    #[test]
    fn the_readme_shows_the_module_of_the_todo_example() {
        let (readme, module) = (include_str!("../../README.md"), include_str!("../todo/module.rs"));
        let code = module.split_once("\n\n").map(|(_, code)| code.trim_end());
        assert!(code.is_some_and(|code| code.contains("on_event") && readme.contains(code)));
    }
}
