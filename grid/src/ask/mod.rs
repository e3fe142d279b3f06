//! What queries need of a grid: threads of their own, and a bound on what is kept for them.

pub(crate) mod held;
pub(crate) mod keeper;
pub(crate) mod pool;
