"""Short runs on torch with two layers of a real Chinese BERT: every sentence is judged once, by the right scores."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2, IOBES

import bertcore
from bertcore.contracts.tagging import Span, spans_to_tags

pytest.importorskip("torch")

Command = Callable[..., Any]

SETTINGS = {
    "train.max_steps": 9,
    "train.batch_size": 16,
    "train.learning_rate": 3e-4,
    "train.head_learning_rate": 1e-2,
    "train.schedule": "constant",
    "train.dropout": False,
    "data.max_length": 48,
    "data.overlap": 16,
}


@pytest.fixture(scope="module")
def small_people_daily(people_daily_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first sentences with many names of each split; some of them are longer than the rows of these tests."""
    folder = tmp_path_factory.mktemp("people-daily")
    for split, count in (("train", 96), ("dev", 24), ("test", 10)):
        blocks = (people_daily_dir / f"example.{split}").read_text(encoding="utf-8").split("\n\n")
        blocks = [block for block in blocks if block.count("B-") > 2 and len(block) < 500][:count]
        (folder / f"example.{split}").write_text("\n\n".join(blocks) + "\n\n", encoding="utf-8")
    return folder


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def seqeval_f1(predictions: list[dict[str, Any]], scheme: str) -> float:
    """The strict F1 of what was written to ``predictions.jsonl``."""
    gold, predicted = [], []
    for entry in predictions:
        spans = [Span(entity["start"], entity["end"], entity["type"]) for entity in entry["label"]]
        gold.append(spans_to_tags(spans, len(entry["text"]), scheme))
        predicted.append(entry["tags"])
    gold, predicted = ([[re.sub("^M-", "I-", tag) for tag in tags] for tags in texts] for texts in (gold, predicted))
    return float(f1_score(gold, predicted, mode="strict", scheme=IOB2 if scheme == "BIO" else IOBES, zero_division=0))


@pytest.mark.parametrize(
    ("head", "scheme"), [({}, "BIO"), ({"head.crf": True, "head.scheme": "BMES", "head.transitions": "data"}, "BMES")]
)
def test_a_run_judges_every_sentence_once(
    small_people_daily: Path,
    chinese_l2: Path,
    tmp_path: Path,
    bertcore_command: Command,
    head: dict[str, Any],
    scheme: str,
) -> None:
    result = bertcore.run(
        task="people_daily",
        backend="torch",
        model=chinese_l2,
        data=small_people_daily,
        output=tmp_path / "run",
        settings={**SETTINGS, **head},
    )
    evaluation = bertcore.evaluate(result.folder).evaluation
    assert evaluation.total == 24
    assert evaluation.summary.endswith("total_num 24 sentences")
    assert evaluation.metrics == pytest.approx(dict(result.metrics))
    predictions = lines_of(result.folder / "evaluations" / "dev-torch" / "predictions.jsonl")
    text = re.sub(r" \S+\n|\n", "", (small_people_daily / "example.dev").read_text(encoding="utf-8"))
    assert "".join(entry["text"] for entry in predictions) == text
    assert all(len(entry["tags"]) == len(entry["text"]) for entry in predictions)
    assert max(len(entry["text"]) for entry in predictions) > 48
    assert evaluation.metrics["token_f1"] > 0.05, "it must have learned something, or nothing is compared"
    assert evaluation.metrics["f1"] == pytest.approx(seqeval_f1(predictions, scheme), abs=1e-12)
    config = json.loads((result.folder / "best" / "config.json").read_text(encoding="utf-8"))
    assert config["tag_scheme"] == scheme
    assert len(config["id2label"]) == {"BIO": 7, "BMES": 13}[scheme]

    # The folder of the model alone tells what head it has.
    settings = {key: value for key, value in SETTINGS.items() if key.startswith("data.")}
    of_model = bertcore.evaluate(
        result.folder / "best", task="people_daily", backend="torch", data=small_people_daily, settings=settings
    )
    assert of_model.evaluation.metrics == pytest.approx(dict(result.metrics))

    # The written predictions are scored alike without the model, and new text is predicted.
    scored = bertcore_command(
        "score", "--task", "people_daily", "--data", small_people_daily, "--json",
        "--predictions", result.folder / "evaluations" / "dev-torch" / "predictions.jsonl",
    )  # fmt: skip
    assert scored.code == 0, scored.err
    assert json.loads(scored.out)["metrics"]["f1"] == pytest.approx(evaluation.metrics["f1"])
    (tmp_path / "in.jsonl").write_text(
        '{"text": "新华社北京电"}\n{"tokens": ["北京", "OK"]}\n{"text": ""}\n', encoding="utf-8"
    )
    predicted = bertcore_command("predict", result.folder, "--input", tmp_path / "in.jsonl")
    assert predicted.code == 0, predicted.err
    first, second, empty = [json.loads(line) for line in predicted.out.splitlines()]
    assert len(first["tags"]) == 6
    assert second["tokens"] == ["北京", "OK"]
    assert second["text"] == "北京OK"
    assert empty["tags"] == empty["entities"] == []
    assert all(set(entity) >= {"start", "end", "type", "text"} for entity in first["entities"])


