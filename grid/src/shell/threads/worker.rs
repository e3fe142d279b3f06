//! The grid's own threads. A partition is pinned to one; the caller's runtime never runs a handler.

use std::io;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use gridmill_client::engine::once;
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

use crate::shell::held::Held;
use crate::shell::load::{LastAnswer, Load};

/// One thread with a runtime of its own.
#[derive(Debug)]
struct Worker {
    handle: Handle,
    thread: JoinHandle<()>,
}

/// All threads of a grid. Dropping it tells them to end and does not wait for them.
#[derive(Debug)]
pub(crate) struct Workers {
    handles: Vec<(Handle, Load)>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stop: watch::Sender<bool>,
    folder: Weak<Held>,
}

impl Workers {
    /// Starts `count` threads. `folder` is held until the last of them has ended.
    pub(crate) fn start(count: usize, folder: Arc<Held>) -> io::Result<Self> {
        let stop = watch::Sender::new(false);
        let mut workers = Vec::with_capacity(count);
        for number in 0..count {
            workers.push(start(number, stop.subscribe(), Arc::clone(&folder))?);
        }
        let last = LastAnswer::new();
        let load = || Load::new(last.clone());
        let handles = workers.iter().map(|worker| (worker.handle.clone(), load())).collect();
        let threads = workers.into_iter().map(|worker| worker.thread).collect();
        Ok(Self { handles, threads: Mutex::new(threads), stop, folder: Arc::downgrade(&folder) })
    }

    /// The number of the thread that a partition is pinned to.
    pub(crate) fn number_of(&self, partition: usize) -> usize {
        partition % self.handles.len()
    }

    /// The thread of a partition.
    pub(crate) fn of(&self, partition: usize) -> &Handle {
        &self.handles[self.number_of(partition)].0
    }

    /// What the thread of a partition has to do.
    pub(crate) fn load_of(&self, partition: usize) -> Load {
        self.handles[self.number_of(partition)].1.clone()
    }

    fn tell_to_end(&self) {
        if let Some(folder) = self.folder.upgrade() {
            folder.leave();
        }
        self.stop.send_replace(true);
    }

    /// Tells the threads to end, and waits until they have.
    pub(crate) async fn stop(&self) {
        self.tell_to_end();
        let threads = std::mem::take(&mut *self.threads.lock());
        let (ended, wait) = once::channel();
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
        self.tell_to_end();
    }
}

fn start(number: usize, mut stop: watch::Receiver<bool>, folder: Arc<Held>) -> io::Result<Worker> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let handle = runtime.handle().clone();
    let name = format!("gridmill-{number}");
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        // An error says that the sender is gone, which means stop as well.
        let _ = runtime.block_on(stop.wait_for(|stop| *stop));
        runtime.shutdown_background();
        drop(folder);
    })?;
    Ok(Worker { handle, thread })
}
