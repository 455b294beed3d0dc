"""``bertcore score``: predictions are scored without a model, as an evaluation would score them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertcore
from bertcore.errors import DataError, UsageError

Command = Callable[..., Any]
FRAMEWORKS = {"torch", "mindspore", "transformers", "tensorflow", "matplotlib"}


@pytest.fixture
def predictions(rte_dir: Path, tmp_path: Path) -> Path:
    """All examples of RTE's dev set as entailment, which is right for 146 of 277."""
    lines = (rte_dir / "dev.tsv").read_text(encoding="utf-8").splitlines()[1:]
    file = tmp_path / "RTE.tsv"
    file.write_text("index\tprediction\n" + "".join(f"{line.split(chr(9))[0]}\tentailment\n" for line in lines))
    return file


def test_the_last_line_is_that_of_an_evaluation(bertcore_command: Command, rte_dir: Path, predictions: Path) -> None:
    outcome = bertcore_command("score", "--task", "rte", "--data", rte_dir, "--predictions", predictions)
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "accuracy  0.527076  (baseline 0.527076)",
        "class           precision  recall      F1  support  predicted",
        "entailment         0.5271  1.0000  0.6903      146        277",
        "not_entailment     0.0000  0.0000  0.0000      131          0",
        "all 277 examples are predicted as 'entailment'; accuracy 0.5271 is not above the baseline, 0.5271",
        "acc_num 146, total_num 277, accuracy 0.527076",
    ]


def test_predictions_may_be_any_table(bertcore_command: Command, rte_dir: Path, predictions: Path) -> None:
    rows = predictions.read_text().replace("\t", ";")
    table = predictions.with_suffix(".csv")
    table.write_text(rows.replace("index;", "id;") + "\n")
    outcome = bertcore_command("score", "--task", "rte", "--data", rte_dir, "--predictions", table)
    assert outcome.last_line == "acc_num 146, total_num 277, accuracy 0.527076"


def test_json(bertcore_command: Command, rte_dir: Path, predictions: Path) -> None:
    arguments = ["--task", "rte", "--data", rte_dir / "dev.tsv", "--predictions", predictions, "--json"]
    report = json.loads(bertcore_command("score", *arguments).out)
    assert len(report.pop("errors")) == 20
    assert report == {
        "task": "rte",
        "split": "dev",
        "metrics": {"accuracy": pytest.approx(146 / 277)},
        "baseline": {"accuracy": pytest.approx(146 / 277)},
        "total": 277,
        "summary": "acc_num 146, total_num 277, accuracy 0.527076",
        "per_class": {
            "entailment": {
                "precision": pytest.approx(146 / 277),
                "recall": 1,
                "f1": pytest.approx(292 / 423),
                "support": 146,
                "predicted": 277,
            },
            "not_entailment": {"precision": 0, "recall": 0, "f1": 0, "support": 131, "predicted": 0},
        },
        "confusion": {"labels": ["entailment", "not_entailment"], "counts": [[146, 0], [131, 0]]},
        "thresholds": {},
        "notes": [
            "all 277 examples are predicted as 'entailment'",
            "accuracy 0.5271 is not above the baseline, 0.5271",
        ],
    }


def test_predictions_of_a_run_score_as_the_run_did(
    bertcore_command: Command, finished_run: Path, small_rte: Path
) -> None:
    file = finished_run / "predictions.jsonl"
    outcome = bertcore_command("score", "--task", "rte", "--data", small_rte, "--predictions", file)
    assert outcome.last_line == json.loads((finished_run / "report.json").read_text())["summary"]
    result = bertcore.score(task="rte", data=small_rte, predictions=file)
    assert result.summary == outcome.last_line
    assert (result.task, result.split, result.evaluation.total) == ("rte", "dev", 30)


