"""Windows of contexts against transformers' tokenizers and against their definitions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from bertcore_tasks.qa.answers import Gold
from bertcore_tasks.qa.encoding import encode_windows
from bertcore_tasks.qa.metrics import normalize
from bertcore_tasks.qa.windows import LOST
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bertcore.contracts.batch import Batch
from bertcore.contracts.dataset import Example
from bertcore.contracts.task import Encoding
from bertcore.errors import ModelError, UsageError
from bertcore.heads import SpanExtraction
from bertcore.plugins.registry import Registry
from bertcore.testing.plugin_under_test import character_tokenizer
from bertcore.tokenization.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def english(tiny_en: Path) -> Tokenizer:
    return Tokenizer.load(tiny_en)


@pytest.fixture(scope="module")
def characters(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return character_tokenizer(tmp_path_factory.mktemp("characters"))


def rows_of(batch: Batch, index: int) -> list[int]:
    return np.flatnonzero(batch.example_index == index).tolist()


def row(batch: Batch, number: int, column: str) -> list[int]:
    values = getattr(batch, column) if hasattr(batch, column) else batch.columns[column].values
    return values[batch.offsets[number] : batch.offsets[number + 1]].tolist()


def compare_with_transformers(
    reference: Any, examples: Sequence[Example], encoding: Encoding, max_length: int, doc_stride: int, room: int
) -> int:
    """Compares all rows; returns how many there are. `room`: tokens of a row without its special tokens."""
    batch, total = encoding.batch, 0
    for index, one in enumerate(examples):
        question, context = one.texts["question"], one.texts["context"]
        question_length = len(reference(question, add_special_tokens=False)["input_ids"])
        # Their stride is the overlap of two windows, ours (as run_squad's) the way from one to the next.
        theirs = reference(
            question,
            context,
            truncation="only_second",
            max_length=max_length,
            stride=max(room - question_length - doc_stride, 0),
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        numbers = rows_of(batch, index)
        assert len(numbers) == len(theirs["input_ids"])
        total += len(numbers)
        for window, number in enumerate(numbers):
            assert row(batch, number, "input_ids") == theirs["input_ids"][window]
            if "token_type_ids" in theirs:
                assert row(batch, number, "token_type_ids") == theirs["token_type_ids"][window]
            else:
                assert set(row(batch, number, "token_type_ids")) == {0}
            spans = [
                span if text == 1 else (-1, -1)
                for span, text in zip(theirs["offset_mapping"][window], theirs.sequence_ids(window), strict=True)
            ]
            starts, ends = row(batch, number, "character_start"), row(batch, number, "character_end")
            assert list(zip(starts, ends, strict=True)) == spans
    return total


@pytest.mark.parametrize(("max_length", "doc_stride"), [(384, 128), (128, 40)])
def test_rows_are_those_of_transformers(
    tiny_en: Path, english: Tokenizer, squad_dev: list[Example], max_length: int, doc_stride: int
) -> None:
    transformers = pytest.importorskip("transformers")
    longest = sorted(squad_dev, key=lambda one: -len(one.texts["context"]))[:60]
    examples = [*squad_dev[::200], *longest]
    encoding = encode_windows(examples, english, max_length, doc_stride, 64, 400)
    assert encoding.truncated.tolist() == []
    reference = transformers.AutoTokenizer.from_pretrained(tiny_en)
    total = compare_with_transformers(reference, examples, encoding, max_length, doc_stride, max_length - 3)
    assert total == len(encoding.batch) > len(examples) + 100


def test_rows_of_roberta(squad_dev: list[Example], tmp_path: Path) -> None:
    """Byte pairs, two separators between the texts, no token types: as its own post-processor says."""
    transformers = pytest.importorskip("transformers")
    contexts = list(dict.fromkeys(one.texts["context"] for one in squad_dev[:400]))
    inner = tokenizers.ByteLevelBPETokenizer(add_prefix_space=False)
    inner.train_from_iterator(contexts, vocab_size=1200, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    inner.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    inner.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.load(tmp_path)
    template = tokenizer.pair_template()
    assert (template.before, template.between, template.after) == (((0, 0),), ((2, 0), (2, 0)), ((2, 0),))
    reference = transformers.RobertaTokenizerFast.from_pretrained(tmp_path)
    examples = [*squad_dev[:200:10], Example("x", {"question": "Café 😀?", "context": "a  😀 naïve\n" + contexts[0]})]
    encoding = encode_windows(examples, tokenizer, 160, 64, 64, 400)
    total = compare_with_transformers(reference, examples, encoding, 160, 64, 156)
    assert total > len(examples)


def test_a_tokenizer_without_special_tokens_is_refused(tmp_path: Path) -> None:
    inner = tokenizers.Tokenizer(tokenizers.models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    inner.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ModelError, match="puts no \\[CLS\\] in front"):
        Tokenizer.load(tmp_path).pair_template()


# Answers

# Answers of the files that begin or end inside a word, and hence inside a token: "gold" of "golden".
INSIDE_A_WORD = {"dev": 58, "train": 27}


@pytest.mark.parametrize("split", ["dev", "train"])
def test_every_answer_of_squad_is_found_again(
    examples_of: Callable[..., list[Example]], squad_dir: Path, english: Tokenizer, split: str
) -> None:
    examples = examples_of("squad", squad_dir, split)
    started = time.process_time()
    encoding = encode_windows(examples, english, 384, 128, 64, 400)
    assert time.process_time() - started < 30
    assert encoding.notes == ()
    batch = encoding.batch
    first, last = (batch.columns[name].values for name in ("start_positions", "end_positions"))
    starts, ends = (batch.columns[name].values for name in ("character_start", "character_end"))
    assert np.all((first == 0) == (last == 0))
    held = np.flatnonzero(first)
    assert set(batch.example_index[held].tolist()) == set(range(len(examples))), "an answer is in no window"
    inside = 0
    for number in held.tolist():
        one = examples[batch.example_index[number]]
        offset = batch.offsets[number]
        begin, end = int(starts[offset + first[number]]), int(ends[offset + last[number]])
        context = one.texts["context"]
        answer = context[slice(*one.label.span)]
        if normalize(context[begin:end]) == normalize(answer):
            continue
        inside += 1
        assert begin <= one.label.span[0] < one.label.span[1] <= end
        # What the tokens have more is the rest of a word.
        for rest in (context[begin : one.label.span[0]], context[one.label.span[1] : end]):
            assert not rest or not any(character.isspace() for character in rest)
    assert inside == INSIDE_A_WORD[split]


def test_windows_without_the_answer_point_at_cls(english: Tokenizer, squad_dev: list[Example]) -> None:
    """Also those that hold a part of it, as in run_squad."""
    examples = sorted(squad_dev, key=lambda one: -len(one.texts["context"]))[:80]
    batch = encode_windows(examples, english, 100, 20, 64, 400).batch
    first, last = (batch.columns[name].values for name in ("start_positions", "end_positions"))
    starts, ends = (batch.columns[name].values for name in ("character_start", "character_end"))
    seen = {"whole": 0, "part": 0, "none": 0}
    for number in range(len(batch)):
        gold = examples[batch.example_index[number]].label.span
        tokens = slice(batch.offsets[number], batch.offsets[number + 1])
        context = starts[tokens] >= 0
        begin, end = starts[tokens][context].min(), ends[tokens][context].max()
        if begin <= gold[0] and gold[1] <= end:
            seen["whole"] += 1
            assert starts[tokens][first[number]] <= gold[0] < gold[1] <= ends[tokens][last[number]]
        else:
            seen["part" if begin < gold[1] and gold[0] < end else "none"] += 1
            assert (first[number], last[number]) == (0, 0)
    assert min(seen.values()) > 5, seen


def test_an_answer_that_no_window_holds_is_counted(characters: Tokenizer) -> None:
    context = "abcdefghijklmnopqrst"
    examples = [
        Example(str(number), {"question": "", "context": context}, Gold((context[slice(*span)],), span))
        for number, span in enumerate([(4, 14), (4, 15), (0, 10), (19, 20)])
    ]
    # Windows of ten tokens, five of them shared with the next one.
    encoding = encode_windows(examples, characters, 13, 5, 1, 400)
    first = encoding.batch.columns["start_positions"].values
    held = {int(index) for index in encoding.batch.example_index[first > 0]}
    assert held == {2, 3}
    (note,) = encoding.notes
    assert note.startswith("2 answers lie whole in no window")


def test_answers_that_decoding_never_gives_are_counted(characters: Tokenizer) -> None:
    spans = [(0, 3), (0, 4), (2, 9)]
    examples = [
        Example(str(number), {"question": "", "context": "abcdefghi"}, Gold(("abcdefghi"[slice(*span)],), span))
        for number, span in enumerate(spans)
    ]
    assert encode_windows(examples, characters, 20, 5, 1, 7).notes == ()
    (note,) = encode_windows(examples, characters, 20, 5, 1, 3).notes
    assert note.startswith("2 answers are longer than 3 tokens")


def test_questions_without_an_answer_and_lost_answers(characters: Tokenizer) -> None:
    text = {"question": "who?", "context": "ada and bob"}
    golds = [Gold(()), Gold(("eve",)), Gold(("bob",), (8, 11)), Gold((" ",), (3, 4))]
    examples = [Example(str(number), text, gold) for number, gold in enumerate(golds)]
    encoding = encode_windows(examples, characters, 60, 20, 20, 400)
    first = encoding.batch.columns["start_positions"]
    assert first.values.tolist() == [0, LOST, 6 + 6, LOST]  # [CLS] w h o ? [SEP] a d a a n d b
    assert encoding.batch.columns["end_positions"].values.tolist() == [0, LOST, 6 + 8, LOST]
    assert first.ignore == LOST
    assert encoding.notes == ("1 answers have no token (white space or removed characters) and are not trained on",)
    assert SpanExtraction().loss_count(encoding.batch) == 2


def test_long_questions_are_cut_and_counted(characters: Tokenizer) -> None:
    examples = [
        Example("0", {"question": "a" * 30, "context": "b" * 5}),
        Example("1", {"question": "a" * 20, "context": "b" * 5}),
        Example("2", {"question": "", "context": ""}),
    ]
    encoding = encode_windows(examples, characters, 100, 20, 20, 400)
    assert encoding.truncated.tolist() == [0]
    assert encoding.batch.lengths.tolist() == [20 + 5 + 3, 20 + 5 + 3, 3]
    # A question takes at most half of a row.
    encoding = encode_windows(examples, characters, 11, 20, 20, 400)
    assert encoding.truncated.tolist() == [0, 1]
    assert encoding.batch.lengths.tolist() == [4 + 4 + 3, 4 + 1 + 3, 4 + 4 + 3, 4 + 1 + 3, 3]
    with pytest.raises(UsageError, match="rows of 4 tokens have no room for a question and a context"):
        encode_windows(examples, characters, 4, 20, 20, 400)


# Windows by their definition


def expected_windows(length: int, room: int, doc_stride: int) -> list[tuple[int, int]]:
    """As google-research/bert's run_squad.py makes them: first token and number of tokens."""
    windows, start = [], 0
    while True:
        count = min(length - start, room)
        windows.append((start, count))
        if start + count == length:
            return windows
        start += min(count, doc_stride)


