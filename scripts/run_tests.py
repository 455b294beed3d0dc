"""Runs every test: one process for all that needs no MindSpore, and beside it one for each module with tests that do.

MindSpore keeps what it compiled for the life of a process, so that its modules do not share one, and takes much memory,
so that they come one after the other. Arguments are handed to pytest: ``python scripts/run_tests.py -k plans``. The
last line counts all processes together.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NO_TESTS_COLLECTED = 5


@dataclass
class Outcome:
    """What some processes found.

    Attributes:
        failed: whether one of them did.
        totals: tests, failures, errors and skipped ones.
        output: what they printed, where it was kept.
    """

    failed: bool = False
    totals: Counter[str] = field(default_factory=Counter)
    output: str = ""


def run(selections: list[list[str]], keep_output: bool) -> Outcome:
    """Runs one process of pytest for each selection, one after the other."""
    outcome = Outcome()
    for selection in selections:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.xml"
            command = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}", *selection, *sys.argv[1:]]
            process = subprocess.run(
                command,
                cwd=ROOT,
                check=False,
                stdout=subprocess.PIPE if keep_output else None,
                stderr=subprocess.STDOUT if keep_output else None,
                text=True,
            )
            outcome.failed |= process.returncode not in (0, NO_TESTS_COLLECTED)
            outcome.output += process.stdout or ""
            if report.is_file():
                suite = next(ElementTree.parse(report).iter("testsuite"))
                names = ("tests", "failures", "errors", "skipped")
                outcome.totals.update({name: int(suite.get(name, 0)) for name in names})
    return outcome


def main() -> int:
    """Runs both lanes side by side; returns 1 where a test failed."""
    marked = sorted(
        file.relative_to(ROOT)
        for file in ROOT.glob("tests/**/test_*.py")
        if "pytest.mark.mindspore" in file.read_text(encoding="utf-8")
    )
    with ThreadPoolExecutor(1) as beside:
        on_mindspore = beside.submit(run, [[str(file), "-m", "mindspore"] for file in marked], keep_output=True)
        others = run([["-m", "not mindspore"]], keep_output=False)
        outcome = on_mindspore.result()
    print(outcome.output)
    totals = others.totals + outcome.totals
    bad = totals["failures"] + totals["errors"]
    passed = totals["tests"] - bad - totals["skipped"]
    print(f"{passed} passed, {bad} failed, {totals['skipped']} skipped", flush=True)
    return 1 if others.failed or outcome.failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