def test_what_was_left_out_is_said(bertcore_command: Command, tmp_path: Path) -> None:
    rows = [{"sentence1": "一", "sentence2": "二", "label": label, "id": n} for n, label in enumerate(["neutral", "-"])]
    (tmp_path / "dev.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = tmp_path / "ocnli_50k_predict.json"
    file.write_text('{"id": 0, "label": "neutral"}\n{"id": 1, "label": "neutral"}\n')
    outcome = bertcore_command("score", "--task", "ocnli", "--data", tmp_path, "--predictions", file)
    assert outcome.out.splitlines()[0].startswith("dev.json: 1 of 2 examples are left out")
    assert outcome.last_line == "acc_num 1, total_num 1, accuracy 1.000000"


def test_files_of_ones_own_need_no_folder(bertcore_command: Command, tmp_path: Path) -> None:
    gold = tmp_path / "gold.csv"
    gold.write_text("words,class\na,x\nb,y\n")
    (tmp_path / "given.tsv").write_text("index\tprediction\n0\tx\n1\tx\n")
    columns = ["--set", "data.text=words", "--set", "data.label=class"]
    for source in (["--data", gold], ["--set", f"data.dev={gold}"]):
        outcome = bertcore_command(
            "score", "--task", "classification", *source, "--predictions", tmp_path / "given.tsv", *columns
        )
        assert outcome.last_line.startswith("acc_num 1, total_num 2, accuracy 0.500000, macro_f1 ")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--task", "rte", "--split", "test"], 4, "test.tsv:2: no label"),
        (["--task", "rte", "--split", "nothing"], 2, "there is no split 'nothing'"),
        (["--task", "rtf"], 2, "there is no task 'rtf'"),
        (["--task", "rte", "--predictions", "absent.tsv"], 4, "absent.tsv: no such file"),
        (["--task", "rte", "--set", "data.colour=red"], 3, "unknown key 'data.colour'"),
    ],
)
def test_mistakes(
    bertcore_command: Command, rte_dir: Path, predictions: Path, arguments: list[str], code: int, words: str
) -> None:
    outcome = bertcore_command("score", "--data", rte_dir, "--predictions", predictions, *arguments)
    assert outcome.code == code
    assert words in outcome.err.splitlines()[0]
    assert outcome.err.splitlines()[1].startswith("remedy: ")


def test_no_data_is_a_mistake(bertcore_command: Command, predictions: Path) -> None:
    outcome = bertcore_command("score", "--task", "rte", "--predictions", predictions)
    assert (outcome.code, outcome.err.splitlines()[0]) == (2, "error: no data")


def test_from_python(rte_dir: Path, predictions: Path) -> None:
    assert bertcore.score(task="rte", data=rte_dir, predictions=predictions).evaluation.metrics["accuracy"] == 146 / 277
    with pytest.raises(DataError, match="no such file"):
        bertcore.score(task="rte", data=rte_dir, predictions="absent.tsv")
    with pytest.raises(UsageError):
        bertcore.score(task="rte", data=rte_dir, predictions=predictions, split="nothing")


def test_no_framework_is_imported(rte_dir: Path, predictions: Path) -> None:
    program = "import atexit, sys\nfrom bertcore.cli import main\natexit.register(lambda: print(*sys.modules))\nmain()"
    arguments = ["score", "--task", "rte", "--data", str(rte_dir), "--predictions", str(predictions)]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "bertcore_tasks" in imported
    assert not imported & FRAMEWORKS


def test_gold_without_entities_is_read_in_the_scheme_of_its_file(bertcore_command: Command, tmp_path: Path) -> None:
    """There, every predicted entity is wrong; the labels, O alone, tell no scheme."""
    gold, predicted = tmp_path / "gold.bio", tmp_path / "predicted.bio"
    gold.write_text("a O\nb O\n\n", encoding="utf-8")
    predicted.write_text("a B-X\nb O\n\n", encoding="utf-8")
    outcome = bertcore_command("score", "--task", "ner", "--data", gold, "--predictions", predicted, "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["per_class"]["X"] == {
        "precision": 0,
        "recall": 0,
        "f1": 0,
        "support": 0,
        "predicted": 1,
    }
    predicted.write_text("a S-X\nb O\n\n", encoding="utf-8")
    arguments = ["--task", "ner", "--data", gold, "--predictions", predicted]
    assert bertcore_command("score", *arguments).code == 4
    assert bertcore_command("score", *arguments, "--set", "data.scheme=BIOES").code == 0
