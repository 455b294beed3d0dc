"""The outcome of one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bertcore.contracts.class_score import ClassScore
from bertcore.contracts.evaluation import Evaluation


@dataclass(frozen=True)
class RunResult:
    """The outcome of one run.

    Attributes:
        folder: the run folder.
        task: name of the task.
        backend: name of the backend.
        seed: of the run.
        metrics: of the best checkpoint, on the task's evaluation split.
        baseline: the same metrics of a model that needs no text.
        total: examples of that split.
        summary: the last line.
        steps: optimizer steps done.
        best_step: step of the best checkpoint.
        finished: False where ``train.stop_after`` ended the run before its last step.
        examples_per_second: of training, without compilation and evaluation.
        seconds: wall-clock time of the run.
        test: scores and predictions of the file that ``data.test`` names, where it has labels.
        per_class: each class, label or type of entity to how well the best checkpoint finds it.
        notes: what a reader must know beside the scores, a line each.
    """

    folder: Path
    task: str
    backend: str
    seed: int
    metrics: Mapping[str, float]
    baseline: Mapping[str, float]
    total: int
    summary: str
    steps: int
    best_step: int
    finished: bool
    examples_per_second: float
    seconds: float
    test: Evaluation | None = None
    per_class: Mapping[str, ClassScore] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
