"""Entities carry the probability of their tags: the sum over all tag sequences, of what transformers computes."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bertcore_tasks.ner.accumulator import NerAccumulator
from bertcore_tasks.ner.encoding import UNIT_COLUMN
from bertcore_tasks.ner.units import Sentence, split_units
from safetensors.numpy import load_file

import bertcore
from bertcore.contracts.batch import Column, from_rows
from bertcore.contracts.tagging import TransitionScores, legal_transitions, tags_to_spans
from bertcore.heads import TokenClassification
from bertcore.numerics.crf import host

pytest.importorskip("torch")

TEXTS = ["北京", "王毅在", "在美国"]
LABELS = ("O", "B-PER", "I-PER")


@pytest.fixture(scope="module", params=["softmax", "crf"])
def run(
    request: pytest.FixtureRequest, people_daily_dir: Path, chinese_l2: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Few steps on short sentences of which the last ones are the dev and the test split."""
    folder = tmp_path_factory.mktemp(request.param)
    blocks = (people_daily_dir / "example.train").read_text(encoding="utf-8").split("\n\n")
    short = [block for block in blocks if block.count("B-") > 1 and len(block) < 120][:72]
    for split, own in (("train", short[:64]), ("dev", short[64:]), ("test", short[64:])):
        (folder / f"{split}.bio").write_text("\n\n".join(own) + "\n\n", encoding="utf-8")
    return bertcore.run(
        task="ner",
        backend="torch",
        model=chinese_l2,
        output=folder / "run",
        settings={
            **{f"data.{split}": str(folder / f"{split}.bio") for split in ("train", "dev", "test")},
            "head.crf": request.param == "crf",
            "train.max_steps": 24,
            "train.batch_size": 16,
            "train.learning_rate": 1e-3,
            "train.evaluate_steps": 8,
            "data.max_length": 64,
        },
    ).folder


