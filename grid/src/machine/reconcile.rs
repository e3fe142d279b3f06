//! Holding what the code declares against what the folder has: what fits goes on, what is new is
//! entered, what changed or is missing is refused before anything is touched.

use gridmill_model::Schema;
use gridmill_persistence::{LogError, LogReader, Position};

use crate::error::StartError;
use crate::module::{Plan, StartFrom, Topology};

use super::manifest::{
    ChannelMeta, DepotMeta, Homes, Intake, Manifest, PStateMeta, SourceMeta, TopologyMeta,
    VariantMeta,
};

/// What a folder's log says, as far as reconciling needs it.
pub(crate) struct LogFacts<'a> {
    pub(crate) reader: &'a LogReader,
    pub(crate) end: Position,
}

/// The manifest of the folder after this start. `generations` has that of each topology of the plan, where it
/// was settled for all partitions; otherwise they are as this folder has them.
pub(crate) fn reconcile(
    plan: &Plan,
    mut manifest: Manifest,
    log: &LogFacts<'_>,
    generations: Option<&[u32]>,
) -> Result<Manifest, StartError> {
    let number = |name: &str| plan.topologies.iter().position(|known| known.name == name);
    // Other partitions know that it was removed since.
    drop_topologies(&mut manifest, |topology| {
        let settled = generations.zip(number(&topology.name)).map(|(all, number)| all[number]);
        settled.is_some_and(|settled| settled != topology.generation)
    });
    refuse_missing(plan, &manifest)?;
    drop_topologies(&mut manifest, |topology| number(&topology.name).is_none());
    for depot in &mut manifest.depots {
        depot.removed |= plan.removed.contains(&depot.name);
    }
    for depot in 0..plan.depots.len() {
        enter_depot(plan, depot, &mut manifest)?;
    }
    for (number, topology) in plan.topologies.iter().enumerate() {
        let generation = generations.map(|all| all[number]);
        enter_topology(plan, topology, &mut manifest, log, generation)?;
    }
    enter_channels(plan, &mut manifest, log);
    Ok(manifest)
}

/// Drops topologies for good, with their stages. That there was one stays known.
fn drop_topologies(manifest: &mut Manifest, gone: impl Fn(&TopologyMeta) -> bool) {
    let dropped: Vec<_> = manifest.topologies.extract_if(.., |topology| gone(topology)).collect();
    for topology in dropped {
        for depot in &mut manifest.depots {
            depot.removed |= depot.inbox.as_ref() == Some(&topology.name);
        }
        manifest.note_generation(&topology.name, topology.generation);
    }
}

/// Numbers for what sends, in the life that it has now; what is known of former lives is forgotten.
fn enter_channels(plan: &Plan, manifest: &mut Manifest, log: &LogFacts<'_>) {
    let senders = plan.topologies.iter().filter(|topology| topology.sends());
    let senders = senders.filter_map(|topology| manifest.topology(topology.name)).cloned();
    let senders: Vec<TopologyMeta> = senders.collect();
    let is_new = |sender: &TopologyMeta| manifest.channel(sender).is_none();
    if !senders.is_empty() && senders.iter().all(is_new) {
        // What none of them has sent need not be looked for in all of the log.
        manifest.intake = Intake { at: log.end, marks: Vec::new() };
    }
    for sender in &senders {
        if manifest.channel(sender).is_none() {
            let (topology, generation) = (sender.name.clone(), sender.generation);
            manifest.channels.push(ChannelMeta { topology, generation });
        }
    }
    let current: Vec<u16> = senders.iter().filter_map(|sender| manifest.channel(sender)).collect();
    manifest.intake.marks.retain(|(channel, ..)| current.contains(channel));
}

fn refuse_missing(plan: &Plan, manifest: &Manifest) -> Result<(), StartError> {
    let gone = |name: &String| plan.removed.contains(name);
    let missing = |what, name: &String| {
        Err(StartError::Missing { what, name: name.clone(), module: plan.name.to_owned() })
    };
    for depot in manifest.depots.iter().filter(|depot| !depot.removed) {
        if plan.depots.iter().any(|known| known.name == depot.name) || gone(&depot.name) {
            continue;
        }
        match &depot.inbox {
            None => return missing("depot", &depot.name),
            Some(topology) if plan.topologies.iter().any(|known| known.name == topology) => {
                return missing("stage", &depot.name);
            }
            // It goes with its topology.
            Some(_) => {}
        }
    }
    for topology in &manifest.topologies {
        let known = plan.topologies.iter().find(|known| known.name == topology.name);
        if known.is_none() && !gone(&topology.name) {
            return missing("topology", &topology.name);
        }
        for pstate in &topology.pstates {
            let owner = plan.pstates.iter().find(|known| known.name == pstate.name);
            match owner {
                // Timers go with the stages that they were for.
                None if gone(&pstate.name) || known.is_none() || is_hidden(&pstate.name) => {}
                None => return missing("PState", &pstate.name),
                Some(owner) => refuse_other_owner(plan, topology, &pstate.name, owner.topology)?,
            }
        }
    }
    Ok(())
}

