//! Records that partitions sent, and the appends that they go back to.

use gridmill_persistence::Position;

use crate::machine::answers::later;
use crate::machine::core::ItemAnswers;
use crate::module::Plan;

use super::tree::Token;

/// Who is behind the records of one item, which partitions sent.
#[derive(Debug)]
pub(crate) struct Senders {
    depot: usize,
    /// The position of the first record.
    first: Position,
    /// For each group, the index of its first record; with what waits for it, where a caller does.
    tokens: Vec<(u32, Option<Token>)>,
}

impl Senders {
    pub(crate) fn new(depot: usize, first: Position) -> Self {
        Self { depot, first, tokens: Vec::new() }
    }

    /// The records from `index` on are for `token`.
    pub(crate) fn push(&mut self, index: u32, token: Option<Token>) {
        self.tokens.push((index, token));
    }

    pub(crate) fn first_position(&self) -> Position {
        self.first
    }

    fn at(&self, index: u32) -> Option<&Token> {
        let after = self.tokens.partition_point(|(first, _)| *first <= index);
        self.tokens.get(after.checked_sub(1)?)?.1.as_ref()
    }

    /// For what the record with this index leads to.
    pub(crate) fn token(&self, index: u32) -> Option<Token> {
        self.at(index).map(Token::another)
    }

    /// Passes on what handlers said.
    pub(crate) fn say(&self, plan: &Plan, answers: ItemAnswers) {
        for (index, answer) in later(plan, self.depot, answers) {
            if let Some(token) = self.at(index) {
                token.say(answer);
            }
        }
    }

    /// It is not known whether they are handled.
    pub(crate) fn lose(&mut self) {
        self.tokens.clear();
    }

    /// The records are handled, and readers see it.
    pub(crate) fn finish(&mut self) {
        for (_, token) in self.tokens.drain(..) {
            token.into_iter().for_each(Token::finish);
        }
    }
}
