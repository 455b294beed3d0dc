"""Named entities that nest: what rows learn of them, how windows are merged, and scores by plain set arithmetic."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bertcore_tasks.ner.base import NerTask
from bertcore_tasks.ner.options import NerDataConfig, NerHeadConfig
from bertcore_tasks.ner.units import Sentence, split_units
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

import bertcore
from bertcore.contracts.batch import Batch
from bertcore.contracts.tagging import Span, scheme_tags, spans_to_tags
from bertcore.contracts.tokenizer import Tokenizer
from bertcore.errors import DataError
from bertcore.heads import GlobalPointer
from bertcore.plugins.registry import Registry
from bertcore.testing.task_suite import character_tokenizer

from .conftest import MEDICAL, cmeee_file

TYPES = ("LOC", "ORG", "PER")
HEAD = GlobalPointer(TYPES, head_size=4)


@pytest.fixture(scope="module")
def task() -> NerTask:
    found = Registry().task("ner")
    assert isinstance(found, NerTask)
    return found


@pytest.fixture(scope="module")
def characters(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A token for each character."""
    return character_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def sentence_of(length: int, spans: Sequence[Span] | None, number: int = 0) -> Sentence:
    text = "".join(chr(ord("一") + index) for index in range(length))
    label = None if spans is None else tuple(sorted(set(spans)))
    return Sentence(str(number), {"text": text}, label, None, split_units(text, "character"))


@st.composite
def some_spans(draw: st.DrawFn, length: int) -> list[Span]:
    if not length:
        return []
    place = st.integers(0, length - 1)
    drawn = draw(st.lists(st.tuples(place, place, st.sampled_from(TYPES)), max_size=8))
    return [Span(min(a, b), max(a, b) + 1, kind) for a, b, kind in drawn]


@st.composite
def some_sentences(draw: st.DrawFn) -> list[Sentence]:
    lengths = draw(st.lists(st.integers(0, 25), min_size=1, max_size=4))
    return [sentence_of(length, draw(some_spans(length)), number) for number, length in enumerate(lengths)]


def rows_of(batch: Batch) -> list[tuple[int, list[int], set[tuple[int, int, int]]]]:
    """Of each row its text, its units, and its spans."""
    assert batch.label_offsets is not None
    units, spans = batch.columns["unit"].values.tolist(), batch.columns["spans"].values.tolist()
    return [
        (
            int(batch.example_index[row]),
            units[batch.label_offsets[row] : batch.label_offsets[row + 1]],
            {tuple(span) for span in spans[batch.ragged["span"][row] : batch.ragged["span"][row + 1]]},
        )
        for row in range(len(batch))
    ]


@settings(deadline=None, max_examples=60)
@given(some_sentences(), st.integers(6, 30), st.integers(0, 9))
def test_a_row_learns_every_entity_that_lies_whole_in_it(
    task: NerTask, characters: Tokenizer, sentences: list[Sentence], max_length: int, overlap: int
) -> None:
    """However they nest or cross; the notes count those that no window holds."""
    encoding = task.encode(sentences, characters, HEAD, max_length, NerDataConfig(overlap=overlap))
    learned: dict[int, set[Span]] = {number: set() for number in range(len(sentences))}
    for text, units, spans in rows_of(encoding.batch):
        expected = {
            (TYPES.index(span.type), units.index(span.start), units.index(span.end - 1))
            for span in sentences[text].label
            if {*range(span.start, span.end)} <= {*units}
        }
        assert spans == expected
        learned[text] |= {Span(units[start], units[end] + 1, TYPES[kind]) for kind, start, end in spans}
    lost = sum(len({*sentence.label} - learned[number]) for number, sentence in enumerate(sentences))
    told = [note for note in encoding.notes if "longer than what windows share" in note]
    assert [note.split()[0] for note in told] == ([str(lost)] if lost else [])


def test_what_units_or_the_model_cannot_tell_is_counted(task: NerTask, characters: Tokenizer) -> None:
    """A border inside a word, and a type that the model was not trained on; overlaps are none of it."""
    text = "The New York Times"
    spans = (Span(4, 12, "LOC"), Span(4, 18, "ORG"), Span(5, 7, "PER"), Span(0, 3, "ART"))
    sentence = Sentence("0", {"text": text}, spans, None, split_units(text, "word"))
    encoding = task.encode([sentence], characters, HEAD, 64, NerDataConfig())
    assert rows_of(encoding.batch) == [(0, [0, 1, 2, 3], {(0, 1, 2), (1, 1, 3)})]
    off_units, unknown = encoding.notes
    assert off_units.startswith("1 entity with a border inside a unit")
    assert unknown.startswith("1 entity of a type that the model does not know (ART)")


