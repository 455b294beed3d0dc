"""What the tasks of multiple choice share."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bertcore.config import HeadConfig
from bertcore.contracts.dataset import Example, Split
from bertcore.contracts.evaluation import Accumulator, Evaluation, Metric
from bertcore.contracts.task import DataT, Encoding, Task
from bertcore.contracts.tokenizer import Tokenizer
from bertcore.errors import Origin
from bertcore.heads import MultipleChoice

from bertcore_tasks.choices.columns import ChoicesConfig, parse_records
from bertcore_tasks.choices.encoding import encode_choices
from bertcore_tasks.choices.gold import right_choice
from bertcore_tasks.choices.questions import CONTEXT, QUESTION, choices_of, input_fields
from bertcore_tasks.choices.scoring import ChoiceAccumulator, evaluate_choices
from bertcore_tasks.predictions import read_predictions


class ChoiceTask(Task[DataT, MultipleChoice]):
    """Questions with any number of choices, of which one is right: the label is the name of its number, from 0."""

    metric = Metric("accuracy")

    def head(self, labels: tuple[str, ...], options: HeadConfig) -> MultipleChoice:
        """A softmax over the choices of each question."""
        return MultipleChoice()

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, head: MultipleChoice, max_length: int, data: DataT
    ) -> Encoding:
        """See :func:`bertcore_tasks.choices.encoding.encode_choices`."""
        return encode_choices(examples, tokenizer, max_length)

    def accumulator(self, examples: Sequence[Example], head: MultipleChoice, data: DataT) -> Accumulator:
        """See :class:`~bertcore_tasks.choices.scoring.ChoiceAccumulator`."""
        return ChoiceAccumulator(examples)

    def group(self, example: Example) -> Hashable:
        """The context of a question that has one: what is asked about it tells of other questions."""
        return example.texts[CONTEXT] if {CONTEXT, QUESTION} <= example.texts.keys() else super().group(example)

    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], Origin]], data: DataT) -> list[Example]:
        """Reads ``context``, ``question`` and ``choices`` or ``choice0``, ``choice1``, ..., or what else is known.

        See :meth:`bertcore.contracts.task.Task.parse_input`.
        """
        return parse_records(records, ChoicesConfig())

    def input_fields(self, data: DataT) -> tuple[str, ...]:
        """Context, question and choices; see :meth:`bertcore.contracts.task.Task.input_fields`."""
        return input_fields()

    def score(self, examples: Split, labels: tuple[str, ...], predictions: Path, data: DataT) -> Evaluation:
        """Scores numbers, letters or texts of choices.

        The file has one of the forms of :func:`bertcore_tasks.predictions.read_predictions`.
        """
        stored = read_predictions(predictions, examples)
        predicted = [
            right_choice(one.value, choices_of(example.texts), one.origin, what="prediction")
            for one, example in zip(stored, examples, strict=True)
        ]
        return evaluate_choices(examples, np.array(predicted, dtype=np.int64))