def best_window(windows: list[tuple[int, int]], token: int) -> int:
    """The window in which the token has its maximum context, as run_squad.py scores it."""
    scores = []
    for start, count in windows:
        if start <= token < start + count:
            scores.append(min(token - start, start + count - 1 - token) + 0.01 * count)
        else:
            scores.append(-1.0)
    return scores.index(max(scores))


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 90)), min_size=1, max_size=5),
    st.integers(5, 50),
    st.integers(1, 60),
    st.integers(1, 10),
)
@settings(deadline=None, max_examples=120)
@example([(3, 40)], 13, 3, 10)
def test_windows_cover_every_token_and_show_each_best_once(
    characters: Tokenizer, lengths: list[tuple[int, int]], max_length: int, doc_stride: int, longest_question: int
) -> None:
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
    examples = [
        Example(str(number), {"question": "q" * question, "context": (alphabet * 3)[:context]})
        for number, (question, context) in enumerate(lengths)
    ]
    batch = encode_windows(examples, characters, max_length, doc_stride, longest_question, 400).batch
    assert int(batch.lengths.max()) <= max_length
    for index, (question, context) in enumerate(lengths):
        question = min(question, longest_question, (max_length - 3) // 2)
        windows = expected_windows(context, max_length - 3 - question, doc_stride)
        numbers = rows_of(batch, index)
        assert len(numbers) == len(windows)
        for window, (number, (start, count)) in enumerate(zip(numbers, windows, strict=True)):
            found = np.array(row(batch, number, "character_start"))
            inside = found >= 0
            assert found[inside].tolist() == list(range(start, start + count))
            assert np.flatnonzero(inside).tolist() == list(range(question + 2, question + 2 + count))
            ids = np.array(row(batch, number, "input_ids"))[inside]
            whole = characters.encode_with_offsets([examples[index].texts["context"]]).input_ids
            assert ids.tolist() == whole[start : start + count].tolist()
            flags = np.array(row(batch, number, "max_context"))
            assert not flags[~inside].any()
            expected = [best_window(windows, token) == window for token in range(start, start + count)]
            assert flags[inside].tolist() == expected


# Characters


@pytest.fixture(scope="module")
def chinese(chinese_l12: Path) -> Tokenizer:
    return Tokenizer.load(chinese_l12)


ALIGNED = [
    ("售价６８００日圆😀。", "６８００日圆😀"),
    ("售价６８００日圆😀。", "😀"),
    ("全长6,397公里，亚洲第一", "亚洲第一"),
    ("ω-force和光荣", "光荣"),
    ("Cafe\u0301 au lait", "Cafe\u0301"),  # the accent is a character of its own, which the tokenizer removes
    ("  他说：“ＡＢＣ”。", "ＡＢＣ"),
    ("零\u200b宽𠮷野家", "𠮷野家"),
    ("家庭👨‍👩‍👧照片", "照片"),
    ("ﬁn de siècle", "siècle"),
]


@pytest.mark.parametrize(("context", "answer"), ALIGNED)
def test_answers_are_characters_of_the_context(
    registry: Registry, chinese: Tokenizer, english: Tokenizer, context: str, answer: str
) -> None:
    """Through the whole task: a model that is sure of the gold tokens gives the very text."""
    task = registry.task("cmrc2018")
    start = context.index(answer)
    examples = [Example("0", {"question": "什么？", "context": context}, Gold((answer,), (start, start + len(answer))))]
    for tokenizer in (chinese, english):
        head = task.head((), task.head_config())
        batch = task.encode(examples, tokenizer, head, 64, task.data_config()).batch
        outputs = {}
        for name, column in (("start_logits", "start_positions"), ("end_logits", "end_positions")):
            outputs[name] = np.zeros(len(batch.input_ids), dtype=np.float32)
            outputs[name][batch.columns[column].values] = 9
        accumulator = task.accumulator(examples, head, task.data_config())
        accumulator.add(batch, outputs)
        (prediction,) = accumulator.predictions()
        assert prediction["prediction"] == answer
        assert context[prediction["start"] : prediction["end"]] == answer


@given(st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("中文ab １Ａé😀\u0301\u200d")), max_size=40))
@settings(deadline=None, max_examples=150)
def test_tokens_follow_one_another_in_any_text(chinese: Tokenizer, context: str) -> None:
    examples = [Example("0", {"question": "？", "context": context})]
    batch = encode_windows(examples, chinese, 512, 128, 64, 400).batch
    assert len(batch) == 1
    starts, ends = (np.array(row(batch, 0, name)) for name in ("character_start", "character_end"))
    starts, ends = starts[starts >= 0], ends[ends >= 0]
    assert np.all(starts <= ends)
    assert np.all(ends <= len(context))
    assert np.all(np.diff(starts) >= 0)
    assert np.all(np.diff(ends) >= 0)


def test_answers_of_cmrc_may_be_longer_than_those_of_squad(registry: Registry, characters: Tokenizer) -> None:
    """Its tokens are characters: 50 of them, as in CLUE's baseline, where SQuAD's script has 30."""
    context = "字" * 60
    examples = [
        Example(str(length), {"question": "问", "context": context}, Gold((context[:length],), (0, length)))
        for length in (30, 31, 50, 51)
    ]
    for name, longer in (("squad", 3), ("cmrc2018", 1)):
        task = registry.task(name)
        (note,) = task.encode(examples, characters, SpanExtraction(), 100, task.data_config()).notes
        assert note.startswith(f"{longer} answer")
