"""What the tasks of named entities share: options, heads, and what is kept of a model's outputs.

A text is split into units (:mod:`bertcore_tasks.ner.units`), each of which has one label position: its first token.
The gold entities stay spans of characters, and every score is taken on all of them, whatever encoding had to leave out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from bertcore.config import DataConfig, HeadConfig
from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch
from bertcore.contracts.dataset import Example
from bertcore.contracts.evaluation import Accumulator, Evaluation, Metric
from bertcore.contracts.parameters import Parameters
from bertcore.contracts.tagging import OUTSIDE, entity_types, find_scheme, is_mark, scheme_tags, tags_to_spans
from bertcore.contracts.task import Encoding, Task
from bertcore.errors import DataError
from bertcore.heads import TokenClassification
from bertcore.tokenization.tokenizer import Tokenizer
from pydantic import Field

from bertcore_tasks.ner.columns import Clean, Columns
from bertcore_tasks.ner.encoding import UNIT_COLUMN, SentenceEncoder, model_scheme
from bertcore_tasks.ner.input_columns import read_input_columns
from bertcore_tasks.ner.predictions import read_predictions
from bertcore_tasks.ner.probabilities import PathProbabilities, SoftmaxProbabilities, TagProbabilities
from bertcore_tasks.ner.scoring import Prediction, entry, evaluate, remembered, score_names
from bertcore_tasks.ner.units import Sentence, UnitKind, join_units, split_units, unit_of_texts
from bertcore_tasks.texts import identifier_of

Scheme = Literal["BIO", "BIOES", "BMES", "BILOU", "IO", "IOB1"]


class NerDataConfig(DataConfig):
    """Data options of tasks of named entities."""

    scheme: Scheme | None = Field(None, description="tag scheme of the files; default: the one of the official files")
    # Published files hold such tags where sentences were cut; the user cannot correct them.
    repair: bool = Field(True, description="read tags that break the scheme as conlleval does, and count them")
    unit: UnitKind | None = Field("character", description="what carries a tag where a text comes without units")
    overlap: int = Field(64, ge=0, description="tokens that two windows of a long text share, at most half a window")
    truncate: bool = Field(False, description="cut what is longer than a row, instead of laying windows over it")


NerDataT = TypeVar("NerDataT", bound=NerDataConfig)


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


class NerTask(Task[NerDataT, TokenClassification, NerHeadConfig]):
    """Base of the tasks of named entities; its examples are of :class:`bertcore_tasks.ner.units.Sentence`.

    Attributes:
        clean: turns the units of a column file into those of the text, None where they are the same.
        scores_names: whether CLUENER's own score, of names wherever they stand, is one of the task's.
    """

    clean: Clean | None = None
    scores_names: ClassVar[bool] = False
    metric = Metric("f1")

    def head(self, labels: tuple[str, ...], options: NerHeadConfig) -> TokenClassification:
        """A softmax or a CRF over the tags, of the data's scheme or of the one that ``head.scheme`` names."""
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
        self,
        examples: Sequence[Example],
        tokenizer: Tokenizer,
        head: TokenClassification,
        max_length: int,
        data: NerDataT,
    ) -> Encoding:
        """See :class:`bertcore_tasks.ner.encoding.SentenceEncoder`."""
        encoder = SentenceEncoder(tokenizer, head, max_length, data.overlap, data.truncate)
        return encoder.encode(_sentences(examples))

    def accumulator(self, examples: Sequence[Example], head: TokenClassification, data: NerDataT) -> Accumulator:
        """See :class:`NerAccumulator`."""
        return NerAccumulator(_sentences(examples), head, self.scores_names)

    def baseline(
        self,
        training: Callable[[], Sequence[Example]],
        examples: Sequence[Example],
        labels: tuple[str, ...],
        data: NerDataT,
    ) -> Mapping[str, float]:
        """The scores of the names of the training split; see :mod:`bertcore_tasks.ner.gazetteer`."""
        scheme = self.scheme_of(labels, examples, data)
        return remembered(_sentences(training()), _sentences(examples), scheme, self.scores_names)

    def metrics(self, examples: Sequence[Example], head: TokenClassification, data: NerDataT) -> tuple[Metric, ...]:
        """All of :mod:`bertcore_tasks.ner.metrics` that are the task's.

        See :meth:`bertcore.contracts.task.Task.metrics`.
        """
        return tuple(map(Metric, score_names(self.scores_names)))

    def traits(self, example: Example) -> tuple[str, ...]:
        """The types of its entities; see :meth:`bertcore.contracts.task.Task.traits`."""
        return tuple(sorted({span.type for span in example.label or ()}))

    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], str]], data: NerDataT) -> list[Example]:
        """Reads ``{"text": ...}``, split as ``data.unit`` says, or ``{"tokens": [...]}``."""
        rows = list(records)
        texts = (text for record, _ in rows if isinstance(text := record.get("text"), str))
        unit = data.unit or unit_of_texts(texts)
        examples: list[Example] = []
        for number, (record, origin) in enumerate(rows):
            identifier = identifier_of(record, "id", number)
            text, tokens = record.get("text"), record.get("tokens")
            if tokens is not None:
                if not isinstance(tokens, list) or not all(isinstance(token, str) and token for token in tokens):
                    raise DataError(
                        "the field 'tokens' is no list of texts that hold something",
                        'give {"tokens": ["...", "..."]}, or {"text": "..."}',
                        origin=origin,
                        code="field-wrong",
                    )
                text, units = join_units(tokens)
            elif isinstance(text, str):
                units = split_units(text, unit)
            else:
                raise DataError(
                    f"the field 'text' {'is no text' if 'text' in record else 'is missing'}",
                    'give {"text": "..."} or {"tokens": [...]}',
                    origin=origin,
                    code="field-wrong" if "text" in record else "field-missing",
                )
            examples.append(Sentence(identifier, {"text": text}, origin=origin, units=units))
        return examples

    def read_input(self, file: Path, data: NerDataT) -> list[tuple[Mapping[str, Any], str]] | None:
        """Files of columns; see :func:`bertcore_tasks.ner.input_columns.read_input_columns`."""
        records = read_input_columns(file, self.prediction_columns(data), self.clean)
        return None if records is None else [*records]

    def score(
        self, examples: Sequence[Example], labels: tuple[str, ...], predictions: Path, data: NerDataT
    ) -> Evaluation:
        """Scores a file of columns whose last one is the predicted tag, or JSON lines of entities.

        See :mod:`bertcore_tasks.ner.predictions`.
        """
        sentences = _sentences(examples)
        scheme = self.scheme_of(labels, examples, data)
        read = read_predictions(predictions, sentences, scheme, self.prediction_columns(data), self.clean)
        return evaluate(sentences, read, scheme, entity_types(labels), self.scores_names)

    def scheme_of(self, labels: tuple[str, ...], examples: Sequence[Example], data: NerDataT) -> str:
        """The tag scheme in which predictions of the examples are read."""
        return find_scheme(labels)

    def prediction_columns(self, data: NerDataT) -> Columns:
        """Which columns of a file of predictions hold the units and the predicted tags: the first and the last."""
        return Columns()


