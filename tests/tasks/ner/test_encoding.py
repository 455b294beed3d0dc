"""Units, windows and labels: every unit has one label position, wherever a text is cut into windows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bertcore_tasks.ner.base import NerTask
from bertcore_tasks.ner.options import NerDataConfig, NerHeadConfig
from bertcore_tasks.ner.units import Sentence, UnitKind, align, join_units, split_units
from bertcore_tasks.ner.windows import plan_windows
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.contracts.batch import Batch
from bertcore.contracts.tagging import Span, scheme_tags, spans_to_tags
from bertcore.contracts.task import Encoding
from bertcore.errors import UsageError
from bertcore.heads import TokenClassification
from bertcore.plugins.registry import Registry
from bertcore.tokenization.tokenizer import Tokenizer

CHARACTERS = st.one_of(
    st.characters(codec="utf-8"),
    st.sampled_from("彭小军在台湾，。《》ＡＢ１２１aéßğ Zß0 9\t\u3000\u200b\u200d\u0301\u0308\x00\x7f\ufeff😀👩🇩"),
    st.sampled_from("abcdefgh中文"),
)
TEXTS = st.text(CHARACTERS, max_size=60)


@pytest.fixture(scope="module")
def tokenizer(chinese_l12: Path) -> Tokenizer:
    return Tokenizer.load(chinese_l12)


@pytest.fixture(scope="module")
def task() -> NerTask:
    found = Registry().task("people_daily")
    assert isinstance(found, NerTask)
    return found


def head_of(scheme: str = "BIO", types: Sequence[str] = ("PER", "LOC"), crf: bool = False) -> TokenClassification:
    return TokenClassification(scheme_tags(scheme, types), crf=crf, scheme=scheme)


def sentence_of(text: str, label: Sequence[Span] | None = (), kind: UnitKind = "character") -> Sentence:
    gold = None if label is None else tuple(label)
    return Sentence("0", {"text": text}, gold, "here", split_units(text, kind))


def encoded(
    task: NerTask,
    sentences: list[Sentence],
    tokenizer: Tokenizer,
    head: TokenClassification,
    length: int,
    **options: Any,
) -> Encoding:
    return task.encode(sentences, tokenizer, head, length, NerDataConfig(**options))


# Units


@given(TEXTS)
def test_units_cover_the_text(text: str) -> None:
    """Characters cover everything, words everything but white space; both in order and without overlap."""
    assert len(split_units(text, "character")) == len(text)
    units = split_units(text, "word")
    covered = [index for start, end in zip(units.starts, units.ends, strict=True) for index in range(start, end)]
    assert covered == [index for index, character in enumerate(text) if not character.isspace()]
    assert all(start < end for start, end in zip(units.starts, units.ends, strict=True))


def test_words_are_runs_of_letters_and_single_signs() -> None:
    def words(text: str) -> list[str]:
        return sentence_of(text, kind="word").words

    assert words("彭小军 bought 737s, ok?") == ["彭", "小", "军", "bought", "737s", ",", "ok", "?"]
    assert words("cafe\u0301 über ＡＢ") == ["cafe\u0301", "über", "Ａ", "Ｂ"]
    assert words(" \t\n") == []


@given(st.lists(st.text(CHARACTERS, min_size=1, max_size=4), max_size=12))
def test_joined_units_stand_where_their_offsets_say(words: list[str]) -> None:
    text, units = join_units(words)
    assert Sentence("0", {"text": text}, units=units).words == words
    between = "".join(text[end:start] for end, start in zip(units.ends, units.starts[1:], strict=False))
    assert set(between) <= {" "}
    assert len(text) == sum(map(len, words)) + len(between)


# Windows


@given(st.lists(st.integers(1, 12), max_size=60), st.integers(1, 20), st.integers(0, 30), st.booleans())
def test_windows_cover_every_unit_and_each_is_owned_once(
    sizes: list[int], capacity: int, overlap: int, truncate: bool
) -> None:
    plan = plan_windows(sizes, capacity, overlap, truncate)
    clipped = [min(size, capacity) for size in sizes]
    for number, (start, end) in enumerate(plan.bounds):
        assert sum(clipped[start:end]) <= capacity
        assert number == 0 or plan.bounds[number - 1][0] < start <= plan.bounds[number - 1][1] < end
    covered = {unit for start, end in plan.bounds for unit in range(start, end)}
    if truncate:
        assert len(plan.bounds) == 1
        assert covered == set(range(plan.bounds[0][1]))
        assert plan.bounds[0][1] == len(sizes) or sum(clipped[: plan.bounds[0][1] + 1]) > capacity
    else:
        assert covered == set(range(len(sizes)))
    assert [owner >= 0 for owner in plan.owner] == [unit in covered for unit in range(len(sizes))]

    def context(unit: int, window: tuple[int, int]) -> float:
        start, end = window
        left = np.inf if start == 0 else unit - start
        right = np.inf if end == len(sizes) else end - 1 - unit
        return float(min(left, right))

    for unit in covered:
        best = max(context(unit, window) for window in plan.bounds if window[0] <= unit < window[1])
        owner = plan.bounds[plan.owner[unit]]
        assert owner[0] <= unit < owner[1]
        assert context(unit, owner) == best or best == np.inf


def test_neighbouring_windows_share_the_overlap() -> None:
    plan = plan_windows([1] * 20, 10, 4)
    assert plan.bounds == ((0, 10), (6, 16), (12, 20))
    assert plan.owner.tolist() == [0] * 8 + [1] * 6 + [2] * 6
    assert plan_windows([1] * 20, 10, 99).bounds[:2] == ((0, 10), (5, 15))
    assert plan_windows([1] * 20, 10, 0).bounds == ((0, 10), (10, 20))


# Encoding


def assert_one_position_per_unit(batch: Batch, sentences: Sequence[Sentence], tokenizer: Tokenizer) -> None:
    """Label positions are the first tokens of units, in order, and each unit is predicted once."""
    assert batch.label_offsets is not None
    assert batch.label_positions is not None
    before, behind = tokenizer.special_ids
    units = batch.columns["unit"].values
    predicted: list[list[int]] = [[] for _ in sentences]
    for row, example in enumerate(batch.example_index):
        tokens = batch.input_ids[batch.offsets[row] : batch.offsets[row + 1]].tolist()
        assert tokens[: len(before)] == before
        assert tokens[-len(behind) :] == behind
        labels = slice(batch.label_offsets[row], batch.label_offsets[row + 1])
        positions = batch.label_positions[labels].tolist()
        assert positions == sorted(set(positions))
        assert all(len(before) <= position < len(tokens) - len(behind) for position in positions)
        predicted[example] += [unit for unit in units[labels].tolist() if unit >= 0]
    for sentence, found in zip(sentences, predicted, strict=True):
        assert sorted(found) == list(range(len(sentence.units)))


@settings(deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from(["character", "word"]), st.integers(4, 40))
def test_every_unit_of_any_text_has_one_label_position(
    task: NerTask, tokenizer: Tokenizer, texts: list[str], kind: UnitKind, length: int
) -> None:
    sentences = [sentence_of(text, kind=kind) for text in texts]
    batch = encoded(task, sentences, tokenizer, head_of(), length, overlap=6).batch
    assert batch.lengths.max() <= length
    assert_one_position_per_unit(batch, sentences, tokenizer)


@settings(deadline=None)
@given(TEXTS)
def test_tokens_of_a_character_are_those_of_the_character_alone(task: NerTask, tokenizer: Tokenizer, text: str) -> None:
    """transformers' rule for pre-split words, and the unknown token where it would leave a unit without any."""
    batch = encoded(task, [sentence_of(text)], tokenizer, head_of(), 512).batch
    expected = [101]
    for character in text:
        ids = tokenizer._inner.encode(character, add_special_tokens=False).ids
        expected += ids or [100]
    assert batch.input_ids.tolist() == [*expected, 102]


