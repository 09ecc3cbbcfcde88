#!/bin/sh
# bench.sh [ROW...] — builds, and measures speed and memory (tests/bench/run.py).  QUICK=1: smaller data.
# Figures go to the terminal, and as lines of JSON to build/bench.jsonl.
set -eu
cd "$(dirname "$0")/.."

scripts/install-packages.sh build bench
scripts/build.sh
ninja -C build bench >/dev/null
exec python3 tests/bench/run.py ${QUICK:+--quick} "$@"
