"""A run that is killed or stopped at random moments, by another process, goes on to the same end, to the bit."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
import random_kills


@pytest.mark.parametrize(
    ("backend", "kills"), [("torch", 15), pytest.param("mindspore", 5, marks=pytest.mark.mindspore)]
)
def test_runs_killed_at_random_end_to_the_bit(backend: str, kills: int) -> None:
    """A few of the many in docs/reliability.md, at other moments each time."""
    pytest.importorskip(backend)
    seed = random.SystemRandom().randrange(2**32)
    command = [sys.executable, random_kills.__file__, "--backend", backend, "--signals", "KILL,TERM,USR1"]
    outcome = subprocess.run(
        [*command, "--kills", str(kills), "--seed", str(seed)],
        capture_output=True,
        text=True,
        cwd=Path(random_kills.__file__).parent,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert f"seed {seed}" in outcome.stdout
    *_, total = outcome.stdout.splitlines()
    _, _, _, runs, killed, stopped, _, _, to_the_bit, failed, _ = (part.strip() for part in total.split("|"))
    assert int(killed) + int(stopped) >= kills
    assert (to_the_bit, failed) == (runs, "0")
