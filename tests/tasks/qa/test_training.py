"""Runs on real questions: what is learned, written, submitted, scored and opened again."""

from __future__ import annotations

import collections
import json
import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore
from bertcore.api import RunResult

pytest.importorskip("torch")

SETTINGS = {
    "train.max_steps": 24,
    "train.batch_size": 8,
    "train.learning_rate": 3e-3,
    "train.evaluate_steps": 24,
    "train.save_steps": 100,
    # Every context gives several windows.
    "data.max_length": 128,
    "data.doc_stride": 64,
}


def official(questions: list[tuple[str, dict[str, Any]]], version: str) -> str:
    contexts: dict[str, list[dict[str, Any]]] = {}
    for context, question in questions:
        contexts.setdefault(context, []).append(question)
    paragraphs = [{"context": context, "qas": entries} for context, entries in contexts.items()]
    return json.dumps({"version": version, "data": [{"title": "Notre Dame", "paragraphs": paragraphs}]})


@pytest.fixture(scope="module")
def real_questions(squad_dir: Path) -> list[tuple[str, dict[str, Any]]]:
    """The first 14 questions of SQuAD's training file."""
    data = json.loads((squad_dir / "train-v1.1.head.json").read_text(encoding="utf-8"))["data"]
    pairs = [(p["context"], q) for article in data[:1] for p in article["paragraphs"] for q in p["qas"]]
    return pairs[:14]


