#!/usr/bin/env bash
# Installs on Debian what building, demonstrating and testing weir needs and this machine lacks; elsewhere, says what
# that is. Changes nothing when all is there.
#
# usage: tools/setup.sh [demo|test]     demo (default): what `make demo` uses; test: also what only the tests use
set -euo pipefail

want=${1:-demo}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# A command, and the Debian package that brings it.
needed=(
    cc:gcc make:make clang:clang pkg-config:pkg-config
    curl:curl ip:iproute2 nginx:nginx-light dig:bind9-dnsutils dnsmasq:dnsmasq-base python3:python3
)
if [[ $want == test ]]; then
    needed+=(wrk:wrk tcpdump:tcpdump)
fi

say() { printf '%s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# Debian keeps some of these where only root's PATH reaches.
PATH=$PATH:/usr/sbin:/sbin

missing=()
for pair in "${needed[@]}"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[[ -e /usr/include/bpf/bpf_helpers.h ]] || missing+=(libbpf-dev)
[[ -e /usr/include/stdio.h ]] || missing+=(libc6-dev)
[[ -e /etc/ssl/certs/ca-certificates.crt || ! -e /etc/debian_version ]] || missing+=(ca-certificates)
if [[ $want == test ]] && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    missing+=(python3-venv)
fi

install_debian() {
    local as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || fail "these packages are missing, and neither root nor sudo is at hand: $*"
        as_root=(sudo)
    fi
    say "installing: $*"
    local wait_for_lock=(-o DPkg::Lock::Timeout=300)
    "${as_root[@]}" apt-get "${wait_for_lock[@]}" update -qq
    # The packaged nginx would start, now and at each boot; only the binary is wanted here.
    local policy=/usr/sbin/policy-rc.d guarded=
    if [[ " $* " == *" nginx-light "* && ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod 755 "$policy"
        guarded=yes
    fi
    local outcome=0
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get "${wait_for_lock[@]}" install -y -qq --no-install-recommends "$@" >/dev/null || outcome=$?
    if [[ $guarded == yes ]]; then
        "${as_root[@]}" rm -f "$policy"
        if command -v systemctl >/dev/null; then
            "${as_root[@]}" systemctl disable nginx.service >/dev/null 2>&1 || true
        fi
    fi
    ((outcome == 0)) || fail "apt-get could not install: $*"
}

if ((${#missing[@]} > 0)); then
    if [[ -e /etc/debian_version ]] && command -v apt-get >/dev/null; then
        install_debian "${missing[@]}"
    else
        say "this is not Debian, so nothing was installed; weir also needs what Debian calls:"
        printf '    %s\n' "${missing[@]}"
        say "going on without; what uses them will say so."
    fi
fi

# Debian's own rustc is too old; rustup brings the right one, into ~/.cargo and ~/.rustup.
[[ -e $HOME/.cargo/env ]] && . "$HOME/.cargo/env"
rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$here/../Cargo.toml")
get_rust="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal -c rustfmt -c clippy"
if ! command -v cargo >/dev/null && [[ ${WEIR_INSTALL_RUST:-1} == 1 ]]; then
    say "installing Rust with rustup, in ~/.cargo and ~/.rustup"
    bash -o pipefail -c "$get_rust" >/dev/null ||
        fail "rustup could not be fetched; get Rust $rust or later in another way and run this again"
    . "$HOME/.cargo/env"
fi
if ! command -v cargo >/dev/null; then
    fail "there is no cargo. weir needs Rust $rust or later (Debian's own is older). Get it from rustup:
    $get_rust
and run this again; with WEIR_INSTALL_RUST=0 unset, this script does it for you."
fi
have=$(rustc --version | cut -d ' ' -f 2)
if [[ $(printf '%s\n' "$rust" "$have" | sort -V | head -n 1) != "$rust" ]]; then
    fail "$(command -v rustc) is Rust $have, and weir needs $rust or later: run \`rustup update\`, or get rustup with
    $get_rust"
fi

# Other people's Parquet readers, Flight SQL clients and an S3 server, only for the tests, in a place of their own.
if [[ $want == test ]]; then
    venv=${WEIR_TEST_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/weir-py}
    wanted=$here/../tests/peers/requirements.txt
    if ! cmp -s "$wanted" "$venv/installed.txt"; then
        say "making a Python environment with duckdb, pyarrow, polars, ADBC and moto in $venv"
        if python3 -m venv --clear "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"; then
            cp "$wanted" "$venv/installed.txt"
        else
            say "that did not work; the tests that read weir's Parquet files with them, those with Flight SQL and those with a bucket will be skipped."
        fi
    fi
fi
