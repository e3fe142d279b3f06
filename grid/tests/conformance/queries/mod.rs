//! Queries: what they answer, what they see, what they may take, and what is wrong with one.

mod answers;
mod errors;
mod limits;
mod social;
mod troubles;
mod views;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;
