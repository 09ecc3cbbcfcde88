#!/bin/sh
# test.sh — installs what the tests lack, builds, and runs everything. The last line is the result.
set -eu
cd "$(dirname "$0")/.."

scripts/deps-test.sh
scripts/build.sh
exec python3 scripts/run-tests layers banned format unit wire integration