/// Whether a PState is one that the engine keeps something of its own in.
fn is_hidden(pstate: &str) -> bool {
    pstate.contains('#')
}

/// A PState that another topology filled, unless its owner of now may fill it again.
fn refuse_other_owner(
    plan: &Plan,
    stored: &TopologyMeta,
    pstate: &str,
    owner: usize,
) -> Result<(), StartError> {
    let owner = &plan.topologies[owner];
    if owner.name == stored.name || may_refill(plan, owner) {
        return Ok(());
    }
    incompatible(
        plan,
        format!(
            "PState `{pstate}` belongs to topology `{}` in this folder, the code gives it to `{}`; {}",
            stored.name,
            owner.name,
            refilling(plan, owner)
        ),
    )
}

fn may_refill(plan: &Plan, topology: &Topology) -> bool {
    plan.refilled.iter().any(|name| name == topology.name)
}

/// What to do where a topology's PStates do not fit, so that they have what their depots have.
fn refilling(plan: &Plan, topology: &Topology) -> String {
    let name = topology.name;
    if topology.reads {
        return format!(
            "topology `{name}` reads PStates of others, so that it cannot be filled from the past: give \
             it and its PStates new names, call `module.remove(\"{name}\")` and let its sources \
             `start_from(StartFrom::End)`, where they begin empty"
        );
    }
    if topology.sends() {
        return format!(
            "topology `{name}` sends records, and what sends records cannot be filled from the past: give it \
             and its PStates new names, call `module.remove(\"{name}\")` and let its sources \
             `start_from(StartFrom::End)`, where they begin empty"
        );
    }
    if plan.is_read(topology) {
        return format!(
            "others read PStates of topology `{name}`: leave it as it was and declare another topology \
             with PStates of other names beside it, which is filled from its depots; let the others \
             read those once it has caught up, and then call `module.remove(\"{name}\")`"
        );
    }
    format!(
        "call `module.refill(\"{name}\")`, so that topology `{name}` fills its PStates again from its \
         depots, beside the live flow"
    )
}

fn incompatible<T>(plan: &Plan, problem: String) -> Result<T, StartError> {
    Err(StartError::Incompatible { module: plan.name.to_owned(), problem })
}

fn enter_depot(plan: &Plan, depot: usize, manifest: &mut Manifest) -> Result<(), StartError> {
    let def = &plan.depots[depot];
    let inbox = def.inbox.map(|inbox| plan.topologies[inbox.topology].name.to_owned());
    let what = if inbox.is_some() { "stage" } else { "depot" };
    let known = |meta: &DepotMeta| meta.name == def.name && !meta.removed;
    let index = match manifest.depots.iter().position(known) {
        Some(index) => index,
        None => {
            manifest.depots.push(DepotMeta {
                name: def.name.to_owned(),
                global: def.global,
                removed: false,
                inbox: inbox.clone(),
                variants: Vec::new(),
            });
            manifest.depots.len() - 1
        }
    };
    let (meta, next_type) = (&mut manifest.depots[index], &mut manifest.next_type);
    if meta.inbox != inbox {
        let (name, was) = (def.name, if meta.inbox.is_some() { "stage" } else { "depot" });
        let problem = format!(
            "`{name}` is a {was} in this folder and a {what} in the code; leave it as it was, and give the \
             {what} another name"
        );
        return incompatible(plan, problem);
    }
    if meta.global != def.global {
        return incompatible(
            plan,
            format!(
                "{what} `{}` is {} in this folder and {} in the code; leave it as it was, with its \
                 events, and declare another one beside it",
                def.name,
                globality(meta.global),
                globality(def.global)
            ),
        );
    }
    let variants = def.codec.variants();
    for known in &meta.variants {
        let name = || format!("{}::{}", def.name, known.name);
        match variants.iter().find(|variant| variant.name == known.name) {
            None => return Err(changed_event(name(), "it is gone".to_owned())),
            Some(now) if now.schema.fingerprint() != known.schema.fingerprint() => {
                let difference = Schema::difference(&known.schema, &now.schema);
                return Err(changed_event(name(), difference));
            }
            Some(_) => {}
        }
    }
    for variant in variants {
        if !meta.variants.iter().any(|known| known.name == variant.name) {
            let (type_id, name, schema) = (*next_type, variant.name, variant.schema);
            meta.variants.push(VariantMeta { type_id, name, schema });
            *next_type += 1;
        }
    }
    Ok(())
}

