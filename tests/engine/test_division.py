"""A part of the training examples, or a fold, is evaluated; the run keeps which, and everyone has the very same."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error

import bertcore
from bertcore.errors import BertcoreError, ConfigError, DataError, UsageError

pytest.importorskip("torch")

OPTIONS = {"train.max_steps": 2, "train.batch_size": 8}


def rows(count: int = 40) -> list[dict[str, str]]:
    """Texts of two labels, one to three, of which every tenth stands there twice."""
    made = [
        {"text": f"{'good' if number % 4 else 'bad'} film {number}", "label": f"L{int(number % 4 == 0)}"}
        for number in range(count)
    ]
    return made + made[::10]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("table") / "train.csv"
    with file.open("w", newline="", encoding="utf-8") as output:
        writer = csv.DictWriter(output, ("text", "label"))
        writer.writeheader()
        writer.writerows(rows())
    return file


@pytest.fixture(scope="module")
def place(tiny_en: Path, table: Path) -> dict[str, Any]:
    return {"task": "classification", "backend": "torch", "model": tiny_en, "train": table}


@pytest.fixture(scope="module")
def divided(place: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    settings = {**OPTIONS, "data.dev_fraction": 0.25, "train.max_steps": 4}
    return bertcore.run(**place, output=tmp_path_factory.mktemp("divided") / "run", settings=settings)


def predictions(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text("utf-8").splitlines()]


def test_the_part_has_its_share_of_each_label_and_no_text_of_the_rest(divided: Any, table: Path) -> None:
    division = json.loads((divided.folder / "data" / "division.json").read_text("utf-8"))
    all_rows = rows()
    held_out = [all_rows[index] for index in division["held_out"]]
    rest = [row for index, row in enumerate(all_rows) if index not in set(division["held_out"])]
    assert not {row["text"] for row in held_out} & {row["text"] for row in rest}
    shares = Counter(row["label"] for row in held_out)
    for label, count in Counter(row["label"] for row in all_rows).items():
        assert abs(shares[label] - count / 4) <= 2
    found = predictions(divided.folder)
    assert [entry["text"] for entry in found] == [row["text"] for row in held_out]
    assert divided.total == len(held_out)
    report = json.loads((divided.folder / "report.json").read_text("utf-8"))
    assert (
        f"train {len(rest)}, dev {len(held_out)} (0.25 of the training examples, seed 42)" in report["header"]["data"]
    )


def test_evaluating_and_going_on_have_the_very_same_examples(divided: Any) -> None:
    evaluated = bertcore.evaluate(divided.folder)
    assert evaluated.evaluation.metrics == divided.metrics
    assert list(evaluated.evaluation.predictions) == predictions(divided.folder)
    assert bertcore.evaluate(divided.folder, split="train").evaluation.total == len(rows()) - divided.total
    # What chose them may be forgotten, or choose otherwise by now: what was kept counts.
    division = divided.folder / "data" / "division.json"
    content = json.loads(division.read_text("utf-8"))
    kept = division.read_text("utf-8")
    division.write_text(json.dumps({**content, "held_out": content["held_out"][:4]}), encoding="utf-8")
    assert bertcore.evaluate(divided.folder).evaluation.total == 4
    division.write_text(kept, encoding="utf-8")
    again = bertcore.resume(divided.folder, settings={"train.max_steps": 6})
    assert (again.steps, again.total) == (6, divided.total)
    with pytest.raises(ConfigError, match=r"data\.dev_fraction was 0\.25"):
        bertcore.resume(divided.folder, settings={"data.dev_fraction": 0.5})


def test_other_data_is_not_divided(divided: Any, table: Path) -> None:
    assert "division" not in (divided.folder / "best" / "config.json").read_text("utf-8")
    assert bertcore.evaluate(divided.folder / "best", data=table).evaluation.total == len(rows())
    assert bertcore.evaluate(divided.folder, data=table).evaluation.total == len(rows())
    assert bertcore.evaluate(divided.folder, dev=rows()[:5]).evaluation.total == 5


def test_training_rows_are_those_of_the_same_examples_in_a_file_of_their_own(
    divided: Any, place: dict[str, Any], tmp_path: Path
) -> None:
    held_out = set(json.loads((divided.folder / "data" / "division.json").read_text("utf-8"))["held_out"])
    train = [row for index, row in enumerate(rows()) if index not in held_out]
    dev = [row for index, row in enumerate(rows()) if index in held_out]
    settings = {**OPTIONS, "train.max_steps": 4}
    by_files = bertcore.run(**{**place, "train": train}, dev=dev, output=tmp_path / "run", settings=settings)
    first = json.loads((by_files.folder / "metrics.jsonl").read_text("utf-8").splitlines()[0])
    same = json.loads((divided.folder / "metrics.jsonl").read_text("utf-8").splitlines()[0])
    assert first["loss"] == same["loss"]


def test_data_that_changed_is_found_out(place: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    settings = {**OPTIONS, "data.dev_fraction": 0.2}
    result = bertcore.run(**{**place, "train": file}, output=tmp_path / "run", settings=settings)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows()[1:]), encoding="utf-8")
    with pytest.raises(DataError, match=r"division\.json: divides 44 examples, which are not the 43 of .*train\.jsonl"):
        bertcore.evaluate(result.folder)


def test_without_a_dev_file_the_way_out_is_named(
    place: dict[str, Any], small_rte: Path, table: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        bertcore.run(**place, output=tmp_path / "run")
    assert caught.value.cause == "the data has no split dev, only train"
    assert "--set data.dev_fraction=0.1" in caught.value.remedy
    official = {**place, "task": "rte", "train": None, "data": small_rte, "output": tmp_path / "run"}
    with pytest.raises(UsageError, match=r"the data has a split dev already, from .*dev\.tsv"):
        bertcore.run(**official, settings={"data.dev_fraction": 0.1})
    for fraction in (0, 1, -0.1, "x"):
        with pytest.raises(ConfigError, match=r"data\.dev_fraction = "):
            bertcore.run(**place, settings={"data.dev_fraction": fraction})
    with pytest.raises(DataError, match=r"0\.1 of 2 examples leaves none on one side"):
        bertcore.run(**{**place, "train": rows()[:2]}, output=tmp_path / "run", settings={"data.dev_fraction": 0.1})
    assert list(tmp_path.iterdir()) == []


def test_an_official_task_without_a_dev_file_and_its_records_are_divided_alike(
    place: dict[str, Any], copied_rte: Path, tmp_path: Path
) -> None:
    (copied_rte / "dev.tsv").unlink()
    options = {**place, "task": "rte", "train": None}
    by_files = bertcore.run(
        **options, data=copied_rte, output=tmp_path / "files", settings={**OPTIONS, "data.dev_fraction": 0.3}
    )
    made = bertcore.convert_data(
        task="rte", model=place["model"], to_name="tfrecord", data=copied_rte, output=tmp_path / "records"
    )
    by_records = bertcore.run(
        **options, data=made.folder, output=tmp_path / "run", settings={**OPTIONS, "data.dev_fraction": 0.3}
    )
    assert predictions(by_records.folder) == predictions(by_files.folder)
    divided = bertcore.convert_data(
        task="rte",
        model=place["model"],
        to_name="tfrecord",
        data=copied_rte,
        output=tmp_path / "divided",
        settings={"data.dev_fraction": 0.3},
    )
    assert divided.splits["dev"].examples == by_files.total
    report = bertcore.check_data(task="rte", data=copied_rte, model=place["model"], settings={"data.dev_fraction": 0.3})
    assert report.splits["dev"].examples == by_files.total


# Folds


@pytest.fixture(scope="module")
def folded(place: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    return bertcore.run_folds(3, **place, output=tmp_path_factory.mktemp("folds") / "run", settings=OPTIONS)


def test_every_example_is_predicted_by_the_run_that_did_not_train_on_it(folded: Any) -> None:
    found = predictions(folded.folder)
    assert [(entry["text"], entry["label"]) for entry in found] == [(row["text"], row["label"]) for row in rows()]
    for number, run in enumerate(folded.runs, 1):
        own = [
            {key: value for key, value in entry.items() if key != "fold"} for entry in found if entry["fold"] == number
        ]
        assert own == predictions(run.folder)
        assert bertcore.evaluate(run.folder).evaluation.metrics == run.metrics
    of_text: dict[str, set[int]] = {}
    for entry in found:
        of_text.setdefault(entry["text"], set()).add(entry["fold"])
    assert all(len(folds) == 1 for folds in of_text.values())
    assert sorted(item.name for item in folded.folder.iterdir()) == [
        *("fold-1", "fold-2", "fold-3", "predictions.jsonl", "report.json", "report.md")
    ]


def test_scores_over_folds_and_of_all_folds_together_are_those_of_scikit_learn(folded: Any) -> None:
    found = predictions(folded.folder)
    gold, predicted = [entry["label"] for entry in found], [entry["prediction"] for entry in found]
    assert folded.evaluation.metrics["accuracy"] == pytest.approx(accuracy_score(gold, predicted))
    assert folded.evaluation.metrics["macro_f1"] == pytest.approx(f1_score(gold, predicted, average="macro"))
    by_fold = [run.metrics["accuracy"] for run in folded.runs]
    assert folded.mean["accuracy"] == pytest.approx(np.mean(by_fold))
    assert folded.standard_deviation["accuracy"] == pytest.approx(np.std(by_fold, ddof=1))
    text = (folded.folder / "report.md").read_text("utf-8")
    assert f"`{folded.summary}`" in text
    assert "| [fold-1](fold-1/report.md) | [fold-2](fold-2/report.md) | [fold-3](fold-3/report.md) |" in text
    assert f"| macro_f1 | {folded.evaluation.metrics['macro_f1']:.6f} |" in text.split("## All folds together")[1]
    report = json.loads((folded.folder / "report.json").read_text("utf-8"))
    assert report["all_folds"]["metrics"] == dict(folded.evaluation.metrics)
    assert [run["folder"] for run in report["runs"]] == ["fold-1", "fold-2", "fold-3"]
    assert folded.summary == report["summary"]


def test_folds_of_the_other_tasks(tiny_en: Path, tmp_path: Path) -> None:
    text = "Anna met Bob in Paris."
    data: dict[str, list[dict[str, Any]]] = {
        "regression": [{"text": f"number {number}", "label": number / 2} for number in range(12)],
        "ner": [
            {"text": f"{text} {number}", "entities": [{"start": 0, "end": 4, "type": "PER"}] * (number % 2)}
            for number in range(8)
        ],
        "qa": [
            {"question": "Who?", "context": f"{text} {number // 2}", "answers": {"text": ["Anna"], "answer_start": [0]}}
            for number in range(8)
        ],
    }
    settings = {"train.max_steps": 1, "data.max_length": 32}
    for task, examples in data.items():
        result = bertcore.run_folds(
            2, task=task, backend="torch", model=tiny_en, train=examples, output=tmp_path / task, settings=settings
        )
        assert result.evaluation is not None
        assert result.evaluation.total == len(examples)
        found = predictions(result.folder)
        assert len(found) == len(examples)
        if task == "regression":
            gold, predicted = [entry["label"] for entry in found], [entry["prediction"] for entry in found]
            assert result.evaluation.metrics["mae"] == pytest.approx(mean_absolute_error(gold, predicted))
        if task == "qa":  # questions on one context are in one fold
            assert all(a["fold"] == b["fold"] for a, b in zip(found[::2], found[1::2], strict=True))


def test_folds_on_the_command_line(
    tiny_en: Path, table: Path, folded: Any, tmp_path: Path, bertcore_command: Callable[..., Any]
) -> None:
    options = [part for key, value in OPTIONS.items() for part in ("--set", f"{key}={value}")]
    place = ["--task", "classification", "--backend", "torch", "--model", tiny_en, "--train", table, *options]
    outcome = bertcore_command("run", *place, "--folds", 3, "--output", tmp_path / "run")
    assert outcome.last_line == folded.summary
    for wrong, cause in (
        (["--folds", 3, "--seeds", "1,2"], "--seeds and --folds each make several runs"),
        (["--folds", 1], "1 folds: one is evaluated, and the others are trained on"),
        (["--folds", 99], "99 folds of 44 examples, 40 of which have different texts"),
        (["--folds", 3, "--set", "data.dev_fraction=0.1"], "folds and data.dev_fraction both divide"),
    ):
        refused = bertcore_command("run", *place, *wrong, "--output", tmp_path / "wrong")
        assert refused.code == UsageError.exit_code
        assert refused.err.startswith(f"error: {cause}")
        assert len(refused.err.splitlines()) == 2
        assert not (tmp_path / "wrong").exists()


def test_a_damaged_division_is_named(divided: Any, tmp_path: Path) -> None:
    for content in (
        "",
        "[]",
        "{}",
        '{"format": 2}',
        '{"format": 1, "held_out": [3, 1], "examples": 9}',
        '{"format": 1, "held_out": ["a"]}',
    ):
        file = tmp_path / "division.json"
        file.write_text(content, encoding="utf-8")
        with pytest.raises(BertcoreError, match="division") as caught:
            bertcore.evaluate(divided.folder, settings={"data.division": file})
        assert caught.value.remedy
