//! Transforms without code in them, which may travel in a path.

use super::args::encoded;
use super::carry::Carry;
use super::terms::Transform;
use crate::Root;
use crate::path::data::step::Steps;
use crate::path::data::term::{Add, Remove, Replace, Term};
use crate::path::walk::Walk;

/// A transform that is data: one that ends with `set`, `remove` or `add`.
pub trait DataTransform {
    /// What it changes.
    type Root;

    /// Its path and its end.
    fn into_data(self) -> (Steps, Term);
}

macro_rules! data {
    ($($end:ident $term:expr;)*) => { $(
        impl<R: Root, L: Walk, C: Carry> DataTransform for Transform<R, L, $end<L>, C> {
            type Root = R;

            fn into_data(self) -> (Steps, Term) {
                let term: fn($end<L>) -> Term = $term;
                (self.path.into_steps(), term(self.terminal))
            }
        }
    )* };
}

data! {
    Replace |end| Term::Set(encoded(&end.0));
    Add |end| Term::Add(encoded(&end.0));
    Remove |_| Term::Remove;
}
