#!/usr/bin/env bash
# Builds weir, and says beforehand about how long that takes when it will be long.
#
# usage: tools/build.sh dev|release [CARGO_COMMAND...]     the command is `build` unless others are named
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

profile=$1
shift
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$HOME/.cache/weir-target}
[[ -e $HOME/.cargo/env ]] && . "$HOME/.cargo/env"

case $profile in
    dev) directory=debug options=() minutes='5 to 11' ;;
    release) directory=release options=(--release) minutes=20 ;;
    *) echo "usage: tools/build.sh dev|release [cargo command]" >&2; exit 2 ;;
esac
# DataFusion is nearly all of it; once it is built, a build takes a minute or two.
if ! compgen -G "$CARGO_TARGET_DIR/$directory/deps/libdatafusion-*.rlib" >/dev/null; then
    echo "building weir for the first time: about $minutes minutes on two cores, less on more; the next time is quick."
fi
if (($# == 0)); then
    set -- build
fi
exec cargo "$@" "${options[@]}"
