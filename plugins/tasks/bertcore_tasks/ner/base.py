"""What all tasks of named entities share: options, encoding with windows, decoding and scores.

A text is split into units (:mod:`bertcore_tasks.ner.units`), each of which has one label position: its first token.
The gold entities stay spans of characters, and every score is taken on all of them, whatever encoding had to leave out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from bertcore.backend import Outputs
from bertcore.batch import Batch, Column, from_rows
from bertcore.config import DataConfig, HeadConfig
from bertcore.data.tokenizer import Tokenizer
from bertcore.errors import DataError, UsageError
from bertcore.heads import Head, TokenClassification
from bertcore.tagging import (
    OUTSIDE,
    Span,
    chunks,
    count_merged,
    entity_types,
    find_scheme,
    scheme_tags,
    spans_to_tags,
    tags_to_spans,
)
from bertcore.task import Accumulator, Encoding, Evaluation, Example, Metric, Task
from pydantic import Field

from bertcore_tasks.ner.columns import Clean, Columns
from bertcore_tasks.ner.metrics import Counts, confusion, count_entities, count_tags, total
from bertcore_tasks.ner.units import Sentence, UnitKind, Units, join_units, split_units
from bertcore_tasks.ner.windows import plan_windows

Scheme = Literal["BIO", "BIOES", "BMES", "IO"]

UNIT_COLUMN = "unit"
"""Which unit of its text a label position stands for, int32; -1 where another window knows more about it."""

WORST_ERRORS = 20


class NerDataConfig(DataConfig):
    """Data options of tasks of named entities."""

    scheme: Scheme | None = Field(None, description="tag scheme of the files; default: the one of the official files")
    # Published files hold such tags where sentences were cut; the user cannot correct them.
    repair: bool = Field(True, description="read tags that break the scheme as conlleval does, and count them")
    unit: UnitKind = Field("character", description="what carries a tag where a text comes without units")
    overlap: int = Field(64, ge=0, description="tokens that two windows of a long text share, at most half a window")
    truncate: bool = Field(False, description="cut what is longer than a row, instead of laying windows over it")


class NerHeadConfig(HeadConfig):
    """Head options of tasks of named entities."""

    crf: bool = Field(False, description="conditional random field behind the linear layer")
    scheme: Scheme | None = Field(None, description="tag scheme that the model learns; default: that of the data")
    forbid: Literal["never", "decoding", "training"] = Field(
        "decoding", description="where the CRF forbids what the scheme does: nowhere, in decoding, also in training"
    )
    transitions: Literal["zeros", "data"] = Field(
        "zeros", description="first values of the CRF: zeros, or logarithms of the training set's frequencies"
    )
    crf_learning_rate: float = Field(1e-3, ge=0, description="peak learning rate of the CRF; 0 freezes it")


class NerTask(Task):
    """Base of the tasks of named entities; its examples are of :class:`bertcore_tasks.ner.units.Sentence`.

    Attributes:
        clean: turns the units of a column file into those of the text, None where they are the same.
    """

    clean: Clean | None = None
    metric = Metric("f1")
    data_config: ClassVar[type[DataConfig]] = NerDataConfig
    head_config: ClassVar[type[HeadConfig]] = NerHeadConfig

    def head(self, labels: tuple[str, ...], options: HeadConfig) -> Head:
        """A softmax or a CRF over the tags, of the data's scheme or of the one that ``head.scheme`` names."""
        assert isinstance(options, NerHeadConfig)
        scheme = find_scheme(labels)
        if options.scheme is not None and options.scheme != scheme:
            scheme, labels = options.scheme, scheme_tags(options.scheme, entity_types(labels))
        return TokenClassification(
            labels,
            crf=options.crf,
            scheme=scheme,
            forbid=options.forbid,
            transitions=options.transitions,
            crf_learning_rate=options.crf_learning_rate,
        )

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, head: Head, max_length: int, data: DataConfig
    ) -> Encoding:
        """One row for each window of a text, most often one.

        Columns per label position: ``labels`` int32 where the texts are labeled, and ``unit`` int32.
        """
        assert isinstance(head, TokenClassification)
        assert isinstance(data, NerDataConfig)
        return _Encoder(tokenizer, head, max_length, data).encode(_sentences(examples))

    def accumulator(self, examples: Sequence[Example], head: Head, data: DataConfig) -> Accumulator:
        """See :class:`NerAccumulator`."""
        assert isinstance(head, TokenClassification)
        return NerAccumulator(_sentences(examples), head)

    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], str]], data: DataConfig) -> list[Example]:
        """Reads ``{"text": ...}``, split as ``data.unit`` says, or ``{"tokens": [...]}``."""
        assert isinstance(data, NerDataConfig)
        examples: list[Example] = []
        for number, (record, origin) in enumerate(records):
            identifier = str(record.get("id", number))
            text, tokens = record.get("text"), record.get("tokens")
            if tokens is not None:
                if not isinstance(tokens, list) or not all(isinstance(token, str) and token for token in tokens):
                    raise DataError(
                        f"{origin}: the field 'tokens' is no list of texts that hold something",
                        'give {"tokens": ["...", "..."]}, or {"text": "..."}',
                    )
                text, units = join_units(tokens)
            elif isinstance(text, str):
                units = split_units(text, data.unit)
            else:
                problem = "is no text" if "text" in record else "is missing"
                raise DataError(f"{origin}: the field 'text' {problem}", 'give {"text": "..."} or {"tokens": [...]}')
            examples.append(Sentence(identifier, {"text": text}, origin=origin, units=units))
        return examples

    def score(
        self, examples: Sequence[Example], labels: tuple[str, ...], predictions: Path, data: DataConfig
    ) -> Evaluation:
        """Scores a file of columns whose last one is the predicted tag, or JSON lines of entities.

        See :mod:`bertcore_tasks.ner.predictions`.
        """
        from bertcore_tasks.ner.predictions import read_predictions

        assert isinstance(data, NerDataConfig)
        sentences = _sentences(examples)
        scheme = find_scheme(labels)
        read = read_predictions(predictions, sentences, scheme, self.prediction_columns(data), self.clean)
        return evaluate(sentences, read, scheme, entity_types(labels))

    def prediction_columns(self, data: NerDataConfig) -> Columns:
        """Which columns of a file of predictions hold the units and the predicted tags: the first and the last."""
        return Columns()


