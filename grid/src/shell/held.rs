//! The folders that grids of this process hold. A grid that is dropped lets go of its folder when its
//! last thread has ended, not before: a start in the meantime waits for that.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gridmill_persistence::LockGuard;
use parking_lot::{Condvar, Mutex};

/// Folders whose grid has been told to end, and has not yet.
static LEAVING: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Somebody has let go of a folder.
static LEFT: Condvar = Condvar::new();

/// A folder's lock. The threads of the grid share it.
#[derive(Debug)]
pub(crate) struct Held {
    folder: PathBuf,
    leaving: AtomicBool,
    lock: Option<Box<dyn LockGuard>>,
}

impl Held {
    pub(crate) fn new(folder: &Path, lock: Box<dyn LockGuard>) -> Arc<Self> {
        let leaving = AtomicBool::new(false);
        Arc::new(Self { folder: resolved(folder), leaving, lock: Some(lock) })
    }

    /// The grid has been told to end: the folder will be free soon.
    pub(crate) fn leave(&self) {
        if !self.leaving.swap(true, Ordering::AcqRel) {
            LEAVING.lock().push(self.folder.clone());
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut leaving = LEAVING.lock();
        self.lock = None;
        if *self.leaving.get_mut()
            && let Some(place) = leaving.iter().position(|folder| *folder == self.folder)
        {
            leaving.swap_remove(place);
            LEFT.notify_all();
        }
    }
}

/// Whether a grid of this process is about to let go of `folder`.
pub(crate) fn is_leaving(folder: &Path) -> bool {
    LEAVING.lock().contains(&resolved(folder))
}

/// Blocks until no grid of this process is about to let go of `folder` any more, at most for so long;
/// whether that is so.
pub(crate) fn wait_until_left(folder: &Path, at_most: Duration) -> bool {
    let (folder, until) = (resolved(folder), Instant::now() + at_most);
    let mut leaving = LEAVING.lock();
    while leaving.contains(&folder) {
        if LEFT.wait_until(&mut leaving, until).timed_out() {
            return !leaving.contains(&folder);
        }
    }
    true
}

/// One path for one folder, however it is written.
fn resolved(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Lock;

    impl LockGuard for Lock {}

    #[test]
    fn who_waits_for_a_folder_is_told_whether_it_was_left() {
        let folder = Path::new("held/a");
        let held = Held::new(folder, Box::new(Lock));
        assert!(!is_leaving(folder), "its grid runs");
        held.leave();
        held.leave();
        assert!(is_leaving(folder) && !is_leaving(Path::new("held/b")));
        assert!(!wait_until_left(folder, Duration::ZERO), "a thread of it still works");
        let waits = std::thread::spawn(|| wait_until_left(folder, Duration::from_secs(3600)));
        drop(held);
        assert!(waits.join().expect("no panic") && !is_leaving(folder));
    }
}
