"""The same run again and again: with several seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertcore.commands.repeats_report import RepeatsReport, write_repeats_report
from bertcore.config import RunConfig
from bertcore.contracts.events import SHOWN_METRICS
from bertcore.engine.given_rows import GivenRows, kept_in_run_folder
from bertcore.engine.prepared_run import prepare_run
from bertcore.engine.ranks import this_rank
from bertcore.engine.run_folder import RunFolder
from bertcore.engine.run_result import RunResult
from bertcore.engine.seed_run import train_seed
from bertcore.errors import UsageError
from bertcore.plugins.registry import Registry


@dataclass(frozen=True)
class SeedsResult:
    """The outcome of the same run with several seeds.

    Attributes:
        folder: holds a run folder for each seed, ``report.json`` and ``report.md``.
        runs: one result per seed.
        mean: name of each metric to its mean.
        standard_deviation: of the sample (divided by n - 1); nan for one seed.
        summary: the last line.
    """

    folder: Path
    runs: tuple[RunResult, ...]
    mean: Mapping[str, float]
    standard_deviation: Mapping[str, float]
    summary: str


def run_seeds(
    config: RunConfig, registry: Registry, seeds: Sequence[int], rows: GivenRows | None = None
) -> SeedsResult:
    """Trains once for each seed, in folders of their own, and reports mean and standard deviation.

    Raises:
        UsageError: a seed is given twice or is negative, or the runs are told to stop before they have a score.
        BertcoreError: as :func:`run`.
    """
    if not seeds or len(set(seeds)) != len(seeds) or not all(0 <= seed < 2**63 for seed in seeds):
        raise UsageError(
            f"--seeds {','.join(map(str, seeds))}: none, one twice, or one out of range",
            "give different whole numbers from 0 to 2**63 - 1",
            code="argument-wrong",
        )
    if config.train.stop_after is not None:
        raise UsageError(
            "with train.stop_after no seed comes to a score",
            "leave it out, or train with one --seed",
            code="arguments-conflict",
        )
    with kept_in_run_folder(rows, in_own_folder(config)) as (config, kept), removed_if_empty(config) as parent:
        prepared = prepare_run(config, registry, rows=kept)
        results = [train_seed(prepared, seed, suffix=f"seed-{seed}") for seed in seeds]
    outcome = outcome_of(results)
    summary = f"{outcome.scores}, seeds {len(seeds)}"
    runs = [{"seed": result.seed, **entry} for result, entry in zip(results, outcome.entries, strict=True)]
    title = f"{config.task} on {config.backend}, {len(seeds)} seeds"
    if prepared.ranks.is_first:
        write_repeats_report(parent, RepeatsReport(title, "seed", summary, {**outcome.content, "runs": runs}))
    return SeedsResult(parent, tuple(results), outcome.mean, outcome.standard_deviation, summary)


@dataclass(frozen=True)
class Outcome:
    """What several runs come to.

    Attributes:
        mean: name of each score that all runs have to its mean.
        standard_deviation: of the sample; nan for one run.
        scores: both in words, of the chief scores.
        content: both for ``report.json``, with those of the test file.
        entries: what ``report.json`` says of each run.
    """

    mean: Mapping[str, float]
    standard_deviation: Mapping[str, float]
    scores: str
    content: Mapping[str, Any]
    entries: Sequence[Mapping[str, Any]]


def outcome_of(results: Sequence[RunResult]) -> Outcome:
    """Puts the scores of several runs together."""
    mean, deviation = _mean_and_deviation([result.metrics for result in results])
    chief = list(mean)[:SHOWN_METRICS]
    scores = ", ".join(f"{name} mean {mean[name]:.6f}, standard deviation {deviation[name]:.6f}" for name in chief)
    tests = [result.test.metrics for result in results if result.test is not None]
    content = {
        "mean": mean,
        "standard_deviation": deviation,
        "baseline": dict(results[0].baseline),
        "test": dict(zip(("mean", "standard_deviation"), _mean_and_deviation(tests), strict=True)) if tests else None,
    }
    entries = [
        {
            "metrics": dict(one.metrics),
            "test": None if one.test is None else dict(one.test.metrics),
            "notes": list(one.notes),
            "folder": one.folder.name,
        }
        for one in results
    ]
    return Outcome(mean, deviation, scores, content, entries)


def _mean_and_deviation(runs: Sequence[Mapping[str, float]]) -> tuple[dict[str, float], dict[str, float]]:
    """Mean and standard deviation of each score; the latter is nan for one run."""
    values = {name: [run[name] for run in runs] for name in runs[0] if all(name in run for run in runs)}
    mean = {name: statistics.fmean(of_name) for name, of_name in values.items()}
    deviation = {name: statistics.stdev(of_name) if len(runs) > 1 else math.nan for name, of_name in values.items()}
    return mean, deviation


def in_own_folder(config: RunConfig) -> RunConfig:
    """The configuration with the folder of all runs named, so that it is the same for each of them."""
    output = str(RunFolder.planned(config))
    return config.model_copy(update={"run": config.run.model_copy(update={"output": output})})


@contextmanager
def removed_if_empty(config: RunConfig) -> Iterator[Path]:
    """Gives the folder of all runs, and removes it where an error leaves nothing in it."""
    parent = RunFolder.planned(config)
    try:
        yield parent
    except BaseException:
        if this_rank().is_first and parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()
        raise