def test_units_without_tokens_become_unknown_ones(task: NerTask, tokenizer: Tokenizer) -> None:
    text = "a \u200b\u0301\x00中"
    label = [Span(1, 5, "PER")]
    batch = encoded(task, [sentence_of(text, label)], tokenizer, head_of(), 32).batch
    assert batch.input_ids.tolist()[2:6] == [100] * 4
    assert batch.columns["labels"].values.tolist() == [0, 1, 2, 2, 2, 0]


@st.composite
def labeled_sentences(draw: st.DrawFn) -> Sentence:
    text = draw(st.text(CHARACTERS, min_size=1, max_size=60))
    kind = draw(st.sampled_from(["character", "word"]))
    units = split_units(text, kind)
    spans: list[Span] = []
    position = 0
    while position < len(units):
        length = draw(st.integers(1, 4))
        if draw(st.booleans()) and position + length <= len(units):
            kind_of_entity = draw(st.sampled_from(["PER", "LOC"]))
            spans.append(Span(units.starts[position], units.ends[position + length - 1], kind_of_entity))
        position += length
    return Sentence("0", {"text": text}, tuple(spans), "here", units)


@settings(deadline=None)
@given(st.lists(labeled_sentences(), min_size=1, max_size=3), st.sampled_from(["BIO", "BIOES", "BMES"]), st.booleans())
def test_right_tags_give_all_entities_back_through_any_windows(
    task: NerTask, tokenizer: Tokenizer, sentences: list[Sentence], scheme: str, crf: bool
) -> None:
    """Windows are merged by the `unit` column alone: the tags of the whole text, seen through windows, are whole."""
    head = head_of(scheme, crf=crf)
    batch = encoded(task, sentences, tokenizer, head, 12, overlap=5).batch
    gold = [spans_to_tags(align(s.label, s.units).spans, len(s.units), scheme) for s in sentences]
    units = batch.columns["unit"].values
    assert batch.label_offsets is not None
    examples = np.repeat(batch.example_index, np.diff(batch.label_offsets))
    # Where another window knows more, this one says something wrong, which must not be heard.
    tags = np.array(
        [
            head.labels.index(gold[example][unit]) if unit >= 0 else 1
            for example, unit in zip(examples, units, strict=True)
        ],
        dtype=np.int32,
    )
    accumulator = task.accumulator(sentences, head, NerDataConfig())
    outputs = {"tags": tags, "logits": np.eye(head.output_size, dtype=np.float32)[tags]}
    accumulator.add(batch, {name: outputs[name] for name in accumulator.want})
    result = accumulator.result()
    found = [{(e["start"], e["end"], e["type"]) for e in entry["entities"]} for entry in result.predictions]
    assert found == [{(span.start, span.end, span.type) for span in s.label} for s in sentences]
    assert result.metrics["f1"] == (1.0 if any(s.label for s in sentences) else 0.0)
    assert result.metrics["token_f1"] == result.metrics["conlleval_f1"] == result.metrics["f1"]


