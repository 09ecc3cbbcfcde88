#!/usr/bin/env python3
"""make bench [T="row …"] [QUICK=1]: measures, prints a line per figure, appends JSON to BUILD/bench.jsonl."""

import argparse
import os
import sys
import traceback

import lib
import transfer
import gitside
import commits
import cards
import pages
import memory
import xet

ROWS = {
    "head": transfer.head,
    "get": transfer.get,
    "small": transfer.small,
    "put": transfer.put,
    "git": gitside.clone_and_ls_remote,
    "group": commits.group,
    "commit": commits.thousand_files,
    "push": commits.push_beside,
    "lists": pages.lists,
    "tree": pages.tree,
    "markdown": cards.markdown,
    "memory": memory.footprint,
    "slow": memory.slow_clients,
    "xorb": xet.xorb,
    "bridge": xet.bridge,
    "answers": xet.answers,
    "bucket": xet.bucket,
    "frames": xet.frames,
    "client": xet.client,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=" ".join(ROWS))
    parser.add_argument("--quick", action="store_true", help="smaller data, for a look")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each side (5)")
    parser.add_argument("--repos", type=int, help="repositories of the row lists (1,000,000; quick: 100,000)")
    args = parser.parse_args()
    unknown = [row for row in args.rows if row not in ROWS]
    if unknown:
        parser.error(f"no row {unknown[0]}; there are: {' '.join(ROWS)}")

    lib.options.quick, lib.options.rounds = args.quick, args.rounds
    lib.options.repos = args.repos or (100_000 if args.quick else 1_000_000)
    lib.options.tree_files = 20_000 if args.quick else 100_000
    report = lib.Report(lib.BUILD / "bench.jsonl")
    load = os.getloadavg()[0]
    busy = " (others are busy: figures are provisional)" if load > 0.5 else ""
    lib.say(f"{len(lib.CORES)} cores, load {load:.1f}{busy}, "
            f"{'quick' if args.quick else 'full'} sizes, {args.rounds} rounds; CPU is the server's")
    broken = []
    for row in args.rows or ROWS:
        try:
            ROWS[row](report)
        except Exception:
            traceback.print_exc()
            lib.say(f"{row:8} could not be measured")
            broken.append(row)
    missed = [line for line in report.lines if line["ok"] is False]
    lib.say(f"{len(report.lines)} figures, {len(missed)} missed their target, {len(broken)} rows could not be "
            f"measured; written to {report.path}")
    for line in missed:
        lib.say(f"  missed: {line['row']}: {line['what'].strip()}: {line['value']:.3f}, target {line['target']}")
    return 1 if missed or broken else 0


if __name__ == "__main__":
    sys.exit(main())
