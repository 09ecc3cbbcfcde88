#!/bin/sh
# cover.sh — which lines the unit and wire tests reach: a table here, pages in build-cover/report.
set -eu
cd "$(dirname "$0")/.."

scripts/deps-test.sh
scripts/install-packages.sh cover
scripts/build.sh build-cover -Db_coverage=true
find build-cover -name '*.gcda' -delete
python3 scripts/run-tests --build build-cover unit wire || true
mkdir -p build-cover/report
exec gcovr --root . --filter src/ --object-directory build-cover --html-details build-cover/report/index.html --txt
