//! Client futures, polled one at a time when the seed says so.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Tasks that were woken, in no particular order: the seed chooses among them.
type Woken = Arc<Mutex<Vec<usize>>>;

/// The clients of one life of a grid.
#[derive(Default)]
pub(super) struct Tasks {
    tasks: Vec<Option<Task>>,
    woken: Woken,
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("open", &self.open()).finish_non_exhaustive()
    }
}

struct Ring {
    task: usize,
    woken: Woken,
}

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        let mut woken = self.woken.lock();
        if !woken.contains(&self.task) {
            woken.push(self.task);
        }
    }
}

impl Tasks {
    pub(super) fn spawn(&mut self, task: impl Future<Output = ()> + 'static) {
        self.woken.lock().push(self.tasks.len());
        self.tasks.push(Some(Box::pin(task)));
    }

    /// How many could be polled now.
    pub(super) fn ready(&self) -> usize {
        self.woken.lock().len()
    }

    /// How many have not ended.
    pub(super) fn open(&self) -> usize {
        self.tasks.iter().flatten().count()
    }

    /// Which task is the `choice`th that could be polled.
    pub(super) fn at(&self, choice: usize) -> usize {
        self.woken.lock()[choice]
    }

    /// Polls the `choice`th of those that could be.
    pub(super) fn poll(&mut self, choice: usize) {
        let task = self.woken.lock().swap_remove(choice);
        let Some(future) = &mut self.tasks[task] else { return };
        let waker = Waker::from(Arc::new(Ring { task, woken: Arc::clone(&self.woken) }));
        if let Poll::Ready(()) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            self.tasks[task] = None;
        }
    }
}

/// Lets anything else happen before the task goes on.
pub(super) async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
