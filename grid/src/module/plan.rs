//! A module, checked and with its names resolved to numbers.

use std::sync::Arc;

use gridmill_model::path::Navigators;
use gridmill_persistence::planted::{Bug, is_planted};

use crate::error::StartError;
use crate::topology::{AsyncHandler, Combiner, Handler, Output, OutputKind, PStateDef, StateUse};

use super::Module;
use super::calls::{CallDef, Calls};
use super::failure::OnFailure;
use super::hidden::{calls_name, timers_name};
use super::query::{self, PartPlan, QueryDef};
use super::setup::{DepotDef, Setup};
use super::source::{SourceDef, StartFrom};
use super::stream::{AppendDef, TopologyDef};

/// What every partition of a module runs.
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    pub(crate) depots: Vec<DepotDef>,
    pub(crate) pstates: Vec<PStateDef>,
    pub(crate) topologies: Vec<Topology>,
    pub(crate) queries: Vec<QueryDef>,
    pub(crate) parts: Vec<PartPlan>,
    /// Steps of users that paths from elsewhere may take.
    pub(crate) navigators: Navigators,
    pub(crate) removed: Vec<String>,
    /// Topologies that may fill their PStates again from their depots.
    pub(crate) refilled: Vec<String>,
    /// Whether a topology reads another's PState, so that records have to be handled one by one.
    pub(crate) coupled: bool,
    /// Topologies that see each other's PStates, directly or through others; each stands in one. Their
    /// snapshots are of one position: a topology that lay behind what it reads would, after a crash,
    /// handle its records again with what came of later ones.
    pub(crate) groups: Vec<Vec<usize>>,
}

/// A topology with its PStates and depots as numbers.
pub(crate) struct Topology {
    pub(crate) name: &'static str,
    /// The PStates of its tuple, in order.
    pub(crate) at: Vec<usize>,
    /// Those of them that it owns.
    pub(crate) owned: Vec<usize>,
    /// Whether it reads PStates of other topologies.
    pub(crate) reads: bool,
    /// Its place in [`Plan::groups`].
    pub(crate) group: usize,
    pub(crate) sources: Vec<Source>,
    /// Where its handlers may send records.
    pub(crate) outputs: Vec<Output>,
    /// How their replies add up, where they do.
    pub(crate) replies: Option<Combiner>,
    /// The PState that keeps what they have scheduled, where it has stages: one of those that it owns, and in no
    /// tuple.
    pub(crate) timers: Option<usize>,
    /// The PState that keeps its open calls, where it makes any.
    pub(crate) calls: Option<usize>,
}

/// An async function that is called for the records of a source.
pub(crate) struct SourceCall {
    pub(crate) options: Calls,
    pub(crate) handler: Arc<dyn AsyncHandler>,
    /// The hidden depot of the stage that gets its results.
    pub(crate) result: usize,
}

/// What a topology does with a depot.
pub(crate) struct Source {
    pub(crate) depot: usize,
    /// The PStates that its handler gets, in order.
    pub(crate) at: Vec<usize>,
    /// Those of them that it may change.
    pub(crate) owned: Vec<usize>,
    pub(crate) start: StartFrom,
    pub(crate) failure: OnFailure,
    pub(crate) handler: Box<dyn Handler>,
    pub(crate) call: Option<SourceCall>,
    /// No later topology reads the depot, so that events can be moved into this one.
    pub(crate) last: bool,
}

impl Topology {
    /// Whether its handlers may send records: it has stages, or appends to depots.
    pub(crate) fn sends(&self) -> bool {
        !self.outputs.is_empty()
    }

    pub(crate) fn source(&self, depot: usize) -> Option<usize> {
        self.sources.iter().position(|source| source.depot == depot)
    }

    /// The async function that it calls for records of a depot.
    pub(crate) fn call(&self, depot: usize) -> Option<&SourceCall> {
        self.sources[self.source(depot)?].call.as_ref()
    }