@dataclass(frozen=True)
class Prediction:
    """What is predicted of one text.

    Attributes:
        tags: one for each unit.
        entities: in characters, well-formed ones.
        chunks: in characters, as conlleval reads the tags.
        probabilities: of each of ``entities``, where the head gives any.
    """

    tags: Sequence[str]
    entities: Sequence[Span]
    chunks: Sequence[Span]
    probabilities: Sequence[float] | None = None

    @classmethod
    def of_tags(cls, sentence: Sentence, tags: Sequence[str], scheme: str) -> Prediction:
        """Reads the entities from the tags."""
        strict = [sentence.in_characters(span) for span in tags_to_spans(tags, scheme)]
        return cls(tags, strict, [sentence.in_characters(span) for span in chunks(tags)])


@dataclass(frozen=True)
class Alignment:
    """Entities of characters, as the tags of units can tell them.

    Attributes:
        spans: in units, in order; each unit belongs to one at most.
        off_units: entities that begin or end inside a unit.
        overlapping: entities that share units with another one.
    """

    spans: tuple[Span, ...]
    off_units: int
    overlapping: int


def align(entities: Iterable[Span], units: Units) -> Alignment:
    """Finds the units of entities; of two that overlap, the first counts, or the longer one."""
    first = {start: index for index, start in enumerate(units.starts)}
    behind = {end: index for index, end in enumerate(units.ends, 1)}
    spans: list[Span] = []
    off_units = overlapping = 0
    for entity in sorted(set(entities), key=lambda span: (span.start, -span.end, span.type)):
        start, end = first.get(entity.start), behind.get(entity.end)
        if start is None or end is None:
            off_units += 1
        elif spans and start < spans[-1].end:
            overlapping += 1
        else:
            spans.append(Span(start, end, entity.type))
    return Alignment(tuple(spans), off_units, overlapping)


