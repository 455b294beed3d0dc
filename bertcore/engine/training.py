"""The one training loop: learning rates, accumulation, logging, evaluation, the best checkpoint, early stopping."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

from bertcore.config import TrainConfig
from bertcore.contracts.backend import ParameterGroup, Session, TrainingSpecification
from bertcore.contracts.evaluation import Evaluation, Metric
from bertcore.contracts.events import Evaluated, Event, Note, StepDone, StepLogged
from bertcore.contracts.head import Head
from bertcore.contracts.objective import Objective
from bertcore.contracts.ranks import ALONE, Ranks
from bertcore.contracts.training_step import StepContext, StepResult
from bertcore.engine.checkpoint import Progress
from bertcore.engine.interrupt import Interrupted, StopRequest
from bertcore.engine.micro_batches import MicroBatches
from bertcore.engine.prediction import PredictionTiming
from bertcore.engine.schedule import learning_rate_factor
from bertcore.engine.stopwatch import Lap, Stopwatch
from bertcore.engine.training_data import StepRows, TrainingData
from bertcore.errors import TrainingError


def training_specification(
    options: TrainConfig, groups: tuple[ParameterGroup, ...], objective: Objective
) -> TrainingSpecification:
    """What the optimizer of a session is told.

    Args:
        options: the configuration.
        groups: every parameter belongs to one.
        objective: what is minimized.
    """
    return TrainingSpecification(
        groups=groups,
        betas=options.betas,
        eps=options.eps,
        clip_norm=options.clip_norm,
        objective=objective,
        dropout=options.dropout,
        ema=options.ema,
    )


@dataclass(frozen=True)
class TrainingPlan:
    """What is decided before the first step.

    Attributes:
        data: the training rows.
        specification: that the session was opened with.
        head: that the session was opened with.
        metric: by which the best evaluation is chosen.
        options: the configuration.
        seed: of the order of the rows, and of dropout.
        ranks: which of several processes this one is.
    """

    data: TrainingData
    specification: TrainingSpecification
    head: Head
    metric: Metric
    options: TrainConfig
    seed: int
    ranks: Ranks = ALONE


@dataclass(frozen=True)
class SplitEvaluation:
    """An evaluation of the session as it is.

    Attributes:
        split: name of the split.
        evaluation: its scores.
        timing: how long it took.
    """

    split: str
    evaluation: Evaluation
    timing: PredictionTiming


class TrainingHost(Protocol):
    """The run around the loop: it evaluates, writes and tells where the loop says so."""

    def evaluate(self) -> SplitEvaluation:
        """Evaluates the session as it is."""

    def save_best(self, evaluation: Evaluation) -> None:
        """Keeps the session's parameters and this evaluation as the best so far."""

    def save_checkpoint(self, progress: Progress) -> None:
        """Writes a complete checkpoint."""

    def describe_rows(self, step: int) -> str:
        """Says where the rows of a step stand, counted from 1."""

    def send(self, event: Event) -> None:
        """Hands an event to the trackers."""


