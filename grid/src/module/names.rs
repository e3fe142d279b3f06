//! Names that the modules of one grid must not have in common: clients find depots and PStates by name alone.

use crate::error::StartError;

use super::plan::Plan;

/// Refuses two modules that have a name in common.
pub(crate) fn refuse_common_names(one: &Plan, other: &Plan) -> Result<(), StartError> {
    let mut problems = Vec::new();
    if one.name == other.name {
        problems.push("another module has this name; rename one".to_owned());
    }
    for depot in &other.depots {
        if one.depots.iter().any(|known| known.name == depot.name) {
            let (name, module) = (depot.name, one.name);
            problems.push(format!("depot `{name}` is declared by module `{module}` too"));
        }
    }
    for pstate in &other.pstates {
        if one.pstates.iter().any(|known| known.name == pstate.name) {
            let (name, module) = (pstate.name, one.name);
            problems.push(format!("PState `{name}` is declared by module `{module}` too"));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(StartError::Declaration { module: other.name.to_owned(), problems })
}
