"""One seed in one run folder, from the first step to the report.

::

    prepare_run    data, model, session                          once, for all seeds
    train_seed     parameters -> session, run folder, trackers   once a seed
      Trainer        steps, and what they call in SeedRun: evaluate, save_best, save_checkpoint
      report         the best checkpoint once more, the test file, report.json

What is drawn by chance is a function of the seed and of where it is used, and of nothing that happened before::

    order of the rows     seed, epoch                                  data/plans.py
    dropout masks         seed, step, micro-batch, rank, site, pass    numerics/randomness.py
    new parameters        seed, canonical name                         contracts/parameters.py

So a run that goes on from step 50 takes step 51 as if it had never stopped, on whichever backend.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bertcore.config import DistillOptions, RunConfig, config_values
from bertcore.contracts.evaluation import Accumulator, Evaluation
from bertcore.contracts.events import CheckpointSaved, Event, Note, RunFinished, RunStarted
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import FitReport, Parameters, initial_value
from bertcore.engine.adapters import own_names
from bertcore.engine.agreement import (
    digest_of_batch,
    digest_of_parameters,
    require_agreement,
    told_by_first,
    wait_for_all,
)
from bertcore.engine.best_model import BestModel, ModelAdapter
from bertcore.engine.checkpoint import Progress, complete_state, save_checkpoint
from bertcore.engine.choice import open_accumulator
from bertcore.engine.division import keep_division
from bertcore.engine.model_settings import remembered_settings
from bertcore.engine.prediction import predict_split
from bertcore.engine.preparation import absolute, absolute_files
from bertcore.engine.prepared_run import PreparedRun
from bertcore.engine.report import Report, write_json_lines, write_report
from bertcore.engine.run_folder import RunFolder
from bertcore.engine.run_header import run_header, run_notes
from bertcore.engine.run_report import RunOutcome, report_run
from bertcore.engine.run_result import RunResult
from bertcore.engine.step_examples import describe_rows
from bertcore.engine.tracking import open_trackers
from bertcore.engine.training import SplitEvaluation, Trainer, TrainingHost, TrainingPlan
from bertcore.version import __version__


def train_seed(prepared: PreparedRun, seed: int, suffix: str = "") -> RunResult:
    """Trains with one seed and reports.

    Args:
        prepared: what all seeds share.
        seed: of data order, dropout and new parameters; nothing else in a run is drawn by chance.
        suffix: name of the run folder within that of the configuration.

    Raises:
        BertcoreError: the user's mistake, one subclass for each kind.
        Interrupted: Ctrl-C, SIGTERM or SIGUSR1.
    """
    started = time.perf_counter()
    config = prepared.config.model_copy(update={"run": prepared.config.run.model_copy(update={"seed": seed})})
    fit = _load(prepared, config)
    require_agreement(prepared.session, prepared.ranks, _facts(prepared, config))
    if not prepared.ranks.is_first:
        return _follow(prepared, config, started)
    with _folder_of(prepared, config, suffix) as (folder, notes):
        told_by_first(prepared.session, prepared.ranks, str(folder.path))
        config = keep_division(config, folder, prepared.training_split)
        if prepared.teacher is not None:
            prepared.teacher.keep(folder.path)
        stored = _write_config(config, folder)
        progress = Progress() if prepared.checkpoint is None else prepared.checkpoint.progress
        begun = RunStarted(
            folder.path,
            run_header(prepared, config, folder.path),
            prepared.data.total_steps,
            progress.step,
            config_values(stored),
            tuple(progress.history),
        )
        with open_trackers(config.run.trackers, prepared.registry, begun) as send:
            for note in (*notes, *run_notes(prepared, fit)):
                send(Note(note))
            run = SeedRun(prepared, config, folder, progress, send)
            trainer = Trainer(prepared.session, run.plan, progress, run, run.make_best_again())
            finished = trainer.train()
            outcome = RunOutcome(begun, trainer.best, finished, trainer.time, time.perf_counter() - started)
            result = report_run(run, outcome)
            send(RunFinished(result.summary, result.metrics, result.seconds))
            wait_for_all(prepared.session)
            return result


def _follow(prepared: PreparedRun, config: RunConfig, started: float) -> RunResult:
    """Trains on a rank that is not the first: with the others, and without a trace."""
    folder = Path(told_by_first(prepared.session, prepared.ranks, None))
    progress = Progress() if prepared.checkpoint is None else prepared.checkpoint.progress
    run = FollowingRun(prepared, config, RunFolder(folder), progress, lambda event: None)
    trainer = Trainer(prepared.session, run.plan, progress, run, run.make_best_again())
    begun = RunStarted(folder, {}, prepared.data.total_steps, progress.step, {}, ())
    finished = trainer.train()
    result = report_run(run, RunOutcome(begun, trainer.best, finished, trainer.time, time.perf_counter() - started))
    wait_for_all(prepared.session)
    return result


def _facts(prepared: PreparedRun, config: RunConfig) -> Mapping[str, Any]:
    """What must be the same on all ranks."""
    if prepared.ranks.is_alone:
        return {}
    # Paths may differ between hosts, and what they lead to is compared as such.
    options = {key: value for key, value in config_values(config).items() if key.startswith(("train.", "head."))}
    training = prepared.training
    checkpoint = prepared.checkpoint
    return {
        "version of bertcore": __version__,
        "backend": prepared.target.describe(),
        "seed": config.run.seed,
        "configuration": json.dumps(options, default=str, sort_keys=True),
        "training split": "a stream" if training is None else digest_of_batch(training.batch),
        "evaluation split": digest_of_batch(prepared.evaluation.batch),
        "model": digest_of_parameters(prepared.session.parameters()),
        "checkpoint": None if checkpoint is None else checkpoint.progress.step,
    }


def _load(prepared: PreparedRun, config: RunConfig) -> FitReport:
    """Loads the parameters of a seed, and the state of the optimizer where a run goes on."""
    new_head = config.model.new_head and prepared.checkpoint is None
    parameters, fit = prepared.source.fit(prepared.head, seed=config.run.seed, new_head=new_head)
    if prepared.training is not None:
        from_data = prepared.head.initial_parameters(prepared.training.batch)
        parameters |= {name: value for name, value in from_data.items() if name in fit.initialized}
    prepared.session.load({**parameters, **_first_of_adapter(prepared, config.run.seed)})
    if prepared.checkpoint is not None:
        prepared.session.restore(complete_state(prepared.checkpoint.optimizer, prepared.table))
    return fit


def _first_of_adapter(prepared: PreparedRun, seed: int) -> Parameters:
    """What an adapter begins with: where it stood, or new values, which depend on nothing but the seed and the name."""
    own = own_names(prepared.adapter, prepared.table)
    new = {name: initial_value(name, prepared.table[name], 0.0, seed) for name in prepared.table if name in own}
    return {**new, **prepared.begun_adapter}


@contextmanager
def _folder_of(prepared: PreparedRun, config: RunConfig, suffix: str) -> Iterator[tuple[RunFolder, Sequence[str]]]:
    """The folder of the run: that which goes on, or a new one, which goes again where nothing could be kept."""
    if prepared.resumed is not None:
        yield prepared.resumed, ()
        return
    with RunFolder.begin(config, suffix, prepared.keeps_rows and not suffix) as (folder, notes):
        try:
            yield folder, notes
        except BaseException:
            folder.discard_if_useless()
            raise


def _write_config(config: RunConfig, folder: RunFolder) -> RunConfig:
    """Writes the configuration so that it means the same from every working folder; returns it as written."""
    stored = config.model_copy(
        update={
            "model": config.model.model_copy(
                update={"path": absolute(config.model.path), "adapter": absolute(config.model.adapter)}
            ),
            "train": config.train.model_copy(update={"distill": _absolute_teacher(config)}),
            "data": absolute_files(config.data),
            "run": config.run.model_copy(update={"output": str(folder.path.resolve())}),
        }
    )
    folder.write_config(stored)
    return stored


def _absolute_teacher(config: RunConfig) -> DistillOptions:
    options = config.train.distill
    return options.model_copy(update={"teacher": absolute(options.teacher)})


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
