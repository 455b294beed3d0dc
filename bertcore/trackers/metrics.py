"""``metrics.jsonl``: one JSON object for each logged step and each evaluation."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from bertcore.events import Evaluated, Event, RunStarted, StepLogged
from bertcore.files import json_text


class MetricsTracker:
    """Appends to ``metrics.jsonl``; a resumed run drops what lies after its checkpoint."""

    def __init__(self, run: RunStarted) -> None:
        file = run.folder / "metrics.jsonl"
        if run.resumed_from:
            _keep_until(file, run.resumed_from)
        self._file = open(file, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - closed in close

    def on_event(self, event: Event) -> None:
        """Writes logged steps and evaluations."""
        if isinstance(event, StepLogged | Evaluated):
            kind = "train" if isinstance(event, StepLogged) else "evaluation"
            self._file.write(json_text({"kind": kind, **asdict(event)}) + "\n")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _keep_until(file: Path, step: int) -> None:
    if file.is_file():
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        file.write_text("".join(kept), encoding="utf-8")
