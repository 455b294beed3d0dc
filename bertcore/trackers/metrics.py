"""``metrics.jsonl``: one JSON object for each logged step and each evaluation."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bertcore.contracts.events import Evaluated, Event, RunStarted, StepLogged, TrackerFactory
from bertcore.files.writing import atomic_write, json_text


class MetricsTracker:
    """Appends to ``metrics.jsonl``; a resumed run begins it with what its checkpoint knows, and with nothing else."""

    def __init__(self, run: RunStarted) -> None:
        file = run.folder / "metrics.jsonl"
        if run.history or file.exists():
            lines = list(_lines_until_checkpoint(file, run.history))
            with atomic_write(file) as earlier:
                earlier.writelines(f"{line}\n".encode() for line in lines)
        self._file = open(file, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - closed in close

    def on_event(self, event: Event) -> None:
        """Writes logged steps and evaluations."""
        if isinstance(event, StepLogged | Evaluated):
            kind = "train" if isinstance(event, StepLogged) else "evaluation"
            self._file.write(json_text({"kind": kind, **asdict(event)}) + "\n")
        if isinstance(event, Evaluated):
            os.fsync(self._file.fileno())  # a checkpoint follows, which does not know all of it

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _lines_until_checkpoint(file: Path, history: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """The lines of what the checkpoint knows: those of the file, which say more, where a power cut has left them."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for line in file.read_bytes().splitlines() if file.exists() else ():
        try:
            entry = json.loads(line)
            found[entry["kind"], entry["step"]] = entry
        except (ValueError, KeyError, TypeError):
            continue
    for entry in history:
        there = found.get((entry["kind"], entry["step"]), {})
        same = json_text({key: there.get(key) for key in entry}) == json_text(entry)
        yield json_text(there if same else entry)


FACTORY = TrackerFactory("metrics_jsonl", "metrics.jsonl in the run folder", MetricsTracker)
