#!/bin/sh
# compat.sh — the client stories with versions of huggingface_hub that `make test` leaves out, and
# the Xet stories with older hf_xet.
set -eu
cd "$(dirname "$0")/.."

hubs="0.20 0.30 1.6 1.10"
xets="xet-1.1.3 xet-1.1.9 xet-1.2.0 xet-1.5.1"

scripts/deps-test.sh
for version in $hubs $xets; do
    scripts/venv.sh venv-$version requirements-$version.txt
done
scripts/build.sh
failed=0
list() { echo "$*" | tr ' ' ','; }
HEARTH_COMPAT=1 HEARTH_CLIENTS=$(list $hubs) python3 scripts/run-tests integration || failed=1
HEARTH_COMPAT=1 HEARTH_CLIENTS=$(list $xets) python3 scripts/run-tests integration --pytest=-k --pytest=test_xet.py ||
    failed=1
exit $failed
