"""Training on torch against a plain loop with transformers; stopping and going on, to the bit and across changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore
from bertcore.api import resume
from bertcore.formats.safetensors_file import read_safetensors

pytest.importorskip("torch")

LossesOf = Callable[[Path], list[float]]
ReadMetrics = Callable[[Path], list[dict[str, Any]]]


def test_20_steps_equal_a_plain_transformers_loop(
    tiny_with_head: Path,
    small_rte: Path,
    tmp_path: Path,
    loop_settings: dict[str, Any],
    oracle: Any,
    losses_of: LossesOf,
    read_metrics: ReadMetrics,
) -> None:
    result = bertcore.run(
        task="rte",
        backend="torch",
        model=tiny_with_head,
        data=small_rte,
        output=tmp_path / "run",
        seed=7,
        settings=loop_settings,
    )
    assert result.steps == 20
    assert losses_of(result.folder) == pytest.approx(oracle.losses, rel=1e-4)
    assert max(oracle.losses) - min(oracle.losses) > 0.1  # a thousand times what may differ
    norms = [entry["gradient_norm"] for entry in read_metrics(result.folder) if entry["kind"] == "train"]
    assert sum(norm > 0.5 for norm in norms) > 10  # most steps were clipped
    parameters = read_safetensors(result.folder / "checkpoint" / "model" / "model.safetensors")
    assert set(parameters) == set(oracle.parameters)
    for name, value in parameters.items():
        np.testing.assert_allclose(value, oracle.parameters[name], atol=2e-5, err_msg=name)


def test_20_steps_with_rules_equal_a_plain_transformers_loop_across_a_stop(
    tiny_with_head: Path,
    small_rte: Path,
    tmp_path: Path,
    rule_settings: dict[str, Any],
    oracle_of_rules: Any,
    losses_of: LossesOf,
    read_metrics: ReadMetrics,
) -> None:
    """Layer-wise decay, frozen embeddings and rules in front of them; the norm is that of what is trained."""
    common = {"task": "rte", "backend": "torch", "model": tiny_with_head, "data": small_rte, "seed": 7}
    whole = bertcore.run(**common, output=tmp_path / "whole", settings=rule_settings).folder
    assert losses_of(whole) == pytest.approx(oracle_of_rules.losses, rel=1e-4)
    norms = [entry["gradient_norm"] for entry in read_metrics(whole) if entry["kind"] == "train"]
    assert norms == pytest.approx(oracle_of_rules.norms, rel=1e-3)
    parameters = read_safetensors(whole / "checkpoint" / "model" / "model.safetensors")
    for name, value in parameters.items():
        np.testing.assert_allclose(value, oracle_of_rules.parameters[name], atol=2e-5, err_msg=name)
        if "embeddings." in name and "word_embeddings" not in name:  # frozen in both
            assert np.array_equal(value, oracle_of_rules.parameters[name]), name

    part = bertcore.run(**common, output=tmp_path / "part", settings={**rule_settings, "train.stop_after": 9}).folder
    resume(part, settings={"train.stop_after": None})
    for file in ("model.safetensors", "optimizer.safetensors"):
        one, other = (next((folder / "checkpoint").rglob(file)).read_bytes() for folder in (whole, part))
        assert one == other, file


# Stopping and going on

WITH_DROPOUT = {
    "train.max_steps": 12,
    "train.batch_size": 6,
    "train.accumulation": 2,
    "train.learning_rate": 3e-4,
    "train.log_steps": 4,  # does not divide the step of the stop: the sum of the losses is carried over
    "train.evaluate_steps": 6,
}


def weights_of(folder: Path) -> dict[str, bytes]:
    """Bytes of every tensor of a run: best model, last model, moments."""
    return {
        f"{file}:{name}": np.asarray(value).tobytes()
        for file in ("best/model.safetensors", "checkpoint/model/model.safetensors", "checkpoint/optimizer.safetensors")
        for name, value in read_safetensors(folder / file).items()
    }


@pytest.fixture(scope="module")
def start(
    tiny_en: Path, small_rte: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., bertcore.api.RunResult]:
    """Starts a run with dropout."""
    parent = tmp_path_factory.mktemp("runs")

    def run(name: str, **changes: Any) -> bertcore.api.RunResult:
        return bertcore.run(
            task="rte",
            backend="torch",
            model=tiny_en,
            data=small_rte,
            output=parent / name,
            seed=3,
            settings={**WITH_DROPOUT, **{f"train.{key}": value for key, value in changes.items()}},
        )

    return run


@pytest.fixture(scope="module")
def uninterrupted(start: Callable[..., bertcore.api.RunResult]) -> bertcore.api.RunResult:
    return start("uninterrupted")


@pytest.mark.parametrize("stop_after", [1, 6, 9])
def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(
    start: Callable[..., bertcore.api.RunResult],
    uninterrupted: bertcore.api.RunResult,
    read_metrics: ReadMetrics,
    stop_after: int,
) -> None:
    stopped = start(f"stopped-{stop_after}", stop_after=stop_after)
    assert not stopped.finished
    assert stopped.summary == f"stopped after step {stop_after} of 12; go on with --resume"
    resumed = resume(stopped.folder)
    assert resumed.finished
    assert (resumed.summary, resumed.best_step) == (uninterrupted.summary, uninterrupted.best_step)
    assert weights_of(resumed.folder) == weights_of(uninterrupted.folder)
    assert read_metrics(resumed.folder) == read_metrics(uninterrupted.folder)
    for name in ("predictions.jsonl", "best_model.pt", "best/config.json"):
        assert (resumed.folder / name).read_bytes() == (uninterrupted.folder / name).read_bytes(), name


def test_dropout_depends_on_the_seed_and_changes_the_result(
    start: Callable[..., bertcore.api.RunResult], uninterrupted: bertcore.api.RunResult
) -> None:
    without = start("without", dropout=False)
    assert weights_of(without.folder) != weights_of(uninterrupted.folder)
