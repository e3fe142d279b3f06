//! The ends of transforms at a place: what is written, changed or taken out.

use super::Walk;
use super::change::{Blind, Effect, Terminal};
use super::gather::Gathered;
use super::place::{EmptyPlace, Place};
use crate::aggregate::Aggregate;
use crate::path::data::term::{Add, Agg, Remove, Replace, Term, Update};
use crate::path::error::Misfit;

/// The place, if it holds the leaf of the path.
fn leaf<L: Walk>(place: &mut dyn Place) -> Result<&mut L, Misfit> {
    let shape = place.shape();
    place.as_any_mut().downcast_mut::<L>().ok_or_else(|| {
        Misfit::new(format!("a place of type {}", L::shape()), shape, "build the path anew")
    })
}

fn empty<L: Walk>(place: &mut dyn EmptyPlace) -> Result<&mut Option<L>, Misfit> {
    let place = place.as_any_mut().downcast_mut::<Option<L>>();
    place.ok_or_else(super::place::foreign::<L>)
}

/// Changes the list that a sub-path gathered in its own type.
fn gathered<L: Walk>(place: &mut dyn Place, change: impl FnOnce(&mut L)) -> Result<bool, Misfit> {
    let Some(list) = place.as_any_mut().downcast_mut::<Gathered>() else { return Ok(false) };
    let values = L::assemble(list.values()).and_then(|mut values| {
        change(&mut values);
        values.scatter()
    });
    list.replace(values.ok_or_else(super::place::foreign::<L>)?);
    Ok(true)
}

impl<L: Walk> Terminal for Replace<L> {
    fn change(&mut self, place: &mut dyn Place) -> Result<Effect, Misfit> {
        if !gathered::<L>(place, |list| list.clone_from(&self.0))? {
            leaf::<L>(place)?.clone_from(&self.0);
        }
        Ok(Effect::Changed)
    }

    fn blind(&self) -> Option<Blind> {
        Some(Blind::Set)
    }

    fn fill(&mut self, place: &mut dyn EmptyPlace) -> Result<(), Misfit> {
        *empty::<L>(place)? = Some(self.0.clone());
        Ok(())
    }
}

impl<L: Walk, F: FnMut(&mut L)> Terminal for Update<L, F> {
    fn change(&mut self, place: &mut dyn Place) -> Result<Effect, Misfit> {
        if !gathered::<L>(place, &mut self.update)? {
            (self.update)(leaf::<L>(place)?);
        }
        Ok(Effect::Changed)
    }

    fn fill(&mut self, place: &mut dyn EmptyPlace) -> Result<(), Misfit> {
        empty::<L>(place).map(drop)
    }
}

impl<L: Walk> Terminal for Remove<L> {
    fn change(&mut self, place: &mut dyn Place) -> Result<Effect, Misfit> {
        if !gathered::<L>(place, |_| {})? {
            leaf::<L>(place)?;
        }
        Ok(Effect::Removed)
    }

    fn blind(&self) -> Option<Blind> {
        Some(Blind::Remove)
    }

    fn fill(&mut self, place: &mut dyn EmptyPlace) -> Result<(), Misfit> {
        empty::<L>(place).map(drop)
    }
}

impl<L: Walk> Terminal for Add<L> {
    fn change(&mut self, place: &mut dyn Place) -> Result<Effect, Misfit> {
        let place = leaf::<L>(place)?;
        *place = place.plus(&self.0)?;
        Ok(Effect::Changed)
    }

    /// Where nothing is, what is added is all there is.
    fn fill(&mut self, place: &mut dyn EmptyPlace) -> Result<(), Misfit> {
        *empty::<L>(place)? = Some(self.0.clone());
        Ok(())
    }
}

impl<G: Aggregate<In: Clone>> Terminal for Agg<G> {
    fn change(&mut self, place: &mut dyn Place) -> Result<Effect, Misfit> {
        self.aggregator.add(leaf::<G::State>(place)?, self.value.clone())?;
        Ok(Effect::Changed)
    }

    fn fill(&mut self, place: &mut dyn EmptyPlace) -> Result<(), Misfit> {
        let mut state = self.aggregator.zero();
        self.aggregator.add(&mut state, self.value.clone())?;
        *empty::<G::State>(place)? = Some(state);
        Ok(())
    }
}

impl Terminal for Term {
    fn change(&mut self, place: &mut dyn Place) -> Result<Effect, Misfit> {
        match self {
            Self::Set(bytes) => place.read(bytes)?,
            Self::Remove => return Ok(Effect::Removed),
            Self::Add(bytes) => place.add(bytes)?,
        }
        Ok(Effect::Changed)
    }

    fn blind(&self) -> Option<Blind> {
        match self {
            Self::Set(_) => Some(Blind::Set),
            Self::Remove => Some(Blind::Remove),
            Self::Add(_) => None,
        }
    }

    fn fill(&mut self, place: &mut dyn EmptyPlace) -> Result<(), Misfit> {
        match self {
            Self::Set(bytes) | Self::Add(bytes) => place.read(bytes),
            Self::Remove => Ok(()),
        }
    }
}
