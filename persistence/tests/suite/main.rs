//! The tests of this crate as one program.

mod logs;
mod runs;
mod storage;
