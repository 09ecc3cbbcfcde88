#!/bin/sh
# unit.sh — the quick round: style checks and unit tests. Needs no server, no Python packages, no network
# beyond the Debian packages of the test set.
set -eu
cd "$(dirname "$0")/.."

scripts/install-packages.sh build test
scripts/build.sh
exec python3 scripts/run-tests layers banned format unit
