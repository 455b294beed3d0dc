"""``metrics.jsonl``: one JSON object for each logged step and each evaluation."""

from __future__ import annotations

from dataclasses import asdict

from bertcore.events import Evaluated, Event, RunStarted, StepLogged
from bertcore.files import atomic_write, json_text


class MetricsTracker:
    """Appends to ``metrics.jsonl``; a resumed run begins it with what its checkpoint knows, and with nothing else."""

    def __init__(self, run: RunStarted) -> None:
        file = run.folder / "metrics.jsonl"
        if run.history or file.exists():
            with atomic_write(file) as earlier:
                earlier.write("".join(json_text(entry) + "\n" for entry in run.history).encode())
        self._file = open(file, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - closed in close

    def on_event(self, event: Event) -> None:
        """Writes logged steps and evaluations."""
        if isinstance(event, StepLogged | Evaluated):
            kind = "train" if isinstance(event, StepLogged) else "evaluation"
            self._file.write(json_text({"kind": kind, **asdict(event)}) + "\n")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
