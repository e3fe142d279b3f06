//! How much memory this process may use, for defaults that fit the machine.

use std::path::{Path, PathBuf};

/// What a budget gets by default: a sixteenth of the memory, within these bounds. With changes taking twice
/// their budget while they are flushed, both budgets take less than a fifth of the memory, and mailboxes, logs
/// and what a batch touches have theirs.
const PART: u64 = 16;
const LEAST: u64 = 1 << 20;
const MOST: u64 = 1 << 30;

/// Where nobody says how much there is.
const UNKNOWN: u64 = 256 << 20;

/// Bytes for one of the things that a grid keeps in memory, where its user does not say.
pub(crate) fn default_budget() -> usize {
    let bytes = available().map_or(UNKNOWN, part_of);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn part_of(all: u64) -> u64 {
    (all / PART).clamp(LEAST, MOST)
}

/// The memory of the machine, or less where control groups set limits, as those of containers do.
fn available() -> Option<u64> {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let total = total_of(&read(Path::new("/proc/meminfo"))?)?;
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let limits =
        limit_files(&groups).into_iter().filter_map(|path| read(&path)?.trim().parse().ok());
    limits.chain([total]).min()
}

/// `MemTotal` of `/proc/meminfo`, in bytes (proc(5)).
fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

/// The files that may limit a process with these lines in `/proc/self/cgroup` (cgroups(7)): those of
/// its groups and of all above them. A file without a number sets no limit.
fn limit_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        let group = Path::new(path.trim_start_matches('/'));
        files.extend(group.ancestors().map(|group| Path::new(root).join(group).join(file)));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_in_kib() {
        let meminfo = "MemTotal:       24689540 kB\nMemFree:        21030560 kB\n";
        assert_eq!(total_of(meminfo), Some(24_689_540 << 10));
        assert_eq!(total_of("MemFree: 1 kB\n"), None);
        assert_eq!(total_of("MemTotal: much kB\n"), None);
    }

    #[test]
    fn the_limits_of_all_groups_above_count() {
        let paths = |groups| {
            let paths = limit_files(groups).into_iter();
            paths.map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        let unified = paths("0::/system.slice/shop.service\n");
        assert_eq!(
            unified,
            [
                "/sys/fs/cgroup/system.slice/shop.service/memory.max",
                "/sys/fs/cgroup/system.slice/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
        let first = paths("5:cpu,cpuacct:/shop\n4:memory:/shop\nnonsense\n");
        assert_eq!(
            first,
            [
                "/sys/fs/cgroup/memory/shop/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes"
            ]
        );
        assert_eq!(paths(""), [""; 0]);
    }

    #[test]
    fn a_budget_follows_the_memory() {
        assert_eq!(part_of(512 << 20), 32 << 20, "also in a small container");
        assert_eq!(part_of(64 << 30), MOST);
        assert!((LEAST as usize..=MOST as usize).contains(&default_budget()));
    }
}
