"""What ``train.metric`` names chooses the best checkpoint: any figure that the task reports, or the loss."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore
from bertcore.api import RunResult, resume
from bertcore.errors import ConfigError

pytest.importorskip("torch")

LABELS = ("entailment", "not_entailment")


@pytest.fixture(scope="module")
def train(tiny_en: Path, small_rte: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunResult]:
    def run(**options: Any) -> RunResult:
        settings = {"max_steps": 8, "batch_size": 8, "learning_rate": 2e-3, "evaluate_steps": 1, **options}
        return bertcore.run(
            task="rte",
            backend="torch",
            model=tiny_en,
            data=small_rte,
            output=tmp_path_factory.mktemp("metric") / "run",
            settings={f"train.{key}": value for key, value in settings.items()},
        )

    return run


@pytest.fixture(scope="module")
def by_loss(train: Callable[..., RunResult]) -> RunResult:
    return train(metric="loss")


def evaluations(result: RunResult) -> list[dict[str, Any]]:
    lines = (result.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [entry for entry in map(json.loads, lines) if entry["kind"] == "evaluation"]


def test_the_lowest_loss_is_the_best(by_loss: RunResult) -> None:
    losses = [entry["metrics"]["loss"] for entry in evaluations(by_loss)]
    assert len(losses) == 8
    assert by_loss.best_step == 1 + int(np.argmin(losses))
    assert by_loss.metrics["loss"] == min(losses)
    assert by_loss.summary.endswith(f", loss {min(losses):.6f}")


def test_the_loss_is_that_of_transformers(
    by_loss: RunResult, small_rte: Path, transformers_logits: Callable[[Path, Path], np.ndarray]
) -> None:
    import torch

    logits = torch.tensor(transformers_logits(by_loss.folder / "best", small_rte / "dev.tsv"))
    lines = (small_rte / "dev.tsv").read_text(encoding="utf-8").splitlines()[1:]
    gold = torch.tensor([LABELS.index(line.split("\t")[3]) for line in lines])
    expected = torch.nn.functional.cross_entropy(logits, gold).item()
    assert by_loss.metrics["loss"] == pytest.approx(expected, abs=1e-4)
    assert bertcore.evaluate(by_loss.folder).evaluation.metrics == pytest.approx(by_loss.metrics, abs=1e-6)


def test_the_header_says_by_what_the_best_is_chosen(by_loss: RunResult) -> None:
    report = json.loads((by_loss.folder / "report.json").read_text(encoding="utf-8"))
    assert report["header"]["best by"] == "loss, the lower the better"
    assert report["options"]["train.metric"] == "loss"


def test_a_resumed_run_keeps_it(by_loss: RunResult) -> None:
    with pytest.raises(ConfigError, match=r"train\.metric was 'loss' and cannot become 'accuracy' in a resumed run"):
        resume(by_loss.folder, settings={"train.metric": "accuracy"})


def test_early_stopping_looks_at_it(train: Callable[..., RunResult]) -> None:
    # At a rate of zero the loss never falls below the first one, and the accuracy stays as well.
    result = train(metric="loss", learning_rate=0.0, early_stopping=2)
    assert (result.best_step, result.steps) == (1, 3)
    assert "stopped early: 2 evaluations without a better loss" in (result.folder / "run.log").read_text("utf-8")


def test_an_error_is_the_better_the_smaller_and_a_correlation_the_greater(tiny_en: Path, tmp_path: Path) -> None:
    rows = [{"text": "word " * (number % 7), "label": number % 7} for number in range(24)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for metric, choose in (("mae", np.argmin), ("spearman", np.nanargmax)):
        result = bertcore.run(
            task="regression",
            backend="torch",
            model=tiny_en,
            output=tmp_path / metric,
            settings={
                "data.train": tmp_path / "train.jsonl",
                "data.dev": tmp_path / "train.jsonl",
                "train.metric": metric,
                "train.max_steps": 6,
                "train.batch_size": 4,
                "train.learning_rate": 1e-2,
                "train.evaluate_steps": 1,
            },
        )
        values = [entry["metrics"][metric] for entry in evaluations(result)]
        assert result.best_step == 1 + int(choose(values)), (metric, values)


def test_a_figure_of_one_class_may_choose(train: Callable[..., RunResult]) -> None:
    result = train(metric="recall_not_entailment", learning_rate=5e-3)
    values = [entry["per_class"]["not_entailment"]["recall"] for entry in evaluations(result)]
    assert len(set(values)) > 1
    assert result.best_step == 1 + int(np.argmax(values))
    assert result.per_class["not_entailment"].recall == max(values)


def test_a_name_that_the_task_does_not_report_is_refused_before_training(
    tiny_en: Path, small_rte: Path, tmp_path: Path, bertcore_command: Callable[..., Any]
) -> None:
    place = ["--task", "rte", "--backend", "torch", "--model", tiny_en, "--data", small_rte]
    outcome = bertcore_command("run", *place, "--output", tmp_path / "run", "--metric", "acuracy")
    assert outcome.code == ConfigError.exit_code
    assert outcome.err.splitlines() == [
        "error: train.metric = 'acuracy': the task rte reports no such metric",
        "remedy: did you mean 'accuracy'? it reports accuracy, loss",
    ]
    assert not (tmp_path / "run").exists()