def test_tags_name_the_head_that_learns_what_they_cannot_hold(task: NerTask, characters: Tokenizer) -> None:
    head = task.head(scheme_tags("BIO", TYPES), NerHeadConfig())
    sentence = sentence_of(6, [Span(0, 4, "ORG"), Span(0, 2, "LOC")])
    (note,) = task.encode([sentence], characters, head, 32, NerDataConfig()).notes
    assert "1 entity overlapping another one: not learned; they are scored all the same" in note
    assert "head.kind=global_pointer learns such" in note


def most_context(windows: list[list[int]], span: Span, count: int) -> list[int]:
    """The window that sees most around a span, by hand."""

    def context(units: list[int]) -> float:
        left = float("inf") if units[0] == 0 else span.start - units[0]
        return min(left, float("inf") if units[-1] == count - 1 else units[-1] + 1 - span.end)

    holding = [units for units in windows if {*range(span.start, span.end)} <= {*units}]
    best = max(map(context, holding))
    return next(units for units in sorted(holding) if context(units) == best)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=3), st.integers(7, 14), st.integers(0, 6), st.integers(0, 99))
def test_windows_are_merged_by_where_a_span_has_most_context(
    task: NerTask, characters: Tokenizer, lengths: list[int], max_length: int, overlap: int, seed: int
) -> None:
    """Whether it is found there decides, in whatever order rows and batches come; its probability comes from there."""
    generator = np.random.default_rng(seed)
    sentences = [sentence_of(length, None, number) for number, length in enumerate(lengths)]
    batch = task.encode(sentences, characters, HEAD, max_length, NerDataConfig(overlap=overlap)).batch
    assert batch.label_offsets is not None
    logits = generator.normal(-2, 2, (batch.pair_offsets[-1], len(TYPES))).astype(np.float32)
    accumulator = task.accumulator(sentences, HEAD, NerDataConfig())
    order = generator.permutation(len(batch))
    for rows in np.array_split(order, 2):
        pieces = [logits[batch.pair_offsets[row] : batch.pair_offsets[row + 1]] for row in rows]
        accumulator.add(batch.select(rows), {"logits": np.concatenate([logits[:0], *pieces])})

    windows: dict[int, list[list[int]]] = {}
    scores: dict[tuple[int, Span, int], float] = {}
    for row, text in enumerate(batch.example_index.tolist()):
        units = batch.columns["unit"].values[batch.label_offsets[row] : batch.label_offsets[row + 1]].tolist()
        windows.setdefault(text, []).append(units)
        pairs = itertools.combinations_with_replacement(units, 2)
        for (start, end), of_types in zip(pairs, logits[batch.pair_offsets[row] :], strict=False):
            for kind, score in zip(TYPES, of_types.tolist(), strict=True):
                scores[text, Span(start, end + 1, kind), units[0]] = score
    for text, prediction in enumerate(accumulator.predictions()):
        expected = {}
        for span in {span for number, span, _ in scores if number == text}:
            score = scores[text, span, most_context(windows[text], span, lengths[text])[0]]
            if score > 0:
                expected[span] = 1 / (1 + np.exp(-score))
        found = {Span(e["start"], e["end"], e["type"]): e["probability"] for e in prediction["entities"]}
        assert found == pytest.approx(expected, abs=1e-6)
        assert "tags" not in prediction


def predicted(task: NerTask, sentences: list[Sentence], spans: list[list[Span]], characters: Tokenizer) -> Any:
    """The evaluation of these spans, through rows that hold each text whole."""
    batch = task.encode(sentences, characters, HEAD, 64, NerDataConfig()).batch
    logits = np.full((batch.pair_offsets[-1], len(TYPES)), -3, dtype=np.float32)
    for row, of_row in enumerate(spans):
        pairs = list(itertools.combinations_with_replacement(range(len(sentences[row].units)), 2))
        for span in of_row:
            place = batch.pair_offsets[row] + pairs.index((span.start, span.end - 1))
            logits[place, TYPES.index(span.type)] = 3
    accumulator = task.accumulator(sentences, HEAD, NerDataConfig())
    accumulator.add(batch, {"logits": logits})
    return accumulator.result()


