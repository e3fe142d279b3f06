//! `inspect` for people.

use std::io::{self, Write};

use gridmill::folder::{
    DepotInfo, Inspection, ModuleInfo, PStateInfo, PartitionInfo, TopologyInfo, rfc3339,
};

use crate::table::{Table, counted, size};

pub(crate) fn print(inspection: &Inspection, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", inspection.folder.display())?;
    for module in &inspection.modules {
        let (name, version) = (&module.name, module.version);
        let count = counted(module.partitions.len() as u64, "partition", "partitions");
        writeln!(out, "\nmodule {name}: version {version}, {count}\n")?;
        depots(module).print(out)?;
        variants(module).print(out)?;
        topologies(module).print(out)?;
        pstates(module).print(out)?;
        partitions(module).print(out)?;
        segments(module).print(out)?;
        runs(module).print(out)?;
        quarantine(module).print(out)?;
    }
    Ok(())
}

fn depots(module: &ModuleInfo) -> Table {
    let mut table = Table::new(&["depot", "kind", "records"]);
    for depot in first(module).into_iter().flat_map(|partition| &partition.depots) {
        let same = |other: &&DepotInfo| other.name == depot.name && other.removed == depot.removed;
        let all = module.partitions.iter().filter_map(|one| one.depots.iter().find(same));
        let records: u64 = all.map(|depot| depot.end - depot.start).sum();
        let kind = match (depot.removed, depot.global) {
            (true, _) => "removed",
            _ if depot.stage_of.is_some() => "stage",
            (false, true) => "global",
            (false, false) => "partitioned",
        };
        table.row([depot.name.clone(), kind.to_owned(), records.to_string()]);
    }
    table
}

fn variants(module: &ModuleInfo) -> Table {
    let mut table = Table::new(&["depot", "event", "fields"]);
    for depot in first(module).into_iter().flat_map(|partition| &partition.depots) {
        for (name, fields) in &depot.variants {
            table.row([depot.name.clone(), name.clone(), fields.clone()]);
        }
    }
    table
}

fn topologies(module: &ModuleInfo) -> Table {
    let head = ["topology", "partition", "state", "runs cover", "lag", "quarantine", "reads"];
    let mut table = Table::new(&head);
    for partition in &module.partitions {
        for topology in &partition.topologies {
            table.row([
                topology.name.clone(),
                partition.partition.to_string(),
                if topology.live { "live" } else { "reading the past" }.to_owned(),
                topology.next.to_string(),
                topology.lag.to_string(),
                topology.quarantine.len().to_string(),
                topology.sources.join(", "),
            ]);
        }
    }
    table
}

fn pstates(module: &ModuleInfo) -> Table {
    let mut table = Table::new(&["PState", "topology", "entries", "runs", "size", "shape"]);
    let topologies = first(module).into_iter().flat_map(|partition| &partition.topologies);
    for (topology, pstate) in topologies.flat_map(|one| one.pstates.iter().map(move |p| (one, p))) {
        let all: Vec<&PStateInfo> = everywhere(module, &topology.name, &pstate.name).collect();
        let runs = all.iter().flat_map(|pstate| &pstate.runs);
        table.row([
            pstate.name.clone(),
            topology.name.clone(),
            all.iter().map(|pstate| pstate.entries).sum::<u64>().to_string(),
            runs.clone().count().to_string(),
            size(runs.map(|run| run.bytes).sum()),
            pstate.schema.to_string(),
        ]);
    }
    table
}

fn partitions(module: &ModuleInfo) -> Table {
    let head = ["partition", "stopped", "end", "records", "segments", "log", "runs", "size"];
    let mut table = Table::new(&head);
    for partition in &module.partitions {
        let runs = || all_pstates(partition).flat_map(|(_, pstate)| &pstate.runs);
        table.row([
            partition.partition.to_string(),
            partition.stopped.to_owned(),
            partition.end.to_string(),
            partition.end.number().to_string(),
            partition.segments.len().to_string(),
            size(partition.segments.iter().map(|segment| segment.used).sum()),
            runs().count().to_string(),
            size(runs().map(|run| run.bytes).sum()),
        ]);
    }
    table
}

fn segments(module: &ModuleInfo) -> Table {
    let mut table = Table::new(&["segment", "partition", "first", "used", "file", "state"]);
    for partition in &module.partitions {
        for segment in &partition.segments {
            table.row([
                segment.file.clone(),
                partition.partition.to_string(),
                segment.first.to_string(),
                size(segment.used),
                size(segment.bytes),
                if segment.sealed { "sealed" } else { "last" }.to_owned(),
            ]);
        }
    }
    table
}

fn runs(module: &ModuleInfo) -> Table {
    let mut table = Table::new(&["run", "partition", "PState", "entries", "deletions", "size"]);
    for partition in &module.partitions {
        for (_, pstate) in all_pstates(partition) {
            for run in &pstate.runs {
                table.row([
                    run.file.clone(),
                    partition.partition.to_string(),
                    pstate.name.clone(),
                    run.entries.to_string(),
                    run.deletions.to_string(),
                    size(run.bytes),
                ]);
            }
        }
    }
    table
}

fn quarantine(module: &ModuleInfo) -> Table {
    let head = ["quarantine", "partition", "record", "depot", "offset", "time", "tries", "message"];
    let mut table = Table::new(&head);
    for partition in &module.partitions {
        for topology in &partition.topologies {
            for record in &topology.quarantine {
                table.row([
                    topology.name.clone(),
                    partition.partition.to_string(),
                    record.position.to_string(),
                    record.depot.clone(),
                    record.offset.to_string(),
                    rfc3339(record.time),
                    record.attempts.to_string(),
                    record.message.clone(),
                ]);
            }
        }
    }
    table
}

fn first(module: &ModuleInfo) -> Option<&PartitionInfo> {
    module.partitions.first()
}

fn all_pstates(partition: &PartitionInfo) -> impl Iterator<Item = (&TopologyInfo, &PStateInfo)> {
    let topologies = partition.topologies.iter();
    topologies.flat_map(|topology| topology.pstates.iter().map(move |pstate| (topology, pstate)))
}

fn everywhere<'a>(
    module: &'a ModuleInfo,
    topology: &'a str,
    pstate: &'a str,
) -> impl Iterator<Item = &'a PStateInfo> {
    let all = module.partitions.iter().flat_map(all_pstates);
    let wanted = move |&(owner, one): &(&TopologyInfo, &PStateInfo)| {
        owner.name == topology && one.name == pstate
    };
    all.filter(wanted).map(|(_, pstate)| pstate)
}