fn globality(global: bool) -> &'static str {
    if global { "global" } else { "partitioned" }
}

fn changed_event(name: String, difference: String) -> StartError {
    let advice = "Records of the old shape are in the log: keep the variant and add a new one (a \
                  struct is the variant of its name: make it an enum)";
    StartError::Changed { what: "event variant", name, difference, advice: advice.to_owned() }
}

fn enter_topology(
    plan: &Plan,
    topology: &Topology,
    manifest: &mut Manifest,
    log: &LogFacts<'_>,
    generation: Option<u32>,
) -> Result<(), StartError> {
    let known = manifest.topologies.iter().position(|meta| meta.name == topology.name);
    let mut meta = match known {
        Some(index) => {
            let meta = manifest.topologies.remove(index);
            match misfit(plan, topology, manifest, &meta, log)? {
                None => meta,
                Some(_) if may_refill(plan, topology) => {
                    filled_again(plan, topology, manifest, &meta, log)?
                }
                Some(error) => return Err(error),
            }
        }
        None => {
            let meta = new_topology(plan, topology, manifest, log)?;
            let generation = generation.unwrap_or_else(|| manifest.next_generation(topology.name));
            manifest.note_generation(topology.name, generation);
            TopologyMeta { generation, ..meta }
        }
    };
    if !meta.live && topology.sends() {
        let problem = format!(
            "topology `{}` still reads the past on partition {}, and what sends records cannot do that; let \
             it catch up with the code from before, and then give it its stages",
            topology.name, manifest.partition
        );
        return incompatible(plan, problem);
    }
    enter_sources(plan, topology, manifest, &mut meta, log)?;
    enter_pstates(plan, topology, &mut meta);
    let at = known.unwrap_or(manifest.topologies.len());
    manifest.topologies.insert(at, meta);
    Ok(())
}

/// Why the PStates of a known topology are not what its depots make of them with this code, if so.
fn misfit(
    plan: &Plan,
    topology: &Topology,
    manifest: &Manifest,
    meta: &TopologyMeta,
    log: &LogFacts<'_>,
) -> Result<Option<StartError>, StartError> {
    let advice = || refilling(plan, topology);
    let problem =
        |problem| Some(StartError::Incompatible { module: plan.name.to_owned(), problem });
    let past = has_past(plan, manifest, meta, log)?;
    for &owned in &topology.owned {
        let def = &plan.pstates[owned];
        let known = meta.pstate(def.name);
        match known {
            Some(known) if known.schema.fingerprint() != def.schema.fingerprint() => {
                let difference = Schema::difference(&known.schema, &def.schema);
                let (what, name) = ("PState", def.name.to_owned());
                let advice = format!("Restore the type; or, for the new one: {}", advice());
                return Ok(Some(StartError::Changed { what, name, difference, advice }));
            }
            // What nothing was scheduled for has no past.
            None if past && !def.hidden => {
                let (pstate, topology) = (def.name, topology.name);
                return Ok(problem(format!(
                    "PState `{pstate}` is new in topology `{topology}`, which has handled events \
                     already, so that it would begin without them; let a topology of its own keep it, \
                     or: {}",
                    advice()
                )));
            }
            _ => {}
        }
    }
    for source in &topology.sources {
        let depot = plan.depots[source.depot].name;
        if meta.sources.iter().any(|known| known.depot == depot) {
            continue;
        }
        let (start, end) = start_of(plan, manifest, depot, source.start, log)?;
        if start < end {
            return Ok(problem(format!(
                "topology `{}` now also reads depot `{depot}`, which has records that it has not seen; \
                 let the source `start_from(StartFrom::End)`, or: {}",
                topology.name,
                advice()
            )));
        }
    }
    Ok(None)
}

