#!/usr/bin/env bash
# Serves the whole machine with the optimised binary; needs root's rights for eBPF, and asks sudo for them.
#
# usage: tools/run.sh [OPTION of `weir serve`]...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

binary=${CARGO_TARGET_DIR:-$HOME/.cache/weir-target}/release/weir
as_root=()
if ((EUID != 0)); then
    as_root=(sudo)
fi
echo "weir watches the whole machine; data go to ./weir-data; Ctrl-C ends it."
exec "${as_root[@]}" "$binary" serve "$@"
