//! Numbers that stand for depots and event variants in the log's record headers.

use std::collections::HashMap;

use crate::module::Plan;

use super::manifest::Manifest;

/// Both directions: from the plan's numbers to those of the headers, and back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    /// By depot of the plan: its number in headers, and the type id of each variant.
    depots: Vec<(u16, Vec<u32>)>,
    /// By type id: depot and variant of the plan.
    types: HashMap<u32, (usize, u16)>,
    /// By topology of the plan: its generation.
    generations: Vec<u32>,
    /// By topology of the plan: the number of its channel here, where it sends records.
    channels: Vec<Option<u16>>,
}

impl Registry {
    pub(crate) fn new(plan: &Plan, manifest: &Manifest) -> Self {
        let mut registry = Self::default();
        for (depot, def) in plan.depots.iter().enumerate() {
            let number = super::reconcile::depot_number(manifest, def.name).unwrap_or(u16::MAX);
            let mut type_ids = Vec::new();
            for (variant, declared) in (0u16..).zip(def.codec.variants()) {
                let variants = manifest.depots.get(usize::from(number)).map(|meta| &meta.variants);
                let known =
                    variants.into_iter().flatten().find(|known| known.name == declared.name);
                let type_id = known.map_or(0, |known| known.type_id);
                registry.types.insert(type_id, (depot, variant));
                type_ids.push(type_id);
            }
            registry.depots.push((number, type_ids));
        }
        let generation = |name| manifest.topology(name).map_or(0, |meta| meta.generation);
        let topologies = plan.topologies.iter();
        registry.generations = topologies.map(|topology| generation(topology.name)).collect();
        let channel = |name| manifest.topology(name).and_then(|meta| manifest.channel(meta));
        let topologies = plan.topologies.iter();
        registry.channels = topologies.map(|topology| channel(topology.name)).collect();
        registry
    }

    /// The numbers of a machine without a folder.
    pub(crate) fn in_memory(plan: &Plan) -> Self {
        let mut registry = Self::default();
        let mut next = 1;
        for (depot, def) in plan.depots.iter().enumerate() {
            let variants = 0..def.codec.variants().len() as u32;
            let type_ids: Vec<u32> = variants.map(|variant| next + variant).collect();
            next += type_ids.len() as u32;
            registry
                .types
                .extend(type_ids.iter().zip(0u16..).map(|(&id, variant)| (id, (depot, variant))));
            // A plan has far less than 2^16 depots.
            registry.depots.push((depot as u16, type_ids));
        }
        registry.generations = vec![1; plan.topologies.len()];
        registry.channels = vec![None; plan.topologies.len()];
        registry
    }

    /// The number of a depot in record headers.
    pub(crate) fn source(&self, depot: usize) -> u16 {
        self.depots[depot].0
    }

    pub(crate) fn type_id(&self, depot: usize, variant: u16) -> u32 {
        self.depots[depot].1[usize::from(variant)]
    }

    /// What a topology's verdicts and retries carry as their type.
    pub(crate) fn generation(&self, topology: usize) -> u32 {
        self.generations[topology]
    }

    /// Depot and variant of a record; `None` where the code has no such depot any more.
    pub(crate) fn event(&self, type_id: u32) -> Option<(usize, u16)> {
        self.types.get(&type_id).copied()
    }

    /// The number in stamps, on this partition, of what a topology sends.
    pub(crate) fn channel(&self, topology: usize) -> Option<u16> {
        self.channels[topology]
    }

    /// The topology whose records carry a channel's number; `None` where it is a former one of its name, or is
    /// no more.
    pub(crate) fn topology_of_channel(&self, channel: u16) -> Option<usize> {
        self.channels.iter().position(|&known| known == Some(channel))
    }

    /// Whether any topology sends records.
    pub(crate) fn has_channels(&self) -> bool {
        self.channels.iter().any(Option::is_some)
    }
}
