//! Lists: by what they share where that is known, else by what is the same at both ends.

use std::ops::Range;

use super::Op;
use super::out::{DiffOut, encoded, unchanged};
use crate::State;
use crate::path::Step;

/// So few places are told one by one, whatever lies between them.
const FEW: usize = 8;

/// How far a list may have slid along.
const SLIDE_MAX: usize = 16;

/// Lists in one piece of memory, of `old_len` and `new_len` elements: below both they differ at some of `places`, of
/// which some may be named more than once.
pub(crate) fn blocks<'l, T: State>(
    old: impl Fn(usize) -> Option<&'l T>,
    new: impl Fn(usize) -> Option<&'l T>,
    (old_len, new_len): (usize, usize),
    mut places: Vec<usize>,
    out: &mut DiffOut,
) {
    let common = old_len.min(new_len);
    places.sort_unstable();
    places.dedup();
    for place in places.into_iter().filter(|place| *place < common) {
        if let (Some(old), Some(new)) = (old(place), new(place)) {
            out.inside(Step::Nth(place as u64), old, new);
        }
    }
    let was: Vec<&T> = (common..old_len).filter_map(old).collect();
    let now: Vec<&T> = (common..new_len).filter_map(new).collect();
    middle(common, &was, &now, out);
}

/// Lists in pieces. One that the other has in the same place is not looked into.
pub(crate) fn pieces<'l, T: State>(
    old: impl Iterator<Item = &'l [T]>,
    new: impl Iterator<Item = &'l [T]>,
    out: &mut DiffOut,
) {
    let (old, new): (Vec<&[T]>, Vec<&[T]>) = (old.collect(), new.collect());
    if out.is_simple() {
        return elements(old.into_iter().flatten(), new.into_iter().flatten(), out);
    }
    let same = |(old, new): &(&&[T], &&[T])| std::ptr::eq(**old, **new);
    let front = old.iter().zip(&new).take_while(same).count();
    let from = old[..front].iter().map(|piece| piece.len()).sum();
    let (old, new) = (&old[front..], &new[front..]);
    let back = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    let was: Vec<&T> = old[..old.len() - back].iter().copied().flatten().collect();
    let now: Vec<&T> = new[..new.len() - back].iter().copied().flatten().collect();
    middle(from, &was, &now, out);
}

/// Lists of which nothing is known.
pub(crate) fn elements<'l, T: State>(
    old: impl IntoIterator<Item = &'l T>,
    new: impl IntoIterator<Item = &'l T>,
    out: &mut DiffOut,
) {
    let (was, now): (Vec<&T>, Vec<&T>) = (old.into_iter().collect(), new.into_iter().collect());
    middle(0, &was, &now, out);
}

/// What lies in the place of `was`, from position `from` on, is now `now`.
fn middle<T: State>(from: usize, was: &[&T], now: &[&T], out: &mut DiffOut) {
    let same = |(was, now): &(&&T, &&T)| unchanged(**was, **now);
    let front = was.iter().zip(now).take_while(same).count();
    let (was, now, from) = (&was[front..], &now[front..], from + front);
    if out.is_simple() {
        return Edits { from, was, now, out }.simple();
    }
    let back = was.iter().rev().zip(now.iter().rev()).take_while(same).count();
    let (was, now) = (&was[..was.len() - back], &now[..now.len() - back]);
    if was.is_empty() && now.is_empty() {
        return;
    }
    let mut edits = Edits { from, was, now, out };
    if !(edits.moved() || edits.few() || edits.slid()) {
        edits.splice(0..was.len(), 0..now.len());
    }
}

/// Two parts of lists whose ends differ.
struct Edits<'e, 'l, T> {
    /// The position of their first element.
    from: usize,
    was: &'e [&'l T],
    now: &'e [&'l T],
    out: &'e mut DiffOut,
}

impl<T: State> Edits<'_, '_, T> {
    fn at(&self, index: usize) -> u64 {
        (self.from + index) as u64
    }

