//! Runs the bank in a process of its own, and kills that.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use gridmill_examples::Failed;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::transfers::{Answer, mixed};

/// How long a bank may say nothing.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// The fewest and the most answers after which a bank is killed.
const ANSWERS: (u64, u64) = (200, 2000);

/// What was answered before the kill, by number of the transfer.
pub(crate) type Answers = BTreeMap<u64, Answer>;

/// Starts this program once more as the bank, and kills it after some answers.
pub(crate) async fn run_and_kill(data: &Path, life: u64) -> Result<Answers, Failed> {
    let mut bank = start(data, life)?;
    let enough = ANSWERS.0 + mixed(life) % (ANSWERS.1 - ANSWERS.0);
    let mut lines = BufReader::new(bank.stdout.take().ok_or("the bank has no output")?);
    let (mut answers, mut killed, mut line) = (Answers::new(), false, String::new());
    loop {
        line.clear();
        let read = timeout(SILENCE_MAX, lines.read_line(&mut line)).await;
        let bytes = read.map_err(|_| format!("the bank was silent for {SILENCE_MAX:?}"))??;
        if bytes == 0 {
            break;
        }
        // Whatever it managed to say counts, also behind the kill.
        if let Some(line) = line.strip_suffix('\n') {
            let (number, answer) = answer(line)?;
            answers.insert(number, answer);
        }
        if answers.len() as u64 >= enough && !killed {
            bank.start_kill()?;
            killed = true;
        }
    }
    let status = bank.wait().await?;
    if killed { Ok(answers) } else { Err(format!("the bank ended by itself: {status}").into()) }
}

fn start(data: &Path, life: u64) -> Result<Child, Failed> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--victim").arg(life.to_string()).arg("--data").arg(data);
    // Ctrl-C is for this process: it ends the bank itself.
    command.process_group(0).kill_on_drop(true);
    Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?)
}

fn answer(line: &str) -> Result<(u64, Answer), Failed> {
    let (number, name) = line.split_once(' ').ok_or("the bank says what is no answer")?;
    Ok((number.parse()?, Answer::named(name)?))
}
