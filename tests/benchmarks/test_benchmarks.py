"""The benchmarks run, ask workers over a pipe as they say, and keep what they measure; no figure is tested."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import check, gpu, training
from benchmarks.harness import results
from benchmarks.harness.rounds import Spread, interleave, ratios
from benchmarks.harness.rows import Rows, read
from benchmarks.harness.workers import Worker, WorkerError, Workers


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where models and rows are kept for all tests of the module."""
    return tmp_path_factory.mktemp("benchmarks")


def quick(workspace: Path, folder: Path, *words: str) -> list[str]:
    options = {
        "--workspace": workspace,
        "--results": folder,
        "--glue": workspace / "none",
        "--rounds": 1,
        "--threads": 1,
    }
    return [*words, "--quick", "--threads", "1", *(str(word) for pair in options.items() for word in pair)]


def test_training_steps_of_all_contenders_are_measured(minilm: Path, workspace: Path, tmp_path: Path) -> None:
    training.main(quick(workspace, tmp_path, "--precisions", "bf16", "--no-mindspore"))
    (case,) = results.read("training", tmp_path)
    names = [one["name"] for one in case["contenders"]]
    assert names == [
        "transformers, padded to the longest row",
        "transformers, grouped by length",
        "bertcore on torch",
        "bertcore on torch, grouped by length",
    ]
    assert not case["absent"]
    # The first losses of a model with random weights and two labels are log 2, whoever computes them.
    assert [one["loss"] for one in case["contenders"]] == pytest.approx([np.log(2)] * 4, abs=0.05)
    for one in case["contenders"]:
        median, low, high = one["speed"]
        assert 0 < low <= median <= high
        assert one["share"][0] > 0
    assert {"bertcore", "torch", "transformers"} <= set(case["versions"])


def test_what_is_for_a_cuda_card_runs_on_a_cpu(minilm: Path, workspace: Path, tmp_path: Path) -> None:
    gpu.main(quick(workspace, tmp_path, "--device", "cpu", "--only", "NER"))
    gpu.main(quick(workspace, tmp_path, "--device", "cpu", "--only", "loss, 7"))
    training_case, crf_case = results.read("gpu", tmp_path)
    assert [one["name"] for one in training_case["contenders"]] == [
        "transformers, grouped by length",
        "transformers, flattened, sdpa",
        "bertcore on torch",
    ]
    assert {"pytorch-crf", "bertcore"} <= {one["name"] for one in crf_case["contenders"]}


def test_a_worker_says_why_it_cannot_answer_and_goes_on() -> None:
    with Worker("gemm", threads=1, hidden=8) as worker:
        assert "torch" in worker.versions
        with pytest.raises(WorkerError, match="KeyError: 'fp64'"):
            worker.ask("rate", tokens=4, precision="fp64", backward=True)
        assert worker.ask("rate", tokens=4, precision="fp32", backward=True)["rate"] > 0


def test_a_peer_without_an_environment_is_named(tmp_path: Path) -> None:
    with Workers(tmp_path, threads=1) as workers:
        assert workers.peer("openvino", "openvino_model") is None
    assert workers.absent == {"openvino": "not installed"}


def test_rounds_ask_everyone_once_and_begin_with_another() -> None:
    asked: list[tuple[str, int]] = []

    def contender(name: str) -> Any:
        def ask(number: int) -> float:
            asked.append((name, number))
            return number + (1.0 if name == "a" else 2.0)

        return ask

    seconds = interleave({name: contender(name) for name in "ab"}, rounds=2, warm_up=1)
    assert asked == [("a", 0), ("b", 0), ("b", 1), ("a", 1), ("a", 2), ("b", 2)]
    assert seconds == {"a": [2, 3], "b": [3, 4]}
    assert ratios(seconds["b"], seconds["a"]) == Spread(median=(1.5 + 4 / 3) / 2, low=4 / 3, high=1.5)


def test_who_fails_in_the_warm_up_is_left_out_with_the_reason() -> None:
    def fail(number: int) -> float:
        raise WorkerError("no bf16 here")

    absent: dict[str, str] = {}
    assert interleave({"a": fail, "b": lambda number: 1.0}, rounds=1, absent=absent) == {"b": [1.0]}
    assert absent == {"a": "no bf16 here"}


def test_all_contenders_train_on_the_same_rows_in_a_round() -> None:
    lengths = np.random.default_rng(0).integers(5, 100, 300)
    for one in itertools.islice(training.rounds_of(lengths, batch_size=4, batches=2), 5):
        assert sorted(itertools.chain(*one.mixed)) == sorted(itertools.chain(*one.grouped))
        # Batches of like rows hold rows that were neighbours in the order of lengths.
        spans = [[np.ptp(lengths[batch]) for batch in batches] for batches in (one.grouped, one.mixed)]
        assert sum(spans[0]) < sum(spans[1])


def test_rows_are_padded_as_the_usual_form_has_it(tmp_path: Path) -> None:
    rows = Rows(np.array([0, 2, 5]), np.arange(5, dtype=np.int32) + 7, np.ones(5, dtype=np.int32), np.array([1, 0]))
    rows.write(tmp_path / "rows.npz")
    padded = read(tmp_path / "rows.npz").padded([1, 0])
    assert padded["input_ids"].tolist() == [[9, 10, 11], [7, 8, 0]]
    assert padded["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]


def test_a_new_measurement_replaces_its_case_alone(tmp_path: Path) -> None:
    for name, value in (("a", 1), ("b", 2), ("a", 3)):
        results.store({"benchmark": "some", "case": name, "value": value}, tmp_path)
    assert [(case["case"], case["value"]) for case in results.read("some", tmp_path)] == [("a", 3), ("b", 2)]


def test_a_ratio_is_lost_when_more_than_15_percent_of_it_are_gone() -> None:
    stored = {"a": 2.0, "b": 2.0}
    assert check.lost({"a": 1.71, "b": 1.69, "new": 0.1}, stored) == ["b"]