    /// What it does with records of a depot of `plan` that it cannot handle.
    pub(crate) fn policy(&self, plan: &Plan, depot: &str) -> Option<OnFailure> {
        let source = self.sources.iter().find(|source| plan.depots[source.depot].name == depot);
        source.map(|source| source.failure)
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Plan {
    pub(crate) fn of<M: Module>() -> Result<Self, StartError> {
        let mut setup = Setup::default();
        M::define(&mut setup);
        Self::new(M::NAME, M::VERSION, setup)
    }

    /// Refuses initial values that could never be written to a run.
    pub(crate) fn check_initial(&self, value_bytes_max: usize) -> Result<(), StartError> {
        let checked = self.pstates.iter().map(|def| def.codec.check_initial(value_bytes_max));
        let problems: Vec<String> =
            checked.filter_map(|checked| Some(checked.err()?.to_string())).collect();
        let module = self.name.to_owned();
        let fits = problems.is_empty();
        if fits { Ok(()) } else { Err(StartError::Declaration { module, problems }) }
    }

    fn new(name: &'static str, version: u32, setup: Setup) -> Result<Self, StartError> {
        let Setup { depots, pstates, topologies, queries, parts, navigators, .. } = setup;
        let Setup { removed, refilled, asked, mut problems, .. } = setup;
        problems.extend(
            asked
                .iter()
                .filter_map(|used| used.check(&queries, topologies[used.topology].name).err()),
        );
        let parts = parts.into_iter().map(|part| query::resolve(part, &pstates, &mut problems));
        let parts = parts.collect();
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(legal) {
            problems.push(format!("`{name}` is not a module name; use letters, digits, - and _"));
        }
        let mut resolved: Vec<Topology> = Vec::new();
        for (number, def) in topologies.into_iter().enumerate() {
            resolved.push(resolve(number, def, &depots, &pstates, &mut problems));
        }
        for name in &removed {
            if depots.iter().any(|depot| depot.name == name)
                || pstates.iter().any(|pstate| pstate.name == name)
                || resolved.iter().any(|topology| topology.name == name)
            {
                problems.push(format!("`{name}` is removed and declared; drop one of the two"));
            }
        }
        for name in &refilled {
            if !resolved.iter().any(|topology| topology.name == name) {
                problems.push(format!(
                    "`refill(\"{name}\")` names no topology; use the name that `stream` is given"
                ));
            }
        }
        if !problems.is_empty() {
            return Err(StartError::Declaration { module: name.to_owned(), problems });
        }
        for depot in 0..depots.len() {
            let reader = |topology: &&mut Topology| topology.source(depot).is_some();
            if let Some(topology) = resolved.iter_mut().rev().find(reader)
                && let Some(source) = topology.source(depot)
            {
                topology.sources[source].last = true;
            }
        }
        let coupled = resolved.iter().any(|topology| topology.reads);
        let groups = group(&mut resolved, &pstates);
        Ok(Self {
            name,
            version,
            depots,
            pstates,
            topologies: resolved,
            queries,
            parts,
            navigators,
            removed,
            refilled,
            coupled,
            groups,
        })
    }

    /// Whether time brings something to a partition of the module: timers, retries, or ticks, which are on partition 0.
    pub(crate) fn follows_time(&self, partition: u32) -> bool {
        let ticks = self.depots.iter().any(|depot| depot.every.is_some());
        let mut sources = self.topologies.iter().flat_map(|topology| &topology.sources);
        let retries = sources.any(|source| source.failure.retries.is_some());
        self.has_timers() || retries || partition == 0 && ticks
    }

    /// Whether a record that a topology could not handle is not even listed.
    pub(crate) fn skips(&self, topology: &str, depot: &str) -> bool {
        let topology = self.topologies.iter().find(|known| known.name == topology);
        topology.and_then(|known| known.policy(self, depot)).is_some_and(|policy| policy.skips)
    }

    /// Whether a topology calls async functions.
    pub(crate) fn has_calls(&self) -> bool {
        self.topologies.iter().any(|topology| topology.calls.is_some())
    }

    /// Whether a topology can schedule something.
    pub(crate) fn has_timers(&self) -> bool {
        self.topologies.iter().any(|topology| topology.timers.is_some())
    }

    /// Whether other topologies read a PState of this one.
    pub(crate) fn is_read(&self, topology: &Topology) -> bool {
        let others = self.topologies.iter().filter(|other| other.name != topology.name);
        others.flat_map(|other| &other.at).any(|pstate| topology.owned.contains(pstate))
    }

    /// The topologies whose snapshots are of one position with that of `topology`, itself included.
    pub(crate) fn group_of(&self, topology: usize) -> &[usize] {
        &self.groups[self.topologies[topology].group]
    }
}

/// Puts topologies that share PStates into one group.
fn group(topologies: &mut [Topology], pstates: &[PStateDef]) -> Vec<Vec<usize>> {
    // Each begins alone; whoever shares a PState moves in with its owner.
    let mut group_of: Vec<usize> = (0..topologies.len()).collect();
    for (reader, topology) in topologies.iter().enumerate() {
        for &pstate in topology.at.iter().filter(|_| !is_planted(Bug::FoldAlone)) {
            let (from, to) = (group_of[reader], group_of[pstates[pstate].topology]);
            group_of.iter_mut().filter(|group| **group == from).for_each(|group| *group = to);
        }
    }
    let mut groups = vec![Vec::new(); topologies.len()];
    (0..topologies.len()).for_each(|topology| groups[group_of[topology]].push(topology));
    groups.retain(|members| !members.is_empty());
    for (number, members) in groups.iter().enumerate() {
        members.iter().for_each(|&topology| topologies[topology].group = number);
    }
    groups
}

fn resolve(
    number: usize,
    def: TopologyDef,
    depots: &[DepotDef],
    pstates: &[PStateDef],
    problems: &mut Vec<String>,
) -> Topology {
    let TopologyDef { name, uses, sources, appends, replies } = def;
    let hidden = |name| pstates.iter().position(|known| known.hidden && known.name == name);
    let mut topology = Topology {
        name,
        at: Vec::new(),
        owned: Vec::new(),
        reads: false,
        group: number,
        sources: Vec::new(),
        outputs: outputs(number, name, &appends, depots, problems),
        replies,
        timers: hidden(timers_name(name)),
        calls: hidden(calls_name(name)),
    };
    topology.owned.extend(topology.timers);
    topology.owned.extend(topology.calls);
    if sources.is_empty() {
        problems
            .push(format!("topology `{name}` has no source; add `.source(DEPOT).each(handler)`"));
    }
    for state in uses {
        let owner = |pstate: &PStateDef| pstate.name == state.name;
        let Some(index) = pstates.iter().position(owner) else {
            let unknown = state.name;
            problems.push(format!("topology `{name}` reads PState `{unknown}`, which nobody owns"));
            continue;
        };
        if pstates[index].root != state.root {
            let (pstate, shape) = (state.name, &pstates[index].schema);
            problems
                .push(format!("topology `{name}` reads `{pstate}` with another type than {shape}"));
        }
        if topology.at.contains(&index) {
            problems.push(format!("topology `{name}` names PState `{}` twice", state.name));
        }
        topology.at.push(index);
        if state.owned && pstates[index].topology == number {
            topology.owned.push(index);
        } else {
            topology.reads = true;
        }
    }
    for source in sources {
        let Some(depot) = depots.iter().position(|depot| depot.name == source.depot) else {
            let unknown = source.depot;
            problems.push(format!(
                "topology `{name}` reads depot `{unknown}`, which is not declared; add `module.depot(..)`"
            ));
            continue;
        };
        if depots[depot].event != source.event {
            let (depot, holds) = (depots[depot].name, depots[depot].event_name);
            problems
                .push(format!("topology `{name}` reads `{depot}` as another type than {holds}"));
        }
        let SourceDef { start, handler, over, failure, call, .. } = source;
        let call = call.and_then(|call| resolve_call(&topology, call, problems));
        if let Some(wrong) = failure.problem() {
            let depot = depots[depot].name;
            problems.push(format!("topology `{name}` reads `{depot}` {wrong}"));
        }
        let (at, owned) = match over {
            None => {
                let in_tuple = |pstate: &&usize| topology.at.contains(pstate);
                (topology.at.clone(), topology.owned.iter().filter(in_tuple).copied().collect())
            }
            Some(over) => narrowed(&topology, &over, pstates, problems),
        };
        let global = |&&index: &&usize| pstates[index].global;
        if let (false, Some(&state)) = (depots[depot].global, owned.iter().find(global)) {
            let (depot, state) = (depots[depot].name, pstates[state].name);
            problems.push(format!(
                "PState `{state}` is global but depot `{depot}` of its topology `{name}` is not: make \
                 the depot global, or the PState partitioned"
            ));
        }
        let last = false;
        topology.sources.push(Source { depot, at, owned, start, failure, handler, call, last });
    }
    topology
}

/// An async function, where the stage of its results is declared.
fn resolve_call(
    topology: &Topology,
    call: CallDef,
    problems: &mut Vec<String>,
) -> Option<SourceCall> {
    let CallDef { options, handler, result, event } = call;
    let fits = |output: &&Output| {
        output.kind == OutputKind::Stage && output.name == result && output.event == event
    };
    let Some(output) = topology.outputs.iter().find(fits) else {
        problems.push(format!(
            "topology `{}` calls an async function with results for stage `{result}`, which is not declared in it with \
             that type; add `.stage(..)` and a handler",
            topology.name
        ));
        return None;
    };
    Some(SourceCall { options, handler, result: output.depot })
}

/// The PStates of a source's `over(..)`, and those of them that it may change.
fn narrowed(
    topology: &Topology,
    over: &[StateUse],
    pstates: &[PStateDef],
    problems: &mut Vec<String>,
) -> (Vec<usize>, Vec<usize>) {
    let (mut at, mut owned) = (Vec::new(), Vec::new());
    for state in over {
        let fits = |&&index: &&usize| {
            let def = &pstates[index];
            def.name == state.name
                && def.root == state.root
                && (topology.owned.contains(&index) || !state.owned)
        };
        match topology.at.iter().find(fits) {
            Some(&index) if at.contains(&index) => problems.push(format!(
                "a source of topology `{}` is `over(..)` PState `{}` twice",
                topology.name, state.name
            )),
            Some(&index) => {
                at.push(index);
                owned.extend(state.owned.then_some(index));
            }
            None => problems.push(format!(
                "a source of topology `{0}` is `over(..)` PState `{1}`, which `stream(\"{0}\", ..)` does not \
                 name so; add it there",
                topology.name, state.name
            )),
        }
    }
    (at, owned)
}

/// Where the handlers of a topology may send records: its stages, and the depots that it appends to.
fn outputs(
    number: usize,
    name: &str,
    appends: &[AppendDef],
    depots: &[DepotDef],
    problems: &mut Vec<String>,
) -> Vec<Output> {
    let mut outputs = Vec::new();
    for (depot, def) in depots.iter().enumerate() {
        if let Some(inbox) = def.inbox.filter(|inbox| inbox.topology == number) {
            let kind = OutputKind::Stage;
            outputs.push(Output { name: inbox.stage, event: def.event, depot, kind });
        }
    }
    for append in appends {
        let known = |def: &DepotDef| def.name == append.depot && def.event == append.event;
        match depots.iter().position(known) {
            Some(depot) if depots[depot].every.is_some() => problems.push(format!(
                "topology `{name}` appends to `{}`, a depot of ticks, which nobody may append to; drop `.appends(..)` \
                 or name another depot",
                append.depot
            )),
            Some(depot) => {
                let (name, event, kind) = (append.depot, append.event, OutputKind::Depot);
                outputs.push(Output { name, event, depot, kind });
            }
            None => problems.push(format!(
                "topology `{name}` appends to depot `{}`, which is not declared with this event; add \
                 `module.depot(..)`",
                append.depot
            )),
        }
    }
    outputs
}
