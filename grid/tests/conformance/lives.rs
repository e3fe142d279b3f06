//! How lives of a grid end, and how time passes in them.

use gridmill::{Clock, Grid};

/// Ends a grid, so that the next life of its folder begins with what that leaves.
pub(crate) async fn stop(grid: Grid, cleanly: bool) -> Result<(), Box<dyn std::error::Error>> {
    if cleanly {
        grid.shutdown().await?;
    } else {
        grid.halt().await;
    }
    Ok(())
}

/// It is `time`, and what that leads to has been done.
pub(crate) async fn wait_until(clock: &Clock, grid: &Grid, time: i64) {
    clock.set(time);
    grid.processed().await;
}
