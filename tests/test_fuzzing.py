"""Twenty thousand hostile files of all kinds; ``scripts/fuzz.py`` runs campaigns of more, and any one case again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fuzzing import campaign
from fuzzing.campaign import run
from fuzzing.targets import TARGETS, files_of

CASES = 20_000


def test_every_hostile_file_ends_in_a_value_or_in_an_error_that_says_what_is_wrong() -> None:
    outcome = run(list(TARGETS), seed=13, cases=CASES)
    assert outcome.faults == []
    assert outcome.cases == CASES
    # A case that is refused at its first byte shows nothing of what lies behind it: enough of each kind are read.
    share = CASES / len(TARGETS)
    assert {name for name in TARGETS if outcome.read[name] < 0.2 * share} == set()
    assert sum(outcome.codes.values()) > 0.2 * CASES


def test_a_case_is_the_same_each_time() -> None:
    for name in TARGETS:
        cases = [[files_of(name, seed, number) for number in range(20)] for seed in (1, 1, 2)]
        assert cases[0] == cases[1]
        assert cases[0] != cases[2]


BAD = """
import sys, tempfile
from pathlib import Path
from fuzzing import targets, worker

def hang(folder):
    while True:
        pass

def swell(folder):
    return len(b"x" * (2 * worker.MEMORY))

def stumble(folder):
    raise AttributeError("no such attribute")

def mumble(folder):
    raise worker.BertcoreError("an error without a code")

for read in (hang, swell, stumble, mumble):
    targets.TARGETS[read.__name__] = targets.Target(targets.TARGETS["ckpt"].make, read)
with tempfile.TemporaryDirectory() as folder:
    bad = worker.Worker(Path(folder), seed=1)
    for name in ("swell", "hang", "stumble", "mumble", "ckpt"):
        bad.run(name, 0)
print(*bad.outcome.kinds, sep="; ")
"""


def test_a_case_that_ends_as_none_may_is_noticed() -> None:
    environment = campaign.environment()
    ended = subprocess.run([sys.executable, "-c", BAD], capture_output=True, text=True, env=environment, check=True)
    swell, hang, stumble, mumble = ended.stdout.strip().split("; ")
    assert swell == "swell: too much memory"
    assert hang.startswith("hang: too slow at ")
    assert stumble.startswith("stumble: AttributeError at ")
    assert mumble == "the code error is not registered"


def test_cases_go_on_behind_one_that_ends_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in the worker's place: it does two cases, begins a third and dies."""
    program = tmp_path / "program.py"
    program.write_text(
        "import json, struct, sys\n"
        "given = json.loads(sys.argv[-1])\n"
        "number = given['first'] + 2\n"
        "done = number >= given['end']\n"
        "open(given['progress'], 'r+b').write(struct.pack('<q', -1 if done else number))\n"
        "print('last words', file=sys.stderr)\n"
        "sys.exit(0 if done else 3)\n"
    )
    monkeypatch.setattr(campaign, "WORKER", ("-I", str(program)))
    outcome = run(["ckpt", "tokenizer"], seed=1, cases=8)
    assert [(fault.target, fault.number) for fault in outcome.faults] == [("ckpt", 2), ("tokenizer", 5)]
    assert "last words" in outcome.faults[0].details
    assert outcome.cases == 6
    assert json.loads(json.dumps(outcome.to_json()))["kinds"] == {
        "ckpt: the process ends with 3": 1,
        "tokenizer: the process ends with 3": 1,
    }
