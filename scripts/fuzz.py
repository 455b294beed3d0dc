"""Reads hostile files: valid containers whose fields lie.

Each case must end in a value or in a BertcoreError, soon and in little memory. ``python scripts/fuzz.py`` runs 20,000
cases as the tests do; a campaign is ``--cases 10000000``. Nothing is downloaded, and a seed gives the same cases each
time. A case that failed is read again with ``--target NAME --first NUMBER --cases 1``, and ``--keep FOLDER`` writes its
files.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from fuzzing.campaign import run
from fuzzing.outcome import Outcome
from fuzzing.targets import TARGETS, files_of
from fuzzing.worker import write


def main() -> int:
    """Returns 1 where a case failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="after which no further case begins")
    parser.add_argument("--target", choices=TARGETS, action="append", help="default: all, by turns")
    parser.add_argument("--keep", type=Path, help="folder to which the files of the first case are written")
    given = parser.parse_args()
    targets = given.target or list(TARGETS)
    seed = random.randrange(2**31) if given.seed is None else given.seed
    if given.keep is not None:
        write(given.keep, files_of(targets[given.first % len(targets)], seed, given.first))
    begin = time.monotonic()
    shown = 0

    def tell(outcome: Outcome) -> None:
        nonlocal shown
        for fault in outcome.faults[shown:]:
            print(f"\n{fault.kind}\n  --target {fault.target} --seed {fault.seed} --first {fault.number} --cases 1")
            print(fault.details)
        shown = max(shown, len(outcome.faults))
        took = time.monotonic() - begin
        print(f"{outcome.cases} cases, {outcome.cases / took:.0f}/s, {sum(outcome.kinds.values())} faults", flush=True)

    outcome = run(targets, seed, given.cases, first=given.first, seconds=given.seconds, tell=tell)
    tell(outcome)
    for kind, count in outcome.kinds.most_common():
        print(f"{count} times: {kind}")
    values = ", ".join(f"{name} {count}" for name, count in sorted(outcome.read.items()))
    print(f"\nseed {seed}; values: {values}")
    print(f"errors: {', '.join(f'{code} {count}' for code, count in outcome.codes.most_common())}")
    print(f"slowest: {outcome.slowest[0]:.2f} s, {outcome.slowest[1]}")
    return 1 if outcome.kinds else 0


if __name__ == "__main__":
    sys.exit(main())
