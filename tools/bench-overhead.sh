#!/usr/bin/env bash
# Measures what weir costs the programs that it watches, with the optimised binary; needs root's rights, and asks sudo
# for them. Builds the binary where there is none.
#
# usage: tools/bench-overhead.sh [OPTION of benches/overhead]...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$HOME/.cache/weir-target}
binary=$CARGO_TARGET_DIR/release/weir
if [[ " $* " != *" --weir"* && " $* " != *" -h "* && " $* " != *" --help "* && ! -x $binary ]]; then
    tools/build.sh release
fi
as_root=()
if ((EUID != 0)); then
    as_root=(sudo --preserve-env=CARGO_TARGET_DIR)
fi
exec "${as_root[@]}" python3 -B benches/overhead "$@"
