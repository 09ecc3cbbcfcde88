#!/bin/sh
# install-packages.sh SET... — makes sure that the Debian packages of scripts/packages-SET.txt are here.
#
# Nothing is asked of the network when nothing is missing. Packages are installed as root, or through
# sudo; with neither, the line to type is printed and the script fails.
set -eu
cd "$(dirname "$0")/.."

installed()
{
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=
for set in "$@"; do
    while read -r package command; do
        case $package in '' | '#'*) continue ;; esac
        if [ -n "$command" ] && command -v "$command" >/dev/null 2>&1; then
            continue
        fi
        command -v dpkg-query >/dev/null 2>&1 && installed "$package" || missing="$missing $package"
    done <"scripts/packages-$set.txt"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "This is not a Debian system. Going on; what Debian calls these must be here:$missing" >&2
    exit 0
fi

line="apt-get update && apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
else
    echo "Packages are missing, and this user can install none. As root, run:" >&2
    echo "$line" >&2
    exit 1
fi

echo "Installing:$missing"
apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0"
if ! { $apt update && $apt install -y --no-install-recommends $missing; }; then
    echo "The packages could not be installed. As root, run:" >&2
    echo "$line" >&2
    exit 1
fi
