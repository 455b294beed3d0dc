"""What a run leaves at its end: its report, the predictions of its test file, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bertcore.contracts.evaluation import Evaluation
from bertcore.contracts.events import Note, RunStarted
from bertcore.engine.prediction import predict_split
from bertcore.engine.report import Report, ReportedTest, environment, peak_memory
from bertcore.engine.run_result import RunResult
from bertcore.engine.stopwatch import Lap

if TYPE_CHECKING:
    from bertcore.engine.run_host import SeedRun


@dataclass(frozen=True)
class RunOutcome:
    """How training ended.

    Attributes:
        begun: how the run began.
        best: its best evaluation; None where this process made none.
        finished: False where it was told to stop before its last step.
        training: rows and seconds of the steps alone.
        seconds: wall-clock time of all.
    """

    begun: RunStarted
    best: Evaluation | None
    finished: bool
    training: Lap
    seconds: float


def report_run(run: SeedRun, outcome: RunOutcome) -> RunResult:
    """Writes the report of a run that came to its end; one that was stopped has none yet.

    Raises:
        OutputError: it could not be written.
        ModelError: the best checkpoint is damaged.
    """
    if not outcome.finished:
        step, total = run.progress.step, outcome.begun.steps
        return _result(run, outcome, f"stopped after step {step} of {total}; go on with --resume", outcome.best, None)
    best = outcome.best
    if best is None:  # a resumed run that found nothing better than what it had
        run.load_best()
        best = run.evaluate().evaluation
    report = _report(run, outcome, best)
    # Once without and once with the test file: predicting it may fail, and the run's own scores are there by then.
    run.write_report(report)
    test = _predict_test(run)
    if test is not None:
        run.write_report(replace(report, test=test))
    if run.prepared.adapter is not None:  # what LoRA is for
        run.send(Note(f"peak memory: {report.environment['peak memory']}"))
    if best.notes:
        run.send(Note(f"{report.split}: {'; '.join(best.notes)}"))
    return _result(run, outcome, best.summary, best, None if test is None else test.evaluation)


def _report(run: SeedRun, outcome: RunOutcome, best: Evaluation) -> Report:
    config = run.config
    return Report(
        title=f"{config.task} on {config.backend}, seed {config.run.seed}",
        split=run.prepared.evaluation.name,
        header=outcome.begun.header,
        evaluation=best,
        best_step=run.progress.best_step,
        seconds=outcome.seconds,
        examples_per_second=outcome.training.rows_per_second,
        history=run.progress.history,
        options=outcome.begun.options,
        environment={
            **environment(run.prepared.target.backend.versions()),
            "peak memory": peak_memory(run.prepared.session.peak_memory),
        },
    )


def _predict_test(run: SeedRun) -> ReportedTest | None:
    """Predicts the user's test file with the best checkpoint; scores it where every example has a label."""
    prepared, split = run.prepared, run.prepared.test
    if split is None:
        return None
    accumulator = prepared.task.accumulator(split.examples, run.load_best(), run.config.data)
    accumulator.read_parameters(prepared.session.parameters())
    predict_split(prepared.session, split, accumulator, run.config.evaluate.batch_size, prepared.ranks)
    file = run.write_test_predictions(accumulator.predictions())
    count, labeled = len(split.examples), sum(example.label is not None for example in split.examples)
    run.send(Note(f"predictions of {count} examples of the test file: {file}"))
    if labeled < count:
        if labeled:
            run.send(Note(f"test: not scored, {labeled} of {count} examples have a label"))
        return ReportedTest(count, labeled, file.name, None)
    evaluation = prepared.judged(accumulator.result(), prepared.learned_baseline(split.examples))
    run.send(Note(f"test: {evaluation.summary}"))
    if evaluation.notes:
        run.send(Note(f"test: {'; '.join(evaluation.notes)}"))
    return ReportedTest(count, labeled, file.name, evaluation)


def _result(
    run: SeedRun, outcome: RunOutcome, summary: str, best: Evaluation | None, test: Evaluation | None
) -> RunResult:
    metrics: Mapping[str, float] = {} if best is None else best.metrics
    return RunResult(
        folder=run.folder.path,
        task=str(run.config.task),
        backend=str(run.config.backend),
        seed=run.config.run.seed,
        metrics=metrics,
        baseline={} if best is None else best.baseline,
        total=len(run.prepared.evaluation.examples),
        summary=summary,
        steps=run.progress.step,
        best_step=run.progress.best_step,
        finished=outcome.finished,
        examples_per_second=outcome.training.rows_per_second,
        seconds=outcome.seconds,
        test=test,
        per_class={} if best is None else best.per_class,
        notes=() if best is None else best.notes,
    )
