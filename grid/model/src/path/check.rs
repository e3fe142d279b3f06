//! Steps against a type, without a value.

use std::any::TypeId;
use std::fmt;

use smallvec::SmallVec;

use super::data::filter::Index;
use super::data::limits::MAX_NESTING;
use super::data::step::{Every, Step, View};
use super::data::term::Term;
use super::error::{Misfit, PathError, too_deep};
use super::json::kind::{KeyFromJson, ValueFromJson, shown};
use super::trail::Trail;
use super::walk::Walk;
use super::walk::number::Number;
use super::walk::steps::decode_len;
use super::walk::tally::type_of;
use crate::{Key, Root};

/// What a step may do at values of one type. Checking a path goes from type to type.
#[derive(Clone, Copy)]
pub struct ValueType {
    of: &'static Facts,
    /// How many lists of what sub-paths gathered are around the value.
    lists: u8,
    /// Nothing ever comes here: there was a `stop` before.
    never: bool,
}

/// What is known of a type.
struct Facts {
    id: fn() -> TypeId,
    shape: fn() -> String,
    next: fn(&Step) -> Result<ValueType, Misfit>,
    field_index: fn(&str) -> Result<u16, Misfit>,
    variant_index: fn(&str) -> Result<u16, Misfit>,
    keys: fn() -> Option<KeyType>,
    element: fn() -> Option<ValueType>,
    zero: Option<Number>,
    ordered: bool,
    json: ValueFromJson,
}

impl ValueType {
    /// The type `T`.
    pub fn of<T: Walk>() -> Self {
        let of = const {
            &Facts {
                id: TypeId::of::<T>,
                shape: T::shape,
                next: T::next,
                field_index: T::field_index,
                variant_index: T::variant_index,
                keys: T::key_type,
                element: T::element_type,
                zero: T::ZERO,
                ordered: T::ORDERED,
                json: ValueFromJson::of::<T>(),
            }
        };
        Self { of, lists: 0, never: false }
    }

    /// The type in a message.
    pub(super) fn shape(self) -> String {
        let inner = (self.of.shape)();
        (0..self.lists).fold(inner, |inner, _| format!("List<{inner}>"))
    }

    /// Reads a value of the type from JSON, into the bytes that a step holds.
    pub(super) fn read_json(self, json: &serde_json::Value) -> Result<Box<[u8]>, Misfit> {
        let Some(lists) = self.lists.checked_sub(1) else { return self.of.json.read(json) };
        let Some(elements) = json.as_array() else {
            let help = "write the value as JSON of that type";
            return Err(Misfit::new(self.shape(), shown(json), help));
        };
        // As postcard has a list: its length, and one element after the other.
        let mut bytes = postcard::to_allocvec(&elements.len()).unwrap_or_default();
        for element in elements {
            bytes.extend_from_slice(&Self { lists, ..self }.read_json(element)?);
        }
        Ok(bytes.into_boxed_slice())
    }

    pub(super) fn keys(self) -> Option<KeyType> {
        if self.lists == 0 { (self.of.keys)() } else { None }
    }

    pub(super) fn field_index(self, name: &str) -> Result<u16, Misfit> {
        (self.of.field_index)(name)
    }

    pub(super) fn variant_index(self, name: &str) -> Result<u16, Misfit> {
        (self.of.variant_index)(name)
    }

    /// The sum of no elements of this list, if they are numbers.
    pub(super) fn zero_of_elements(self) -> Option<Number> {
        let element = self.element();
        element.filter(|element| element.lists == 0).and_then(|element| element.of.zero)
    }

    /// The elements of this list.
    fn element(self) -> Option<Self> {
        match self.lists.checked_sub(1) {
            Some(lists) => Some(Self { lists, ..self }),
            None => (self.of.element)().or_else(|| self.keys().map(|keys| (keys.element)())),
        }
    }

    /// The list of what a sub-path to values of this type gathers.
    fn gathered(self) -> Self {
        Self { lists: self.lists.saturating_add(1), never: false, ..self }
    }

    /// Where a sub-path of the step starts.
    pub(super) fn start_of_branches(self, step: &Step) -> Result<Self, Misfit> {
        let Step::Filtered(_) = step else { return Ok(self) };
        self.after_plain(step)?;
        self.element().ok_or_else(|| self.unfit(step))
    }

    /// The type after a step whose sub-paths end at these types.
    pub(super) fn after(self, step: &Step, ends: &[Self]) -> Result<Self, Misfit> {
        match (step, ends) {
            (Step::FilterSelected(_) | Step::FilterNotSelected(_) | Step::Collect(..), _) => {
                Ok(self)
            }
            (Step::If(..), [_, then, other]) => then.or(*other),
            (Step::Multi(_), [first, others @ ..]) => {
                others.iter().try_fold(*first, |all, next| all.or(*next))
            }
            (Step::Multi(_), []) => Ok(Self { never: true, ..self }),
            (Step::Subselect(_), [end]) => Ok(end.gathered()),
            (Step::Transformed(made), [end]) => end.takes(&made.term).map(|()| self),
            (Step::Stop, _) => Ok(Self { never: true, ..self }),
            _ => self.after_plain(step),
        }
    }

