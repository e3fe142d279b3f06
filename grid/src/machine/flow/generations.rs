//! Which life of a topology it is, the same on all partitions although each has a manifest of its own.

use crate::machine::manifest::Manifest;
use crate::module::Plan;

/// The generation of each topology of the plan at this start, from what the partitions of its module have. One
/// that a start which did not come to its end has removed on some partitions only was removed.
pub(crate) fn settle(plan: &Plan, manifests: &[Option<&Manifest>]) -> Vec<u32> {
    plan.topologies.iter().map(|topology| settled(topology.name, manifests)).collect()
}

fn settled(name: &str, manifests: &[Option<&Manifest>]) -> u32 {
    let known = || manifests.iter().flatten();
    let held = known().filter_map(|manifest| manifest.topology(name));
    let last = known().filter_map(|manifest| manifest.last_generation(name)).max();
    match held.map(|topology| topology.generation).max() {
        Some(held) if !known().any(|manifest| has_removed(manifest, name, held)) => held,
        _ => last.map_or(1, |last| last + 1),
    }
}

/// Whether a partition knows that this life of the topology has ended.
fn has_removed(manifest: &Manifest, name: &str, generation: u32) -> bool {
    let last = manifest.last_generation(name);
    manifest.topology(name).is_none() && last.is_some_and(|last| last >= generation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::manifest::TopologyMeta;
    use gridmill_persistence::Position;

    /// A partition that has the topology in one life, and has known it up to another.
    fn manifest(held: Option<u32>, last: Option<u32>) -> Manifest {
        let mut manifest = Manifest::new("test", 1, 0, 3);
        manifest.topologies.extend(held.map(|generation| TopologyMeta {
            name: "flow".to_owned(),
            generation,
            live: true,
            next: Position::START,
            sources: Vec::new(),
            quarantine: Vec::new(),
            pstates: Vec::new(),
            outbox: None,
        }));
        manifest.generations.extend(last.map(|last| ("flow".to_owned(), last)));
        manifest
    }

    fn settled_of(partitions: [(Option<u32>, Option<u32>); 3]) -> u32 {
        let manifests = partitions.map(|(held, last)| manifest(held, last));
        settled("flow", &manifests.each_ref().map(Some))
    }

    #[test]
    fn what_all_have_stays() {
        assert_eq!(settled_of([(Some(4), Some(4)); 3]), 4);
        assert_eq!(settled_of([(Some(0), None); 3]), 0, "version 1 began it");
    }

    #[test]
    fn what_none_has_is_the_next_life() {
        assert_eq!(settled_of([(None, None); 3]), 1);
        assert_eq!(settled_of([(None, Some(3)); 3]), 4);
        assert_eq!(settled("flow", &[None, None]), 1, "folders that have nothing yet");
    }

    #[test]
    fn a_start_that_added_it_to_some_is_gone_on_with() {
        assert_eq!(settled_of([(Some(1), Some(1)), (None, None), (None, None)]), 1);
        let again = [(Some(3), Some(3)), (None, Some(2)), (None, Some(2))];
        assert_eq!(settled_of(again), 3, "the second has removed the life before");
        let half = [(Some(3), Some(3)), (Some(2), Some(2)), (None, Some(2))];
        assert_eq!(settled_of(half), 3, "the second still has the life before");
    }

    #[test]
    fn what_some_have_removed_begins_another_life_on_all() {
        assert_eq!(settled_of([(None, Some(2)), (Some(2), Some(2)), (Some(2), Some(2))]), 3);
        assert_eq!(settled_of([(None, Some(0)), (Some(0), None), (Some(0), None)]), 1);
        let late = [(None, Some(5)), (Some(2), Some(2)), (None, None)];
        assert_eq!(settled_of(late), 6, "others have seen later lives");
    }
}