def evaluate(
    sentences: Sequence[Sentence], predictions: Sequence[Prediction], scheme: str, types: Sequence[str]
) -> Evaluation:
    """Scores predictions on all gold entities; see :mod:`bertcore_tasks.ner.metrics`.

    Args:
        sentences: with their labels.
        predictions: one for each.
        scheme: of the tags that are compared.
        types: that the model or the task knows.
    """
    gold = [sentence.label for sentence in sentences]
    predicted = [prediction.entities for prediction in predictions]
    by_type = count_entities(gold, predicted, types)
    strict = total(by_type.values())
    lenient = total(count_entities(gold, [prediction.chunks for prediction in predictions]).values())
    gold_tags = [
        spans_to_tags(align(sentence.label, sentence.units).spans, len(sentence.units), scheme)
        for sentence in sentences
    ]
    tokens: Counts = count_tags(gold_tags, [prediction.tags for prediction in predictions])
    metrics = {
        **strict.named(),
        **lenient.named("conlleval_"),
        **tokens.named("token_"),
        "macro_f1": sum(counts.f1 for counts in by_type.values()) / len(by_type) if by_type else 0.0,
    }
    for kind, counts in by_type.items():
        metrics |= counts.named(suffix=f"_{kind}")
    return Evaluation(
        metrics=metrics,
        total=len(sentences),
        summary=f"entity f1 {strict.f1:.6f}, precision {strict.precision:.6f}, recall {strict.recall:.6f}, "
        f"total_num {len(sentences)} sentences",
        predictions=[_entry(*pair) for pair in zip(sentences, predictions, strict=True)],
        confusion=confusion(gold, predicted, tuple(by_type)),
        errors=_worst_errors(sentences, predictions),
    )


class NerAccumulator(Accumulator):
    """Keeps one tag for each unit, and its probability where the head is a softmax."""

    def __init__(self, sentences: Sequence[Sentence], head: TokenClassification) -> None:
        self.want = ("tags",) if head.crf else ("logits",)
        self._sentences = sentences
        self._labels = head.labels
        self._scheme = model_scheme(head)
        self._offsets = np.zeros(len(sentences) + 1, dtype=np.int64)
        np.cumsum([len(sentence.units) for sentence in sentences], out=self._offsets[1:])
        # A unit that was cut has no prediction, which scores as O does.
        self._tags = np.full(self._offsets[-1], head.labels.index(OUTSIDE), dtype=np.int32)
        self._probabilities = None if head.crf else np.zeros(self._offsets[-1], dtype=np.float32)

    def add(self, batch: Batch, outputs: Outputs) -> None:
        """Takes ``tags`` int32 ``[label positions]``, or ``logits`` float32 ``[label positions, labels]``."""
        assert batch.label_offsets is not None
        units = batch.columns[UNIT_COLUMN].values.astype(np.int64)
        texts = np.repeat(batch.example_index, np.diff(batch.label_offsets))
        chosen = units >= 0
        places = self._offsets[texts[chosen]] + units[chosen]
        if self._probabilities is None:
            self._tags[places] = outputs["tags"][chosen]
            return
        logits = outputs["logits"][chosen].astype(np.float64)
        if len(logits):
            self._tags[places] = logits.argmax(axis=1)
            best = logits.max(axis=1, keepdims=True)
            self._probabilities[places] = 1 / np.exp(logits - best).sum(axis=1)

    def predictions(self) -> list[dict[str, Any]]:
        """Identifier, text, units, tags and entities, and the gold entities as ``label`` where there are any."""
        return [_entry(*pair) for pair in zip(self._sentences, self._decode(), strict=True)]

    def result(self) -> Evaluation:
        """See :func:`evaluate`."""
        return evaluate(self._sentences, self._decode(), self._scheme, entity_types(self._labels))

    def _decode(self) -> list[Prediction]:
        decoded: list[Prediction] = []
        for index, sentence in enumerate(self._sentences):
            place = slice(self._offsets[index], self._offsets[index + 1])
            tags = [self._labels[tag] for tag in self._tags[place].tolist()]
            prediction = Prediction.of_tags(sentence, tags, self._scheme)
            if self._probabilities is not None:
                values = self._probabilities[place]
                least = [float(values[span.start : span.end].min()) for span in tags_to_spans(tags, self._scheme)]
                prediction = Prediction(prediction.tags, prediction.entities, prediction.chunks, least)
            decoded.append(prediction)
        return decoded


