#!/bin/sh
# run.sh [SERVE-OPTION...] — installs what the build lacks, builds, and serves.
set -eu
cd "$(dirname "$0")/.."

scripts/install-packages.sh build
HEARTH_ONLY=src/hearth scripts/build.sh

cat <<'EOF'

Once it listens, in another terminal:

    export HF_ENDPOINT=http://127.0.0.1:7877
    hf auth login --token TOKEN        # the first start prints one, see below
    hf upload owner/my-model ./folder
    hf download owner/my-model

Data is kept in ./data. Ctrl-C stops the server in good order. More: README.md.

EOF
exec build/src/hearth serve "$@"
