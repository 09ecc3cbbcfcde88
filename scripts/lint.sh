#!/bin/sh
# lint.sh — every static check; runs them all and fails when any did.
set -eu
cd "$(dirname "$0")/.."

scripts/install-packages.sh build lint
bad=
check()
{
    name=$1
    echo "=== $name"
    shift
    "$@" || bad="$bad $name"
}

analyzer()
{
    [ -f build-lint/build.ninja ] || meson setup build-lint -Dwerror=false -Dc_args=-fanalyzer >/dev/null
    ninja -C build-lint -t clean >/dev/null
    ninja -C build-lint >build-lint/log.txt 2>&1 || { tail -50 build-lint/log.txt; return 1; }
    ! grep -E 'Wanalyzer' build-lint/log.txt
}

tidy()
{
    tool=clang-tidy-14
    command -v $tool >/dev/null 2>&1 || tool=clang-tidy
    # compile_commands.json is gcc's: the flags that only gcc knows are left out
    mkdir -p build-lint/tidy
    sed -E 's/-Wduplicated-cond|-Wduplicated-branches|-Wlogical-op|-Wjump-misses-init|-fanalyzer//g' \
        build-lint/compile_commands.json >build-lint/tidy/compile_commands.json
    find src -name '*.c' | LC_ALL=C sort | xargs -P "$(nproc)" -n 4 $tool -p build-lint/tidy --quiet
}

check layers tools/check-layers
check banned tools/check-banned
check format tools/check-format
check analyzer analyzer
check clang-tidy tidy
# returnDanglingLifetime is reported for every TRY(f(&local)): an err never points at its arguments
check cppcheck cppcheck --std=c11 --enable=warning,performance,portability --inline-suppr --quiet \
    --suppress=returnDanglingLifetime \
    --error-exitcode=1 -I src src
[ -z "$bad" ] || { echo "lint: not clean:$bad"; exit 1; }
echo "lint: clean"
