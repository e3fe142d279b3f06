//! The grid's own threads. A partition is pinned to one; the caller's runtime never runs a handler.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

/// One thread with a runtime of its own.
#[derive(Debug)]
struct Worker {
    handle: Handle,
    thread: JoinHandle<()>,
}

/// All threads of a grid. Dropping it tells them to end and does not wait for them.
#[derive(Debug)]
pub(crate) struct Workers {
    handles: Vec<Handle>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stop: watch::Sender<bool>,
}

impl Workers {
    /// Starts `count` threads. `keep` lives until the last of them has ended: the folder's lock.
    pub(crate) fn start(
        count: usize,
        keep: Arc<dyn std::fmt::Debug + Send + Sync>,
    ) -> io::Result<Self> {
        let stop = watch::Sender::new(false);
        let mut workers = Vec::with_capacity(count);
        for number in 0..count {
            workers.push(start(number, stop.subscribe(), Arc::clone(&keep))?);
        }
        let handles = workers.iter().map(|worker| worker.handle.clone()).collect();
        let threads = workers.into_iter().map(|worker| worker.thread).collect();
        Ok(Self { handles, threads: Mutex::new(threads), stop })
    }

    /// The thread of a partition.
    pub(crate) fn of(&self, partition: usize) -> &Handle {
        &self.handles[partition % self.handles.len()]
    }

    /// Tells the threads to end, and waits until they have.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        let threads = std::mem::take(&mut *self.threads.lock());
        let (ended, wait) = tokio::sync::oneshot::channel();
        // The caller may be on any runtime, or on none that can block: wait on a thread of our own.
        std::thread::spawn(move || {
            for thread in threads {
                // A worker that panicked has ended too.
                let _ = thread.join();
            }
            let _ = ended.send(());
        });
        let _ = wait.await;
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

fn start(
    number: usize,
    mut stop: watch::Receiver<bool>,
    keep: Arc<dyn std::fmt::Debug + Send + Sync>,
) -> io::Result<Worker> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let handle = runtime.handle().clone();
    let name = format!("gridmill-{number}");
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        // An error says that the sender is gone, which means stop as well.
        let _ = runtime.block_on(stop.wait_for(|stop| *stop));
        runtime.shutdown_background();
        drop(keep);
    })?;
    Ok(Worker { handle, thread })
}