class Trainer:
    """Trains one session from where ``progress`` says to the end.

    Args:
        session: with parameters, and the optimizer state of a resumed run, loaded.
        plan: what is decided before the first step.
        progress: where the run stands; kept up to date.
        host: the run around the loop.
        best: the best evaluation so far, of a resumed run that had to make it again.
    """

    def __init__(
        self, session: Session, plan: TrainingPlan, progress: Progress, host: TrainingHost, best: Evaluation | None
    ) -> None:
        self.best = best
        self._session = session
        self._plan = plan
        self._progress = progress
        self._host = host
        self._unfetched: list[tuple[int, StepResult]] = []
        self._micro_batches = MicroBatches(
            session,
            plan.options,
            progress,
            lambda text: host.send(Note(text)),
            # Ranks meet within a step where embeddings are perturbed.
            may_repeat=plan.ranks.is_alone or not plan.specification.objective.perturbed_passes,
        )
        self._results: list[StepResult] = []  # of the last two steps
        self._watch = Stopwatch(lambda: session.compile_seconds)

    @property
    def time(self) -> Lap:
        """Rows and seconds of all logged steps."""
        return self._watch.total

    def train(self) -> bool:
        """Runs to the last step; returns False where ``train.stop_after`` or a plan of its own ended it before.

        Raises:
            TrainingError: the loss or a gradient is not finite.
            DeviceError: the device has no memory for a step.
            Interrupted: Ctrl-C, SIGTERM or SIGUSR1, after a complete checkpoint.
        """
        progress, options, total = self._progress, self._plan.options, self._plan.data.total_steps
        with StopRequest() as stop:
            self._watch.start()
            for rows in self._plan.data.steps(self._plan.seed, progress.step):
                if progress.step >= total or self._gave_up:
                    break
                rates = self._step(rows, stop)
                last = progress.step == total
                if progress.step % options.log_steps == 0 or last:
                    self._log(rows.epoch, rates)
                # The evaluation comes before the checkpoint, which so holds its score: a run that is killed in between
                # goes on from an earlier step and finds the same best model again.
                evaluates = self._due(options.evaluate_steps, rows, last)
                if evaluates:
                    self._evaluate(rows.epoch)
                planned_stop = progress.step == options.stop_after and not last
                stops = self._is_to_stop(stop)
                if self._due(options.save_steps, rows, last) or evaluates or planned_stop or stops:
                    self._save_checkpoint()
                if last or self._gave_up:
                    break
                if stops:
                    raise Interrupted(
                        f"stopped after step {progress.step} of {total}", "go on with --resume", stop.exit_code
                    )
                if planned_stop:
                    return False
        return True

    def _due(self, every: int | None, rows: StepRows, last: bool) -> bool:
        return last or (rows.last_of_epoch if every is None else self._progress.step % every == 0)

    def _step(self, rows: StepRows, stop: StopRequest) -> dict[str, float]:
        """One update; returns the rates that it was made with."""
        progress, plan = self._progress, self._plan
        # Skipped updates take no part in the schedule, as GradScaler's do not in transformers.
        factor = learning_rate_factor(progress.updates, plan.data.total_steps, plan.options)
        rates = {
            group.name: group.learning_rate * factor if group.first_step <= progress.step else 0.0
            for group in plan.specification.groups
        }
        objective = plan.specification.objective
        count = sum(objective.loss_count(plan.head, batch) for batch in rows.whole)
        # No state of a random generator is kept anywhere: seed and step say every dropout mask, as they say the order
        # of the rows, so that a resumed run continues with the masks that it would have had.
        context = StepContext(
            step=progress.step,
            seed=plan.seed,
            learning_rates=tuple(rates.values()),
            loss_denominator=count or 1.0,
            rank=plan.ranks.rank,
            step_ids=None if plan.ranks.is_alone else rows.ids,
            wants_to_stop=stop.signal is not None,
        )
        result = self._micro_batches.train_step(rows.micro_batches, context)
        self._results = [*self._results[-1:], result]
        progress.step += 1
        if not result.skipped:
            progress.updates += 1
            progress.pending_count += count
        # The result stays on the device: fetching its loss here would wait for the step to end.
        self._unfetched.append((progress.step, result))
        examples = sum(batch.unit_count for batch in rows.whole)
        self._watch.count(examples)
        self._host.send(StepDone(progress.step, rows.epoch, examples))
        return rates

    def _is_to_stop(self, stop: StopRequest) -> bool:
        """Whether the run ends with this step, which all ranks must find alike.

        They know it of the step before: asking for this one would wait for the device.
        """
        if self._plan.ranks.is_alone:
            return stop.signal is not None
        return len(self._results) == 2 and self._results[0].stop_wanted

    def _fetch(self) -> float:
        """Fetches the losses of the steps since the last fetch; returns the last gradient norm.

        It comes before anything is evaluated or written, so that weights that are not finite are never kept.
        """
        norm = 0.0
        for step, result in self._unfetched:
            norm = result.gradient_norm
            if not (result.finite or result.skipped):
                kept = "" if self._progress.best_value is None else "; best/ holds the best so far"
                raise TrainingError(
                    f"the loss or the gradient of step {step} is not finite (loss sum {result.loss_sum}, norm {norm}); "
                    f"{self._host.describe_rows(step)}",
                    f"lower --set train.learning_rate, or look for damaged weights{kept}",
                    code="loss-not-finite",
                )
            if not result.skipped:
                self._progress.pending_loss += result.loss_sum
        self._unfetched.clear()
        return norm

    def _log(self, epoch: float, rates: dict[str, float]) -> None:
        progress = self._progress
        norm = self._fetch()
        lap = self._watch.lap()
        self._record(
            StepLogged(
                step=progress.step,
                epoch=epoch,
                loss=progress.pending_loss / (progress.pending_count or 1.0),
                learning_rates=rates,
                gradient_norm=norm,
                examples_per_second=lap.rows_per_second,
                compile_seconds=lap.compile_seconds,
            ),
            "train",
        )
        progress.pending_loss = progress.pending_count = 0.0

    @property
    def _gave_up(self) -> bool:
        """Whether early stopping ends the run, or has ended the one that is resumed."""
        patience = self._plan.options.early_stopping
        return patience is not None and self._progress.worse_evaluations >= patience

    def _evaluate(self, epoch: float) -> None:
        self._fetch()
        with self._watch.paused():
            found = self._host.evaluate()
            is_best = self._keep_if_best(found.evaluation)
            self._record(_evaluated(found, self._progress.step, epoch, is_best), "evaluation")
            if self._gave_up:
                count, name = self._progress.worse_evaluations, self._plan.metric.name
                self._host.send(Note(f"stopped early: {count} evaluations without a better {name}"))

    def _keep_if_best(self, evaluation: Evaluation) -> bool:
        progress, metric = self._progress, self._plan.metric
        value = evaluation.value(metric.name)
        if progress.best_value is not None and not _better(value, progress.best_value, metric):
            progress.worse_evaluations += 1
            return False
        self._host.save_best(evaluation)
        self.best = evaluation
        progress.best_value, progress.best_step, progress.worse_evaluations = value, progress.step, 0
        return True

    def _save_checkpoint(self) -> None:
        self._fetch()
        with self._watch.paused():
            self._host.save_checkpoint(self._progress)

    def _record(self, event: StepLogged | Evaluated, kind: str) -> None:
        entry: dict[str, Any] = {"kind": kind, **asdict(event)}
        # A thousand classes at every evaluation would fill each checkpoint; metrics.jsonl keeps them.
        entry.pop("per_class", None)
        self._progress.history.append(entry)
        self._host.send(event)


def _evaluated(found: SplitEvaluation, step: int, epoch: float, is_best: bool) -> Evaluated:
    evaluation = found.evaluation
    return Evaluated(
        split=found.split,
        step=step,
        epoch=epoch,
        metrics=evaluation.metrics,
        baseline=evaluation.baseline,
        examples=evaluation.total,
        examples_per_second=found.timing.examples_per_second,
        compile_seconds=found.timing.compile_seconds,
        best=is_best,
        per_class={name: score.as_dict() for name, score in evaluation.per_class.items()},
        notes=evaluation.notes,
    )


def _better(value: float, best: float, metric: Metric) -> bool:
    if best != best:  # not a number: anything that is one is better
        return value == value
    return value > best if metric.greater_is_better else value < best
