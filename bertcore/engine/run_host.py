"""What the loop calls in a run: evaluation, the best model and checkpoints, on the first rank and on the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bertcore.config import RunConfig
from bertcore.contracts.evaluation import Accumulator, Evaluation
from bertcore.contracts.events import CheckpointSaved, Event, Note
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import Parameters
from bertcore.engine.adapters import own_names
from bertcore.engine.agreement import (
    told_by_first,
)
from bertcore.engine.best_model import BestModel, ModelAdapter
from bertcore.engine.checkpoint import Progress, save_checkpoint
from bertcore.engine.choice import open_accumulator
from bertcore.engine.model_settings import remembered_settings
from bertcore.engine.prediction import predict_split
from bertcore.engine.prepared_run import PreparedRun
from bertcore.engine.report import Report, write_json_lines, write_report
from bertcore.engine.run_folder import RunFolder
from bertcore.engine.step_examples import describe_rows
from bertcore.engine.training import SplitEvaluation, TrainingHost, TrainingPlan


class SeedRun(TrainingHost):
    """What the loop calls: evaluation, best model and checkpoints of one seed in its folder.

    Args:
        prepared: what all seeds share; its session holds the parameters of this seed.
        config: of this seed.
        folder: of this seed.
        progress: where the run stands, kept up to date by the loop.
        send: hands an event to the trackers.
    """

    def __init__(
        self,
        prepared: PreparedRun,
        config: RunConfig,
        folder: RunFolder,
        progress: Progress,
        send: Callable[[Event], None],
    ) -> None:
        self.prepared = prepared
        self.config = config
        self.folder = folder
        self.progress = progress
        self._send = send
        self._session = prepared.session
        self._tuned_head = prepared.head
        self._accumulator: Accumulator | None = None  # of the last evaluation
        self._damaged: tuple[Path, ...] = () if prepared.checkpoint is None else prepared.checkpoint.damaged
        self._best = BestModel(
            folder,
            prepared.source,
            prepared.encoder.tokenizer,
            prepared.target.backend,
            prepared.registry,
            max_length=prepared.encoder.max_length,
            settings=remembered_settings(config, prepared.encoder.max_length),
            adapter=ModelAdapter.of(prepared, config),
        )

    @property
    def plan(self) -> TrainingPlan:
        """What the loop is told before its first step."""
        prepared, config = self.prepared, self.config
        return TrainingPlan(
            prepared.data,
            prepared.specification,
            prepared.head,
            prepared.metric,
            config.train,
            config.run.seed,
            prepared.ranks,
        )

    def send(self, event: Event) -> None:
        """Hands an event to the trackers."""
        self._send(event)

    def evaluate(self) -> SplitEvaluation:
        """Evaluates the session as it is, and tunes what is chosen on the evaluation split."""
        prepared, split = self.prepared, self.prepared.evaluation
        accumulator = open_accumulator(self.config, prepared.task, split.examples, prepared.head)
        timing = predict_split(self._session, split, accumulator, self.config.evaluate.batch_size, prepared.ranks)
        # A threshold is chosen before anything is scored, and goes into best/ with the weights it was chosen for.
        self._tuned_head = accumulator.tune() or prepared.head
        self._accumulator = accumulator
        return SplitEvaluation(split.name, prepared.judged(accumulator.result(), prepared.baseline), timing)

    def save_best(self, evaluation: Evaluation) -> None:
        """Keeps what this evaluation, the last one, was made with as the best so far."""
        parameters = self._session.predicting_parameters()
        predictions = self._best_predictions(evaluation, parameters)
        self._best.save(self.progress.step, predictions, parameters, self._tuned_head)

    def save_checkpoint(self, progress: Progress) -> None:
        """Writes a complete checkpoint."""
        parameters = self._session.parameters()
        checkpoint = save_checkpoint(
            self.folder.path,
            self._session.state(),
            progress,
            lambda folder: self._best.save_to_go_on(folder, parameters, self.prepared.head),
            keep=self.config.train.keep_checkpoints,
            damaged=self._damaged,
        )
        self._damaged = ()  # until now they were the last resort
        self.send(CheckpointSaved(progress.step, checkpoint))

    def describe_rows(self, step: int) -> str:
        """Says where the rows of a step stand, counted from 1."""
        batches = next(self.prepared.data.steps(self.config.run.seed, step - 1)).whole
        return describe_rows(batches, self.prepared.training_split, self._session)

    def write_report(self, report: Report) -> None:
        """Writes the report of the run."""
        write_report(self.folder.path, report)

    def write_test_predictions(self, rows: Sequence[Mapping[str, Any]]) -> Path:
        """Writes the predictions of the test file; returns where."""
        file = self.folder.path / "test_predictions.jsonl"
        write_json_lines(file, rows)
        return file

    def load_best(self) -> Head:
        """Loads the best checkpoint into the session, and returns its head, with what was tuned."""
        best = self._best.load(self.prepared.head)
        # Its adapter is merged; one of zeros adds nothing.
        own = own_names(self.prepared.adapter, self.prepared.table)
        zeros = {name: np.zeros(self.prepared.table[name].shape, dtype=np.float32) for name in own}
        self._session.load({**best.parameters, **zeros})
        self.progress.best_step = best.step or self.progress.best_step
        return best.head

    def make_best_again(self) -> Evaluation | None:
        """The best evaluation of a resumed run whose best model is damaged, or of a step after the checkpoint."""
        ranks = self.prepared.ranks
        missing = self._best.is_missing(self.progress) if ranks.is_first else None
        has_other = self.folder.best.exists() if ranks.is_first else None
        missing, has_other = told_by_first(self._session, ranks, (missing, has_other))
        if missing is None:
            return None
        if self.progress.step != self.progress.best_step:
            if not has_other:
                self.progress.best_value = None
            self.send(Note(f"{missing}: so it will be until the next evaluation that is the best"))
            return None
        self.send(Note(f"{missing}: it is made again from the checkpoint"))
        evaluation = self.evaluate().evaluation
        self.save_best(evaluation)
        return evaluation

    def _best_predictions(self, evaluation: Evaluation, parameters: Parameters) -> Sequence[Mapping[str, Any]]:
        """Those of the evaluation, with what only the parameters tell."""
        accumulator = self._accumulator
        if accumulator is not None and accumulator.read_parameters(parameters):
            return accumulator.predictions()
        return evaluation.predictions


class FollowingRun(SeedRun):
    """The same on a rank that is not the first: it computes what all compute, and writes nothing."""

    _kept: tuple[Parameters, Head] | None = None

    def save_best(self, evaluation: Evaluation) -> None:
        """Keeps the best model in memory: the folder may be on another host."""
        self._kept = self._session.predicting_parameters(), self._tuned_head

    def save_checkpoint(self, progress: Progress) -> None:
        """Leaves it to the first rank."""

    def write_report(self, report: Report) -> None:
        """Leaves it to the first rank."""

    def write_test_predictions(self, rows: Sequence[Mapping[str, Any]]) -> Path:
        """Leaves it to the first rank."""
        return self.folder.path

    def load_best(self) -> Head:
        """Loads what was the best since the run began or was resumed, or what lies in the folder of a resumed run."""
        if self._kept is None:
            return super().load_best()
        parameters, head = self._kept
        self._session.load(parameters)
        return head
