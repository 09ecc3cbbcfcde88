#!/bin/sh
# sanitize.sh SANITIZERS DIR — unit and wire tests on a build with sanitizers.
set -eu
cd "$(dirname "$0")/.."

scripts/deps-test.sh
scripts/build.sh "$2" -Db_sanitize="$1" -Db_lundef=false
export ASAN_OPTIONS=abort_on_error=1:detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
export HEARTH_TEST_PATIENCE=5
exec python3 scripts/run-tests --build "$2" unit wire