@pytest.fixture(scope="module")
def data(real_questions: list[tuple[str, dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions to learn by heart: the same in both splits, but one whose answer stands nowhere."""
    folder = tmp_path_factory.mktemp("squad")
    context, question = real_questions[0]
    lost = {**question, "id": "lost", "answers": [{"text": "nobody at all", "answer_start": 3}]}
    for split in ("train", "dev"):
        text = official([*real_questions, (context, lost)], "1.1")
        (folder / f"{split}-v1.1.json").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(data: Path, tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    output = tmp_path_factory.mktemp("runs") / "squad"
    return bertcore.run(task="squad", backend="torch", model=tiny_en, data=data, output=output, settings=SETTINGS)


def oracle(predictions: dict[str, str], file: Path) -> tuple[float, float]:
    """EM and F1, written down anew from the definition in the SQuAD paper and its script."""

    def bag(text: str) -> list[str]:
        kept = "".join(character for character in text.lower() if character not in set(string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", kept).split()

    exact, f1 = [], []
    for article in json.loads(file.read_text())["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                given = bag(predictions[question["id"]])
                scores = []
                for answer in question["answers"]:
                    wanted = bag(answer["text"])
                    common = collections.Counter(given) & collections.Counter(wanted)
                    if not common:
                        scores.append((given == wanted, 0.0))
                        continue
                    precision, recall = common.total() / len(given), common.total() / len(wanted)
                    scores.append((given == wanted, 2 * precision * recall / (precision + recall)))
                exact.append(max(score[0] for score in scores))
                f1.append(max(score[1] for score in scores))
    return 100 * float(np.mean(exact)), 100 * float(np.mean(f1))


def test_a_run_learns_and_its_submission_has_its_score(
    run: RunResult, data: Path, tmp_path: Path, bertcore_command: Callable[..., Any]
) -> None:
    assert run.total == 15
    assert run.metrics["f1"] > 35  # 14 questions learned by heart; a new head has less than 10
    lines = [json.loads(line) for line in (run.folder / "predictions.jsonl").read_text().splitlines()]
    assert len({line["id"] for line in lines}) == len(lines) == 15
    outcome = bertcore_command("submit", run.folder, "--output", tmp_path / "submission")
    assert outcome.code == 0, outcome.err
    file = tmp_path / "submission" / "predictions.json"
    predictions = json.loads(file.read_text(encoding="utf-8"))
    assert predictions == {line["id"]: line["prediction"] for line in lines}
    exact_match, f1 = oracle(predictions, data / "dev-v1.1.json")
    assert run.metrics == {"exact_match": pytest.approx(exact_match), "f1": pytest.approx(f1)}
    scored = bertcore_command("score", "--task", "squad", "--data", data, "--predictions", file)
    assert scored.last_line == run.summary
    evaluated = bertcore_command("evaluate", run.folder)
    assert evaluated.last_line == run.summary


def test_a_lost_answer_is_told_of_and_not_trained_on(run: RunResult) -> None:
    log = (run.folder / "run.log").read_text(encoding="utf-8")
    for split in ("train", "dev"):
        assert f"{split}-v1.1.json: no answer of 1 question stands in the context; scored, but not trained on" in log


def test_a_context_longer_than_the_model_is_predicted(
    run: RunResult, real_questions: list[tuple[str, dict[str, Any]]], tmp_path: Path, bertcore_command: Any
) -> None:
    context, question = real_questions[0]
    lines = [
        {"question": question["question"], "context": "So it is said. " * 40 + context},
        {"question": "", "context": ""},
        {"question": "Where is " * 40 + "Rome?", "context": "Rome is in Italy."},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    output = tmp_path / "out.jsonl"
    outcome = bertcore_command("predict", run.folder, "--input", tmp_path / "in.jsonl", "--output", output)
    assert outcome.code == 0, outcome.err
    predictions = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert len(predictions) == 3
    first = predictions[0]
    assert first["prediction"]
    assert lines[0]["context"][first["start"] : first["end"]] == first["prediction"]
    assert predictions[1]["prediction"] == ""
    assert [entry.get("truncated", False) for entry in predictions] == [False, False, True]


def test_the_threshold_of_open_questions_goes_with_the_model(
    real_questions: list[tuple[str, dict[str, Any]]], tiny_en: Path, tmp_path: Path, bertcore_command: Any
) -> None:
    """SQuAD v2.0's form: questions about another paragraph have no answer in this one."""
    contexts = list(dict.fromkeys(context for context, _ in real_questions))
    questions = [(context, {**question, "is_impossible": False}) for context, question in real_questions]
    for number, (context, question) in enumerate(real_questions):
        other = next(one for one in contexts if one != context)
        entry = {"id": f"open-{number}", "question": question["question"], "answers": [], "is_impossible": True}
        questions.append((other, {**entry, "plausible_answers": []}))
    for split in ("train", "dev"):
        (tmp_path / f"{split}-v2.0.json").write_text(official(questions, "v2.0"), encoding="utf-8")
    result = bertcore.run(
        task="squad",
        backend="torch",
        model=tiny_en,
        data=tmp_path,
        output=tmp_path / "run",
        settings={**SETTINGS, "train.max_steps": 10, "train.evaluate_steps": 5},
    )
    assert result.total == 28
    assert result.baseline["f1"] == 50
    assert result.metrics["f1"] >= 50  # to tune it is never to do worse than the baseline
    config = json.loads((tmp_path / "run" / "best" / "config.json").read_text())
    lines = [json.loads(line) for line in (tmp_path / "run" / "predictions.jsonl").read_text().splitlines()]
    for line in lines:
        assert (line["prediction"] == "") == (line["null_score_difference"] > config["null_threshold"])
    assert bertcore_command("evaluate", tmp_path / "run").last_line == result.summary
    context, question = real_questions[0]
    (tmp_path / "in.jsonl").write_text(json.dumps({"question": question["question"], "context": context}) + "\n")
    out = tmp_path / "out.jsonl"
    bertcore_command("predict", tmp_path / "run", "--input", tmp_path / "in.jsonl", "--output", out)
    (predicted,) = [json.loads(line) for line in out.read_text().splitlines()]
    assert predicted["prediction"] == lines[0]["prediction"]
    assert predicted["null_score_difference"] == pytest.approx(lines[0]["null_score_difference"], abs=1e-4)


def test_own_files_are_named_one_by_one(
    own_questions: Path, tiny_en: Path, tmp_path: Path, bertcore_command: Any
) -> None:
    train, dev = own_questions / "train.jsonl", own_questions / "dev.json"
    arguments = ["--task", "qa", "--backend", "torch", "--model", tiny_en, "--output", tmp_path / "run"]
    outcome = bertcore_command("run", *arguments, "--train", train, "--dev", dev, "--set", "train.max_steps=2")
    assert outcome.code == 0, outcome.err
    assert outcome.last_line.startswith("total_num 2, exact_match ")


def test_chinese_questions(cmrc: Path, chinese_l2: Path, tmp_path: Path) -> None:
    result = bertcore.run(
        task="cmrc2018",
        backend="torch",
        model=chinese_l2,
        data=cmrc,
        output=tmp_path / "run",
        settings={
            "train.max_steps": 16,
            "train.learning_rate": 5e-4,
            "train.evaluate_steps": 16,
            "train.save_steps": 100,
            "data.max_length": 96,
            "data.doc_stride": 40,
        },
    )
    assert result.total == 4
    lines = [json.loads(line) for line in (tmp_path / "run" / "predictions.jsonl").read_text().splitlines()]
    assert all(line["prediction"] for line in lines)
    assert result.metrics["f1"] > 30  # four questions learned by heart
