"""Asks pip-audit for known vulnerabilities of all packages that are installed here, and of the right versions.

``make audit`` runs it, with pip-audit in an environment of its own. pip-audit ends with success where its service knows
nothing of a package, or cannot be reached; here that is no success, for it says nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CLEAN, VULNERABLE, UNKNOWN = 0, 1, 2


def judge(dependencies: Sequence[Mapping[str, Any]]) -> tuple[int, list[str]]:
    """The exit code and the lines to print, for the dependencies of pip-audit's JSON."""
    unknown = [entry for entry in dependencies if "skip_reason" in entry]
    found = [(entry, flaw) for entry in dependencies for flaw in entry.get("vulns", [])]
    lines = [
        f"{entry['name']} {entry['version']}: {flaw['id']}, fixed in {', '.join(flaw['fix_versions']) or 'no release'}"
        for entry, flaw in found
    ]
    known = len(dependencies) - len(unknown)
    lines.append(f"{known} packages audited, {len(found)} vulnerabilities known, {len(unknown)} not audited")
    if unknown:
        lines.append(f"the first of these: {unknown[0]['skip_reason']}")
    return VULNERABLE if found else UNKNOWN if unknown or not dependencies else CLEAN, lines


def main() -> int:
    """Audits the environment of this interpreter; the argument is the program pip-audit."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "freeze", "--exclude-editable"], capture_output=True, text=True, check=True
    )
    with tempfile.TemporaryDirectory() as folder:
        requirements, report = Path(folder) / "requirements.txt", Path(folder) / "report.json"
        requirements.write_text(listed.stdout)
        arguments = ["--no-deps", "--disable-pip", "-f", "json", "-o", str(report), "-r", str(requirements)]
        audit = subprocess.run([sys.argv[1], *arguments], capture_output=True, text=True, check=False)
        if not report.is_file():
            print((audit.stderr.strip().splitlines() or ["pip-audit wrote no report"])[-1])
            return UNKNOWN
        code, lines = judge(json.loads(report.read_text())["dependencies"])
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
