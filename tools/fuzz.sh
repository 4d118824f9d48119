#!/usr/bin/env bash
# Runs every fuzz target for a while. Needs a nightly toolchain and cargo-fuzz; says how to get them.
#
# usage: tools/fuzz.sh [TARGET]...     SECONDS_EACH=60 sets for how long each
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo +nightly fuzz --version >/dev/null 2>&1 || {
    echo "fuzzing needs: rustup toolchain install nightly --profile minimal && cargo install --locked cargo-fuzz" >&2
    exit 1
}
directory=$(dirname "$(ls -- fuzz/Cargo.toml */fuzz/Cargo.toml 2>/dev/null | head -n 1)")
if (($# == 0)); then
    mapfile -t targets < <(cargo +nightly fuzz list --fuzz-dir "$directory")
    set -- "${targets[@]}"
fi
for target in "$@"; do
    echo "== $target, for ${SECONDS_EACH:-60} s"
    cargo +nightly fuzz run --fuzz-dir "$directory" "$target" -- -max_total_time="${SECONDS_EACH:-60}"
done
