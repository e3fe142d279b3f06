//! A parcel on its way to its partition, with what waits for it.

use std::sync::Arc;

use crate::machine::flow::parcel::Parcel;

use super::tree::Token;

/// A parcel, and for each of its groups the part of an append that it is, where a caller waits.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) parcel: Arc<Parcel>,
    /// Empty where nobody waits, as where something is sent again: what waits travels once.
    pub(crate) tokens: Vec<Option<Token>>,
}

impl Delivery {
    /// One for which nobody waits.
    pub(crate) fn unasked(parcel: Arc<Parcel>) -> Self {
        Self { parcel, tokens: Vec::new() }
    }

    /// About what it costs to log and to apply, in bytes.
    pub(crate) fn cost(&self) -> usize {
        self.parcel.cost()
    }
}
