"""Models of other scripts whose labels also mark special tokens: evaluated, predicted and trained on without them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bertcore_tasks.ner.accumulator import NerAccumulator
from bertcore_tasks.ner.encoding import UNIT_COLUMN
from bertcore_tasks.ner.units import Sentence, join_units

from bertcore.contracts.batch import Column, from_rows
from bertcore.contracts.tagging import is_mark, legal_transitions
from bertcore.heads import TokenClassification

torch = pytest.importorskip("torch")

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
LISTS = {
    "kamalkraj": (*TAGS, "[CLS]", "[SEP]"),
    "clinical": ("O", "X", *TAGS[1:], "[CLS]", "[SEP]"),
    "cluener": (*TAGS, "X", "[START]", "[END]"),
    "crf": ("<pad>", *TAGS, "<START>", "<STOP>"),
}
SENTENCES = [["anna", "lives", "in", "paris"], ["bob", "stone", "left", "rome", "with", "anna"]]
GOLD = [["B-PER", "O", "O", "B-LOC"], ["B-PER", "I-PER", "O", "B-LOC", "O", "B-PER"]]


@pytest.fixture
def foreign_model(family_model: Callable[..., Any], tmp_path: Path) -> Callable[..., Path]:
    """Writes a token classifier with these labels as transformers does."""

    def write(labels: tuple[str, ...]) -> Path:
        words = sorted({word for words in SENTENCES for word in words})
        vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
        model = family_model(
            "bert",
            "ForTokenClassification",
            vocab_size=len(vocabulary),
            id2label=dict(enumerate(labels)),
            label2id={label: index for index, label in enumerate(labels)},
        )
        folder = tmp_path / "model"
        model.save_pretrained(folder)
        (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
        (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}')
        return folder

    return write


@pytest.fixture
def columns(tmp_path: Path) -> Path:
    pairs = zip(SENTENCES, GOLD, strict=True)
    blocks = ["".join(f"{word} {tag}\n" for word, tag in zip(*pair, strict=True)) for pair in pairs]
    file = tmp_path / "dev.bio"
    file.write_text("\n".join(blocks), encoding="utf-8")
    return file


@pytest.mark.parametrize("name", LISTS)
def test_marks_are_never_predicted(
    name: str, foreign_model: Callable[..., Path], columns: Path, bertcore_command: Callable[..., Any], tmp_path: Path
) -> None:
    """The oracle: transformers' logits of each word's token, the best of the real tags."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    labels = LISTS[name]
    folder = foreign_model(labels)
    marks = [label for label in labels if label not in TAGS]
    evaluated = bertcore_command("evaluate", folder, "--task", "ner", "--backend", "torch", "--data", columns)
    assert evaluated.code == 0, evaluated.err
    told = f"the model's labels {', '.join(marks)} mark special tokens and are never predicted"
    assert told in evaluated.out + evaluated.err
    records = tmp_path / "in.jsonl"
    records.write_text("".join(json.dumps({"tokens": words}) + "\n" for words in SENTENCES))
    output = tmp_path / "out.jsonl"
    predicted = bertcore_command(
        "predict", folder, "--task", "ner", "--backend", "torch", "--input", records, "--output", output
    )
    assert predicted.code == 0, predicted.err
    model, tokenizer = (
        AutoModelForTokenClassification.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
    )
    chosen_marks = 0
    for line, words in zip(output.read_text(encoding="utf-8").splitlines(), SENTENCES, strict=True):
        encoded = tokenizer(words, is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            logits = model(**encoded).logits[0, 1:-1]
        real = [labels.index(tag) for tag in TAGS]
        chosen_marks += sum(labels[best] in marks for best in logits.argmax(1).tolist())
        assert json.loads(line)["tags"] == [TAGS[best] for best in logits[:, real].argmax(1).tolist()]
    assert chosen_marks, "a model that prefers no mark would test nothing"


def test_training_goes_on_with_the_models_own_labels(
    foreign_model: Callable[..., Path], columns: Path, bertcore_command: Callable[..., Any], tmp_path: Path
) -> None:
    folder = foreign_model(LISTS["kamalkraj"])
    run = bertcore_command(
        *("run", "--task", "ner", "--backend", "torch", "--model", folder, "--train", columns, "--dev", columns),
        *("--output", tmp_path / "run", "--set", "train.epochs=30", "--set", "train.learning_rate=5e-3"),
        *("--set", "train.dropout=false", "--set", "train.schedule=constant"),
    )
    assert run.code == 0, run.err
    assert run.last_line.startswith("entity f1 1.000000"), run.last_line
    best = json.loads((tmp_path / "run" / "best" / "config.json").read_text())
    assert tuple(best["id2label"].values()) == LISTS["kamalkraj"]


def test_probabilities_are_those_among_the_real_tags() -> None:
    text, units = join_units(["anna", "left"])
    sentence = Sentence("0", {"text": text}, units=units)
    accumulator = NerAccumulator([sentence], TokenClassification(LISTS["kamalkraj"]))
    batch = from_rows(
        [[2, 5, 6, 3]], [[0] * 4], {UNIT_COLUMN: Column(np.array([0, 1], dtype=np.int32), "label")}, [0], [[1, 2]]
    )
    logits = np.array([[0, 2, 0, 0, 0, 9, 9], [1, 0, 0, 0, 0, 9, 9]], dtype=np.float32)
    accumulator.add(batch, {"logits": logits})
    (entry,) = accumulator.predictions()
    assert entry["tags"] == ["B-PER", "O"]
    (entity,) = entry["entities"]
    assert entity["probability"] == pytest.approx(np.exp(2) / (np.exp(2) + 4), abs=1e-6)


def test_a_crf_is_not_let_into_marks() -> None:
    labels = LISTS["cluener"]
    legal = legal_transitions(labels, "BIO")
    marks = np.array([is_mark(label) for label in labels])
    assert marks.sum() == 3
    for allowed in (legal.start, legal.end):
        assert not allowed[marks].any()
        assert allowed[~marks].any()
    assert not legal.pairs[marks].any()
    assert not legal.pairs[:, marks].any()


def test_labels_of_entities_are_no_marks() -> None:
    for label in (*TAGS, "B-X", "S-PAD", "I-[CLS]", "PER", "LABEL_0", "[B-PER]", ""):
        assert not is_mark(label), label