@settings(deadline=None, max_examples=60)
@given(some_sentences(), st.data())
def test_scores_are_those_of_sets_of_spans(
    task: NerTask, characters: Tokenizer, sentences: list[Sentence], data: st.DataObject
) -> None:
    """Of all types and of each, nested gold and predicted spans among them; the confusion counts each side once."""
    spans = [data.draw(some_spans(len(sentence.units))) for sentence in sentences]
    result = predicted(task, sentences, spans, characters)
    gold = {(number, span) for number, sentence in enumerate(sentences) for span in sentence.label}
    found = {(number, span) for number, of_text in enumerate(spans) for span in of_text}
    right = len(gold & found)
    assert result.metrics["precision"] == pytest.approx(right / len(found) if found else 0)
    assert result.metrics["recall"] == pytest.approx(right / len(gold) if gold else 0)
    assert result.metrics["f1"] == pytest.approx(2 * right / (len(gold) + len(found)) if gold or found else 0)
    assert set(result.metrics) == {metric.name for metric in task.metrics(sentences, HEAD, NerDataConfig())}
    for kind in TYPES:
        of_gold, of_found = ({pair for pair in pairs if pair[1].type == kind} for pairs in (gold, found))
        score = result.per_class[kind]
        assert (score.correct, score.predicted, score.support) == (
            len(of_gold & of_found),
            len(of_found),
            len(of_gold),
        )
    _, counts = result.confusion
    assert counts[:-1].sum() == len(gold)
    assert counts[:, :-1].sum() == len(found)
    assert np.trace(counts) == right


@settings(deadline=None, max_examples=40)
@given(some_sentences(), st.data())
def test_scores_of_flat_entities_are_those_of_seqeval(
    task: NerTask, characters: Tokenizer, sentences: list[Sentence], data: st.DataObject
) -> None:
    def flat(spans: Sequence[Span]) -> list[Span]:
        kept: list[Span] = []
        for span in sorted(spans):
            if not kept or span.start >= kept[-1].end:
                kept.append(span)
        return kept

    sentences = [sentence_of(len(one.units), flat(one.label), number) for number, one in enumerate(sentences)]
    spans = [flat(data.draw(some_spans(len(sentence.units)))) for sentence in sentences]
    result = predicted(task, sentences, spans, characters)
    tags = [
        [spans_to_tags(of_text, len(sentence.units), "BIO") for sentence, of_text in zip(sentences, side, strict=True)]
        for side in ([sentence.label for sentence in sentences], spans)
    ]
    expected = f1_score(*tags, mode="strict", scheme=IOB2, zero_division=0)
    assert result.metrics["f1"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "global_pointer", "crf": True}, "head.crf needs head.kind=token_classification"),
        ({"kind": "efficient_global_pointer", "scheme": "BIOES"}, "head.scheme needs head.kind=token_classification"),
        ({"kind": "global_pointer", "focal_gamma": 2.0}, "head.focal_gamma needs head.kind=token_classification"),
        ({"head_size": 32}, "head.head_size needs head.kind=global_pointer or efficient_global_pointer"),
        ({"kind": "global_pointer", "head_size": 7}, "multiple of 2"),
    ],
)
def test_options_of_the_other_kind_of_head_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        NerHeadConfig(**options)


def test_the_head_has_the_types_of_the_entities(task: NerTask) -> None:
    labels = scheme_tags("BMES", TYPES)
    assert task.head(labels, NerHeadConfig(kind="global_pointer", head_size=8)) == GlobalPointer(TYPES, head_size=8)
    efficient = task.head(labels, NerHeadConfig(kind="efficient_global_pointer"))
    assert efficient == GlobalPointer(TYPES, efficient=True, head_size=64)


def test_spans_of_tokens_nest_too(tmp_path: Path) -> None:
    """A list names the last token, an object the one behind it."""
    records = [
        {"tokens": ["New", "York", "Times"], "ner": [[0, 2, "ORG"], [0, 1, "LOC"]]},
        {
            "tokens": ["New", "York"],
            "spans": [{"start": 0, "end": 2, "type": "LOC"}, {"start": 1, "end": 2, "type": "PER"}],
        },
    ]
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    task = Registry().task("ner")
    dataset = task.open(task.data_config(train=str(file)))
    first, second = dataset.split("train")
    assert set(first.label) == {Span(0, 14, "ORG"), Span(0, 8, "LOC")}
    assert set(second.label) == {Span(0, 8, "LOC"), Span(4, 8, "PER")}


def cmeee_of(folder: Path, **files: str) -> Any:
    for name, content in files.items():
        (folder / f"{name.replace('V2', '-V2')}.json").write_text(content, encoding="utf-8")
    task = Registry().task("cmeee")
    return task, task.open(task.data_config(path=str(folder)))


