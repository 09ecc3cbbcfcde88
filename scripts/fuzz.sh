#!/bin/sh
# fuzz.sh [NAME] — runs one libFuzzer target for SECONDS (60), from its seeds in tests/fuzz/corpus/NAME.
# What it learns is kept in build-fuzz/corpus/NAME; what breaks is left in build-fuzz as crash-*.
set -eu
cd "$(dirname "$0")/.."

name=${1:-}
names=$(cd tests/fuzz && ls fuzz_*.c 2>/dev/null | sed 's/^fuzz_//; s/\.c$//')
if [ -z "$name" ] || [ ! -f "tests/fuzz/fuzz_$name.c" ]; then
    echo "make fuzz T=NAME, where NAME is one of:" $names
    [ -z "$name" ]
    exit
fi

scripts/install-packages.sh build fuzz
if [ ! -f build-fuzz/build.ninja ]; then
    CC=clang meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
        -Dc_args=-fsanitize=fuzzer-no-link -Dwerror=false
fi
ninja -C build-fuzz "tests/fuzz_$name"
mkdir -p "build-fuzz/corpus/$name" "tests/fuzz/corpus/$name"
cd build-fuzz
exec ./tests/fuzz_$name -max_total_time="${SECONDS:-60}" -timeout=10 -rss_limit_mb=2048 \
    "corpus/$name" "../tests/fuzz/corpus/$name"
