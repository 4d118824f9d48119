#!/usr/bin/env bash
# Runs every fuzz target for a while, with AddressSanitizer. Needs cargo-fuzz, and says how to get it.
#
# usage: tools/fuzz.sh [TARGET]...     SECONDS_EACH=60 sets for how long each
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo fuzz --version >/dev/null 2>&1 || {
    echo "fuzzing needs cargo-fuzz: cargo install --locked cargo-fuzz" >&2
    exit 1
}
# The sanitizer is a nightly feature; this lets the stable compiler have it.
export RUSTC_BOOTSTRAP=1
# Another profile and other flags: not in the target directory that the rest shares.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$HOME/.cache/weir-target}-fuzz
if (($# == 0)); then
    mapfile -t targets < <(cargo fuzz list)
    set -- "${targets[@]}"
fi
for target in "$@"; do
    echo "== $target, for ${SECONDS_EACH:-60} s"
    cargo fuzz run "$target" -- -max_total_time="${SECONDS_EACH:-60}"
done
