//! Steps with the user's code in them.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Walk;
use super::change::{Change, Effect};
use super::visit::Visit;
use crate::path::check::ValueType;
use crate::path::data::own::Own;
use crate::path::data::step::Step;
use crate::path::error::{Misfit, PathError};
use crate::path::trail::Trail;

/// A step of one's own: from a value to values that lie in it, or that are computed of it.
///
/// In process it is used as any other step, with [`Navigate::own`](crate::path::Navigate::own). A path that
/// travels holds only its name and its fields: the other side has to have it among its [`Navigators`]. A module
/// says which its PStates know with `Setup::navigator`.
///
/// ```
/// use gridmill_model::path::{Effect, Navigator};
/// use gridmill_model::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// /// Every so manieth element of a list.
/// #[derive(Serialize, Deserialize)]
/// struct Every(usize);
///
/// impl Navigator for Every {
///     const NAME: &'static str = "shop/every";
///     type From = List<u64>;
///     type To = u64;
///
///     fn select(&self, from: &List<u64>, next: &mut dyn FnMut(&u64)) {
///         from.iter().step_by(self.0).for_each(next);
///     }
///
///     fn change(&self, from: &mut List<u64>, next: &mut dyn FnMut(&mut u64) -> Effect) -> Effect {
///         let mut all = Effect::Kept;
///         for value in from.iter_mut().step_by(self.0) {
///             if next(value) != Effect::Kept {
///                 all = Effect::Changed;
///             }
///         }
///         all
///     }
/// }
///
/// const SOLD: PState<Map<Str, List<u64>>> = PState::new("shop/sold");
/// let mut sold = Map::from([("pears".into(), List::from([1, 2, 3, 4, 5]))]);
/// assert_eq!(SOLD.key("pears").own(Every(2)).select(&sold)?, [1, 3, 5]);
/// SOLD.key("pears").own(Every(2)).set(0).apply(&mut sold);
/// assert_eq!(SOLD.key("pears").all().select(&sold)?, [0, 2, 0, 4, 0]);
/// # Ok::<(), gridmill_model::path::PathError>(())
/// ```
pub trait Navigator: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name that it travels by: one in a grid, with the module's in front.
    const NAME: &'static str;
    /// The values that it starts from.
    type From: Walk;
    /// The values that it leads to.
    type To: Walk;

    /// Shows each value that it leads to, in order.
    fn select(&self, from: &Self::From, next: &mut dyn FnMut(&Self::To));

    /// Has each value that it leads to changed, and says what that did to the value that it started from. Where
    /// `next` answers [`Effect::Removed`], the value is to be taken out.
    fn change(
        &self,
        from: &mut Self::From,
        next: &mut dyn FnMut(&mut Self::To) -> Effect,
    ) -> Effect;
}

/// A navigator without its types.
trait OwnStep: Send + Sync {
    fn select(
        &self,
        from: &dyn Any,
        rest: &[Step],
        visit: &mut Visit<'_>,
    ) -> Option<Result<(), PathError>>;
    fn change(
        &self,
        from: &mut dyn Any,
        rest: &[Step],
        change: &mut Change<'_>,
    ) -> Option<Result<Effect, PathError>>;
    fn next(&self, from: TypeId) -> Option<ValueType>;
    fn shape(&self) -> String;
}

impl<N: Navigator> OwnStep for N {
    fn select(
        &self,
        from: &dyn Any,
        rest: &[Step],
        visit: &mut Visit<'_>,
    ) -> Option<Result<(), PathError>> {
        let from = from.downcast_ref()?;
        let mut walked = Ok(());
        Navigator::select(self, from, &mut |to: &N::To| {
            if walked.is_ok() {
                let more = visit.place();
                walked = more.and_then(|more| if more { to.walk(rest, visit) } else { Ok(()) });
            }
        });
        Some(walked)
    }

    fn change(
        &self,
        from: &mut dyn Any,
        rest: &[Step],
        change: &mut Change<'_>,
    ) -> Option<Result<Effect, PathError>> {
        let from = from.downcast_mut()?;
        let mut failed = None;
        let effect = Navigator::change(self, from, &mut |to: &mut N::To| {
            if failed.is_some() {
                return Effect::Kept;
            }
            to.walk_mut(rest, change).unwrap_or_else(|error| {
                failed = Some(error);
                Effect::Kept
            })
        });
        Some(failed.map_or(Ok(effect), Err))
    }

    fn next(&self, from: TypeId) -> Option<ValueType> {
        (from == TypeId::of::<N::From>()).then(ValueType::of::<N::To>)
    }

    fn shape(&self) -> String {
        N::From::shape()
    }
}

/// A test of the user's own, which stays in this process.
struct Test<L, F> {
    holds: F,
    of: PhantomData<fn(L)>,
}

impl<L: Walk, F: Fn(&L) -> bool + Send + Sync + 'static> OwnStep for Test<L, F> {
    fn select(
        &self,
        from: &dyn Any,
        rest: &[Step],
        visit: &mut Visit<'_>,
    ) -> Option<Result<(), PathError>> {
        let value = from.downcast_ref::<L>()?;
        Some(if (self.holds)(value) { value.walk(rest, visit) } else { Ok(()) })
    }

    fn change(
        &self,
        from: &mut dyn Any,
        rest: &[Step],
        change: &mut Change<'_>,
    ) -> Option<Result<Effect, PathError>> {
        let value = from.downcast_mut::<L>()?;
        Some(if (self.holds)(value) { value.walk_mut(rest, change) } else { Ok(Effect::Kept) })
    }

    fn next(&self, from: TypeId) -> Option<ValueType> {
        (from == TypeId::of::<L>()).then(ValueType::of::<L>)
    }

    fn shape(&self) -> String {
        L::shape()
    }
}