MEDICAL_SPANS = [{Span(e["start_idx"], e["end_idx"], e["type"]) for e in record["entities"]} for record in MEDICAL]


@pytest.mark.parametrize("first_version", [False, True], ids=["V2", "the first version"])
def test_cmeee_keeps_nested_entities_in_both_of_its_layouts(tmp_path: Path, first_version: bool) -> None:
    """In which ends name the character behind the last, or the last itself."""
    stem = "CMeEE" if first_version else "CMeEEV2"
    contents = {f"{stem}_{split}": cmeee_file(split, first_version=first_version) for split in ("train", "dev", "test")}
    _, dataset = cmeee_of(tmp_path, **contents)
    for split in ("train", "dev"):
        assert [set(sentence.label) for sentence in dataset.split(split)] == MEDICAL_SPANS
        assert dataset.split(split).notes == ()
    assert [sentence.label for sentence in dataset.split("test")] == [None] * len(MEDICAL)
    assert [sentence.text for sentence in dataset.split("test")] == [record["text"] for record in MEDICAL]


def test_the_names_of_entities_tell_what_ends_mean_and_where_a_file_contradicts_itself(tmp_path: Path) -> None:
    records = json.loads(cmeee_file("train", first_version=True))
    records[0]["entities"][0]["entity"] = "肺病"
    _, dataset = cmeee_of(tmp_path, CMeEEV2_train=json.dumps(records))
    split = dataset.split("train")
    assert [set(sentence.label) for sentence in split] == MEDICAL_SPANS
    assert split.notes == ("CMeEE-V2_train.json: 1 entity named otherwise than the text says: their places count",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"entities": [{"start_idx": 0, "end_idx": 2, "type": "xyz", "entity": "肺炎"}]}, "unknown type 'xyz'"),
        ({"entities": [{"start_idx": 0, "end_idx": 99, "type": "dis"}]}, "leaves the text of 12 characters"),
        ({"entities": {}}, None),
        ({"entities": 3}, "neither an object nor a list"),
        ({"entities": None}, "the field 'entities' is missing"),
        ({"text": 3}, "the field 'text' is no text"),
    ],
)
def test_a_wrong_record_of_cmeee_is_named_with_its_line(
    tmp_path: Path, change: dict[str, Any], said: str | None
) -> None:
    records = json.loads(cmeee_file("train"))
    records[0] |= change
    _, dataset = cmeee_of(tmp_path, CMeEEV2_train=json.dumps(records, indent=1))
    if said is None:
        assert dataset.split("train")[0].label == ()
        return
    with pytest.raises(DataError, match=said) as caught:
        dataset.split("train")
    assert str(caught.value.origin).startswith(f"{tmp_path / 'CMeEE-V2_train.json'}:2")


def test_the_submission_of_cmeee_is_the_test_file_with_its_entities(tmp_path: Path) -> None:
    task, dataset = cmeee_of(tmp_path, CMeEEV2_train=cmeee_file("train"), CMeEEV2_test=cmeee_file("test"))
    assert task.leaderboard == {"test": "CMeEE-V2_test.json"}
    predictions = [
        {
            "id": sentence.identifier,
            "text": sentence.text,
            "entities": [
                {
                    "start": span.start,
                    "end": span.end,
                    "type": span.type,
                    "text": sentence.surface(span),
                    "probability": 1,
                }
                for span in sorted(spans)
            ],
        }
        for sentence, spans in zip(dataset.split("test"), MEDICAL_SPANS, strict=True)
    ]
    written = json.loads(task.submission("test", predictions))
    for record in (*written, *(expected := json.loads(cmeee_file("train")))):
        record["entities"].sort(key=lambda entity: (entity["start_idx"], entity["end_idx"]))
    assert written == expected


def test_a_file_of_nested_predictions_is_scored(tmp_path: Path) -> None:
    """By its spans, as a model's are: with six of seven right and one made up."""
    for split in ("train", "dev"):
        (tmp_path / f"CMeEE-V2_{split}.json").write_text(cmeee_file(split), encoding="utf-8")
    lines = []
    for record in MEDICAL:
        spans = [{"start": e["start_idx"], "end": e["end_idx"], "type": e["type"]} for e in record["entities"]]
        lines.append({"text": record["text"], "entities": spans})
    lines[0]["entities"][0]["type"] = "sym"
    file = tmp_path / "found.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    result = bertcore.score(task="cmeee", predictions=file, data=tmp_path)
    assert result.evaluation.metrics["f1"] == pytest.approx(6 / 7)
