"""What the tasks of named entities share: their head, their input, and how their scores are taken.

A text is split into units (:mod:`bertcore_tasks.ner.units`), each of which has one label position: its first token.
The gold entities stay spans of characters, and every score is taken on all of them, whatever encoding had to leave out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from bertcore.contracts.dataset import Example
from bertcore.contracts.evaluation import Accumulator, Evaluation, Metric
from bertcore.contracts.tagging import OUTSIDE, entity_types, find_scheme, scheme_tags
from bertcore.contracts.task import Encoding, Task
from bertcore.contracts.tokenizer import Tokenizer
from bertcore.errors import DataError, Origin
from bertcore.heads import GlobalPointer, TokenClassification

from bertcore_tasks.fields import identifier_of, text_field
from bertcore_tasks.ner.accumulator import NerAccumulator
from bertcore_tasks.ner.columns import Columns
from bertcore_tasks.ner.encoding import SentenceEncoder
from bertcore_tasks.ner.input_columns import read_input_columns
from bertcore_tasks.ner.options import NerDataT, NerHead, NerHeadConfig
from bertcore_tasks.ner.predictions import read_predictions
from bertcore_tasks.ner.scoring import evaluate, remembered, score_names
from bertcore_tasks.ner.span_accumulator import SpanAccumulator
from bertcore_tasks.ner.tags import Clean
from bertcore_tasks.ner.units import Sentence, join_units, sentences_of, split_units, unit_of_texts


class NerTask(Task[NerDataT, NerHead, NerHeadConfig]):
    """Base of the tasks of named entities; its examples are of :class:`bertcore_tasks.ner.units.Sentence`.

    Attributes:
        clean: turns the units of a column file into those of the text, None where they are the same.
        scores_names: whether CLUENER's own score, of names wherever they stand, is one of the task's.
    """

    clean: Clean | None = None
    scores_names: ClassVar[bool] = False
    metric = Metric("f1")

    def head(self, labels: tuple[str, ...], options: NerHeadConfig) -> NerHead:
        """What ``head.kind`` names.

        Tags are of the data's scheme or of the one that ``head.scheme`` names; spans have the types of its entities.
        """
        if options.kind != "token_classification":
            efficient = options.kind == "efficient_global_pointer"
            return GlobalPointer(entity_types(labels), efficient=efficient, head_size=options.head_size)
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
        head: NerHead,
        max_length: int,
        data: NerDataT,
    ) -> Encoding:
        """See :class:`bertcore_tasks.ner.encoding.SentenceEncoder`."""
        encoder = SentenceEncoder(tokenizer, head, max_length, data.overlap, data.truncate)
        return encoder.encode(sentences_of(examples))

    def accumulator(self, examples: Sequence[Example], head: NerHead, data: NerDataT) -> Accumulator:
        """See :class:`NerAccumulator` and :class:`SpanAccumulator`."""
        if isinstance(head, GlobalPointer):
            return SpanAccumulator(sentences_of(examples), head, self.scores_names)
        return NerAccumulator(sentences_of(examples), head, self.scores_names)

    def baseline(
        self,
        training: Callable[[], Sequence[Example]],
        examples: Sequence[Example],
        labels: tuple[str, ...],
        data: NerDataT,
    ) -> Mapping[str, float]:
        """The scores of the names of the training split; see :mod:`bertcore_tasks.ner.gazetteer`."""
        # A model of spans has types for labels, and no tags.
        scheme = self.scheme_of(labels, examples, data) if OUTSIDE in labels else None
        return remembered(sentences_of(training()), sentences_of(examples), scheme, self.scores_names)

    def metrics(self, examples: Sequence[Example], head: NerHead, data: NerDataT) -> tuple[Metric, ...]:
        """All of :mod:`bertcore_tasks.ner.metrics` that are the task's, and of spans those that need no tags.

        See :meth:`bertcore.contracts.task.Task.metrics`.
        """
        return tuple(map(Metric, score_names(self.scores_names, tagged=not isinstance(head, GlobalPointer))))

    def traits(self, example: Example) -> tuple[str, ...]:
        """The types of its entities; see :meth:`bertcore.contracts.task.Task.traits`."""
        return tuple(sorted({span.type for span in example.label or ()}))

    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], Origin]], data: NerDataT) -> list[Example]:
        """Reads ``{"text": ...}``, split as ``data.unit`` says, or ``{"tokens": [...]}``."""
        rows = list(records)
        texts = (text for record, _ in rows if isinstance(text := record.get("text"), str))
        unit = data.unit or unit_of_texts(texts)
        examples: list[Example] = []
        for number, (record, origin) in enumerate(rows):
            identifier = identifier_of(record, "id", number)
            tokens = record.get("tokens")
            if tokens is not None:
                if not isinstance(tokens, list) or not all(isinstance(token, str) and token for token in tokens):
                    raise DataError(
                        "the field 'tokens' is no list of texts that hold something",
                        'give {"tokens": ["...", "..."]}, or {"text": "..."}',
                        origin=origin,
                        code="field-wrong",
                    )
                text, units = join_units(tokens)
            else:
                text = text_field(record, "text", origin, 'give {"text": "..."} or {"tokens": [...]}')
                units = split_units(text, unit)
            examples.append(Sentence(identifier, {"text": text}, origin=origin, units=units))
        return examples

    def read_input(self, file: Path, data: NerDataT) -> list[tuple[Mapping[str, Any], Origin]] | None:
        """Files of columns; see :func:`bertcore_tasks.ner.input_columns.read_input_columns`."""
        records = read_input_columns(file, self.prediction_columns(data), self.clean)
        return None if records is None else [*records]

    def score(
        self, examples: Sequence[Example], labels: tuple[str, ...], predictions: Path, data: NerDataT
    ) -> Evaluation:
        """Scores a file of columns whose last one is the predicted tag, or JSON lines of entities.

        See :mod:`bertcore_tasks.ner.predictions`.
        """
        sentences = sentences_of(examples)
        scheme = self.scheme_of(labels, examples, data)
        read = read_predictions(predictions, sentences, scheme, self.prediction_columns(data), self.clean)
        return evaluate(sentences, read, scheme, entity_types(labels), self.scores_names)

    def scheme_of(self, labels: tuple[str, ...], examples: Sequence[Example], data: NerDataT) -> str:
        """The tag scheme in which predictions of the examples are read."""
        return find_scheme(labels)

    def prediction_columns(self, data: NerDataT) -> Columns:
        """Which columns of a file of predictions hold the units and the predicted tags: the first and the last."""
        return Columns()
