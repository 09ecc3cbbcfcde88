#!/bin/sh
# fault.sh [ARGUMENT...] — power cuts, calls that fail, full disks, bad clients; tests/fault/README.md.
# Without arguments the whole: 1,000 images per story. Arguments are those of tests/fault/run.py.
set -eu
cd "$(dirname "$0")/.."

scripts/install-packages.sh build test
scripts/venv.sh venv requirements.txt
[ -n "${HEARTH_BIN:-}" ] || scripts/build.sh
mkdir -p build/fault
${CC:-cc} -shared -fPIC -O2 -g -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -fno-builtin-malloc \
    -o build/fault/shim.so tests/fault/shim.c -ldl
[ $# -gt 0 ] || set -- --images 1000
exec python3 -B tests/fault/run.py "$@"
