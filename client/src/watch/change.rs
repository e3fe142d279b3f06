//! One change of a watched value.

use gridmill_model::diff::Diff;

use crate::receipt::Receipt;

/// A change of a watched value, or a value to go on from. See [`Client::watch`](crate::Client::watch).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Change<V> {
    /// The value before: `new` of the item before. `None` at first, and where there was none.
    pub old: Option<V>,
    /// The value now; `None` where there is none.
    pub new: Option<V>,
    /// What makes `new` of `old`; empty where `resync` is set.
    pub diff: Diff,
    /// The position after the last record that the value shows, of its partition's log. Positions of later items are
    /// not smaller.
    pub at: u64,
    /// The partition.
    pub partition: u32,
    /// The value is one to go on from, and not a change of the one before: it is the first item, or the watcher did
    /// not keep up.
    pub resync: bool,
}

impl<V> Change<V> {
    /// Whether the value shows what an append did on the partition that logged it. An append that did not change the
    /// value brings no item: the next one shows it too.
    ///
    /// ```
    /// # use gridmill_client::{Client, WatchError, AppendError};
    /// use gridmill_model::prelude::*;
    ///
    /// const ADDED: Depot<(Str, u64)> = Depot::hash_by("sums/added", |(who, _)| who.as_key());
    /// const SUMS: PState<Map<Str, u64>> = PState::new("sums/sums");
    ///
    /// async fn add(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    ///     let mut sum = client.watch(SUMS.key("alice")).await?;
    ///     let receipt = client.append(ADDED, ("alice".into(), 5)).await?;
    ///     while let Some(change) = sum.next().await {
    ///         if change?.covers(&receipt) {
    ///             break;
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn covers(&self, receipt: &Receipt) -> bool {
        self.partition == receipt.partition && self.at > receipt.position
    }
}
