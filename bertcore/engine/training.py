"""The one training loop: learning rates, accumulation, logging, evaluation, the best checkpoint, early stopping."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from bertcore.config import TrainConfig
from bertcore.contracts.backend import ParameterGroup, Session, StepContext, StepResult, TrainingSpecification
from bertcore.contracts.evaluation import Evaluation, Metric
from bertcore.contracts.events import Evaluated, Event, Note, StepDone, StepLogged
from bertcore.contracts.head import Head
from bertcore.contracts.objective import Objective
from bertcore.engine.checkpoint import Progress
from bertcore.engine.interrupt import Interrupted, StopRequest
from bertcore.engine.prediction import PredictionTiming
from bertcore.engine.schedule import learning_rate_factor, warmup_steps
from bertcore.engine.training_data import StepRows, TrainingData
from bertcore.errors import TrainingError


def training_specification(
    options: TrainConfig, prefix: str, objective: Objective, head: Head
) -> TrainingSpecification:
    """Sorts the parameters into groups: those with a rate of their own, encoder and head, with and without decay.

    Biases and LayerNorm are spared from the decay, as in google-research/bert and transformers.

    Args:
        options: the configuration.
        prefix: what stands before the encoder's canonical names.
        objective: what is minimized.
        head: may give some of its parameters a learning rate of their own, without decay.
    """
    encoder = f"^{re.escape(prefix)}"
    head_rate = options.learning_rate if options.head_learning_rate is None else options.head_learning_rate
    spared = r"(\.bias|[Nn]orm\.weight)$"
    return TrainingSpecification(
        groups=(
            ParameterGroup("encoder, no decay", f"{encoder}.*{spared}", options.learning_rate, 0.0),
            ParameterGroup("encoder", encoder, options.learning_rate, options.weight_decay),
            *(ParameterGroup(pattern, pattern, rate, 0.0) for pattern, rate in head.learning_rates.items()),
            ParameterGroup("head, no decay", spared, head_rate, 0.0),
            ParameterGroup("head", "", head_rate, options.weight_decay),
        ),
        betas=options.betas,
        eps=options.eps,
        clip_norm=options.clip_norm,
        objective=objective,
        dropout=options.dropout,
    )


@dataclass(frozen=True)
class Surroundings:
    """What the loop needs from the run around it.

    Attributes:
        evaluate: evaluates the session as it is.
        save_best: keeps the session's parameters and this evaluation as the best so far.
        save_checkpoint: writes a complete checkpoint.
        send: hands an event to the trackers.
    """

    evaluate: Callable[[], tuple[Evaluation, PredictionTiming]]
    save_best: Callable[[Evaluation], None]
    save_checkpoint: Callable[[Progress], None]
    send: Callable[[Event], None]


class Trainer:
    """Trains one session from where ``progress`` says to the end.

    Args:
        session: with parameters, and the optimizer state of a resumed run, loaded.
        data: the training rows.
        specification: that the session was opened with.
        head: that the session was opened with.
        metric: by which the best evaluation is chosen.
        evaluation_split: its name, for the events.
        options: the configuration.
        seed: of dropout.
        progress: where the run stands; kept up to date.
        surroundings: the run around the loop.
        best: the best evaluation so far, of a resumed run that had to make it again.
    """

    def __init__(
        self,
        *,
        session: Session,
        data: TrainingData,
        specification: TrainingSpecification,
        head: Head,
        metric: Metric,
        evaluation_split: str,
        options: TrainConfig,
        seed: int,
        progress: Progress,
        surroundings: Surroundings,
        best: Evaluation | None = None,
    ) -> None:
        self.progress = progress
        self.best = best
        self.seconds = 0.0
        self.rows = 0
        self._session = session
        self._data = data
        self._specification = specification
        self._head = head
        self._metric = metric
        self._evaluation_split = evaluation_split
        self._options = options
        self._seed = seed
        self._around = surroundings
        self._warmup = warmup_steps(data.total_steps, options.warmup_ratio)
        self._unlogged: list[tuple[int, StepResult]] = []
        self._unlogged_rows = 0
        self._unlogged_seconds = 0.0
        self._compiled = session.compile_seconds
        self._clock = time.perf_counter()

    def train(self) -> bool:
        """Runs to the last step; returns False where ``train.stop_after`` or a plan of its own ended it before.

        Raises:
            TrainingError: the loss or a gradient is not finite.
            Interrupted: Ctrl-C or SIGTERM, after a complete checkpoint.
        """
        progress, options, total = self.progress, self._options, self._data.total_steps
        with StopRequest() as stop:
            self._clock = time.perf_counter()
            for rows in self._data.steps(progress.step):
                if progress.step >= total or self._gave_up:
                    break
                rates = self._step(rows)
                last = progress.step == total
                if progress.step % options.log_steps == 0 or last:
                    self._log(rows.epoch, rates)
                evaluates = self._due(options.evaluate_steps, rows, last)
                if evaluates:
                    self._evaluate(rows.epoch)
                planned_stop = progress.step == options.stop_after and not last
                if self._due(options.save_steps, rows, last) or evaluates or planned_stop or stop.signal:
                    self._checkpoint()
                if last or self._gave_up:
                    break
                if stop.signal is not None:
                    raise Interrupted(
                        f"stopped after step {progress.step} of {total}", "go on with --resume", stop.exit_code
                    )
                if planned_stop:
                    return False
        return True

    def _due(self, every: int | None, rows: StepRows, last: bool) -> bool:
        return last or (rows.last_of_epoch if every is None else self.progress.step % every == 0)

    def _step(self, rows: StepRows) -> dict[str, float]:
        progress, objective = self.progress, self._specification.objective
        factor = learning_rate_factor(progress.updates, self._data.total_steps, self._warmup, self._options.schedule)
        rates = {group.name: group.learning_rate * factor for group in self._specification.groups}
        count = sum(objective.loss_count(self._head, batch) for batch in rows.micro_batches)
        context = StepContext(
            step=progress.step,
            seed=self._seed,
            learning_rates=tuple(rates.values()),
            loss_denominator=max(count, 1.0),
            rank=self._session.rank,
        )
        result = self._session.train_step(rows.micro_batches, context)
        progress.step += 1
        if not result.skipped:
            progress.updates += 1
            progress.pending_count += count
        self._unlogged.append((progress.step, result))
        examples = sum(len(batch) for batch in rows.micro_batches)
        self._unlogged_rows += examples
        self._around.send(StepDone(progress.step, rows.epoch, examples))
        return rates

    def _fetch(self) -> float:
        """Fetches the losses of the steps since the last fetch; returns the last gradient norm."""
        norm = 0.0
        for step, result in self._unlogged:
            norm = result.gradient_norm
            if not (result.finite or result.skipped):
                kept = "" if self.progress.best_value is None else "; best/ holds the best so far"
                raise TrainingError(
                    f"the loss or the gradient of step {step} is not finite (loss sum {result.loss_sum}, norm {norm})",
                    f"lower --set train.learning_rate, or look for damaged weights{kept}",
                )
            if not result.skipped:
                self.progress.pending_loss += result.loss_sum
        self._unlogged.clear()
        return norm

    def _pause(self) -> None:
        """Adds the time since the last pause to the training time, without compilation."""
        now, compiled = time.perf_counter(), self._session.compile_seconds
        self._unlogged_seconds += max(now - self._clock - (compiled - self._compiled), 0.0)
        self._clock, self._compiled = now, compiled

    def _log(self, epoch: float, rates: dict[str, float]) -> None:
        progress, compiled = self.progress, self._compiled
        norm = self._fetch()
        self._pause()
        self._record(
            StepLogged(
                step=progress.step,
                epoch=epoch,
                loss=progress.pending_loss / max(progress.pending_count, 1.0),
                learning_rates=rates,
                gradient_norm=norm,
                examples_per_second=self._unlogged_rows / max(self._unlogged_seconds, 1e-9),
                compile_seconds=self._session.compile_seconds - compiled,
            ),
            "train",
        )
        self.seconds += self._unlogged_seconds
        self.rows += self._unlogged_rows
        progress.pending_loss = progress.pending_count = 0.0
        self._unlogged_rows, self._unlogged_seconds = 0, 0.0

    @property
    def _gave_up(self) -> bool:
        """Whether early stopping ends the run, or has ended the one that is resumed."""
        patience = self._options.early_stopping
        return patience is not None and self.progress.worse_evaluations >= patience

    def _evaluate(self, epoch: float) -> None:
        progress = self.progress
        self._fetch()
        self._pause()
        evaluation, timing = self._around.evaluate()
        value = evaluation.value(self._metric.name)
        best = progress.best_value is None or _better(value, progress.best_value, self._metric)
        if best:
            self._around.save_best(evaluation)
            self.best = evaluation
            progress.best_value, progress.best_step, progress.worse_evaluations = value, progress.step, 0
        else:
            progress.worse_evaluations += 1
        self._record(
            Evaluated(
                split=self._evaluation_split,
                step=progress.step,
                epoch=epoch,
                metrics=evaluation.metrics,
                baseline=evaluation.baseline,
                examples=evaluation.total,
                examples_per_second=timing.examples_per_second,
                compile_seconds=timing.compile_seconds,
                best=best,
                per_class={name: score.as_dict() for name, score in evaluation.per_class.items()},
                notes=evaluation.notes,
            ),
            "evaluation",
        )
        if self._gave_up:
            self._around.send(
                Note(f"stopped early: {progress.worse_evaluations} evaluations without a better {self._metric.name}")
            )
        self._clock, self._compiled = time.perf_counter(), self._session.compile_seconds

    def _checkpoint(self) -> None:
        self._fetch()
        self._pause()
        self._around.save_checkpoint(self.progress)
        self._clock = time.perf_counter()

    def _record(self, event: StepLogged | Evaluated, kind: str) -> None:
        entry: dict[str, Any] = {"kind": kind, **asdict(event)}
        # A thousand classes at every evaluation would fill each checkpoint; metrics.jsonl keeps them.
        entry.pop("per_class", None)
        self.progress.history.append(entry)
        self._around.send(event)


def _better(value: float, best: float, metric: Metric) -> bool:
    if best != best:  # not a number: anything that is one is better
        return value == value
    return value > best if metric.greater_is_better else value < best
