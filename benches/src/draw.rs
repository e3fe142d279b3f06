//! Keys as they come in: the same for every system that a run compares, from a seed.

use crate::args::Dist;

/// Draws numbers below a bound; two of the same seed draw the same.
#[derive(Clone, Debug)]
pub struct Draw {
    state: u64,
    bound: u64,
    /// For Zipf: an alias table, each column with the chance to stay and the number to go to.
    columns: Vec<(f32, u32)>,
}

impl Draw {
    /// Numbers below `bound`, chosen by `dist`.
    pub fn new(seed: u64, bound: usize, dist: Dist) -> Self {
        let columns = match dist {
            Dist::Uniform => Vec::new(),
            Dist::Zipf(exponent) => alias_table(bound, exponent),
        };
        Self { state: seed, bound: bound as u64, columns }
    }

    /// A number of 64 random bits.
    pub fn bits(&mut self) -> u64 {
        // SplitMix64: each state gives a well mixed number, and costs a nanosecond.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, all alike.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// The next number.
    pub fn key(&mut self) -> u64 {
        let column = self.below(self.bound);
        let Some(&(stay, other)) = self.columns.get(column as usize) else { return column };
        let chance = (self.bits() >> 40) as f32 / (1_u64 << 24) as f32;
        if chance < stay { column } else { u64::from(other) }
    }
}

/// Vose's alias table for weights of 1/n^exponent: a draw then costs one look-up, whatever the weights.
fn alias_table(count: usize, exponent: f64) -> Vec<(f32, u32)> {
    let weight = |n: usize| (n as f64).powf(-exponent);
    let sum: f64 = (1..=count).map(weight).sum();
    let mut weights: Vec<f64> = (1..=count).map(|n| count as f64 * weight(n) / sum).collect();
    let mut columns = vec![(1.0_f32, 0_u32); count];
    let (mut small, mut large): (Vec<usize>, Vec<usize>) =
        (0..count).partition(|&n| weights[n] < 1.0);
    while let (Some(&low), Some(&high)) = (small.last(), large.last()) {
        small.pop();
        columns[low] = (weights[low] as f32, high as u32);
        weights[high] -= 1.0 - weights[low];
        if weights[high] < 1.0 {
            large.pop();
            small.push(high);
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_draws_the_first_number_most_often() {
        let mut draw = Draw::new(1, 1000, Dist::Zipf(1.0));
        let mut seen = vec![0_u32; 1000];
        for _ in 0..100_000 {
            seen[draw.key() as usize] += 1;
        }
        // 1/n over 1,000 numbers: the first has 13.4 % of the weight, the second half of that.
        assert!((12_900..13_900).contains(&seen[0]), "{}", seen[0]);
        assert!((6_300..7_100).contains(&seen[1]), "{}", seen[1]);
    }

    #[test]
    fn a_larger_exponent_draws_it_more_often() {
        let mut draw = Draw::new(1, 1000, Dist::Zipf(1.5));
        let first = (0..100_000).filter(|_| draw.key() == 0).count();
        // 1/n^1.5 over 1,000 numbers adds up to 2.55.
        assert!((38_500..39_900).contains(&first), "{first}");
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let mut one = Draw::new(7, 50, Dist::Uniform);
        let mut other = one.clone();
        assert!((0..100).all(|_| one.key() == other.key()));
        assert!((0..1000).all(|_| one.key() < 50));
    }
}
