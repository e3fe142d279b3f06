//! Names that the modules of one grid must not have in common: clients find depots, PStates and queries by name alone.

use std::collections::HashSet;

use parking_lot::Mutex;

use crate::error::StartError;

use super::plan::Plan;

/// The name of a stage's hidden depot.
pub(super) fn inbox_name(topology: &str, stage: &str) -> &'static str {
    interned(format!("{topology}#{stage}"))
}

/// A name that is made and not written in the code. It is kept as long as the process runs, and once, however often
/// a module is started.
pub(super) fn interned(name: String) -> &'static str {
    static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut names = NAMES.lock();
    let names = names.get_or_insert_default();
    if let Some(known) = names.get(name.as_str()) {
        return known;
    }
    let name: &'static str = Box::leak(name.into_boxed_str());
    names.insert(name);
    name
}

/// Refuses two modules that have a name in common.
pub(crate) fn refuse_common_names(one: &Plan, other: &Plan) -> Result<(), StartError> {
    let mut problems = Vec::new();
    if one.name == other.name {
        problems.push("another module has this name; rename one".to_owned());
    }
    for depot in other.depots.iter().filter(|depot| depot.inbox.is_none()) {
        if one.depots.iter().any(|known| known.name == depot.name) {
            let (name, module) = (depot.name, one.name);
            problems.push(format!("depot `{name}` is declared by module `{module}` too"));
        }
    }
    for pstate in other.pstates.iter().filter(|pstate| !pstate.hidden) {
        if one.pstates.iter().any(|known| known.name == pstate.name) {
            let (name, module) = (pstate.name, one.name);
            problems.push(format!("PState `{name}` is declared by module `{module}` too"));
        }
    }
    for query in &other.queries {
        if one.queries.iter().any(|known| known.name == query.name) {
            let (name, module) = (query.name, one.name);
            problems.push(format!("query `{name}` is declared by module `{module}` too"));
        }
    }
    for part in &other.parts {
        if one.parts.iter().any(|known| known.name == part.name) {
            let (name, module) = (part.name, one.name);
            problems.push(format!("part `{name}` is declared by module `{module}` too"));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(StartError::Declaration { module: other.name.to_owned(), problems })
}
