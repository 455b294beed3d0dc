"""The same batches for any number of ranks: losses and updates are those of one process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.launch.conftest import bertcore, furthest, losses

EXACT = ["--set", "train.dropout=false", "--set", "train.log_steps=1"]
CRF = ["--set", "head.crf=true"]
NO_DIVISOR = ["--batch-size", "5", "--set", "train.accumulation=3"]
FGM = ["--set", "train.adversarial=fgm", "--set", "train.ema=0.9"]
LORA = ["--set", "train.lora.rank=4"]


def compare(one: Path, other: Path, steps: int = 20) -> None:
    first, second = losses(one), losses(other)
    assert len(first) == len(second) >= steps
    assert max(abs(a - b) for a, b in zip(first, second, strict=True)) < 1e-5
    # Where a gradient is nothing but rounding, Adam makes steps of the whole rate of it, which is 5e-5.
    assert furthest(one, other) < 2e-5
    reports = [json.loads((folder / "report.json").read_text()) for folder in (one, other)]
    for key in ("metrics", "total"):
        assert reports[0].get(key) == reports[1].get(key)
    lines = [(folder / "predictions.jsonl").read_text().splitlines() for folder in (one, other)]
    assert len(lines[0]) == len(lines[1]) > 0
    assert [json.loads(line).get("id") for line in lines[0]] == [json.loads(line).get("id") for line in lines[1]]


CASES = [
    ("torch", "classification", 2, NO_DIVISOR),
    ("torch", "classification", 4, FGM),
    ("torch", "classification", 2, LORA),
    ("torch", "ner", 2, CRF),
    ("torch", "qa", 4, []),
    ("mindspore", "classification", 2, FGM),
    ("mindspore", "ner", 2, [*CRF, *NO_DIVISOR]),
]


@pytest.mark.parametrize(("backend", "task", "ranks", "options"), CASES)
def test_losses_and_updates_are_those_of_one_process(
    tmp_path, tiny_en, small_tasks, backend, task, ranks, options
) -> None:
    size = 5 if "--batch-size" in options else 8
    per_step = size * (3 if NO_DIVISOR[3] in options else 1)
    run = ["run", *small_tasks(task, per_step * 7 - 3), "--backend", backend, "--model", tiny_en, "--epochs", "3"]
    sized = [] if "--batch-size" in options else ["--batch-size", str(size)]
    for name, several in (("one", []), ("many", ["--nproc", str(ranks)])):
        done = bertcore(*run, *EXACT, *sized, *options, "--output", tmp_path / name, *several)
        assert done.code == 0, done.err
        assert "DISTRIBUTED(" not in done.err  # as MindSpore tells of the connections between ranks
    compare(tmp_path / "one", tmp_path / "many")
    assert f"ranks      {ranks} processes" in (tmp_path / "many" / "run.log").read_text()


def test_there_may_be_fewer_examples_than_ranks(tmp_path, tiny_en, small_tasks) -> None:
    run = ["run", *small_tasks("classification", 3), "--backend", "torch", "--model", tiny_en, "--epochs", "20"]
    for name, several in (("one", []), ("many", ["--nproc", "4"])):
        done = bertcore(*run, *EXACT, "--output", tmp_path / name, *several)
        assert done.code == 0, done.err
    compare(tmp_path / "one", tmp_path / "many")


def test_a_model_of_twelve_layers_is_summed_in_one_graph(tmp_path, chinese_l12, small_tasks) -> None:
    """MindSpore compiles a loop over parameters as nested calls, of which two layers hide that there are too many."""
    run = ["run", *small_tasks("classification", 16), "--backend", "mindspore", "--model", chinese_l12, *EXACT]
    for name, several in (("one", []), ("many", ["--nproc", "2"])):
        done = bertcore(*run, "--batch-size", "8", "--epochs", "1", "--output", tmp_path / name, *several)
        assert done.code == 0, done.err
    compare(tmp_path / "one", tmp_path / "many", steps=2)


@pytest.mark.parametrize("backend", ["torch", "mindspore"])
def test_two_ranks_stopped_and_resumed_end_to_the_bit(tmp_path, tiny_en, small_tasks, backend) -> None:
    methods = [*FGM, *LORA, *CRF, "--set", "train.accumulation=2"]  # and dropout, over several epochs
    place = ["--backend", backend, "--model", tiny_en, "--batch-size", "4", "--epochs", "3", "--nproc", "2"]
    run = ["run", *small_tasks("ner", 29), *place, *methods]
    assert bertcore(*run, "--output", tmp_path / "whole").code == 0
    assert bertcore(*run, "--output", tmp_path / "parts", "--set", "train.stop_after=6").code == 0
    done = bertcore("run", "--resume", tmp_path / "parts", "--nproc", "2")
    assert done.code == 0, done.err
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert furthest(tmp_path / "parts", tmp_path / "whole") == 0


def test_several_seeds_are_trained_in_ranks(tmp_path, tiny_en, small_tasks) -> None:
    run = ["run", *small_tasks("classification", 24), "--backend", "torch", "--model", tiny_en, "--epochs", "1"]
    done = bertcore(*run, "--seeds", "1,2", "--output", tmp_path / "many", "--nproc", "2", "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)  # one object, though two processes have one
    assert [one["seed"] for one in result["runs"]] == [1, 2]
    assert (tmp_path / "many" / "report.json").exists()
    assert bertcore(*run, "--folds", "2", "--output", tmp_path / "folds", "--nproc", "2").code == 2
