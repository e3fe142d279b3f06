//! Lists of values without their types: what `subselect` and `collect` make inside of a walk. Where the walk
//! ends, the type is known again.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::change::{Change, Effect, Terminal};
use super::leaf::{Carried, LeafSlot, LeafValue};
use super::place::{EmptyPlace, Place};
use super::steps::decode_len;
use super::tally;
use super::visit::{Sink, Visit};
use super::{Walk, steps};
use crate::path::data::filter::Index;
use crate::path::data::step::{Every, Step};
use crate::path::error::{Misfit, PathError};
use crate::path::trail::Trail;

/// Values of one type that is not known here.
///
/// (A walk that made a `List<T>` of each `T` that it comes to would be compiled for lists of lists without end.)
#[derive(Default)]
pub(in crate::path) struct Gathered(Vec<Carried>);

impl Gathered {
    pub(in crate::path) fn len(&self) -> usize {
        self.0.len()
    }

    pub(in crate::path) fn values(&self) -> &[Carried] {
        &self.0
    }

    /// Puts other values in the place of these.
    pub(in crate::path) fn replace(&mut self, values: Vec<Carried>) {
        self.0 = values;
    }

    /// The positions of a part.
    fn part(&self, step: &Step) -> Option<std::ops::Range<usize>> {
        super::elems::part(step, self.len())
    }

    fn element(&self, step: &Step) -> Option<&Carried> {
        self.0.get(super::elems::position(step, self.len())?)
    }

    fn view(&self, step: &Step, rest: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        let Step::View(view) = step else { return Ok(()) };
        let seen = tally::of_values(*view, &self.0);
        let seen = seen.map_err(|misfit| visit.trail.overflow(step, rest.len(), misfit))?;
        match seen {
            tally::Seen::Nothing => Ok(()),
            tally::Seen::Number(number) => tally::walk_number(number, rest, visit),
            tally::Seen::Value(value) => value.walk_on(rest, visit),
        }
    }
}

impl Clone for Gathered {
    fn clone(&self) -> Self {
        Self(self.0.iter().map(|value| value.boxed()).collect())
    }
}

impl fmt::Debug for Gathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathered").field("len", &self.len()).finish()
    }
}

impl PartialEq for Gathered {
    fn eq(&self, other: &Self) -> bool {
        let pairs = || self.0.iter().zip(&other.0);
        self.len() == other.len() && pairs().all(|(own, other)| own.equals(&**other))
    }
}

impl Serialize for Gathered {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let values: Result<Vec<_>, _> = self.0.iter().map(|value| value.to_json()).collect();
        to.collect_seq(values.map_err(serde::ser::Error::custom)?)
    }
}

/// Its values have no type to be read as: a step that holds such a list is refused.
impl<'de> Deserialize<'de> for Gathered {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("a gathered list is not read from bytes"))
    }
}

impl Walk for Gathered {
    fn shape() -> String {
        "a gathered list".to_owned()
    }

    fn room(&self) -> usize {
        self.0.iter().map(|value| value.room_of()).sum()
    }

    fn walk(&self, steps: &[Step], visit: &mut Visit<'_>) -> Result<(), PathError> {
        let Some((step, rest)) = steps.split_first() else { return visit.leaf(self) };
        match step {
            Step::Nth(_) | Step::First | Step::Last => {
                self.element(step).map_or(Ok(()), |value| value.walk_on(rest, visit))
            }
            Step::Index(at) => {
                self.element(step).map_or(Ok(()), |_| Index(*at).walk_owned(rest, visit))
            }
            Step::All => self.0.iter().try_for_each(|value| value.walk_on(rest, visit)),
            Step::Backwards(Every::Element) => {
                self.0.iter().rev().try_for_each(|value| value.walk_on(rest, visit))
            }
            Step::Len => (self.len() as u64).walk_owned(rest, visit),
            Step::Range(..) | Step::Take(..) => {
                let part = self.part(step).and_then(|part| self.0.get(part)).unwrap_or_default();
                Self(part.iter().map(|value| value.boxed()).collect()).walk_owned(rest, visit)
            }
            Step::View(_) => self.view(step, rest, visit),
            step => steps::walk(self, step, rest, visit),
        }
    }