@settings(deadline=None)
@given(st.lists(labeled_sentences(), min_size=1, max_size=3), st.sampled_from(["BIO", "BIOES", "BMES", "IO"]))
def test_labels_of_every_window_are_legal(
    task: NerTask, tokenizer: Tokenizer, sentences: list[Sentence], scheme: str
) -> None:
    """So that a CRF which forbids the others in training, too, has a path to learn."""
    head = head_of(scheme, crf=True)
    batch = encoded(task, sentences, tokenizer, head, 8, overlap=3).batch
    legal = head.legal_transitions()
    assert batch.label_offsets is not None
    for start, end in zip(batch.label_offsets, batch.label_offsets[1:], strict=False):
        labels = batch.columns["labels"].values[start:end]
        if len(labels):
            assert legal.start[labels[0]]
            assert legal.end[labels[-1]]
            assert legal.pairs[labels[:-1], labels[1:]].all()


def test_labels_stand_on_first_pieces_of_words(task: NerTask, tokenizer: Tokenizer) -> None:
    sentence = sentence_of("Schwarzenegger 在加利福尼亚", [Span(0, 14, "PER"), Span(16, 21, "LOC")], "word")
    batch = encoded(task, [sentence], tokenizer, head_of(), 64).batch
    tokens = tokenizer.tokens(batch.input_ids.tolist())
    assert tokens[1:6] == ["sc", "##h", "##wa", "##r", "##zen"]
    assert batch.label_positions is not None
    assert [tokens[position] for position in batch.label_positions] == ["sc", *"在加利福尼亚"]
    assert batch.columns["labels"].values.tolist() == [1, 0, 3, 4, 4, 4, 4]


# What is lost is counted


def test_long_texts_are_windowed_and_nothing_is_cut(task: NerTask, tokenizer: Tokenizer) -> None:
    sentences = [sentence_of("中" * 50, [Span(48, 50, "LOC")]), sentence_of("文" * 5)]
    encoding = encoded(task, sentences, tokenizer, head_of(), 22, overlap=8)
    assert encoding.batch.example_index.tolist() == [0, 0, 0, 0, 1]
    assert encoding.truncated.tolist() == []
    assert encoding.notes == ("1 text longer than 22 tokens: 4 overlapping windows",)


def test_what_truncation_cuts_is_counted_and_still_scored(task: NerTask, tokenizer: Tokenizer) -> None:
    label = [Span(0, 2, "PER"), Span(19, 21, "LOC"), Span(30, 32, "LOC")]
    sentences = [sentence_of("中" * 50, label), sentence_of("文" * 5, [Span(0, 1, "PER")])]
    head = head_of()
    encoding = encoded(task, sentences, tokenizer, head, 22, truncate=True)
    assert encoding.batch.example_index.tolist() == [0, 1]
    assert encoding.truncated.tolist() == [0]
    (note,) = encoding.notes
    assert note.startswith("1 text cut at 22 tokens, which loses 30 characters and 2 entities")
    accumulator = task.accumulator(sentences, head, NerDataConfig())
    labels = encoding.batch.columns["labels"].values
    accumulator.add(encoding.batch, {"logits": np.eye(head.output_size, dtype=np.float32)[labels]})
    result = accumulator.result()
    assert result.total == 2
    # Found are two of four; the half of the third entity inside the row is none of the gold.
    assert result.metrics["recall"] == 2 / 4
    assert result.metrics["precision"] == 2 / 3
    assert len(result.predictions[0]["tags"]) == 50