def test_own_files_learn_their_own_types(small_people_daily: Path, chinese_l2: Path, tmp_path: Path) -> None:
    """As a user would, with spans to train on and columns to evaluate on; the model keeps the discovered labels."""
    dev = (small_people_daily / "example.dev").read_text(encoding="utf-8").replace("-ORG", "-机构")
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "dev.bio").write_text(dev, encoding="utf-8")
    lines = []
    for block in (small_people_daily / "example.train").read_text(encoding="utf-8").split("\n\n"):
        pairs = [line.split(" ") for line in block.splitlines()]
        text = "".join(character for character, _ in pairs)
        tags = "".join(tag[0] if tag.endswith("-ORG") else "O" for _, tag in pairs)
        entities = [{"start": match.start(), "end": match.end(), "type": "机构"} for match in re.finditer("BI*", tags)]
        lines.append(json.dumps({"text": text, "entities": entities}, ensure_ascii=False) if text else "")
    (folder / "train.jsonl").write_text("\n".join(lines), encoding="utf-8")
    settings = {**SETTINGS, "train.max_steps": 3}
    result = bertcore.run(
        task="ner", backend="torch", model=chinese_l2, data=folder, output=tmp_path / "run", settings=settings
    )
    assert "机构" in result.per_class
    evaluation = bertcore.evaluate(result.folder).evaluation
    assert evaluation.total == 24
    assert evaluation.per_class["PER"].recall == 0.0, "a type that is not in the training file is missed, not forgotten"
    config = json.loads((result.folder / "best" / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "O", "1": "B-机构", "2": "I-机构"}


def test_the_submission_of_cluener(
    cluener_dir: Path, chinese_l2: Path, tmp_path: Path, bertcore_command: Command
) -> None:
    folder = tmp_path / "cluener"
    folder.mkdir()
    for split, count in (("train", 64), ("dev", 16), ("test", 20)):
        lines = (cluener_dir / f"{split}.json").read_text(encoding="utf-8").splitlines()[:count]
        (folder / f"{split}.json").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = {**SETTINGS, "train.max_steps": 3}
    run = bertcore.run(
        task="cluener", backend="torch", model=chinese_l2, data=folder, output=tmp_path / "run", settings=settings
    )
    outcome = bertcore_command("submit", run.folder, "--output", tmp_path / "submission")
    assert outcome.code == 0, outcome.err
    (file,) = (tmp_path / "submission").rglob("cluener_predict.json")
    records = lines_of(file)
    assert [record["id"] for record in records] == list(range(20))
    assert all(isinstance(record["label"], dict) for record in records)
