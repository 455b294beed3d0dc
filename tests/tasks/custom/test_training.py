"""Runs of a few steps on torch: what they report is what their predictions score."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertcore
from bertcore.errors import DataError

pytest.importorskip("torch")
SETTINGS = {"train.max_steps": 12, "train.batch_size": 8, "train.learning_rate": 1e-3, "data.max_length": 32}


def predictions(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def real_sentences(shared: Path, count: int) -> list[str]:
    lines = (shared / "data" / "glue" / "SST-2" / "train.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return [line.split("\t")[0].strip() for line in lines if 4 <= len(line.split()) <= 12][:count]


def length(sentence: str) -> float:
    return (len(sentence.split()) - 8) / 4


def test_a_regression_learns_and_reports_what_its_predictions_score(
    shared: Path, tiny_en: Path, tmp_path: Path
) -> None:
    stats = pytest.importorskip("scipy.stats")
    sentences = real_sentences(shared, 100)
    for split, part in (("train", sentences[:72]), ("dev", sentences[72:])):
        with (tmp_path / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "score"), *((sentence, length(sentence)) for sentence in part)])
    result = bertcore.run(
        task="regression",
        backend="torch",
        model=tiny_en,
        output=tmp_path / "run",
        settings={
            **SETTINGS,
            "train.max_steps": 40,
            "train.evaluate_steps": 20,
            "data.train": str(tmp_path / "train.csv"),
            "data.dev": str(tmp_path / "dev.csv"),
        },
    )
    found = predictions(tmp_path / "run" / "predictions.jsonl")
    gold, given = [row["label"] for row in found], [row["prediction"] for row in found]
    assert gold == [length(sentence) for sentence in sentences[72:]]
    assert result.metrics["pearson"] == pytest.approx(stats.pearsonr(gold, given).statistic, rel=1e-9)
    assert result.metrics["spearman"] == pytest.approx(stats.spearmanr(gold, given).statistic, rel=1e-9)
    squared = [(one - other) ** 2 for one, other in zip(gold, given, strict=True)]
    assert result.metrics["mse"] == pytest.approx(sum(squared) / len(squared), rel=1e-9)
    assert result.metrics["mse"] < result.baseline["mse"] / 2, "it must learn how long sentences are"
    again = bertcore.evaluate(tmp_path / "run")
    assert again.evaluation.metrics["mse"] == pytest.approx(result.metrics["mse"], rel=1e-5)
    scored = bertcore.score(task="regression", data=tmp_path, predictions=tmp_path / "run" / "predictions.jsonl")
    assert scored.evaluation.metrics == dict(result.metrics)
    (tmp_path / "other.tsv").write_text(f"text\tscore\n{sentences[72]}\t0.5\n", encoding="utf-8")
    other = bertcore.evaluate(tmp_path / "run", data=tmp_path / "other.tsv")
    assert [entry["label"] for entry in other.evaluation.predictions] == [0.5], "and not the files of the run"
    (number,) = bertcore.predict(tmp_path / "run", [{"text": sentences[72]}])
    assert number["prediction"] == pytest.approx(given[0], abs=1e-4)


def test_several_labels_keep_the_threshold_that_was_tuned(shared: Path, tiny_en: Path, tmp_path: Path) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    sentences = real_sentences(shared, 120)
    rows = []
    for sentence in sentences:
        words = set(sentence.split())
        labels = [name for name in ("the", "of", "a") if name in words] + ["long"] * (len(words) > 7)
        rows.append(json.dumps({"text": sentence, "label": labels}) + "\n")
    (tmp_path / "train.jsonl").write_text("".join(rows[:80]), encoding="utf-8")
    (tmp_path / "dev.jsonl").write_text("".join(rows[80:]), encoding="utf-8")
    result = bertcore.run(
        task="classification",
        backend="torch",
        model=tiny_en,
        data=tmp_path,
        output=tmp_path / "run",
        settings={**SETTINGS, "data.multi_label": True},
    )
    labels = ["a", "long", "of", "the"]
    config = json.loads((tmp_path / "run" / "best" / "config.json").read_text(encoding="utf-8"))
    assert list(config["id2label"].values()) == labels
    assert config["problem_type"] == "multi_label_classification"
    found = predictions(tmp_path / "run" / "predictions.jsonl")
    gold = [[label in row["label"] for label in labels] for row in found]
    given = [[label in row["prediction"] for label in labels] for row in found]
    assert result.metrics["micro_f1"] == pytest.approx(sklearn.f1_score(gold, given, average="micro"))
    assert result.metrics["accuracy"] == pytest.approx(sklearn.accuracy_score(gold, given))
    # The stored threshold is the one that made these predictions, and none is better.
    threshold = config["threshold"]
    probabilities = [[row["probabilities"][label] for label in labels] for row in found]
    assert given == [[value >= threshold for value in row] for row in probabilities]
    for other in {0.5, *(value for row in probabilities for value in row)}:
        tried = [[value >= other for value in row] for row in probabilities]
        assert sklearn.f1_score(gold, tried, average="micro") <= result.metrics["micro_f1"] + 1e-9
    assert bertcore.evaluate(tmp_path / "run").evaluation.metrics == pytest.approx(dict(result.metrics))
    scored = bertcore.score(
        task="classification",
        data=tmp_path,
        predictions=tmp_path / "run" / "predictions.jsonl",
        settings={"data.multi_label": True},
    )
    assert scored.evaluation.metrics == dict(result.metrics)
    (first,) = bertcore.predict(tmp_path / "run", [{"text": sentences[80]}])
    assert first["prediction"] == found[0]["prediction"]
    # Labels are those of the model, whatever the training file holds by now.
    (tmp_path / "train.jsonl").write_text('{"text": "x", "label": ["z"]}\n', encoding="utf-8")
    assert bertcore.evaluate(tmp_path / "run").evaluation.metrics == pytest.approx(dict(result.metrics))


@pytest.mark.parametrize("labeled", [10, 4, 0])
def test_the_test_file_is_predicted_by_the_best_checkpoint(
    shared: Path, tiny_en: Path, tmp_path: Path, labeled: int
) -> None:
    sentences = real_sentences(shared, 60)
    parts = {"train": sentences[:40], "dev": sentences[40:50], "test": sentences[50:]}
    for split, part in parts.items():
        scores = [length(sentence) if split != "test" or place < labeled else "" for place, sentence in enumerate(part)]
        columns = 2 if any(scores) else 1
        rows = [("text", "score"), *zip(part, scores, strict=True)]
        with (tmp_path / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([row[:columns] for row in rows])
    files = {f"data.{split}": str(tmp_path / f"{split}.csv") for split in parts}
    settings = {**SETTINGS, **files, "train.evaluate_steps": 4, "train.learning_rate": 0.05}  # best is not last
    result = bertcore.run(task="regression", backend="torch", model=tiny_en, output=tmp_path / "run", settings=settings)
    found = predictions(tmp_path / "run" / "test_predictions.jsonl")
    expected = bertcore.predict(tmp_path / "run", [{"text": sentence} for sentence in parts["test"]])
    assert [row["prediction"] for row in found] == pytest.approx([row["prediction"] for row in expected], abs=1e-4)
    log = (tmp_path / "run" / "run.log").read_text(encoding="utf-8")
    assert "predictions of 10 examples of the test file" in log
    assert ("test: not scored, 4 of 10 examples have a label" in log) == (labeled == 4)
    if labeled == 10:
        assert result.test is not None
        assert result.test.total == 10
        assert f"test: {result.test.summary}" in log
    else:
        assert result.test is None


def test_what_the_training_file_decided_holds_for_what_is_predicted(
    tiny_en: Path, tmp_path: Path, bertcore_command: Callable[..., Any]
) -> None:
    words = "EU\tB-ORG\nrejects\tO\ncalls\tO\n\nThe\tO\nEU\tB-ORG\nagrees\tO\n"
    pairs = "sentence1,sentence2,label\nIt rains.,It is wet.,yes\nIt rains.,It is dry.,no\n"
    numbers = "It rains.,yes\nIt shines.,no\n"
    for name, content in (("words.bio", words), ("pairs.csv", pairs), ("numbers.csv", numbers)):
        (tmp_path / name).write_text(content, encoding="utf-8")

    def train(task: str, name: str, **settings: object) -> Path:
        folder = tmp_path / name.partition(".")[0]
        files = {"data.train": str(tmp_path / name), "data.dev": str(tmp_path / name)}
        settings = {**SETTINGS, "train.max_steps": 1, **files, **settings}
        bertcore.run(task=task, backend="torch", model=tiny_en, output=folder, settings=settings)
        return folder

    (prediction,) = bertcore.predict(train("ner", "words.bio"), [{"text": "The EU rejects it"}])
    assert prediction["tokens"] == ["The", "EU", "rejects", "it"]
    pair = train("classification", "pairs.csv")
    with pytest.raises(DataError, match="'sentence2'"):
        bertcore.predict(pair, [{"sentence1": "It rains."}])
    assert len(bertcore.predict(pair, [{"sentence1": "It rains.", "sentence2": "It is wet."}])) == 1
    headerless = train("classification", "numbers.csv", **{"data.header": "false", "data.text": "1", "data.label": "2"})
    (tmp_path / "in.csv").write_text("It rains.\nIt pours.\n", encoding="utf-8")
    outcome = bertcore_command("predict", headerless, "--input", tmp_path / "in.csv")
    assert [json.loads(line)["1"] for line in outcome.out.splitlines()] == ["It rains.", "It pours."]


def test_corpora_are_trained_on_as_they_are(
    tiny_en: Path, tmp_path: Path, bertcore_command: Callable[..., Any]
) -> None:
    """A column for each label and hidden labels (Jigsaw), pairs without header (LCQMC) in GBK, and what comes later."""

    def train(name: str, **data: str | bool) -> Path:
        settings = {**SETTINGS, "train.max_steps": 1, **{f"data.{key}": value for key, value in data.items()}}
        files = {split: tmp_path / f"{name}.{split}" for split in ("train", "dev", "test")}
        bertcore.run(
            task="classification", backend="torch", model=tiny_en, output=tmp_path / name, settings=settings, **files
        )
        return tmp_path / name

    jigsaw = "id,comment_text,toxic,obscene,insult\n1,You fool,1,0,1\n2,Nice,0,0,0\n3,Bad word,1,0,0\n"
    hidden = "id,comment_text,toxic,obscene,insult\n4,What,-1,-1,-1\n5,That,-1,-1,-1\n"
    for split, content in (("train", jigsaw), ("dev", jigsaw), ("test", hidden)):
        (tmp_path / f"jigsaw.{split}").write_text(content, encoding="utf-8")
    folder = train("jigsaw", multi_label=True, text="comment_text", label="toxic,obscene,insult")
    found = predictions(folder / "test_predictions.jsonl")
    assert [(row["id"], "label" in row) for row in found] == [("4", False), ("5", False)]
    assert all(list(row["probabilities"]) == ["toxic", "obscene", "insult"] for row in found)  # type: ignore[call-overload]
    assert [row["label"] for row in predictions(folder / "predictions.jsonl")] == [["toxic", "insult"], [], ["toxic"]]

    pairs = "怎么办, 理证明\t证明怎么办\t1\n她是美女吗\t什么歌\t0\n人和畜生\t人与畜生\t1\n"
    for split, content in (("train", pairs), ("dev", pairs), ("test", "只有, 文字\t另一个\n")):
        (tmp_path / f"lcqmc.{split}").write_bytes(content.encode("gb18030"))
    folder = train("lcqmc", encoding="gb18030")
    (row,) = predictions(folder / "test_predictions.jsonl")
    assert (row["1"], row["2"]) == ("只有, 文字", "另一个")
    for name, content in (
        ("in.csv", '"只有, 文字",另一个\n'.encode()),
        ("in.tsv", "只有, 文字\t另一个\n".encode("gbk")),
    ):
        (tmp_path / name).write_bytes(content)
        outcome = bertcore_command("predict", folder, "--input", tmp_path / name)
        (predicted,) = [json.loads(line) for line in outcome.out.splitlines()]
        assert (predicted["1"], predicted["2"]) == ("只有, 文字", "另一个")
        assert predicted["probabilities"] == row["probabilities"]
