//! Watches: values that come by themselves, without gaps, in order, never back.

mod acts;
mod errors;
mod folds;
mod gaps;
mod lives;
mod rows;
mod vocabulary;
