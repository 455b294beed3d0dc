from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parent.parent / "scripts" / "audit.py"
SPEC = importlib.util.spec_from_file_location("audit", FILE)
assert SPEC is not None
assert SPEC.loader is not None
audit = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(audit)

SOUND = {"name": "numpy", "version": "1.26.4", "vulns": []}
FLAW = {"id": "GHSA-63cw-57p8-fm3p", "fix_versions": ["2.10.0"], "aliases": [], "description": "..."}
FLAWED = {"name": "torch", "version": "2.9.0", "vulns": [FLAW]}
SKIPPED = {"name": "tzdata", "skip_reason": "Dependency not found on PyPI and could not be audited: tzdata (2026.6)"}


@pytest.mark.parametrize(
    ("dependencies", "code", "last"),
    [
        ([SOUND], 0, "1 packages audited, 0 vulnerabilities known, 0 not audited"),
        ([SOUND, FLAWED], 1, "2 packages audited, 1 vulnerabilities known, 0 not audited"),
        ([SKIPPED], 2, "the first of these: Dependency not found on PyPI and could not be audited: tzdata (2026.6)"),
        ([FLAWED, SKIPPED], 1, "the first of these: Dependency not found"),
        ([], 2, "0 packages audited"),
    ],
)
def test_only_what_was_audited_is_clean(dependencies: list[object], code: int, last: str) -> None:
    found, lines = audit.judge(dependencies)
    assert found == code
    assert lines[-1].startswith(last)
    assert ("torch 2.9.0: GHSA-63cw-57p8-fm3p, fixed in 2.10.0" in lines) == (FLAWED in dependencies)
