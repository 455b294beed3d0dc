"""One checkpoint gives one set of predictions: whatever the batch size, and the same as transformers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore
from bertcore.api import RunResult
from bertcore.errors import DataError, UsageError
from bertcore.formats.safetensors_file import read_safetensors
from bertcore.tokenization.tokenizer import Tokenizer

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

Compare = Callable[[list[dict[str, Any]], Any], None]


@pytest.fixture(scope="module")
def trained(tiny_en: Path, rte_with_full_dev: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A few steps on torch, evaluated on the whole dev split."""
    return bertcore.run(
        task="rte",
        backend="torch",
        model=tiny_en,
        data=rte_with_full_dev,
        output=tmp_path_factory.mktemp("runs") / "trained",
        seed=5,
        settings={"train.max_steps": 12, "train.batch_size": 8, "train.learning_rate": 5e-4},
    )


def predictions_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]


def test_best_gives_the_same_logits_in_transformers(
    trained: RunResult, rte_dir: Path, transformers_logits: Callable[[Path, Path], Any], compare_predictions: Compare
) -> None:
    logits = transformers_logits(trained.folder / "best", rte_dir / "dev.tsv")
    assert logits.std() > 0.05  # a model that says the same of every text would prove nothing
    compare_predictions(predictions_of(trained.folder), logits)


@pytest.mark.parametrize("batch_size", [1, 7, 32, 277, 1000])
def test_every_example_is_judged_once_whatever_the_batch_size(
    trained: RunResult, bertcore_command: Callable[..., Any], compare_predictions: Compare, batch_size: int
) -> None:
    outcome = bertcore_command("evaluate", trained.folder, "--set", f"evaluate.batch_size={batch_size}")
    assert outcome.code == 0, outcome.err
    assert outcome.last_line == trained.summary
    assert "total_num 277" in outcome.last_line
    reevaluated = predictions_of(trained.folder / "evaluations" / "dev-torch")
    assert [entry["id"] for entry in reevaluated] == [str(number) for number in range(277)]
    originals = predictions_of(trained.folder)
    compare_predictions(reevaluated, np.log([list(entry["probabilities"].values()) for entry in originals]))


def test_the_summary_counts_what_the_predictions_say(trained: RunResult, rte_dir: Path) -> None:
    rows = [line.split("\t") for line in (rte_dir / "dev.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    predictions = predictions_of(trained.folder)
    assert [(entry["sentence1"], entry["sentence2"], entry["label"]) for entry in predictions] == [
        tuple(row[1:]) for row in rows
    ]
    correct = sum(entry["prediction"] == row[3] for entry, row in zip(predictions, rows, strict=True))
    assert trained.summary == f"acc_num {correct}, total_num 277, accuracy {correct / 277:.6f}"
    assert trained.metrics == {"accuracy": correct / 277}
    labels = [row[3] for row in rows]
    assert trained.baseline == {"accuracy": max(map(labels.count, set(labels))) / 277}


def test_weight_file_holds_the_same_tensors(trained: RunResult) -> None:
    expected = read_safetensors(trained.folder / "best" / "model.safetensors")
    loaded = torch.load(trained.folder / "best_model.pt", weights_only=True)
    assert set(loaded) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(loaded[name].numpy(), value, err_msg=name)


def test_tokenizer_of_best_is_the_same_in_transformers(trained: RunResult, rte_dir: Path) -> None:
    theirs = transformers.AutoTokenizer.from_pretrained(trained.folder / "best")
    rows = [line.split("\t") for line in (rte_dir / "dev.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    first, second = [row[1] for row in rows], [row[2] for row in rows]
    ours = Tokenizer.load(trained.folder / "best").encode(first, second, 512)
    assert ours.input_ids == theirs(first, second)["input_ids"]
    assert ours.token_type_ids == theirs(first, second)["token_type_ids"]


def test_a_run_folder_may_be_moved_and_its_data_named_anew(
    trained: RunResult, small_rte: Path, tmp_path: Path, bertcore_command: Callable[..., Any]
) -> None:
    moved = tmp_path / "elsewhere"
    trained.folder.rename(moved)
    try:
        outcome = bertcore_command("evaluate", moved, "--data", small_rte, "--split", "train")
    finally:
        moved.rename(trained.folder)
    assert outcome.code == 0, outcome.err
    assert "total_num 72" in outcome.last_line


def test_a_model_folder_is_evaluated_with_task_backend_and_data(trained: RunResult, rte_dir: Path) -> None:
    result = bertcore.evaluate(trained.folder / "best", task="rte", backend="torch", data=rte_dir)
    assert result.summary == trained.summary
    assert result.folder is None


def test_a_split_without_labels_is_refused(trained: RunResult, rte_dir: Path) -> None:
    with pytest.raises(DataError, match=r"test\.tsv:2: no label"):
        bertcore.evaluate(trained.folder, data=rte_dir, split="test")
    with pytest.raises(UsageError, match="no split 'validation'"):
        bertcore.evaluate(trained.folder, split="validation")


def test_what_is_no_run_and_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a run folder nor a model folder"):
        bertcore.evaluate(tmp_path)