def test_entities_that_units_cannot_tell_are_counted_and_still_scored(task: NerTask, tokenizer: Tokenizer) -> None:
    label = [Span(0, 3, "PER"), Span(0, 6, "LOC"), Span(7, 9, "PER"), Span(7, 8, "LOC"), Span(9, 10, "GPE")]
    sentence = sentence_of("Boeing 飞机好", label, "word")
    encoding = encoded(task, [sentence], tokenizer, head_of(), 32)
    off_units, overlapping, unknown = encoding.notes
    assert off_units.startswith("1 entity with a border inside a unit")
    assert overlapping.startswith("1 entity overlapping another one")
    assert unknown.startswith("1 entity of a type that the model does not know (GPE)")
    assert all("scored all the same" in note for note in encoding.notes)
    assert encoding.batch.columns["labels"].values.tolist() == [3, 1, 2, 0]
    accumulator = task.accumulator([sentence], head_of(crf=True), NerDataConfig())
    tags = encoding.batch.columns["labels"].values
    accumulator.add(encoding.batch, {"tags": tags, "logits": np.zeros((len(tags), head_of().output_size), np.float32)})
    metrics = accumulator.result().metrics
    assert (metrics["precision"], metrics["recall"]) == (1.0, 2 / 5)


def test_what_io_cannot_tell_apart_is_counted(task: NerTask, tokenizer: Tokenizer) -> None:
    sentence = sentence_of("甲乙丙", [Span(0, 1, "PER"), Span(1, 3, "PER")])
    (note,) = encoded(task, [sentence], tokenizer, head_of("IO"), 32).notes
    assert note.startswith("1 entity behind another one of its type, which IO cannot tell apart")


def test_a_word_longer_than_a_row_keeps_its_label(task: NerTask, tokenizer: Tokenizer) -> None:
    text, units = join_units(["中", "x" * 90, "文"])
    sentence = Sentence("0", {"text": text}, (Span(1, 91, "PER"),), "here", units)
    encoding = encoded(task, [sentence], tokenizer, head_of(), 12)
    assert_one_position_per_unit(encoding.batch, [sentence], tokenizer)
    assert encoding.truncated.tolist() == [0]
    assert encoding.notes[-1] == "1 word longer than a row: only the first tokens are read"


def test_an_empty_text_has_a_row_without_label_positions(task: NerTask, tokenizer: Tokenizer) -> None:
    sentences = [sentence_of(""), sentence_of("中")]
    batch = encoded(task, sentences, tokenizer, head_of(), 16).batch
    assert batch.label_offsets is not None
    assert batch.label_offsets.tolist() == [0, 0, 1]
    accumulator = task.accumulator(sentences, head_of(), NerDataConfig())
    accumulator.add(batch, {"logits": np.zeros((1, 5), dtype=np.float32)})
    assert accumulator.result().total == 2


# Heads


def test_the_head_follows_its_options(task: NerTask) -> None:
    labels = scheme_tags("BIO", ("PER", "LOC"))
    plain = task.head(labels, NerHeadConfig())
    assert plain == TokenClassification(labels, scheme="BIO")
    options = NerHeadConfig(crf=True, scheme="BMES", forbid="training", transitions="data", crf_learning_rate=0.01)
    assert task.head(labels, options) == TokenClassification(
        scheme_tags("BMES", ("PER", "LOC")),
        crf=True,
        scheme="BMES",
        forbid="training",
        transitions="data",
        crf_learning_rate=0.01,
    )


def test_labels_of_a_foreign_model_that_are_no_tags_are_refused(task: NerTask, tokenizer: Tokenizer) -> None:
    head = TokenClassification(("LABEL_0", "LABEL_1"))
    with pytest.raises(UsageError, match="labels are no tags of entities"):
        encoded(task, [sentence_of("中")], tokenizer, head, 16)
    encoding = encoded(
        task, [sentence_of("中", [Span(0, 1, "PER")])], tokenizer, TokenClassification(("O", "I-PER")), 16
    )
    assert encoding.batch.columns["labels"].values.tolist() == [1]
