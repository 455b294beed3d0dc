"""From logits to answers, against brute force."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bertcore_tasks.qa.answers import Gold
from bertcore_tasks.qa.decoding import best_null_threshold, best_spans, merge_candidates, probabilities
from bertcore_tasks.qa.metrics import squad_v2
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.contracts.batch import Batch
from bertcore.contracts.dataset import Example
from bertcore.contracts.evaluation import Accumulator
from bertcore.errors import Origin
from bertcore.heads import SpanExtraction
from bertcore.plugins.registry import Registry
from bertcore.testing.plugin_under_test import character_tokenizer
from bertcore.tokenization.tokenizer import Tokenizer

OUTPUTS = ("start_logits", "end_logits")
# Whole numbers, so that many scores are equal.
LOGITS = st.integers(-4, 4)


@given(
    st.lists(st.tuples(LOGITS, LOGITS, st.booleans()), max_size=14),
    st.integers(1, 20),
    st.integers(1, 40),
)
@settings(deadline=None, max_examples=300)
def test_the_best_spans_are_those_of_brute_force(
    tokens: list[tuple[int, int, bool]], max_length: int, count: int
) -> None:
    start, end, may_start = (np.array([token[column] for token in tokens]) for column in range(3))
    every = [
        (-float(start[first] + end[last]), first, last)
        for first in range(len(tokens))
        for last in range(first, min(first + max_length, len(tokens)))
        if may_start[first]
    ]
    expected = sorted(every)[:count]
    found = best_spans(start.astype(np.float32), end.astype(np.float32), may_start.astype(np.bool_), max_length, count)
    assert list(zip((-found.scores).tolist(), found.starts.tolist(), found.ends.tolist(), strict=True)) == expected


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3), LOGITS), max_size=15), st.integers(1, 6))
@settings(deadline=None, max_examples=200)
def test_candidates_of_all_windows_are_merged_by_their_text(spans: list[tuple[int, int, int]], count: int) -> None:
    context = "ababab abab"
    starts, lengths, scores = (np.array([span[column] for span in spans]) for column in range(3))
    found = merge_candidates(
        context, starts.astype(np.int32), (starts + lengths).astype(np.int32), scores.astype(np.float64), count
    )
    best: dict[str, int] = {}
    for start, length, score in spans:
        text = context[start : start + length]
        best[text] = max(best.get(text, -9), score)
    assert [candidate.score for candidate in found] == sorted(best.values(), reverse=True)[:count]
    assert all(best[candidate.text] == candidate.score for candidate in found)
    assert all(context[candidate.start : candidate.end] == candidate.text for candidate in found)
    assert len({candidate.text for candidate in found}) == len(found)


@given(st.lists(st.floats(-500, 500), min_size=1, max_size=9))
@settings(deadline=None)
def test_probabilities_are_a_softmax(scores: list[float]) -> None:
    special = pytest.importorskip("scipy.special")
    np.testing.assert_allclose(probabilities(scores), special.softmax(scores), atol=1e-12)
    assert probabilities([]) == []


@given(st.lists(st.tuples(st.integers(-5, 5), st.floats(-1, 1)), min_size=1, max_size=12))
@settings(deadline=None, max_examples=200)
def test_no_threshold_is_better_than_the_tuned_one(questions: list[tuple[int, float]]) -> None:
    differences, gains = (np.array([question[column] for question in questions], dtype=float) for column in (0, 1))

    def total(threshold: float) -> float:
        return float(gains[differences <= threshold].sum())  # the best answer is given, else none

    best = max(total(threshold) for threshold in np.arange(-7, 7, 0.5))
    assert total(best_null_threshold(differences, gains)) == pytest.approx(best)


# The accumulator

CONTEXT = "abc def ghi jkl mno pqr stu vwx"


@pytest.fixture(scope="module")
def characters(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return character_tokenizer(tmp_path_factory.mktemp("characters"))


def logits(batch: Batch, chosen: dict[tuple[int, int], tuple[float, float]]) -> dict[str, np.ndarray]:
    """Zeros, but for start and end logits of some tokens, each given by its example and character; -1 is [CLS]."""
    outputs = {name: np.zeros(len(batch.input_ids), dtype=np.float32) for name in OUTPUTS}
    for number in range(len(batch)):
        for token in range(batch.offsets[number], batch.offsets[number + 1]):
            character = int(batch.columns["character_start"].values[token])
            if character < 0 and token > batch.offsets[number]:
                continue
            start, end = chosen.get((int(batch.example_index[number]), character), (0.0, 0.0))
            outputs["start_logits"][token], outputs["end_logits"][token] = start, end
    return outputs


class Desk:
    """A task, two questions in several windows each, and what a model says of them."""

    def __init__(self, registry: Registry, tokenizer: Tokenizer, **options: Any) -> None:
        self.task = registry.task("squad")
        self.data = self.task.data_config(doc_stride=5, **options)
        self.tokenizer = tokenizer
        text = {"question": "q", "context": CONTEXT}
        self.examples = [
            Example("answered", text, Gold(("ghi",), (8, 11)), Origin("dev.json", part="question answered")),
            Example("open", text, Gold(()), Origin("dev.json", part="question open")),
        ]

    def accumulator(
        self, chosen: dict[tuple[int, int], tuple[float, float]], head: SpanExtraction, labeled: bool = True
    ) -> Accumulator:
        examples = self.examples if labeled else [Example(e.identifier, e.texts) for e in self.examples]
        batch = self.task.encode(examples, self.tokenizer, head, 16, self.data).batch
        assert len(batch) > 2 * len(examples)
        accumulator = self.task.accumulator(examples, head, self.data)
        accumulator.add(batch, logits(batch, chosen))
        return accumulator


# "ghi" of the first question by 6; "abc" of the second by 3, and no answer by 4.
MODEL = {(0, 8): (3.0, 0.0), (0, 10): (0.0, 3.0), (1, 0): (1.5, 0.0), (1, 2): (0.0, 1.5), (1, -1): (2.0, 2.0)}


def test_windows_are_merged_into_one_prediction(registry: Registry, characters: Tokenizer) -> None:
    desk = Desk(registry, characters)
    texts, origin = desk.examples[1].texts, desk.examples[1].origin
    desk.examples[1] = Example("open", texts, Gold(("vwx",), (28, 31)), origin)
    result = desk.accumulator(MODEL, SpanExtraction()).result()
    first, second = result.predictions
    assert (first["prediction"], first["start"], first["end"]) == ("ghi", 8, 11)
    assert (second["prediction"], second["start"], second["end"]) == ("abc", 0, 3)
    assert result.total == 2
    assert result.metrics == {"exact_match": 50.0, "f1": 50.0}
    # Every text once; probabilities over the twenty best.
    assert len({one["text"] for one in first["n_best"]}) == len(first["n_best"]) == 5
    assert first["n_best"][0]["probability"] == first["probability"]
    scores = [one["probability"] for one in first["n_best"]]
    assert scores == sorted(scores, reverse=True)
    assert first["probability"] > 20 * scores[1] / np.exp(3) * 0.9
    assert "null_score_difference" not in first
    assert result.errors[0]["id"] == "open"
    assert result.errors[0]["label"] == ["vwx"]


def test_an_answer_is_no_longer_than_allowed(registry: Registry, characters: Tokenizer) -> None:
    model = {(0, 8): (9.0, 0.0), (0, 14): (0.0, 8.0), (0, 10): (0.0, 1.0)}
    accumulator = Desk(registry, characters).accumulator(model, SpanExtraction(), labeled=False)
    assert accumulator.predictions()[0]["prediction"] == "ghi jkl"
    accumulator = Desk(registry, characters, max_answer_length=5).accumulator(model, SpanExtraction(), labeled=False)
    assert accumulator.predictions()[0]["prediction"] == "ghi"


def test_without_questions_that_may_be_open_an_answer_is_always_given(
    registry: Registry, characters: Tokenizer
) -> None:
    accumulator = Desk(registry, characters).accumulator(MODEL, SpanExtraction(), labeled=False)
    assert [entry["prediction"] for entry in accumulator.predictions()] == ["ghi", "abc"]


def test_the_threshold_decides_whether_an_answer_is_given(registry: Registry, characters: Tokenizer) -> None:
    """No answer leads the second question's best by 1, and lies 6 behind the first's."""
    for threshold, expected in ((-7.0, ["", ""]), (0.9, ["ghi", ""]), (1.1, ["ghi", "abc"])):
        for head, options in (
            (SpanExtraction(threshold), {}),
            (SpanExtraction(), {"null_threshold": threshold}),
            (SpanExtraction(50.0), {"null_threshold": threshold}),
        ):
            accumulator = Desk(registry, characters, **options).accumulator(MODEL, head, labeled=False)
            entries = accumulator.predictions()
            assert [entry["prediction"] for entry in entries] == expected
            assert [entry["null_score_difference"] for entry in entries] == [-6.0, 1.0]
            assert all(("start" in entry) == bool(entry["prediction"]) for entry in entries)
    # The score of no answer is the least over the windows, as in run_squad.
    desk = Desk(registry, characters, null_threshold=0.0)
    batch = desk.task.encode(desk.examples, desk.tokenizer, SpanExtraction(), 16, desk.data).batch
    outputs = logits(batch, MODEL)
    last = np.flatnonzero(batch.example_index == 1)[-1]
    outputs["start_logits"][batch.offsets[last]] = -1.0
    accumulator = desk.task.accumulator(desk.examples, SpanExtraction(), desk.data)
    accumulator.add(batch, outputs)
    assert accumulator.predictions()[1]["null_score_difference"] == -2.0


def test_the_threshold_is_tuned_and_kept(registry: Registry, characters: Tokenizer) -> None:
    desk = Desk(registry, characters)
    model = {**MODEL, (0, -1): (4.0, 4.0), (1, -1): (4.0, 4.0)}  # no answer leads by 2 and by 5
    accumulator = desk.accumulator(model, SpanExtraction())
    assert accumulator.result().metrics["f1"] == 50.0  # with 0, none is given
    head = accumulator.tune()
    assert isinstance(head, SpanExtraction)
    assert head.null_threshold == 3.5
    assert accumulator.result().metrics["f1"] == 100.0
    assert accumulator.result().metrics["unanswerable_accuracy"] == 100.0
    stored = SpanExtraction.from_config(head.config_entries(), "config.json")
    assert stored == head
    assert SpanExtraction().tuned_as(stored) == head
    again = desk.accumulator(model, SpanExtraction().tuned_as(stored))
    assert again.result().metrics["f1"] == 100.0


def test_nothing_is_tuned_where_every_question_has_an_answer(registry: Registry, characters: Tokenizer) -> None:
    desk = Desk(registry, characters)
    desk.examples.pop()
    assert desk.accumulator(MODEL, SpanExtraction()).tune() is None
    chosen = Desk(registry, characters, null_threshold=1.5)
    assert chosen.accumulator(MODEL, SpanExtraction()).tune() == SpanExtraction(1.5)


def test_the_tuned_threshold_is_the_best_by_the_official_f1(
    registry: Registry, characters: Tokenizer, squad2: Path, examples_of: Callable[..., list[Example]]
) -> None:
    task, data = registry.task("squad"), registry.task("squad").data_config()
    examples = examples_of("squad", squad2)
    generator = np.random.default_rng(5)
    batch = task.encode(examples, characters, SpanExtraction(), 512, data).batch
    outputs = {name: generator.normal(0, 3, len(batch.input_ids)).astype(np.float32) for name in OUTPUTS}
    scores = []
    for threshold in np.arange(-40, 40, 0.25):
        fixed = task.accumulator(examples, SpanExtraction(float(threshold)), data)
        fixed.add(batch, outputs)
        texts = [entry["prediction"] for entry in fixed.predictions()]
        pairs = zip(texts, examples, strict=True)
        scores.append(np.mean([squad_v2(text, example.label.answers).f1 for text, example in pairs]))
    tuned = task.accumulator(examples, SpanExtraction(), data)
    tuned.add(batch, outputs)
    tuned.tune()
    assert tuned.result().metrics["f1"] == pytest.approx(100 * max(scores))


def test_logits_are_not_kept(registry: Registry, characters: Tokenizer) -> None:
    """What stays of 500 rows of 400 tokens is less than half of their logits, and does not grow with their length."""
    task = registry.task("squad")
    context = "abcdefghi " * 42
    examples = [Example(str(number), {"question": "q", "context": context}) for number in range(500)]
    data = task.data_config()
    batch = task.encode(examples, characters, SpanExtraction(), 400, data).batch
    accumulator = task.accumulator(examples, SpanExtraction(), data)
    generator = np.random.default_rng(0)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for rows in np.array_split(np.arange(len(batch)), 20):
        part = batch.select(rows)
        accumulator.add(part, {n: generator.normal(size=len(part.input_ids)) for n in accumulator.want})
    del part
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert kept < len(batch) * 600
    assert kept < 8 * len(batch.input_ids) / 2
    assert len(accumulator.predictions()) == 500


def test_numbers_that_are_none_give_no_answer(registry: Registry, characters: Tokenizer) -> None:
    desk = Desk(registry, characters)
    batch = desk.task.encode(desk.examples, desk.tokenizer, SpanExtraction(), 16, desk.data).batch
    accumulator = desk.task.accumulator(desk.examples, SpanExtraction(), desk.data)
    nothing = np.full(len(batch.input_ids), np.nan, dtype=np.float32)
    accumulator.add(batch, {"start_logits": nothing, "end_logits": nothing})
    assert [entry["prediction"] for entry in accumulator.predictions()] == ["", ""]
    assert accumulator.result().total == 2
