#!/bin/sh
# install.sh PREFIX — installs the built program below PREFIX (DESTDIR is honoured).
set -eu
cd "$(dirname "$0")/.."

prefix=$1
meson configure build --prefix="$prefix" >/dev/null
meson install -C build --no-rebuild
echo "Installed: ${DESTDIR:-}$prefix/bin/hearth"
