//! A client appends a depot's own events and reads a PState's own values.

use gridmill::prelude::*;

const VISITS: Depot<Str> = Depot::hash_by("web/visits", |page| page.into());
const COUNTS: PState<Map<Str, u64>> = PState::new("web/counts");

async fn run(client: Client) {
    client.append(VISITS, 5_u64).await.unwrap();
    let count: Option<Str> = client.select_one(COUNTS.key("home")).await.unwrap();
}

fn main() {}
