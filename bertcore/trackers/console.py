"""What a person sees: lines on the terminal and, with their time, in ``run.log``; a bar on the terminal alone."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

from tqdm import tqdm

from bertcore.contracts.events import (
    SHOWN_METRICS,
    Evaluated,
    Event,
    Note,
    RunFailed,
    RunFinished,
    RunStarted,
    StepDone,
    StepLogged,
    TrackerFactory,
    WorkProgress,
)
from bertcore.errors import printable
from bertcore.trackers.progress_display import ProgressDisplay


class ConsoleTracker:
    """Prints every event that a person wants to read, and keeps ``run.log`` readable while the run goes on."""

    def __init__(self, run: RunStarted) -> None:
        self._log = open(run.folder / "run.log", "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - closed in close
        self._steps = run.steps
        self._work = ProgressDisplay(self._print, delay=0.5)  # checkpoints of small models would flicker
        self._bar: tqdm[Any] | None = None
        if run.steps and sys.stderr.isatty():
            self._bar = tqdm(total=run.steps, initial=run.resumed_from, unit="step", dynamic_ncols=True, leave=False)

    def on_event(self, event: Event) -> None:
        """Prints an event; a step without a log moves the bar only."""
        if isinstance(event, StepDone):
            if self._bar is not None:
                self._bar.update(event.step - self._bar.n)
        elif isinstance(event, RunStarted):
            width = max(map(len, event.header))
            for name, value in event.header.items():
                for index, line in enumerate(value.splitlines() or [""]):
                    self._print(f"{'' if index else name:<{width}}  {line}")
            if event.resumed_from:
                self._print(f"going on from step {event.resumed_from}")
        elif isinstance(event, StepLogged):
            rate = next(iter(event.learning_rates.values()), 0.0)
            compiled = f", compiled {event.compile_seconds:.1f} s" if event.compile_seconds >= 0.05 else ""
            self._print(
                f"step {event.step}/{self._steps}, epoch {event.epoch:.2f}, loss {event.loss:.4f}, "
                f"learning rate {rate:.2e}, gradient norm {event.gradient_norm:.3f}, "
                f"{event.examples_per_second:.1f} examples/s{compiled}"
            )
        elif isinstance(event, Evaluated):
            baselines = {name: f" (baseline {value:.4f})" for name, value in event.baseline.items()}
            shown = list(event.metrics.items())[:SHOWN_METRICS]
            scores = ", ".join(f"{name} {value:.4f}{baselines.get(name, '')}" for name, value in shown)
            compiled = f", compiled {event.compile_seconds:.1f} s" if event.compile_seconds >= 0.05 else ""
            self._print(
                f"{event.split} at step {event.step}: {scores}, {event.examples} examples, "
                f"{event.examples_per_second:.1f} examples/s{compiled}{', best so far' if event.best else ''}"
                f"{''.join(f'; {note}' for note in event.notes)}"
            )
        elif isinstance(event, WorkProgress):
            self._work.show(event)
        elif isinstance(event, Note):
            self._print(event.text)
        elif isinstance(event, RunFinished):
            self._close_bar()
            self._print(event.summary)
        elif isinstance(event, RunFailed):
            # The terminal shows an error through whoever catches it; the log must hold it too.
            self._close_bar()
            remedy = event.remedy and f"remedy: {event.remedy}"
            for text in filter(None, (event.details, f"error: {event.cause}", remedy)):
                self._write_log(text)

    def close(self) -> None:
        """Closes the log and removes the bar."""
        self._close_bar()
        self._log.close()

    def _close_bar(self) -> None:
        self._work.close()
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _print(self, line: str) -> None:
        line = _shown(line)
        if self._bar is not None:
            self._bar.write(line, file=sys.stdout)
        else:
            print(line, flush=True)
        self._write_log(line)

    def _write_log(self, text: str) -> None:
        now = datetime.now()
        self._log.write("".join(f"{now:%Y-%m-%d %H:%M:%S} {line}\n" for line in _shown(text).splitlines()))


def _shown(text: str) -> str:
    """Names and texts from files as they are, but for what would steer the terminal."""
    return printable(text, longest=len(text) + 1, keep="\n\t")


FACTORY = TrackerFactory("console", "the terminal and run.log", ConsoleTracker)
