//! Who follows whom, and who posts: the same in every run.

/// How much more the first authors are followed than the last: author number `n` of `N` is drawn as often as a cube of
/// a random number comes near `n / N`.
const SKEW: u32 = 3;

/// A network of users, each an author too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Graph {
    users: u64,
    follows: u64,
}

impl Graph {
    /// `users` users, each of whom follows about `follows` authors.
    pub(crate) fn new(users: u64, follows: u64) -> Self {
        Self { users, follows }
    }

    /// Who follows whom: users with the authors whom they follow, some of them twice.
    pub(crate) fn follows(self) -> impl Iterator<Item = (u64, u64)> {
        let draws = (0..self.users).flat_map(move |who| (0..self.follows).map(move |n| (who, n)));
        draws.map(move |(who, n)| (who, self.author(mixed(who * self.follows + n))))
    }

    /// The author of a post: all of them post alike.
    pub(crate) fn poster(self, post: u64) -> u64 {
        mixed(!post) % self.users
    }

    /// An author, of whom the first are much more popular.
    fn author(self, random: u64) -> u64 {
        let share = (random >> 11) as f64 / (1u64 << 53) as f64;
        ((share.powi(SKEW as i32) * self.users as f64) as u64).min(self.users - 1)
    }
}

/// A number that looks random: the finisher of splitmix64.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
