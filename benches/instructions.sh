#!/bin/sh
# Instructions per event of the append-apply-publish path, counted by callgrind, for `count`, `todo` and `hops`
# (a transfer between two partitions: two records, of which the second is a hop).
# Each figure is the difference between a long and a short run, so that starting and stopping do not
# count. Needs valgrind. A stage's figure has all that it calls.
# Usage: benches/instructions.sh
set -eu
cd "$(dirname "$0")/.."
few=20480
many=102400

command -v valgrind >/dev/null || { echo "valgrind was not found; on Debian: apt-get install valgrind" >&2; exit 1; }
cargo build --quiet --release -p gridmill-benches --bin instructions
program="${CARGO_TARGET_DIR:-target}/release/instructions"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Lists every function of a run with the instructions of it and of what it calls.
# (The script of Debian warns about variables of its own.)
count() {
    valgrind --quiet --tool=callgrind --callgrind-out-file="$work/counts" "$program" "$1" "$2" >&2
    callgrind_annotate --inclusive=yes --threshold=99.99 "$work/counts" 2>/dev/null |
        sed -n 's/^ *\([0-9][0-9,]*\) *([ 0-9.]*%) */\1 /p' >"$work/$2"
}

# A stage is the function that matches the pattern and has the most instructions. Inlined ones are
# listed under the file that they stand in.
instructions() {
    awk -v pattern="$1" '{ count = $1; gsub(",", "", count) } $0 ~ pattern && count + 0 > most { most = count + 0 } END { printf "%d\n", most }' "$work/$2"
}

per_event() {
    echo $(( ($(instructions "$1" $many) - $(instructions "$1" $few)) / (many - few) ))
}

printf '%-8s %8s %8s %8s %8s %8s %8s\n' '' all encode log apply seal door
for workload in count todo hops; do
    count $workload $few
    count $workload $many
    seal=$(per_event 'Cell>::seal')
    printf '%-8s %8s %8s %8s %8s %8s %8s\n' $workload \
        "$(per_event 'PROGRAM TOTALS')" \
        "$(per_event 'gridmill_client::by_partition::by_partition')" \
        "$(per_event 'persistence/src/log/writer.rs:')" \
        "$(( $(per_event 'machine::core::Core::apply') - seal ))" \
        "$seal" \
        "$(per_event 'door::Incoming::admit')"
done
