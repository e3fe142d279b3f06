//! On which entries a path depends: that follows from its first steps.

use std::sync::Arc;

use gridmill_model::KeyBytes;
use gridmill_model::path::Step;

use crate::engine::Scope;

/// On which entries of a root of entries the value of a path depends, at most.
pub(super) fn scope(steps: &[Step]) -> Scope {
    if let Some(Step::KeyRange(range)) = steps.first() {
        return Scope::Range(Arc::new((**range).clone()));
    }
    keys(steps).map_or(Scope::Root, |keys| Scope::Keys(keys.into()))
}

/// The keys that a path begins with, whichever branch it takes.
fn keys(steps: &[Step]) -> Option<Vec<KeyBytes>> {
    let (first, rest) = steps.split_first()?;
    match first {
        Step::Key(key) | Step::Must(key) => Some(vec![key.clone()]),
        Step::Keys(keys) => Some(keys.iter().map(|key| key.0.clone()).collect()),
        Step::Multi(counts) => {
            let (mut all, mut rest) = (Vec::new(), rest);
            for count in counts {
                let (branch, after) = rest.split_at_checked(usize::from(*count))?;
                all.extend(keys(branch)?);
                rest = after;
            }
            Some(all)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use gridmill_model::path::Path;
    use gridmill_model::prelude::*;

    use super::*;

    type Root = Map<u32, List<u64>>;

    const STATE: PState<Root> = PState::new("state");

    fn scope_of<N: Navigate<Root = Root>>(path: N) -> Scope {
        let path: Path<Root, N::Leaf, _> = path.into_path();
        scope(path.steps())
    }

    fn keys_of(scope: &Scope) -> Vec<u32> {
        let Scope::Keys(keys) = scope else { panic!("{scope:?}") };
        keys.iter().map(|key| gridmill_model::Key::decode_key(key).unwrap()).collect()
    }

    #[test]
    fn a_path_depends_on_the_keys_it_begins_with() {
        assert_eq!(keys_of(&scope_of(STATE.key(7).len())), [7]);
        assert_eq!(keys_of(&scope_of(STATE.must(7).all())), [7]);
        assert_eq!(keys_of(&scope_of(STATE.sub_map([3, 1]).len())), [1, 3]);
        assert!(matches!(scope_of(STATE.key_range(3..9).len()), Scope::Range(_)));
        assert_eq!(scope_of(STATE.len()), Scope::Root);
        assert_eq!(scope_of(STATE.map_vals().sum()), Scope::Root);
        assert_eq!(scope_of(STATE), Scope::Root);
        let both = STATE.multi(|it| [it.clone().key(1).sum(), it.key(2).sum()]);
        assert_eq!(keys_of(&scope_of(both)), [1, 2]);
        assert_eq!(
            scope_of(STATE.multi(|it| [it.clone().key(1).sum(), it.map_vals().sum()])),
            Scope::Root
        );
    }
}
