//! Tuples: parts by number, and the first and last of a pair.

use std::cmp::Ordering;
use std::mem::offset_of;

use super::change::{Change, Effect};
use super::record::{field_mut, fixed_part};
use super::visit::Visit;
use super::{Walk, found, steps};
use crate::State;
use crate::engine::Cold;
use crate::path::check::ValueType;
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError};

/// The place of a part that a step names, in a tuple of that many.
fn part(step: &Step, parts: usize) -> Option<usize> {
    match step {
        Step::Field(index) => Some(usize::from(*index)),
        Step::First => Some(0),
        Step::Last => Some(parts - 1),
        _ => None,
    }
    .filter(|index| *index < parts)
}

macro_rules! tuples {
    ($($count:literal: $($type:ident $index:tt),+;)*) => {
        $(impl<$($type: State),+> Walk for ($($type,)+) {
            const ORDERED: bool = true $(&& $type::ORDERED)+;

            fn shape() -> String {
                Self::schema().to_string()
            }

            fn room(&self) -> usize {
                size_of::<Self>() + self.weight()
            }

            fn walk(&self, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
                let Some((step, rest)) = steps.split_first() else { return visit.leaf(self) };
                match part(step, $count) {
                    $(Some($index) => self.$index.walk(rest, visit),)+
                    _ => steps::walk(self, step, rest, visit),
                }
            }

            fn walk_absent(steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
                let Some((step, rest)) = steps.split_first() else {
                    return visit.absent::<Self>();
                };
                match part(step, $count) {
                    $(Some($index) => $type::walk_absent(rest, visit),)+
                    _ => steps::walk_absent::<Self>(step, rest, visit),
                }
            }

            fn walk_cold(
                cold: Cold<'_>,
                steps: &[Step],
                visit: &mut Visit<'_>,
            ) -> Result<(), PathError> {
                match steps.split_first().map(|(step, rest)| (part(step, $count), rest)) {
                    $(Some((Some($index), rest)) => {
                        let part = offset_of!(<Self as rkyv::Archive>::Archived, $index);
                        $type::walk_cold(cold.behind(part), rest, visit)
                    })+
                    _ => found::decoded::<Self>(cold, steps, visit),
                }
            }

            fn walk_mut(
                &mut self,
                steps: &[Step],
                change: &mut Change<'_>,
            ) -> Result<Effect, PathError> {
                let Some((step, rest)) = steps.split_first() else { return change.end(self) };
                let effect = match part(step, $count) {
                    $(Some($index) => field_mut(&mut self.$index, rest, change)?,)+
                    _ => return steps::walk_mut(self, step, rest, change),
                };
                match effect {
                    Effect::Removed => change.refuse(step, rest, fixed_part::<Self>()),
                    effect => Ok(effect),
                }
            }

            fn order(&self, other: &Self) -> Option<Ordering> {
                $(match self.$index.order(&other.$index) {
                    Some(Ordering::Equal) => {}
                    decided => return decided,
                })+
                Some(Ordering::Equal)
            }

            fn next(step: &Step) -> Result<ValueType, Misfit> {
                match part(step, $count) {
                    $(Some($index) => Ok(ValueType::of::<$type>()),)+
                    _ => steps::next::<Self>(step),
                }
            }

            fn field_index(name: &str) -> Result<u16, Misfit> {
                name.parse().ok().filter(|index| *index < $count).ok_or_else(|| {
                    let expected = concat!("the number of a part, below ", $count);
                    Misfit::new(expected, format!("{name:?}"), "name the part by its number")
                })
            }
        })*
    };
}

tuples! {
    1: A 0;
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
    5: A 0, B 1, C 2, D 3, E 4;
    6: A 0, B 1, C 2, D 3, E 4, F 5;
    7: A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
    9: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8;
    10: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9;
    11: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10;
    12: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11;
}
