//! Lists and vectors: selects. Changes are in `list_mut`.

use super::change::{Change, Effect};
use super::elems::{Elems, position};
use super::list_mut::walk_mut;
use super::visit::Visit;
use super::{Walk, steps};
use crate::path::check::ValueType;
use crate::path::data::filter::Index;
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError};
use crate::{List, State};

macro_rules! sequences {
    ($($type:ty),*) => {
        $(impl<T: State> Walk for $type {
            fn shape() -> String {
                Self::schema().to_string()
            }

            fn walk(&self, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
                match steps.split_first() {
                    None => visit.leaf(self),
                    Some((step, rest)) => walk(self, step, rest, visit),
                }
            }

            fn walk_absent(steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
                match steps.split_first() {
                    None => Ok(()),
                    Some((Step::Len, rest)) => 0_u64.walk_owned(rest, visit),
                    Some((step, rest)) => steps::walk_absent::<Self>(step, rest, visit),
                }
            }

            fn walk_mut(
                &mut self,
                steps: &[Step],
                change: &mut Change<'_>,
            ) -> Result<Effect, PathError> {
                match steps.split_first() {
                    None => change.end(self),
                    Some((step, rest)) => walk_mut(self, step, rest, change),
                }
            }

            fn create(steps: &[Step], change: &mut Change<'_>) -> Result<Option<Self>, PathError> {
                match steps.split_first() {
                    None => change.make(),
                    Some((Step::AfterElem | Step::BeforeElem | Step::Len, _)) => {
                        steps::written(Self::default(), steps, change)
                    }
                    Some((step, rest)) => steps::create(step, rest, change),
                }
            }

            fn next(step: &Step) -> Result<ValueType, Misfit> {
                match step {
                    Step::Nth(_) | Step::First | Step::Last | Step::All => Ok(ValueType::of::<T>()),
                    Step::AfterElem | Step::BeforeElem => Ok(ValueType::of::<T>()),
                    Step::Index(_) => Ok(ValueType::of::<Index>()),
                    Step::Len => Ok(ValueType::of::<u64>()),
                    step => steps::next::<Self>(step),
                }
            }
        })*
    };
}

sequences!(List<T>, Vec<T>);

fn walk<T: State, S: Elems<T>>(
    list: &S,
    step: &Step,
    rest: &[Step],
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    match step {
        Step::Nth(_) | Step::First | Step::Last => {
            let element = position(step, list.count()).and_then(|at| list.at(at));
            element.map_or(Ok(()), |element| element.walk(rest, visit))
        }
        Step::Index(index) => match position(step, list.count()) {
            Some(_) => Index(*index).walk_owned(rest, visit),
            None => Ok(()),
        },
        Step::All => {
            for element in list.each() {
                if !visit.place()? {
                    break;
                }
                element.walk(rest, visit)?;
            }
            Ok(())
        }
        Step::AfterElem | Step::BeforeElem => Ok(()),
        Step::Len => (list.count() as u64).walk_owned(rest, visit),
        step => steps::walk(list, step, rest, visit),
    }
}
