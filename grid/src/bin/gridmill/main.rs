//! The folder tool: checks, shows and prints what the folder of a stopped grid holds. Changes
//! nothing.

mod options;
mod report;
mod table;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use gridmill::folder::{Folder, FolderError, rfc3339};
use options::{Command, Dump, USAGE, Usage};
use table::counted;

/// Something is damaged.
const DAMAGED: u8 = 1;

/// The arguments make no sense, alone or for this folder.
const WRONG_ARGUMENTS: u8 = 2;

/// The first line of a dump: what stands where in the lines of its records.
const LEGEND: &str = "# PARTITION/OFFSET at EPOCH:POSITION TIME [hop|sent] EVENT FIELDS";
/// Something could not be read, or the output not be written, for a reason that says nothing of the
/// files; as far as they were read, they are whole.
const UNREAD: u8 = 3;

/// Why a command did not get to its end.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
    #[error("the output cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

fn main() -> ExitCode {
    let command = match options::read(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(Usage::Help) => {
            // Whoever does not read it has seen enough.
            let _ = writeln!(io::stdout(), "{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(Usage::Wrong(problem)) => {
            eprintln!("gridmill: {problem}\nTry `gridmill --help`.");
            return ExitCode::from(WRONG_ARGUMENTS);
        }
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let done = run(command, &mut out).and_then(|code| {
        out.flush()?;
        Ok(code)
    });
    match done {
        Ok(code) => code,
        // Whoever reads has seen enough.
        Err(Failed::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(Failed::Folder(error)) if error.is_usage() => {
            eprintln!("gridmill: {error}");
            ExitCode::from(WRONG_ARGUMENTS)
        }
        Err(error) => {
            // What was printed before the damage is as good as ever.
            let _ = out.flush();
            eprintln!("gridmill: {error}");
            let damage = matches!(&error, Failed::Folder(error) if error.is_damage());
            ExitCode::from(if damage { DAMAGED } else { UNREAD })
        }
    }
}

fn run(command: Command, out: &mut impl Write) -> Result<ExitCode, Failed> {
    match command {
        Command::Verify { folder } => verify(&Folder::open(folder)?, out),
        Command::Inspect { folder, json } => {
            let inspection = Folder::open(folder)?.inspect()?;
            if json {
                serde_json::to_writer_pretty(&mut *out, &inspection)?;
                writeln!(out)?;
            } else {
                report::print(&inspection, out)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Dump(dump) => {
            print_records(&dump, out)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn verify(folder: &Folder, out: &mut impl Write) -> Result<ExitCode, Failed> {
    let found = folder.verify();
    let (partitions, records) = (found.partitions, found.records);
    writeln!(
        out,
        "{}: {} in {}, {} in {}, {}",
        counted(partitions, "partition", "partitions"),
        counted(records, "record", "records"),
        counted(found.segments, "segment", "segments"),
        counted(found.entries, "entry", "entries"),
        counted(found.runs, "run", "runs"),
        counted(found.bytes, "byte", "bytes"),
    )?;
    for note in &found.notes {
        writeln!(out, "note: {note}")?;
    }
    for problem in &found.problems {
        writeln!(out, "DAMAGED: {problem}")?;
    }
    for unread in &found.unread {
        writeln!(out, "NOT CHECKED: {unread}")?;
    }
    if found.is_whole() {
        writeln!(out, "everything is as it was written")?;
        return Ok(ExitCode::SUCCESS);
    }
    if found.problems.is_empty() {
        writeln!(out, "what could be read is as it was written")?;
        return Ok(ExitCode::from(UNREAD));
    }
    let problems = found.problems.len() as u64;
    writeln!(out, "{}", counted(problems, "problem", "problems"))?;
    Ok(ExitCode::from(DAMAGED))
}

fn print_records(dump: &Dump, out: &mut impl Write) -> Result<(), Failed> {
    let records = Folder::open(&dump.folder)?;
    let records = records.records(&dump.depot, dump.partition, dump.from)?;
    if !dump.json {
        writeln!(out, "{LEGEND}")?;
    }
    for record in records.take(dump.limit) {
        let record = record?;
        if dump.json {
            serde_json::to_writer(&mut *out, &record)?;
            writeln!(out)?;
            continue;
        }
        let (partition, offset, position) = (record.partition, record.offset, record.position);
        let (time, variant, event) = (rfc3339(record.time), record.variant, record.event);
        let kind = match record.kind {
            "event" => String::new(),
            sent => format!("{sent} "),
        };
        writeln!(out, "{partition}/{offset} at {position} {time} {kind}{variant} {event}")?;
    }
    Ok(())
}