def model_scheme(head: TokenClassification) -> str:
    """The scheme of a head's tags, also of one that was trained elsewhere.

    Raises:
        UsageError: its labels are no tags.
    """
    try:
        found = find_scheme(head.labels)
        if OUTSIDE not in head.labels:
            raise ValueError(f"there is no tag {OUTSIDE} among {', '.join(head.labels)}")
    except ValueError as error:
        raise UsageError(
            f"the model's labels are no tags of entities: {error}", "name them in id2label of its config.json"
        ) from None
    return head.scheme or found


class _Encoder:
    """Encodes sentences, and counts what tags or rows cannot hold."""

    def __init__(self, tokenizer: Tokenizer, head: TokenClassification, max_length: int, data: NerDataConfig) -> None:
        self._tokenizer = tokenizer
        self._before, self._behind = tokenizer.special_ids
        self._capacity = max_length - len(self._before) - len(self._behind)
        self._max_length = max_length
        self._data = data
        self._scheme = model_scheme(head)
        self._ids = {label: index for index, label in enumerate(head.labels)}
        self._types = set(entity_types(head.labels))

    def encode(self, sentences: Sequence[Sentence]) -> Encoding:
        labeled = all(sentence.label is not None for sentence in sentences)
        pieces = iter(self._tokenizer.encode_units([word for sentence in sentences for word in _words(sentence)]))
        rows: list[list[int]] = []
        example_index: list[int] = []
        positions: list[list[int]] = []
        units: list[int] = []
        labels: list[int] = []
        truncated: list[int] = []
        losses = _Losses()
        for index, sentence in enumerate(sentences):
            tokens = [next(pieces) for _ in range(len(sentence.units))]
            sizes = [len(token) for token in tokens]
            plan = plan_windows(sizes, self._capacity, self._data.overlap, self._data.truncate)
            kept = plan.bounds[-1][1]
            too_long = sum(size > self._capacity for size in sizes[:kept])
            losses.long_units += too_long
            losses.windowed += len(plan.bounds) > 1
            losses.windows += len(plan.bounds) if len(plan.bounds) > 1 else 0
            if kept < len(tokens):
                losses.cut_texts += 1
                losses.cut_characters += len(sentence.text) - sentence.units.ends[kept - 1]
                losses.cut_entities += sum(span.end > sentence.units.ends[kept - 1] for span in sentence.label or ())
            if kept < len(tokens) or too_long:
                truncated.append(index)
            spans = self._spans(sentence, losses) if labeled else []
            for number, (start, end) in enumerate(plan.bounds):
                row = list(self._before)
                firsts: list[int] = []
                for unit in range(start, end):
                    firsts.append(len(row))
                    row += tokens[unit][: self._capacity]
                rows.append(row + self._behind)
                positions.append(firsts)
                example_index.append(index)
                units += np.where(plan.owner[start:end] == number, np.arange(start, end), -1).tolist()
                if labeled:
                    labels += self._labels(spans, start, end)
        columns = {UNIT_COLUMN: Column(np.array(units, dtype=np.int32), "label")}
        if labeled:
            columns["labels"] = Column(np.array(labels, dtype=np.int32), "label")
        batch = from_rows(rows, [[0] * len(row) for row in rows], columns, example_index, positions)
        return Encoding(batch, np.array(truncated, dtype=np.int64), losses.notes(self._max_length))

    def _spans(self, sentence: Sentence, losses: _Losses) -> list[Span]:
        """The entities that the model's tags can tell, in units."""
        alignment = align(sentence.label, sentence.units)
        losses.off_units += alignment.off_units
        losses.overlapping += alignment.overlapping
        losses.merged += count_merged(alignment.spans, self._scheme)
        losses.unknown.update(span.type for span in alignment.spans if span.type not in self._types)
        losses.unknown_entities += sum(span.type not in self._types for span in alignment.spans)
        return [span for span in alignment.spans if span.type in self._types]

    def _labels(self, spans: Sequence[Span], start: int, end: int) -> list[int]:
        """The labels of a window, well-formed by themselves: an entity at its border is one of what lies inside."""
        inside = [
            Span(max(span.start, start) - start, min(span.end, end) - start, span.type)
            for span in spans
            if span.start < end and span.end > start
        ]
        outside = self._ids[OUTSIDE]
        # A model that was trained elsewhere may lack a tag that its training set did.
        return [self._ids.get(tag, outside) for tag in spans_to_tags(inside, end - start, self._scheme)]


