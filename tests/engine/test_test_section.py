"""The report of a run says of its test file all that it says of the dev split."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import sklearn.metrics

import bertcore
from bertcore.api import RunResult

pytest.importorskip("torch")
WORDS = {"good": "wonderful great lovely", "bad": "awful terrible dull", "odd": "strange weird curious"}


def write_table(file: Path, labels: list[str], *, labeled: bool = True) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"] if labeled else ["text"])
        for number, label in enumerate(labels):
            words = WORDS[label.split(",")[0]].split() if label else ["plain"]
            text = f"The film was {words[number % len(words)]}, scene {number}."
            writer.writerow([text, label] if labeled else [text])


def run_on(folder: Path, model: Path, **settings: Any) -> RunResult:
    files = {f"data.{split}": str(folder / f"{split}.csv") for split in ("train", "dev", "test")}
    few = {"train.max_steps": 4, "train.batch_size": 8, "train.evaluate_steps": 2, "data.max_length": 32}
    return bertcore.run(
        task="classification",
        backend="torch",
        model=model,
        output=folder / "run",
        settings={**few, **files, **settings},
    )


def section(text: str, title: str) -> str:
    """What stands under a heading of the second level."""
    (found,) = (part for part in text.split("\n## ") if part.startswith(f"{title}\n"))
    return found


def read(result: RunResult) -> tuple[dict[str, Any], str, list[dict[str, Any]]]:
    report = json.loads((result.folder / "report.json").read_text(encoding="utf-8"))
    lines = (result.folder / "test_predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return report, (result.folder / "report.md").read_text(encoding="utf-8"), [json.loads(line) for line in lines]


def test_a_labeled_test_file_has_all_that_dev_has(tiny_en: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "train.csv", ["good", "bad", "odd"] * 8)
    write_table(tmp_path / "dev.csv", ["good", "bad", "odd"] * 3)
    write_table(tmp_path / "test.csv", ["good", "bad", "bad", "odd", "bad"] * 3)
    report, text, predictions = read(run_on(tmp_path, tiny_en))
    test = report["test"]
    assert set(test) - {"examples", "labeled", "predictions"} == set(report) & set(test), "all that dev has"
    assert (test["examples"], test["labeled"], test["total"]) == (15, 15, 15)
    gold, given = [entry["label"] for entry in predictions], [entry["prediction"] for entry in predictions]
    assert test["metrics"]["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(gold, given))
    assert test["baseline"]["accuracy"] == pytest.approx(9 / 15)
    labels = ["bad", "good", "odd"]
    theirs = sklearn.metrics.classification_report(gold, given, labels=labels, output_dict=True, zero_division=0)
    for label in labels:
        of_label = {name.replace("f1-score", "f1"): value for name, value in theirs[label].items()}
        assert test["per_class"][label] == pytest.approx({**of_label, "predicted": given.count(label)})
    assert test["confusion"]["counts"] == sklearn.metrics.confusion_matrix(gold, given, labels=labels).tolist()
    assert len(test["errors"]) == sum(a != b for a, b in zip(gold, given, strict=True))
    shown = section(text, "Test")
    for part in (
        f"`{test['summary']}`",
        "| score | test | baseline |",
        f"| accuracy | {test['metrics']['accuracy']:.6f} | 0.600000 |",
        "### Per class",
        "### Confusion matrix",
        "### Worst errors",
        "`test_predictions.jsonl`",
    ):
        assert part in shown
    assert test["summary"] not in text.replace(shown, "")
    assert "| score | dev | baseline |" in text


def test_a_test_file_without_labels_is_said_to_be_unscored(tiny_en: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "train.csv", ["good", "bad"] * 8)
    write_table(tmp_path / "dev.csv", ["good", "bad"] * 3)
    write_table(tmp_path / "test.csv", ["good", "bad"] * 2, labeled=False)
    report, text, predictions = read(run_on(tmp_path, tiny_en))
    assert len(predictions) == 4
    assert report["test"] == {"examples": 4, "labeled": 0, "predictions": "test_predictions.jsonl"}
    assert "None of 4 examples have a label, so that nothing is scored." in section(text, "Test")


def test_several_labels_have_scores_and_a_threshold(tiny_en: Path, tmp_path: Path) -> None:
    rows = ["good", "bad", "good,odd", "", "bad,odd"]
    for split, count in (("train", 5), ("dev", 3), ("test", 2)):
        write_table(tmp_path / f"{split}.csv", rows * count)
    result = run_on(tmp_path, tiny_en, **{"data.multi_label": True, "train.learning_rate": 1e-3})
    report, text, predictions = read(result)
    stored = json.loads((result.folder / "best" / "config.json").read_text(encoding="utf-8"))["threshold"]
    assert report["thresholds"] == report["test"]["thresholds"] == {"threshold": stored}
    assert text.count(f"Predicted with the threshold {stored:.6g}.") == 2
    for label in ("bad", "good", "odd"):
        gold, given = ([label in entry[name] for entry in predictions] for name in ("label", "prediction"))
        theirs = sklearn.metrics.precision_recall_fscore_support(gold, given, average="binary", zero_division=0)
        of_label = report["test"]["per_class"][label]
        assert [of_label["precision"], of_label["recall"], of_label["f1"]] == pytest.approx(theirs[:3])
        assert (of_label["support"], of_label["predicted"]) == (sum(gold), sum(given))
    assert "## Per class" in text
    assert "### Per class" in section(text, "Test")


def test_one_class_alone_is_said_wherever_the_score_is(
    tiny_en: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that cannot learn, of data of which most examples are of one class."""
    for split in ("train", "dev", "test"):
        write_table(tmp_path / f"{split}.csv", ["good", "good", "good", "bad"] * 3)
    result = run_on(tmp_path, tiny_en, **{"train.learning_rate": 2e-3})
    assert result.notes, "it shall predict one class for this test to mean something"
    note = "; ".join(result.notes)
    assert "all 12 examples are predicted as 'good'" in note
    assert "micro_f1 0.7500 is not above the baseline, 0.7500" in note
    *_, before_last, last = capsys.readouterr().out.splitlines()
    assert (before_last, last) == (f"dev: {note}", result.summary)
    report, text, _ = read(result)
    assert report["notes"] == report["test"]["notes"] == list(result.notes)
    assert text.count("**Note:** all 12 examples are predicted as 'good'; micro") == 2
    log = (result.folder / "run.log").read_text(encoding="utf-8")
    assert f"best so far; {note}" in log
    assert f"test: {note}" in log
    history = [json.loads(line) for line in (result.folder / "metrics.jsonl").read_text().splitlines()]
    evaluations = [entry for entry in history if entry["kind"] == "evaluation"]
    assert evaluations[-1]["notes"] == list(result.notes)
    assert evaluations[-1]["per_class"]["bad"]["recall"] == 0
