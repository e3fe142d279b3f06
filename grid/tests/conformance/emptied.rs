//! A PState that has an initial value and was emptied stays empty.

use gridmill::prelude::*;

const ORDERS: Depot<u64> = Depot::random("emptied/orders").global();
const STOCK: PState<Map<u64, u64>> =
    PState::new("emptied/stock").global().initial(|| [(1, 10), (2, 20)].into_iter().collect());

struct Shop;

impl Module for Shop {
    const NAME: &'static str = "shop";

    fn define(module: &mut Setup) {
        module.depot(ORDERS);
        module.stream("stock", STOCK).source(ORDERS).each(
            |order: u64, stock: &mut Map<u64, u64>| {
                if order == 0 {
                    stock.clear();
                } else {
                    stock.remove(order);
                }
            },
        );
    }
}

async fn stock_after(orders: &[u64]) -> Result<Vec<u64>, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let start = || Grid::builder(folder.path()).partitions(1).module::<Shop>().start();
    let grid = start().await?;
    for &order in orders {
        grid.client().append(ORDERS, order).await?;
    }
    grid.shutdown().await?;
    let grid = start().await?;
    let left = grid.client().select(STOCK.map_keys()).await?;
    assert_eq!(grid.verify().await.problems, []);
    grid.shutdown().await?;
    Ok(left)
}

#[tokio::test]
async fn an_initial_value_does_not_come_back() -> Result<(), Box<dyn std::error::Error>> {
    assert_eq!(stock_after(&[]).await?, [1, 2]);
    assert_eq!(stock_after(&[1]).await?, [2]);
    assert_eq!(stock_after(&[1, 2]).await?, [0; 0], "removed one by one");
    assert_eq!(stock_after(&[0]).await?, [0; 0], "cleared");
    Ok(())
}