    fn after_plain(self, step: &Step) -> Result<Self, Misfit> {
        let next = if self.lists == 0 { (self.of.next)(step) } else { self.after_gathered(step) };
        next.map(|next| Self { never: self.never, ..next })
    }

    /// The type after a step from a gathered list.
    fn after_gathered(self, step: &Step) -> Result<Self, Misfit> {
        let element = Self { lists: self.lists - 1, ..self };
        match step {
            Step::Nth(_) | Step::First | Step::Last | Step::All => Ok(element),
            Step::Backwards(Every::Element) => Ok(element),
            Step::Index(_) => Ok(Self::of::<Index>()),
            Step::Len => Ok(Self::of::<u64>()),
            Step::Range(..) | Step::Take(..) | Step::Put(_) | Step::Dispense => Ok(self),
            Step::Or(value) => self.skip(value).map(|_| self),
            Step::Filter(filter) if !filter.compare.needs_order() => {
                self.skip(&filter.value).map(|_| self)
            }
            Step::View(View::Sum(kind)) if self.zero_of_elements() == Some(Number::zero(*kind)) => {
                Ok(type_of(*kind))
            }
            Step::View(View::Avg) if self.zero_of_elements().is_some() => Ok(Self::of::<f64>()),
            Step::View(View::Min | View::Max) if element.lists == 0 && element.of.ordered => {
                Ok(element)
            }
            _ => Err(self.unfit(step)),
        }
    }

    fn unfit(self, step: &Step) -> Misfit {
        let help = format!("leave out `{}`, or take it at another place", step.name());
        Misfit::new("a type with such a step", self.shape(), help)
    }

    /// The one type that two branches end at.
    fn or(self, other: Self) -> Result<Self, Misfit> {
        if self.never {
            return Ok(other);
        }
        if other.never || ((self.of.id)() == (other.of.id)() && self.lists == other.lists) {
            return Ok(self);
        }
        let expected = format!("branches that all lead to values of type {}", self.shape());
        Err(Misfit::new(expected, other.shape(), "let all branches lead to values of one type"))
    }

    /// Refuses an end of a transform that does not fit values of this type.
    fn takes(self, term: &Term) -> Result<(), Misfit> {
        let bytes = match term {
            Term::Remove => return Ok(()),
            Term::Set(bytes) => bytes,
            Term::Add(bytes) if self.of.zero.is_some() => bytes,
            Term::Add(_) => {
                return Err(Misfit::new("a number to add to", self.shape(), "use `set`"));
            }
        };
        self.skip(bytes).map(drop)
    }

    /// What lies behind a value of this type.
    fn skip(self, bytes: &[u8]) -> Result<&[u8], Misfit> {
        let Some(lists) = self.lists.checked_sub(1) else { return self.of.json.skip(bytes) };
        let (len, mut behind) = decode_len(bytes)?;
        for _ in 0..len {
            let next = Self { lists, ..self }.skip(behind)?;
            // Of elements without bytes there may be any number.
            if next.len() == behind.len() {
                break;
            }
            behind = next;
        }
        Ok(behind)
    }
}

impl fmt::Debug for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ValueType").field(&self.shape()).finish()
    }
}

/// What the keys of a map are, or the elements of a set.
#[derive(Clone, Copy, Debug)]
pub struct KeyType {
    pub(super) json: KeyFromJson,
    element: fn() -> ValueType,
}

impl KeyType {
    /// The keys `K`.
    pub fn of<K: Key>() -> Self {
        Self { json: KeyFromJson::of::<K>(), element: ValueType::of::<K> }
    }
}

/// Checks that steps of any origin fit the PState type `R`.
///
/// Walking unchecked steps is safe too; it finds out later, and only where there are values.
///
/// # Errors
///
/// [`PathErrorKind::Path`](super::PathErrorKind::Path), naming the first step that does not fit.
pub fn check_steps<R: Root>(pstate: &str, steps: &[Step]) -> Result<(), PathError> {
    let trail = Trail::new(pstate, steps.len());
    trail.check_length()?;
    check(ValueType::of::<R>(), steps, trail, 0).map(drop)
}

fn check(
    mut at: ValueType,
    mut steps: &[Step],
    trail: Trail<'_>,
    nesting: usize,
) -> Result<ValueType, PathError> {
    while let Some((step, rest)) = steps.split_first() {
        let fail = |misfit| trail.misfit(step, rest.len(), misfit);
        let (branches, after) = step.split(rest).map_err(fail)?;
        if nesting == MAX_NESTING && !branches.is_empty() {
            return Err(fail(too_deep(MAX_NESTING)));
        }
        let start = at.start_of_branches(step).map_err(fail)?;
        let ends: Result<SmallVec<[ValueType; 3]>, PathError> = branches
            .iter()
            .map(|branch| check(start, branch.steps, trail.before(branch.behind), nesting + 1))
            .collect();
        at = at.after(step, &ends?).map_err(fail)?;
        steps = after;
    }
    Ok(at)
}