class NerAccumulator(Accumulator):
    """Keeps one tag for each unit, and what the probabilities of entities are made of."""

    def __init__(self, sentences: Sequence[Sentence], head: TokenClassification, scores_names: bool = False) -> None:
        self.want = ("tags", "logits") if head.crf else ("logits",)
        self._sentences = sentences
        self._labels = head.labels
        self._scheme = model_scheme(head)
        self._marks = [index for index, label in enumerate(head.labels) if is_mark(label)]
        self._scores_names = scores_names
        self._offsets = np.zeros(len(sentences) + 1, dtype=np.int64)
        np.cumsum([len(sentence.units) for sentence in sentences], out=self._offsets[1:])
        units = int(self._offsets[-1])
        # A unit that was cut has no prediction, which scores as O does.
        self._tags = np.full(units, head.labels.index(OUTSIDE), dtype=np.int32)
        self._probabilities: TagProbabilities = (
            PathProbabilities(units, head) if head.crf else SoftmaxProbabilities(units, self._marks)
        )

    def add(self, batch: Batch, outputs: Outputs) -> None:
        """Takes ``logits`` float32 ``[label positions, labels]``, and of a CRF ``tags`` int32 ``[label positions]``."""
        assert batch.label_offsets is not None
        units = batch.columns[UNIT_COLUMN].values.astype(np.int64)
        texts = np.repeat(batch.example_index, np.diff(batch.label_offsets))
        places = np.where(units >= 0, self._offsets[texts] + units, -1)
        if "tags" in self.want:
            tags = outputs["tags"]
        else:
            logits = outputs["logits"].copy()
            logits[:, self._marks] = -np.inf
            tags = logits.argmax(axis=1) if len(logits) else np.zeros(0, dtype=np.int64)
        self._tags[places[places >= 0]] = tags[places >= 0]
        self._probabilities.add(outputs, batch.label_offsets, places)

    def read_parameters(self, parameters: Parameters) -> bool:
        """Takes the scores of a CRF, without which its entities have no probability."""
        return self._probabilities.read(parameters)

    def predictions(self) -> list[dict[str, Any]]:
        """Identifier, text, units, tags and entities, and the gold entities as ``label`` where there are any."""
        return [entry(*pair) for pair in zip(self._sentences, self._decode(), strict=True)]

    def result(self) -> Evaluation:
        """See :func:`bertcore_tasks.ner.scoring.evaluate`."""
        types = entity_types(self._labels)
        return evaluate(self._sentences, self._decode(), self._scheme, types, self._scores_names)

    def _decode(self) -> list[Prediction]:
        decoded: list[Prediction] = []
        for index, sentence in enumerate(self._sentences):
            first, behind = self._offsets[index], self._offsets[index + 1]
            tags = [self._labels[tag] for tag in self._tags[first:behind].tolist()]
            probabilities = self._probabilities.of_entities(tags_to_spans(tags, self._scheme), int(first))
            decoded.append(replace(Prediction.of_tags(sentence, tags, self._scheme), probabilities=probabilities))
        return decoded


def _sentences(examples: Sequence[Example]) -> list[Sentence]:
    sentences = [example for example in examples if isinstance(example, Sentence)]
    assert len(sentences) == len(examples), "examples of these tasks carry their units"
    return sentences