def of_transformers(folder: Path, texts: list[str]) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Labels, and the emissions of the characters of each text."""
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32).eval()
    emissions = []
    for text in texts:
        inputs = tokenizer(text, return_tensors="pt")
        assert inputs["input_ids"].shape[1] == len(text) + 2
        with torch.no_grad():
            emissions.append(model(**inputs).logits[0, 1:-1].double().numpy())
    return tuple(model.config.id2label[index] for index in range(model.config.num_labels)), emissions


def enumerated(emissions: np.ndarray, labels: tuple[str, ...], crf: dict[str, np.ndarray] | None) -> dict[Any, float]:
    """Every sequence of tags with its probability; with a CRF, of those that BIO allows."""
    legal = legal_transitions(labels, "BIO")
    weights: dict[Any, float] = {}
    for tags in itertools.product(range(len(labels)), repeat=len(emissions)):
        score = sum(emissions[place, tag] for place, tag in enumerate(tags))
        if crf is not None:
            pairs = list(itertools.pairwise(tags))
            if not legal.start[tags[0]] or not all(legal.pairs[pair] for pair in pairs):
                continue
            score += crf["crf.start_transitions"][tags[0]] + crf["crf.end_transitions"][tags[-1]]
            score += sum(crf["crf.transitions"][pair] for pair in pairs)
        weights[tags] = np.exp(score)
    total = sum(weights.values())
    return {tags: weight / total for tags, weight in weights.items()}


def test_they_are_what_all_sequences_say(run: Path) -> None:
    labels, emissions = of_transformers(run / "best", TEXTS)
    tensors = load_file(run / "best" / "model.safetensors")
    crf = {name: tensor.astype(np.float64) for name, tensor in tensors.items() if name.startswith("crf.")} or None
    assert (crf is None) == ("softmax" in str(run))
    compared = 0
    for text, own, entry in zip(
        TEXTS, emissions, bertcore.predict(run, [{"text": text} for text in TEXTS]), strict=True
    ):
        every = enumerated(own, labels, crf)
        best = max(every, key=lambda tags: every[tags])
        assert [labels[tag] for tag in best] == entry["tags"], text
        for entity in entry["entities"]:
            place = slice(entity["start"], entity["end"])
            expected = sum(chance for tags, chance in every.items() if tags[place] == best[place])
            assert entity["probability"] == pytest.approx(expected, abs=2e-6)
            assert 0 < entity["probability"] < 1
            compared += 1
    assert compared > 1, "it shall find something"


def test_they_stand_wherever_predictions_are_written(run: Path) -> None:
    bertcore.evaluate(run)
    files = [run / "predictions.jsonl", run / "test_predictions.jsonl", run / "evaluations/dev-torch/predictions.jsonl"]
    written = [[json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] for file in files]
    assert written[0] == written[1], "both splits are the same"
    for one, other in zip(written[0], written[2], strict=True):
        assert [entity["text"] for entity in one["entities"]] == [entity["text"] for entity in other["entities"]]
        for first, second in zip(one["entities"], other["entities"], strict=True):
            assert first["probability"] == pytest.approx(second["probability"], abs=2e-6)
    assert sum(len(entry["entities"]) for entry in written[0]) > 3


def test_scores_are_those_of_predictions_with_probabilities(run: Path, tmp_path: Path) -> None:
    shutil.copy(run / "predictions.jsonl", tmp_path / "p.jsonl")
    score = bertcore.score(
        task="ner", predictions=tmp_path / "p.jsonl", settings={"data.dev": str(run.parent / "dev.bio")}
    )
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert score.evaluation.metrics == pytest.approx(report["metrics"])


@pytest.mark.parametrize("crf", [False, True])
def test_the_parts_of_an_entity_in_two_windows_are_independent(crf: bool) -> None:
    """Six units in two windows of four; the entity is predicted from both, two units from each."""
    generator = np.random.default_rng(5)
    head = TokenClassification(LABELS, crf=crf, scheme="BIO")
    sentence = Sentence("0", {"text": "abcdef"}, None, "", split_units("abcdef", "character"))
    units = np.array([0, 1, 2, -1, -1, 3, 4, 5], dtype=np.int32)
    batch = from_rows([[0] * 4] * 2, [[0] * 4] * 2, {UNIT_COLUMN: Column(units, "label")}, [0, 0], [[0, 1, 2, 3]] * 2)
    logits = generator.normal(size=(8, 3)).astype(np.float32)
    wanted = [0, 1, 2, 2, 2, 2, 2, 0]  # O B I (I) | (I) I I O
    logits[np.arange(8), wanted] += 6
    crf_scores = {
        "crf.transitions": generator.normal(size=(3, 3)).astype(np.float32),
        "crf.start_transitions": np.array([0, 0, 3], dtype=np.float32),
        "crf.end_transitions": generator.normal(size=3).astype(np.float32),
    }
    # A window may begin inside an entity only where nothing forbids it.
    head = TokenClassification(LABELS, crf=crf, scheme="BIO", forbid="never")
    tags = host.decode(
        logits,
        np.array([0, 4, 8]),
        TransitionScores(
            *(crf_scores[f"crf.{name}"] for name in ("start_transitions", "transitions", "end_transitions"))
        ),
    )
    assert tags.tolist() == wanted
    accumulator = NerAccumulator([sentence], head)
    accumulator.add(batch, {"logits": logits, "tags": tags})
    assert accumulator.read_parameters(crf_scores) is crf
    (entity,) = accumulator.predictions()[0]["entities"]
    assert (entity["start"], entity["end"]) == (1, 5)
    expected = 1.0
    for rows, own, places in ((slice(0, 4), wanted[:4], slice(1, 3)), (slice(4, 8), wanted[4:], slice(1, 3))):
        weights = {}
        for sequence in itertools.product(range(3), repeat=4):
            score = float(logits[rows][np.arange(4), sequence].astype(np.float64).sum())
            if crf:
                score += (
                    crf_scores["crf.start_transitions"][sequence[0]] + crf_scores["crf.end_transitions"][sequence[-1]]
                )
                score += sum(crf_scores["crf.transitions"][pair] for pair in itertools.pairwise(sequence))
            weights[sequence] = np.exp(score)
        agreeing = sum(weight for tags, weight in weights.items() if list(tags[places]) == own[places])
        expected *= agreeing / sum(weights.values())
    assert entity["probability"] == pytest.approx(expected, abs=2e-6)
    assert [span.type for span in tags_to_spans(accumulator.predictions()[0]["tags"], "BIO")] == ["PER"]


def test_a_crf_without_its_parameters_names_no_probability() -> None:
    head = TokenClassification(LABELS, crf=True, scheme="BIO")
    sentence = Sentence("0", {"text": "ab"}, None, "", split_units("ab", "character"))
    accumulator = NerAccumulator([sentence], head)
    batch = from_rows([[0, 0]], [[0, 0]], {UNIT_COLUMN: Column(np.arange(2, dtype=np.int32), "label")}, [0], [[0, 1]])
    accumulator.add(batch, {"tags": np.array([1, 2], dtype=np.int32), "logits": np.zeros((2, 3), dtype=np.float32)})
    (entity,) = accumulator.predictions()[0]["entities"]
    assert "probability" not in entity
