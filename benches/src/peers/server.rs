//! Throw-away servers.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{BenchError, Result, failed};

/// How long a server may take to start.
const START_TIME_MAX: Duration = Duration::from_secs(30);

/// A server that is stopped when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
}

impl Server {
    /// Starts `command` without output.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = quiet.spawn().map_err(failed("starting a server"))?;
        Ok(Self { child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tries `connect` until the server answers.
    pub(super) fn wait_for<T>(&mut self, mut connect: impl FnMut() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        loop {
            match connect() {
                Ok(connected) => return Ok(connected),
                Err(error) if start.elapsed() > START_TIME_MAX => return Err(error),
                Err(_) => {}
            }
            if let Some(status) = self.child.try_wait().map_err(failed("a server"))? {
                let message = format!("it ended at once: {status}");
                return Err(BenchError::Failed { what: "starting a server", message });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // Interrupted, both servers stop at once and cleanly. One that has gone is fine as well.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on.
pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(failed("a port"))?;
    Ok(listener.local_addr().map_err(failed("a port"))?.port())
}

/// Finds `program` on PATH or in one of `folders`.
pub(super) fn find(
    peer: &'static str,
    program: &'static str,
    package: &'static str,
    folders: &[PathBuf],
) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let places = on_path.iter().chain(folders).map(|folder| folder.join(program));
    let found = places.into_iter().find(|file| file.is_file());
    found.ok_or(BenchError::Missing { peer, program, package })
}

/// Where Debian puts the programs of PostgreSQL, newest version first.
pub(super) fn postgres_folders() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders
}

/// A user to run servers as when this process is root: postgres refuses to be root.
pub(super) fn servant() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ids("postgres").or_else(|| ids("nobody"))
}

/// Gives `folder` to the user that servers run as.
pub(super) fn give(folder: &Path) -> Result<()> {
    let Some((user, group)) = servant() else { return Ok(()) };
    std::os::unix::fs::chown(folder, Some(user), Some(group)).map_err(failed("a server's folder"))
}