    fn walk_mut(&mut self, steps: &[Step], change: &mut Change<'_>) -> Result<Effect, PathError> {
        let Some((step, rest)) = steps.split_first() else {
            // The list is no place of its own: without its values it is there, and empty.
            let effect = change.end(self)?;
            if effect != Effect::Removed {
                return Ok(effect);
            }
            self.0.clear();
            return Ok(Effect::Changed);
        };
        match step {
            Step::Nth(_)
            | Step::Index(_)
            | Step::First
            | Step::Last
            | Step::All
            | Step::Backwards(_)
            | Step::Len
            | Step::Range(..)
            | Step::Take(..)
            | Step::View(_) => {
                let help = "change the list as a whole, with `update` or `set`";
                let misfit = Misfit::new("the end of the transform", step.to_string(), help);
                change.refuse(step, rest, misfit)
            }
            step => steps::walk_mut(self, step, rest, change),
        }
    }

    /// Of no values the type is not known: what is no empty list is then a list of what equals nothing.
    fn another_of<'b>(&self, bytes: &'b [u8]) -> Result<(Self, &'b [u8]), Misfit> {
        let (len, mut behind) = decode_len(bytes)?;
        let Some(model) = self.0.iter().find(|value| value.is_typed()) else {
            let unknown = (len > 0).then(|| Box::new(Encoded(behind.into())) as Carried);
            return Ok((Self(unknown.into_iter().collect()), &[]));
        };
        let mut values = Vec::new();
        for _ in 0..len {
            let (value, next) = model.read_another(behind)?;
            // Of elements without bytes there may be any number.
            if next.len() == behind.len() && values.len() > self.len() {
                break;
            }
            values.push(value);
            behind = next;
        }
        Ok((Self(values), behind))
    }

    fn knows_type(&self) -> bool {
        self.0.iter().any(|value| value.is_typed())
    }
}

/// The value that was put into a path, as it lies in the path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::path) struct Encoded(pub(in crate::path) Box<[u8]>);

impl Walk for Encoded {
    fn shape() -> String {
        "a value that was put into the path".to_owned()
    }
}

/// Takes whatever a sub-path reaches.
#[derive(Default)]
pub(in crate::path) struct Gathering(Vec<Carried>);

impl Gathering {
    pub(in crate::path) fn into_values(self) -> Gathered {
        Gathered(self.0)
    }

    /// The one value.
    pub(in crate::path) fn into_one(self) -> Result<Carried, Misfit> {
        let count = self.0.len();
        match <[Carried; 1]>::try_from(self.0) {
            Ok([value]) => Ok(value),
            Err(_) => {
                let help = "narrow the sub-path, or use `collect`";
                Err(Misfit::new("exactly one value", format!("{count} values"), help))
            }
        }
    }
}

impl Sink for Gathering {
    fn borrowed(
        &mut self,
        value: &dyn LeafValue,
        _: &[Carried],
        _: Trail<'_>,
    ) -> Result<(), PathError> {
        self.0.push(value.boxed());
        Ok(())
    }

    fn owned(
        &mut self,
        slot: &mut dyn LeafSlot,
        _: &[Carried],
        _: Trail<'_>,
    ) -> Result<(), PathError> {
        self.0.extend(slot.take());
        Ok(())
    }
}

/// Gives each place that a sub-path reaches the next value of a list.
pub(in crate::path) struct Feed(std::vec::IntoIter<Carried>);

impl Feed {
    pub(in crate::path) fn new(values: Gathered) -> Self {
        Self(values.0.into_iter())
    }
}

impl Terminal for Feed {
    fn change(&mut self, place: &mut dyn Place) -> Result<Effect, Misfit> {
        let Some(value) = self.0.next() else { return Ok(Effect::Removed) };
        place.put(value)?;
        Ok(Effect::Changed)
    }

    /// Where nothing was, nothing was gathered.
    fn fill(&mut self, _: &mut dyn EmptyPlace) -> Result<(), Misfit> {
        Ok(())
    }
}

/// A value with its type again: itself, a gathered list of such, or what was put into the path.
pub(in crate::path) fn restored<T: Walk>(value: &dyn LeafValue) -> Option<T> {
    let any = value.as_any();
    if let Some(value) = any.downcast_ref::<T>() {
        return Some(value.clone());
    }
    if let Some(gathered) = any.downcast_ref::<Gathered>() {
        return T::assemble(gathered.values());
    }
    postcard::from_bytes(&any.downcast_ref::<Encoded>()?.0).ok()
}
