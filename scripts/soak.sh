#!/bin/sh
# soak.sh — the stories that `make test` runs short, at their full length.
set -eu
cd "$(dirname "$0")/.."

scripts/deps-test.sh
scripts/build.sh
HEARTH_SOAK=1 exec python3 scripts/run-tests --pytest=-m '--pytest=soak or short_and_long' integration
