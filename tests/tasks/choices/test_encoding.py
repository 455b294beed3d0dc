"""Rows of choices: as transformers pairs the texts, cut at the context, and counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bertcore_tasks.choices.encoding import encode_choices
from bertcore_tasks.choices.scoring import ChoiceAccumulator

from bertcore.contracts.dataset import Example
from bertcore.errors import UsageError
from bertcore.tokenization.tokenizer import Tokenizer

from .conftest import SCENES

SWAG = [
    Example(str(n), {"context": c, "question": q, **{f"choice{i}": e for i, e in enumerate(endings)}}, str(label))
    for n, (c, q, endings, label) in enumerate(SCENES)
]
OWN = [Example("0", {"question": "What is it?", "choice0": "a dog", "choice1": "a cat", "choice2": "a fish"}, "2")]


@pytest.fixture(scope="module")
def tokenizer(tiny_en: Path) -> Any:
    return Tokenizer.load(tiny_en)


def test_rows_are_those_of_run_swag(tokenizer: Any, tiny_en: Path) -> None:
    transformers = pytest.importorskip("transformers")
    oracle = transformers.AutoTokenizer.from_pretrained(tiny_en)
    batch = encode_choices(SWAG, tokenizer, 64).batch
    firsts = [context for context, _, endings, _ in SCENES for _ in endings]
    seconds = [f"{start} {ending}" for _, start, endings, _ in SCENES for ending in endings]
    expected = oracle(firsts, seconds)
    rows = np.split(batch.input_ids, batch.offsets[1:-1])
    types = np.split(batch.token_type_ids, batch.offsets[1:-1])
    assert [row.tolist() for row in rows] == expected["input_ids"]
    assert [row.tolist() for row in types] == expected["token_type_ids"]
    assert batch.groups is not None
    assert batch.groups.tolist() == [number for number, scene in enumerate(SCENES) for _ in scene[2]]
    assert batch.columns["labels"].values.tolist() == [scene[3] for scene in SCENES]
    assert batch.columns["choices"].values.tolist() == list(range(4)) * len(SCENES)


def test_without_a_context_the_question_is_the_first_text(tokenizer: Any, tiny_en: Path) -> None:
    transformers = pytest.importorskip("transformers")
    oracle = transformers.AutoTokenizer.from_pretrained(tiny_en)
    batch = encode_choices(OWN, tokenizer, 64).batch
    expected = oracle(["What is it?"] * 3, ["a dog", "a cat", "a fish"])["input_ids"]
    assert [row.tolist() for row in np.split(batch.input_ids, batch.offsets[1:-1])] == expected


def test_the_context_is_cut_and_never_the_choice(tokenizer: Any) -> None:
    choices = ["one two three", "four"]
    long = Example("0", {"context": "word " * 50, "question": "and then", "choice0": choices[0], "choice1": choices[1]})
    short = Example("1", {"context": "word", "question": "and then", "choice0": choices[0], "choice1": choices[1]})
    encoding = encode_choices([long, short], tokenizer, 16)
    rows = np.split(encoding.batch.input_ids, encoding.batch.offsets[1:-1])
    whole = tokenizer.encode_with_offsets(["and then one two three", "and then four"])
    for index in (0, 1):
        second = whole.input_ids[whole.offsets[index] : whole.offsets[index + 1]]
        assert rows[index].tolist()[-len(second) - 1 : -1] == second.tolist()
        assert len(rows[index]) == 16
    assert encoding.truncated.tolist() == [0]
    assert not encoding.notes


def test_what_no_row_can_hold_is_cut_from_the_question_before_the_choice(tokenizer: Any) -> None:
    texts = {"context": "context", "question": "word " * 20, "choice0": "one two three", "choice1": "four " * 30}
    encoding = encode_choices([Example("0", texts)], tokenizer, 16)
    first, second = np.split(encoding.batch.input_ids, encoding.batch.offsets[1:-1])
    choice = tokenizer.encode_with_offsets(["one two three"]).input_ids.tolist()
    assert first.tolist()[-len(choice) - 1 : -1] == choice
    four = tokenizer.encode_with_offsets(["four"]).input_ids.tolist()
    assert second.tolist()[2:-1] == four * 13
    assert encoding.truncated.tolist() == [0]
    assert encoding.notes == (
        "1 question has choices that were cut, since they are too long for a row: raise data.max_length",
    )


def test_a_length_without_room_is_refused(tokenizer: Any) -> None:
    with pytest.raises(UsageError, match="no room for a question and a choice"):
        encode_choices(OWN, tokenizer, 4)


def test_the_accuracy_is_that_of_scikit_learn(tokenizer: Any) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    examples = [*SWAG, Example("6", OWN[0].texts, "2")]
    batch = encode_choices(examples, tokenizer, 64).batch
    logits = np.random.default_rng(4).normal(0, 3, (len(batch), 1)).astype(np.float32)
    accumulator = ChoiceAccumulator(examples)
    accumulator.add(batch, {"logits": logits})
    result = accumulator.result()
    gold = [int(example.label) for example in examples]
    given = [int(part.argmax()) for part in np.split(logits[:, 0], [4, 8, 12, 16, 20, 24])]
    assert [entry["prediction"] for entry in result.predictions] == given
    assert result.metrics == {"accuracy": metrics.accuracy_score(gold, given)}
    assert result.baseline == {"accuracy": pytest.approx(2 / 7)}
    report = metrics.precision_recall_fscore_support(gold, given, labels=[0, 1, 2, 3], zero_division=0)
    assert [score.f1 for score in result.per_class.values()] == pytest.approx(list(report[2]))
    for entry, example in zip(result.predictions, examples, strict=True):
        assert sum(entry["probabilities"]) == pytest.approx(1, abs=1e-5)
        assert entry["choice"] == example.texts[f"choice{entry['prediction']}"]
        assert len(entry["probabilities"]) == len([name for name in example.texts if name.startswith("choice")])
