//! Making the next segment's file ahead of need, so that no write waits for zeros.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::segment::{Segment, create_file};
use crate::{Storage, StorageFile};

/// A zero-filled file that no segment has begun in, under the name of the segment to come.
#[derive(Debug)]
pub(crate) struct NewFile {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn StorageFile>,
    pub(crate) capacity: u64,
}

/// At most one file in the making.
#[derive(Debug, Default)]
pub(crate) struct Preparation {
    job: Option<Job>,
}

#[derive(Debug)]
enum Job {
    Running(JoinHandle<io::Result<NewFile>>),
    Done(io::Result<NewFile>),
}

impl Preparation {
    pub(crate) fn is_idle(&self) -> bool {
        self.job.is_none()
    }

    /// Starts to make a file: on a thread of its own, or, where a seed decides the order of things,
    /// at once. Syncs `sealed` by the way, for its footer, which a power loss is not to take: it says that
    /// the log goes on. All else in there is durable, and nothing is lost where that fails.
    pub(crate) fn start(
        storage: Arc<dyn Storage>,
        number: u64,
        path: PathBuf,
        size: u64,
        sealed: Option<Arc<Segment>>,
    ) -> Self {
        debug_assert!(sealed.as_ref().is_none_or(|sealed| sealed.is_settled()));
        let inline = storage.deterministic();
        let make = move || {
            if let Some(sealed) = sealed {
                let _ = sealed.sync();
            }
            let file = create_file(&*storage, &path, size, None)?;
            Ok(NewFile { number, path, file, capacity: size })
        };
        if inline {
            return Self { job: Some(Job::Done(make())) };
        }
        let job = match std::thread::Builder::new().name("gridmill-prepare".into()).spawn(make) {
            Ok(thread) => Job::Running(thread),
            Err(error) => Job::Done(Err(error)),
        };
        Self { job: Some(job) }
    }

    /// The file, waiting for it if need be. A failure is not worth reporting: the writer tries for
    /// itself and reports what it finds.
    pub(crate) fn take(&mut self) -> Option<NewFile> {
        match self.job.take()? {
            Job::Running(thread) => thread.join().ok()?.ok(),
            Job::Done(made) => made.ok(),
        }
    }
}

impl Drop for Preparation {
    /// A thread left behind could make a file in a folder that somebody else has opened since.
    fn drop(&mut self) {
        if let Some(Job::Running(thread)) = self.job.take() {
            let _ = thread.join();
        }
    }
}
