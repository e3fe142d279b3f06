#!/usr/bin/env bash
# The tests of the collections under AddressSanitizer: memory that is used or freed after it was freed, or is
# not what it is taken for, ends them. Needs a nightly toolchain, whose standard library supports it.
# Usage: grid/model/sanitize.sh [filter ...]        (without a filter: lists, trees, forms and collections)
set -euo pipefail
cd "$(dirname "$0")"

target=x86_64-unknown-linux-gnu
if [ "$#" -eq 0 ]; then
    set -- lists:: trees:: forms:: collections::
fi
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-../../target}/sanitize"
# Leaks are none of its business: what a test forgets on purpose would be reported.
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=0
export RUSTFLAGS="-Zsanitizer=address -Cforce-frame-pointers=yes"
cargo +nightly test --package gridmill-model --test suite --target "$target" -- "$@"
