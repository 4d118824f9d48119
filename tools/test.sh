#!/usr/bin/env bash
# Sets this machine up, builds, and runs every test; ends with what passed, failed and was skipped.
#
# usage: tools/test.sh [ARGUMENT of `cargo test`]...     none: the whole workspace
#
# The end-to-end tests make cgroups and network namespaces and load eBPF programs, which takes root: without it, the
# tests (not the build) run through sudo. WEIR_REQUIRE_EBPF=1 makes a skipped test a failure where eBPF works.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/setup.sh test
[[ -e $HOME/.cargo/env ]] && . "$HOME/.cargo/env"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$HOME/.cache/weir-target}
export WEIR_TEST_VENV=${WEIR_TEST_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/weir-py}
PATH=$PATH:/usr/sbin:/sbin

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export WEIR_SKIPS=$scratch/skips
: >"$WEIR_SKIPS"

if ((EUID != 0)) && command -v sudo >/dev/null; then
    host=$(rustc -vV | sed -n 's/^host: //p')
    runner=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$host")_RUNNER
    export "$runner=sudo --preserve-env env PATH=$PATH"
fi

# The end-to-end tests run the binary, which cargo does not build for them.
tools/build.sh dev
outcome=0
if (($# == 0)); then
    set -- --workspace
fi
cargo test --no-fail-fast "$@" 2>&1 | tee "$scratch/log" || outcome=$?

sum() { sed -nE "s/^test result: .* ([0-9]+) $1;.*/\1/p" "$scratch/log" | awk '{ n += $1 } END { print n + 0 }'; }
skipped=$(wc -l <"$WEIR_SKIPS")
if ((skipped > 0)); then
    printf '\nskipped:\n'
    sed 's/^/    /' "$WEIR_SKIPS"
fi
failed=$(sum failed)
if ((failed > 0)); then
    # Once more at the end, where people look first.
    printf '\nfailed:\n'
    sed -nE 's/^test (.*) \.\.\. FAILED$/    \1/p' "$scratch/log"
    printf '\nfirst words of each panic:\n'
    sed -nE "/^thread '.*panicked at/,+4p" "$scratch/log" | cut -c -400
fi
# A test that skips itself counts as passed for cargo, and one that cargo could not even run counts nowhere.
printf '\n%s passed, %s failed, %s skipped\n' "$(($(sum passed) - skipped))" "$failed" "$skipped"
if ((outcome != 0 && failed == 0)); then
    echo "cargo test failed before or beside the tests; see above"
fi
exit "$outcome"