/// Whether a topology has, or had, records to handle in its depots.
fn has_past(
    plan: &Plan,
    manifest: &Manifest,
    meta: &TopologyMeta,
    log: &LogFacts<'_>,
) -> Result<bool, StartError> {
    for source in &meta.sources {
        let (_, end) = start_of(plan, manifest, &source.depot, StartFrom::End, log)?;
        if source.start < end {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A known topology whose PStates are to be filled again, from where it once started.
fn filled_again(
    plan: &Plan,
    topology: &Topology,
    manifest: &Manifest,
    meta: &TopologyMeta,
    log: &LogFacts<'_>,
) -> Result<TopologyMeta, StartError> {
    let mut again = TopologyMeta {
        name: meta.name.clone(),
        generation: meta.generation,
        live: true,
        next: log.end,
        sources: meta.sources.clone(),
        // The log has the verdicts, and says of which records there is an end.
        quarantine: Vec::new(),
        pstates: Vec::new(),
        outbox: None,
    };
    enter_sources(plan, topology, manifest, &mut again, log)?;
    if has_past(plan, manifest, &again, log)? {
        let calls = topology.calls.is_some();
        if topology.reads || topology.sends() || calls || plan.is_read(topology) {
            return incompatible(plan, refilling(plan, topology));
        }
        (again.live, again.next) = (false, Position::START);
    }
    Ok(again)
}

/// A topology that the folder does not know. It joins the live flow at once where nothing of the
/// past concerns it.
fn new_topology(
    plan: &Plan,
    topology: &Topology,
    manifest: &Manifest,
    log: &LogFacts<'_>,
) -> Result<TopologyMeta, StartError> {
    let mut sources = Vec::new();
    let mut past = false;
    for source in &topology.sources {
        let depot = plan.depots[source.depot].name;
        let (start, end) = start_of(plan, manifest, depot, source.start, log)?;
        past |= start < end;
        sources.push(SourceMeta { depot: depot.to_owned(), start });
    }
    if past && topology.reads {
        return incompatible(
            plan,
            format!(
                "topology `{}` reads PStates of other topologies and would start in the past, where it \
             cannot see what they were then; let it `start_from(StartFrom::End)`",
                topology.name
            ),
        );
    }
    if past && topology.calls.is_some() {
        return incompatible(
            plan,
            format!(
                "topology `{}` calls async functions and would start in the past, for which it would call them all \
                 again; let its sources `start_from(StartFrom::End)`",
                topology.name
            ),
        );
    }
    if past && topology.sends() {
        return incompatible(
            plan,
            format!(
                "topology `{}` sends records and would start in the past, which is not supported; let its \
                 sources `start_from(StartFrom::End)`",
                topology.name
            ),
        );
    }
    Ok(TopologyMeta {
        name: topology.name.to_owned(),
        generation: 0,
        live: !past,
        next: if past { Position::START } else { log.end },
        sources,
        quarantine: Vec::new(),
        pstates: Vec::new(),
        outbox: None,
    })
}

/// The depot offset at which a source starts, and the end of the depot.
fn start_of(
    plan: &Plan,
    manifest: &Manifest,
    depot: &str,
    start: StartFrom,
    log: &LogFacts<'_>,
) -> Result<(u64, u64), StartError> {
    let Some(number) = depot_number(manifest, depot) else { return Ok((0, 0)) };
    let failed = |source: LogError| StartError::Log {
        module: plan.name.to_owned(),
        partition: manifest.partition,
        source,
    };
    let (first, end) = log.reader.depot_bounds(number).map_err(failed)?;
    let start = match start {
        StartFrom::Beginning => first,
        StartFrom::End => end,
        StartFrom::RecordsAgo(records) => end.saturating_sub(records).max(first),
        StartFrom::Time(time) => {
            let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
            log.reader.depot_offset_at_time(number, micros).map_err(failed)?
        }
    };
    Ok((start, end))
}

/// The number that a depot's records carry.
pub(crate) fn depot_number(manifest: &Manifest, depot: &str) -> Option<u16> {
    let known = |meta: &DepotMeta| meta.name == depot && !meta.removed;
    manifest.depots.iter().position(known).and_then(|index| u16::try_from(index).ok())
}

/// Sources that a known topology has newly got, and those that it has no more.
fn enter_sources(
    plan: &Plan,
    topology: &Topology,
    manifest: &Manifest,
    meta: &mut TopologyMeta,
    log: &LogFacts<'_>,
) -> Result<(), StartError> {
    let mut sources = Vec::new();
    for source in &topology.sources {
        let depot = plan.depots[source.depot].name;
        if let Some(known) = meta.sources.iter().find(|known| known.depot == depot) {
            sources.push(known.clone());
            continue;
        }
        let (start, _) = start_of(plan, manifest, depot, source.start, log)?;
        sources.push(SourceMeta { depot: depot.to_owned(), start });
    }
    meta.sources = sources;
    Ok(())
}

/// The PStates that a topology owns now: those that it knows as they are, others empty.
fn enter_pstates(plan: &Plan, topology: &Topology, meta: &mut TopologyMeta) {
    let entered = |&owned: &usize| {
        let def = &plan.pstates[owned];
        let known = meta.pstate(def.name);
        let new = || PStateMeta {
            name: def.name.to_owned(),
            schema: def.schema.clone(),
            len: 0,
            homes: Homes::of(def.hashed),
            runs: Vec::new(),
        };
        let known = known.cloned().unwrap_or_else(new);
        let homes = match known.homes {
            Homes::Hashed => Homes::of(def.hashed),
            homes => homes,
        };
        PStateMeta { homes, ..known }
    };
    meta.pstates = topology.owned.iter().map(entered).collect();
}