fn code(step: impl OwnStep + 'static) -> Arc<dyn Any + Send + Sync> {
    let step: Box<dyn OwnStep> = Box::new(step);
    Arc::new(step)
}

/// The step of a navigator.
pub(in crate::path) fn step<N: Navigator>(navigator: N) -> Step {
    // As with other values, encoding fails only if a hand-written `Serialize` does.
    let args = postcard::to_allocvec(&navigator).unwrap_or_default();
    Step::Own(Own::new(N::NAME, args.into_boxed_slice(), Some(code(navigator))))
}

/// The step of a test.
pub(in crate::path) fn test<L: Walk>(holds: impl Fn(&L) -> bool + Send + Sync + 'static) -> Step {
    Step::Own(Own::new("", Box::default(), Some(code(Test { holds, of: PhantomData }))))
}

/// The code of a step, which one that came from elsewhere has only once it was resolved.
fn code_of(own: &Own) -> Result<&dyn OwnStep, Misfit> {
    let code = own.code().and_then(|code| code.downcast_ref::<Box<dyn OwnStep>>());
    code.map(|code| &**code).ok_or_else(|| unknown(own.name(), &[]))
}

fn unknown(name: &str, known: &[&str]) -> Misfit {
    let expected = match known {
        [] => "a step that is known here".to_owned(),
        known => format!("one of the steps {}", known.join(", ")),
    };
    Misfit::new(expected, format!("\"{name}\""), "register the navigator where the path is walked")
}

fn foreign<T: Walk>(own: &dyn OwnStep) -> Misfit {
    Misfit::new(own.shape(), T::shape(), "take the step at a value of its own type")
}

/// Walks on from a value along a step of the user's own.
pub(super) fn walk<T: Walk>(
    own: &Own,
    value: &T,
    (step, rest): (&Step, &[Step]),
    visit: &mut Visit<'_>,
) -> Result<(), PathError> {
    let fail = |misfit, trail: Trail<'_>| trail.misfit(step, rest.len(), misfit);
    let code = code_of(own).map_err(|misfit| fail(misfit, visit.trail))?;
    let walked = code.select(value, rest, visit);
    walked.unwrap_or_else(|| Err(fail(foreign::<T>(code), visit.trail)))
}

/// Changes along a step of the user's own.
pub(super) fn walk_mut<T: Walk>(
    own: &Own,
    value: &mut T,
    (step, rest): (&Step, &[Step]),
    change: &mut Change<'_>,
) -> Result<Effect, PathError> {
    let fail = |misfit, trail: Trail<'_>| trail.misfit(step, rest.len(), misfit);
    let code = code_of(own).map_err(|misfit| fail(misfit, change.trail))?;
    let effect = code.change(value, rest, change);
    effect.unwrap_or_else(|| Err(fail(foreign::<T>(code), change.trail)))
}

/// The type that a step of the user's own leads to.
pub(super) fn next<T: Walk>(own: &Own) -> Result<ValueType, Misfit> {
    let code = code_of(own)?;
    code.next(TypeId::of::<T>()).ok_or_else(|| foreign::<T>(code))
}

/// The navigators that paths from elsewhere may use, by their names.
#[derive(Clone, Debug, Default)]
pub struct Navigators(BTreeMap<&'static str, Known>);

#[derive(Clone, Copy, Debug)]
struct Known {
    from_bytes: fn(&[u8]) -> Result<Step, String>,
    from_json: fn(&Value) -> Result<Step, String>,
}

impl Navigators {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// These and one more. Of two with one name the later stays.
    #[must_use]
    pub fn with<N: Navigator>(mut self) -> Self {
        self.0.insert(
            N::NAME,
            Known {
                from_bytes: |bytes| {
                    let navigator = postcard::from_bytes::<N>(bytes);
                    navigator.map(step).map_err(|error| error.to_string())
                },
                from_json: |json| N::deserialize(json).map(step).map_err(|error| error.to_string()),
            },
        );
        self
    }

    /// Whether there is one of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn known(&self, name: &str) -> Result<&Known, Misfit> {
        let names = || self.0.keys().copied().collect::<Vec<_>>();
        self.0.get(name).ok_or_else(|| unknown(name, &names()))
    }

    /// Gives the steps of users that came from elsewhere their code.
    ///
    /// # Errors
    ///
    /// [`PathErrorKind::Path`](crate::path::PathErrorKind::Path) where a step is unknown here, or its arguments
    /// are none of it.
    pub fn resolve(&self, pstate: &str, steps: &mut [Step]) -> Result<(), PathError> {
        let trail = Trail::new(pstate, steps.len());
        let total = steps.len();
        for (at, step) in steps.iter_mut().enumerate() {
            let Step::Own(own) = step else { continue };
            if own.code().is_some() {
                continue;
            }
            let resolved = self.known(own.name()).and_then(|known| {
                (known.from_bytes)(own.args()).map_err(|got| {
                    Misfit::new("the arguments of that step", got, "build the path anew")
                })
            });
            *step = resolved.map_err(|misfit| trail.misfit(step, total - at - 1, misfit))?;
        }
        Ok(())
    }

    /// The step of that name, with arguments from JSON; none where no navigator has that name.
    pub(in crate::path) fn read_json(
        &self,
        name: &str,
        args: &Value,
    ) -> Option<Result<Step, Misfit>> {
        let known = self.0.get(name)?;
        Some((known.from_json)(args).map_err(|got| {
            Misfit::new("the arguments of that step", got, "write them as JSON of the navigator")
        }))
    }

    /// The names, in order.
    pub(in crate::path) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.keys().copied()
    }
}
