//! Views of partitions that readers hold for more than one read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::sync::Notify;

use gridmill_client::ReadError;

use crate::shell::partition::published::PartitionView;
use crate::shell::partition::shared::Shared;

/// The published state of a partition of a module, held for reads of one moment.
#[derive(Debug)]
pub(crate) struct HeldView {
    pub(crate) module: usize,
    pub(crate) shared: Arc<Shared>,
    /// `None` once it was let go of.
    view: ArcSwapOption<PartitionView>,
    gone: AtomicBool,
    since: Instant,
    /// Why it was let go of: how many bytes were kept.
    bytes: AtomicU64,
    /// Where it stands in the list of those that are held.
    number: usize,
    list: Arc<HeldViews>,
}

/// All views that are held.
#[derive(Debug, Default)]
pub(crate) struct HeldViews {
    views: Mutex<Places>,
    /// Told when there is one, after there was none.
    first: Notify,
}

#[derive(Debug, Default)]
struct Places {
    views: Vec<Weak<HeldView>>,
    free: Vec<usize>,
}

impl HeldViews {
    /// Holds a view.
    pub(crate) fn hold(
        self: &Arc<Self>,
        module: usize,
        shared: &Arc<Shared>,
        view: Arc<PartitionView>,
    ) -> Arc<HeldView> {
        let mut places = self.views.lock();
        let was_empty = places.held() == 0;
        let number = places.free.pop().unwrap_or(places.views.len());
        let held = Arc::new(HeldView {
            module,
            shared: Arc::clone(shared),
            view: ArcSwapOption::new(Some(view)),
            gone: AtomicBool::new(false),
            since: Instant::now(),
            bytes: AtomicU64::new(0),
            number,
            list: Arc::clone(self),
        });
        match places.views.get_mut(number) {
            Some(place) => *place = Arc::downgrade(&held),
            None => places.views.push(Arc::downgrade(&held)),
        }
        drop(places);
        if was_empty {
            self.first.notify_one();
        }
        held
    }

    /// All that are held now.
    pub(crate) fn all(&self) -> Vec<Arc<HeldView>> {
        self.views.lock().views.iter().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.views.lock().held() == 0
    }

    /// Waits until there is one.
    pub(crate) async fn any(&self) {
        self.first.notified().await;
    }
}

impl Places {
    fn held(&self) -> usize {
        self.views.len() - self.free.len()
    }
}

impl HeldView {
    /// The view.
    pub(crate) fn view(&self) -> Result<Arc<PartitionView>, ReadError> {
        self.view.load_full().ok_or_else(|| self.let_go_error())
    }

    /// Whether it is still held.
    pub(crate) fn check(&self) -> Result<(), ReadError> {
        if self.gone.load(Ordering::Relaxed) { Err(self.let_go_error()) } else { Ok(()) }
    }

    pub(crate) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Lets go of it, because so many bytes are kept for readers of the past.
    pub(crate) fn let_go(&self, bytes: usize) {
        self.bytes.store(bytes as u64, Ordering::Relaxed);
        self.gone.store(true, Ordering::Relaxed);
        self.view.store(None);
    }

    #[cold]
    fn let_go_error(&self) -> ReadError {
        let (partition, bytes) = (self.shared.partition, self.bytes.load(Ordering::Relaxed));
        ReadError::LetGo { partition, age: self.age(), bytes }
    }
}

impl Drop for HeldView {
    fn drop(&mut self) {
        let mut places = self.list.views.lock();
        let number = self.number;
        if let Some(place) = places.views.get_mut(number) {
            *place = Weak::new();
            places.free.push(number);
        }
    }
}
