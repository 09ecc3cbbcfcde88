#!/bin/sh
# build.sh [DIR [MESON-OPTION...]] — configures DIR (default: build) once, and builds it; with
# HEARTH_ONLY=target only that.
set -eu
cd "$(dirname "$0")/.."

dir=${1:-build}
[ $# -eq 0 ] || shift
if [ ! -f "$dir/build.ninja" ]; then
    meson setup "$dir" "$@"
elif pkg-config --exists cmocka && ! grep -q cmocka "$dir/build.ninja"; then
    meson setup --reconfigure "$dir" # cmocka arrived since: now the unit tests can be built
fi
ninja -C "$dir" ${HEARTH_ONLY:-}
