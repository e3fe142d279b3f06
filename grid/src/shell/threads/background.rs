//! Work that nobody waits for: flushes, merges, the dropping of what was flushed. It takes the processor
//! time that partitions and their callers leave.

use std::sync::Arc;

use parking_lot::Mutex;

/// How far background work stands behind: beside it on one core, a partition has three quarters of the
/// time. Further behind, other programs could keep flushes from their end, and appends wait for flushes.
const NICENESS: i32 = 5;

/// Runs `job` on a thread of its own that gives way to others.
///
/// With equal rights, one partition shares its core with a flush while another has its own, and callers
/// of both wait for the slower.
pub(crate) fn in_background(job: impl FnOnce() + Send + 'static) {
    let job = Arc::new(Mutex::new(Some(job)));
    let run = move || {
        let job = job.lock().take();
        if let Some(job) = job {
            job();
        }
    };
    let same = run.clone();
    let thread = std::thread::Builder::new().name("gridmill-flush".to_owned());
    let spawned = thread.spawn(move || {
        give_way(NICENESS);
        run();
    });
    if spawned.is_err() {
        // The runtime may have an idle one, or will.
        tokio::task::spawn_blocking(same);
    }
}

/// Lets others of this process, and of the machine, go before this thread.
#[cfg(target_os = "linux")]
pub(crate) fn give_way(niceness: i32) {
    // Of the calling thread, on Linux. A process that stands further behind already cannot come
    // forward, and need not.
    let _ = rustix::process::setpriority_process(None, niceness);
}

/// Elsewhere that would be the whole process.
#[cfg(not(target_os = "linux"))]
pub(crate) fn give_way(_: i32) {}
