//! Renders of a past that never was: each page has its own speed, its days and nights, and bad hours.

use gridmill::prelude::{Client, Str};
use gridmill_examples::Failed;

use crate::module::{RENDERS, Render};

/// The pages of the site.
pub(crate) const PAGES: [&str; 3] = ["home", "search", "checkout"];

/// When all of them end, in minutes since 1970: the first of January 2026.
const END: i64 = 29_453_760;
const DAY: i64 = 24 * 60;

/// Renders that travel in one append.
const BATCH: usize = 4096;

/// So many renders a page, one every `every` minutes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Past {
    pub(crate) from: i64,
    pub(crate) to: i64,
    every: i64,
}

impl Past {
    pub(crate) fn new(days: u32, every: u32) -> Self {
        Self { from: END - DAY * i64::from(days), to: END, every: i64::from(every.max(1)) }
    }

    /// All renders, in the order of time.
    pub(crate) fn renders(self) -> impl Iterator<Item = Render> {
        let minutes = (self.from..self.to).step_by(self.every as usize);
        minutes.flat_map(|minute| {
            (0..).zip(PAGES).map(move |(number, page)| {
                let millis = millis(number, minute);
                Render { page: page.into(), minute, millis }
            })
        })
    }

    /// Appends all of them.
    pub(crate) async fn append(self, client: &Client) -> Result<u64, Failed> {
        let (mut renders, mut count) = (self.renders(), 0);
        loop {
            let batch: Vec<_> = renders.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return Ok(count);
            }
            count += batch.len() as u64;
            client.append_many(RENDERS, batch).await.map_err(|error| error.to_string())?;
        }
    }
}

/// Slow by day, and very slow in one hour of a hundred.
fn millis(number: i64, minute: i64) -> u32 {
    let mixed = mix((minute / 60) as u64 ^ (number as u64) << 48);
    let noise = mix(minute as u64 ^ (number as u64) << 56) % 40;
    let hour = minute.rem_euclid(DAY) / 60;
    let by_day = if (8..20).contains(&hour) { 60 } else { 0 };
    let bad = if mixed.is_multiple_of(100) { 600 } else { 0 };
    (40 + 90 * number + by_day + bad) as u32 + noise as u32
}

/// SplitMix64's mixer.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The name of a page as a key.
pub(crate) fn page(number: usize) -> Str {
    PAGES[number].into()
}
