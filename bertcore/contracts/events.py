"""Events of a run and the trackers that listen to them (console, ``metrics.jsonl``, TensorBoard, a plugin's own).

Events are immutable. A tracker that raises is reported once and muted for the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

SHOWN_METRICS = 4
"""Scores that a line or a figure has room for. A task may have more, the chief ones first; a report has them all."""


@dataclass(frozen=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True)
class RunStarted(Event):
    """The run folder is open and everything is loaded.

    Attributes:
        folder: the run folder.
        header: what the run will do, in the order in which it is shown.
        steps: optimizer steps planned; 0 for an evaluation.
        resumed_from: the step of the checkpoint that the run goes on from, 0 for a new run.
        options: the resolved configuration.
        history: what was logged until that step: ``kind`` (``train`` or ``evaluation``) and the fields of
            :class:`StepLogged` or :class:`Evaluated`.
    """

    folder: Path
    header: Mapping[str, str]
    steps: int
    resumed_from: int
    options: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class StepDone(Event):
    """An optimizer step was handed to the device; nothing was fetched for this event.

    Attributes:
        step: steps done, from 1.
        epoch: epochs done, with a fraction.
        examples: examples of this step.
    """

    step: int
    epoch: float
    examples: int


@dataclass(frozen=True)
class StepLogged(Event):
    """Means since the last log.

    Attributes:
        step: steps done, from 1.
        epoch: epochs done, with a fraction.
        loss: mean loss.
        learning_rates: group name to its rate in the last step.
        gradient_norm: global gradient norm of the last step.
        examples_per_second: without compilation and evaluation.
        compile_seconds: spent on compilation since the last log.
    """

    step: int
    epoch: float
    loss: float
    learning_rates: Mapping[str, float]
    gradient_norm: float
    examples_per_second: float
    compile_seconds: float


@dataclass(frozen=True)
class Evaluated(Event):
    """A split was evaluated.

    Attributes:
        split: name of the split.
        step: optimizer steps done.
        epoch: epochs done, with a fraction.
        metrics: name to value.
        baseline: name to value of what needs no model (the majority class), empty where nothing is meant.
        examples: examples in the split, each counted once.
        examples_per_second: without compilation.
        compile_seconds: spent on compilation.
        best: whether this is the best evaluation so far.
        per_class: each class to its ``precision``, ``recall``, ``f1``, ``support`` and how often it was ``predicted``.
        notes: what a reader must know beside the scores, a line each.
    """

    split: str
    step: int
    epoch: float
    metrics: Mapping[str, float]
    baseline: Mapping[str, float]
    examples: int
    examples_per_second: float
    compile_seconds: float
    best: bool
    per_class: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A complete checkpoint was written.

    Attributes:
        step: optimizer steps done.
        folder: where it lies.
    """

    step: int
    folder: Path


@dataclass(frozen=True)
class Note(Event):
    """Something that the user should read: a truncated text, a new head, an early stop."""

    text: str


@dataclass(frozen=True)
class Described(Event):
    """What is going to be done, as far as it is known; the rest may follow in another event.

    Attributes:
        header: names and values, in the order in which they are shown; empty values are not.
    """

    header: Mapping[str, str]


@dataclass(frozen=True)
class WorkProgress(Event):
    """How far some work has come that may take long; see :mod:`bertcore.progress`.

    Attributes:
        activity: what is done, in words: ``predicting dev``.
        done: how much is done.
        total: how much there is to do.
        unit: of what: ``examples``; ``bytes`` are shown in larger units.
        part: done of the whole, by its cost, from 0 to 1.
        seconds: since it was begun.
        ended: whether this is its last event, be it complete or not.
    """

    activity: str
    done: int
    total: int
    unit: str
    part: float
    seconds: float
    ended: bool


@dataclass(frozen=True)
class RunFinished(Event):
    """The run is complete.

    Attributes:
        summary: the last line.
        metrics: of the best checkpoint.
        seconds: wall-clock time of the whole run.
    """

    summary: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class RunFailed(Event):
    """The run ended early.

    Attributes:
        cause: one line.
        remedy: one line.
        details: the traceback of a defect, empty for a user's mistake.
        code: the kind of the error, see ``docs/errors-and-exit-codes.md``.
    """

    cause: str
    remedy: str
    details: str = ""
    code: str = "defect"


class Tracker(Protocol):
    """Listens to one run."""

    def on_event(self, event: Event) -> None:
        """Takes an event; an unknown class of event is ignored."""

    def close(self) -> None:
        """The run is over, complete or not."""


@dataclass(frozen=True)
class TrackerFactory:
    """Makes a tracker for a run.

    Attributes:
        name: as in ``--set run.trackers=["console", "tensorboard"]``.
        description: one line.
        open: called when the run starts.
        default: whether a run has it unless told otherwise.
    """

    name: str
    description: str
    open: Callable[[RunStarted], Tracker]
    default: bool = True
