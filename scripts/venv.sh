#!/bin/sh
# venv.sh DIR REQUIREMENTS — a Python environment in build/DIR with exactly the pinned packages.
#
# Built anew when the list changes; otherwise nothing happens and nothing touches the network.
set -eu
cd "$(dirname "$0")/.."

dir=build/$1
list=scripts/$2
python=/usr/bin/python3
"$python" -c 'import ensurepip' 2>/dev/null || python=python3

if cmp -s "$list" "$dir/installed.txt"; then
    exit 0
fi
echo "Python environment: $dir"
rm -rf "$dir"
mkdir -p build
"$python" -m venv "$dir"
"$dir/bin/pip" install -q --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r "$list"
cp "$list" "$dir/installed.txt"