class _Losses:
    """What encoding cost, by kind."""

    def __init__(self) -> None:
        self.cut_texts = self.cut_characters = self.cut_entities = 0
        self.windowed = self.windows = self.long_units = 0
        self.off_units = self.overlapping = self.merged = self.unknown_entities = 0
        self.unknown: set[str] = set()

    def notes(self, max_length: int) -> tuple[str, ...]:
        """One line for each kind that occurred."""
        scored = "; they are scored all the same"
        notes: list[str] = []
        if self.cut_texts:
            notes.append(
                f"{_number(self.cut_texts, 'text')} cut at {max_length} tokens, which loses "
                f"{_number(self.cut_characters, 'character')} and {_number(self.cut_entities, 'entity')}{scored}"
            )
        if self.windowed:
            notes.append(
                f"{_number(self.windowed, 'text')} longer than {max_length} tokens: {self.windows} overlapping windows"
            )
        if self.long_units:
            notes.append(f"{_number(self.long_units, 'word')} longer than a row: only the first tokens are read")
        if self.off_units:
            notes.append(f"{_number(self.off_units, 'entity')} with a border inside a unit: not learned{scored}")
        if self.overlapping:
            notes.append(f"{_number(self.overlapping, 'entity')} overlapping another one: not learned{scored}")
        if self.merged:
            notes.append(
                f"{_number(self.merged, 'entity')} behind another one of its type, which IO cannot tell apart{scored}"
            )
        if self.unknown_entities:
            names = ", ".join(sorted(self.unknown))
            notes.append(
                f"{_number(self.unknown_entities, 'entity')} of a type that the model does not know ({names}){scored}"
            )
        return tuple(notes)


def _number(count: int, noun: str) -> str:
    plural = "entities" if noun == "entity" else f"{noun}s"
    return f"{count} {noun if count == 1 else plural}"


def _sentences(examples: Sequence[Example]) -> list[Sentence]:
    sentences = [example for example in examples if isinstance(example, Sentence)]
    assert len(sentences) == len(examples), "examples of these tasks carry their units"
    return sentences


def _words(sentence: Sentence) -> list[str]:
    """The units as they stand in the text, with the space in front of them that no unit holds."""
    behind = 0
    words: list[str] = []
    for start, end in zip(sentence.units.starts, sentence.units.ends, strict=True):
        words.append((" " if start > behind else "") + sentence.text[start:end])
        behind = end
    return words


def _entry(sentence: Sentence, prediction: Prediction) -> dict[str, Any]:
    entities = [_entity(sentence, span) for span in prediction.entities]
    if prediction.probabilities is not None:
        for entity, probability in zip(entities, prediction.probabilities, strict=True):
            entity["probability"] = round(probability, 6)
    entry: dict[str, Any] = {
        "id": sentence.identifier,
        **sentence.texts,
        "entities": entities,
        "tokens": [
            sentence.text[start:end] for start, end in zip(sentence.units.starts, sentence.units.ends, strict=True)
        ],
        "tags": list(prediction.tags),
    }
    if sentence.label is not None:
        entry["label"] = [_entity(sentence, span) for span in sentence.label]
    return entry


def _entity(sentence: Sentence, span: Span) -> dict[str, Any]:
    return {"start": span.start, "end": span.end, "type": span.type, "text": sentence.surface(span)}


def _worst_errors(sentences: Sequence[Sentence], predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """The texts with the most entities that are missed or made up."""

    def shown(sentence: Sentence, spans: Iterable[Span]) -> list[str]:
        return [f"{span.type} {sentence.surface(span)} {span.start}-{span.end}" for span in sorted(spans)]

    errors: list[tuple[int, dict[str, Any]]] = []
    for sentence, prediction in zip(sentences, predictions, strict=True):
        gold, predicted = set(sentence.label), set(prediction.entities)
        if gold != predicted:
            errors.append(
                (
                    len(gold ^ predicted),
                    {
                        "id": sentence.identifier,
                        "origin": sentence.origin,
                        "missed": shown(sentence, gold - predicted),
                        "made up": shown(sentence, predicted - gold),
                        "text": sentence.text,
                    },
                )
            )
    errors.sort(key=lambda error: -error[0])
    return [error for _, error in errors[:WORST_ERRORS]]
