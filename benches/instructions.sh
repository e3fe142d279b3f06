#!/bin/sh
# Instructions per event of append, apply and publish, counted by callgrind: the difference between
# two runs of different length, so that starting and stopping do not count. Needs valgrind.
set -eu
cd "$(dirname "$0")/.."
few=20480
many=102400

command -v valgrind >/dev/null || { echo "valgrind was not found; on Debian: apt-get install valgrind" >&2; exit 1; }
cargo build --quiet --release -p gridmill-benches --bin instructions
program="${CARGO_TARGET_DIR:-target}/release/instructions"

count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" 2>&1 |
        sed -n 's/.*Collected : //p'
}

short=$(count "$few")
long=$(count "$many")
echo "instructions per event: $(( (long - short) / (many - few) ))"
