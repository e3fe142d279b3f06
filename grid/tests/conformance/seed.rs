//! The seed's scenario: rows 214 and 215.

use gridmill::prelude::*;

use crate::todo::{COMPLETED, EVENTS, TODOS, TodoEvent, TodoModule};

#[tokio::test]
async fn r214_seed_scenario() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let grid = Grid::builder(folder.path()).partitions(4).module::<TodoModule>().start().await?;
    let client = grid.client();
    for text in ["a", "b", "c"] {
        client.append(EVENTS, TodoEvent::New { user: "alice".into(), text: text.into() }).await?;
    }
    client.append(EVENTS, TodoEvent::Complete { user: "alice".into(), index: 1, at: 7 }).await?;
    client.append(EVENTS, TodoEvent::Reorder { user: "alice".into(), from: 2, to: 0 }).await?;
    let list = client.select_one(TODOS.key("alice")).await?.expect("alice has a list");
    let texts: Vec<_> = list.iter().map(|todo| todo.text.as_str()).collect();
    assert_eq!(texts, ["c", "a", "b"]);
    assert_eq!(client.select_one(COMPLETED.key("alice")).await?, Some(1));
    grid.shutdown().await?;

    let grid = Grid::builder(folder.path()).partitions(4).module::<TodoModule>().start().await?;
    let again = grid.client().select_one(TODOS.key("alice")).await?;
    assert_eq!(again, Some(list.clone()));
    assert_eq!(grid.stats().total(|partition| partition.replayed), 0);
    grid.halt().await;

    let grid = Grid::builder(folder.path()).partitions(4).module::<TodoModule>().start().await?;
    assert_eq!(grid.client().select_one(TODOS.key("alice")).await?, Some(list));
    Ok(())
}