    /// Whether parts of both have the same elements.
    fn same(&self, was: Range<usize>, now: Range<usize>) -> bool {
        let (was, now) = (&self.was[was], &self.now[now]);
        was.len() == now.len() && was.iter().zip(now).all(|(was, now)| unchanged(*was, *now))
    }

    /// Position by position, and what is left at the end.
    fn simple(&mut self) {
        let (old, new) = (self.was.len(), self.now.len());
        for index in 0..old.min(new) {
            self.out.inside(Step::Nth(self.at(index)), self.was[index], self.now[index]);
        }
        for index in (new..old).rev() {
            self.out.remove_at(Step::Nth(self.at(index)));
        }
        for index in old..new {
            let (at, value) = (self.at(index), self.now[index]);
            self.out.op_at(Step::BeforeIndex(at), || Op::Insert(encoded(value)));
        }
    }

    /// One element went from one end to the other.
    fn moved(&mut self) -> bool {
        let last = self.was.len().saturating_sub(1);
        if self.was.len() != self.now.len() || last == 0 {
            return false;
        }
        let (from, to) = if self.same(last..last + 1, 0..1) && self.same(0..last, 1..last + 1) {
            (last, 0)
        } else if self.same(0..1, last..last + 1) && self.same(1..last + 1, 0..last) {
            (0, last)
        } else {
            return false;
        };
        let (from, to) = (self.at(from), self.at(to));
        self.out.op_at(Step::Index(from), || Op::Move(to));
        true
    }

    /// As many elements, of which few differ: each by itself.
    fn few(&mut self) -> bool {
        if self.was.len() != self.now.len() {
            return false;
        }
        let differs = |index: &usize| !unchanged(self.was[*index], self.now[*index]);
        let differing: Vec<usize> = (0..self.was.len()).filter(differs).collect();
        if differing.len() > FEW.max(self.was.len() / 4) || self.is_slide() {
            return false;
        }
        for index in differing {
            self.out.inside(Step::Nth(self.at(index)), self.was[index], self.now[index]);
        }
        true
    }

    /// By how many places elements moved up because others came before them, or down because others went.
    fn slide(&self) -> Option<(usize, usize)> {
        let (first_was, first_now) = (self.was.first()?, self.now.first()?);
        let up = self.now.iter().take(SLIDE_MAX).position(|now| unchanged(*first_was, *now));
        if let Some(up) = up {
            let kept = self.was.len().min(self.now.len() - up);
            return self.same(0..kept, up..up + kept).then_some((0, up));
        }
        let down = self.was.iter().take(SLIDE_MAX).position(|was| unchanged(*was, *first_now))?;
        let kept = self.now.len().min(self.was.len() - down);
        self.same(down..down + kept, 0..kept).then_some((down, 0))
    }

    fn is_slide(&self) -> bool {
        self.was.len() > 2 && self.slide().is_some()
    }

    /// Some came at one end, and some went at the other.
    fn slid(&mut self) -> bool {
        let Some((down, up)) = self.slide() else { return false };
        let kept = (self.was.len() - down).min(self.now.len() - up);
        // The end first: positions before it stay.
        self.splice(down + kept..self.was.len(), up + kept..self.now.len());
        self.splice(0..down, 0..up);
        true
    }

    /// A part gives way to another.
    fn splice(&mut self, was: Range<usize>, now: Range<usize>) {
        let (from, to) = (self.at(was.start), self.at(was.end));
        let values = &self.now[now];
        match (was.len(), values) {
            (0, []) => {}
            (0, [value]) => {
                self.out.op_at(Step::BeforeIndex(from), || Op::Insert(encoded(*value)));
            }
            (1, []) => self.out.remove_at(Step::Nth(from)),
            (1, [value]) => {
                self.out.inside(Step::Nth(from), self.was[was.start], *value);
            }
            _ => self.out.op_at(Step::Range(from, to), || Op::Splice(encoded(values))),
        }
    }
}
