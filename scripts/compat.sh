#!/bin/sh
# compat.sh — the client stories with versions of huggingface_hub that `make test` leaves out.
set -eu
cd "$(dirname "$0")/.."

scripts/deps-test.sh
for version in 0.20 0.30 1.6; do
    scripts/venv.sh venv-$version requirements-$version.txt
done
scripts/build.sh
HEARTH_COMPAT=1 HEARTH_CLIENTS=0.20,0.30,1.6 exec python3 scripts/run-tests integration
