"""Runs every test: one process for all that needs no MindSpore, then one for each module that does.

MindSpore keeps what it compiled for the life of a process, so that its modules do not share one. Arguments are handed
to pytest: ``python scripts/run_tests.py -k plans``. The last line counts all processes together.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NO_TESTS_COLLECTED = 5


def main() -> int:
    """Runs the processes one after the other; returns 1 where one of them failed."""
    marked = sorted(
        file.relative_to(ROOT)
        for file in ROOT.glob("tests/**/test_*.py")
        if "pytestmark = pytest.mark.mindspore" in file.read_text(encoding="utf-8")
    )
    totals: Counter[str] = Counter()
    failed = False
    groups = [["-m", "not mindspore"], *([str(file)] for file in marked)]
    for group in groups:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.xml"
            command = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}", *group, *sys.argv[1:]]
            code = subprocess.run(command, cwd=ROOT, check=False).returncode
            failed |= code not in (0, NO_TESTS_COLLECTED)
            if report.is_file():
                suite = next(ElementTree.parse(report).iter("testsuite"))
                totals.update({name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")})
    bad = totals["failures"] + totals["errors"]
    passed = totals["tests"] - bad - totals["skipped"]
    print(f"{passed} passed, {bad} failed, {totals['skipped']} skipped", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
