"""What the tasks of extractive question answering share: their files, and how answers are scored."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertcore.config import HeadConfig
from bertcore.contracts.dataset import Dataset, Example, Split
from bertcore.contracts.evaluation import Accumulator, Evaluation, Metric
from bertcore.contracts.task import Encoding, Task
from bertcore.contracts.tokenizer import Tokenizer
from bertcore.errors import Origin
from bertcore.files.writing import json_text
from bertcore.heads import SpanExtraction

from bertcore_tasks.own_files import own_files
from bertcore_tasks.qa.accumulator import SpanAccumulator, question_entry
from bertcore_tasks.qa.encoding import encode_windows
from bertcore_tasks.qa.forms import read_asked
from bertcore_tasks.qa.metrics import Scorer
from bertcore_tasks.qa.options import QuestionsT
from bertcore_tasks.qa.predictions import read_predictions, require_distinct
from bertcore_tasks.qa.reading import read_questions
from bertcore_tasks.qa.scoring import evaluate_answers, score_names
from bertcore_tasks.texts import text_examples

# SQuAD, CMRC 2018, DRCD (DRCD_training.json) and CAIL 2019 (dev_ground_truth.json).
_OFFICIAL_NAME = re.compile(
    r"(?:(?:squad|cmrc2018|drcd)[-_])?(train|training|dev|test)(?:[-_.]v?\d.*|_ground_truth)?\.jsonl?", re.IGNORECASE
)


@dataclass
class QuestionAnsweringTask(Task[QuestionsT, SpanExtraction]):
    """Questions whose answers are spans of a context, in files of SQuAD's form.

    Attributes:
        name: as in ``--task squad``.
        description: one line.
        score_answer: what a prediction is judged by.
        leaderboard: split to the name of the file of all its predictions.
    """

    metric = Metric("f1")
    own_files = True

    name: str
    description: str
    score_answer: Scorer
    leaderboard: Mapping[str, str]

    # Data

    def open(self, data: QuestionsT) -> Dataset:
        """Finds the files: those named, those of a folder, or one file, which is then the split ``dev``.

        In a folder, ``train-v1.1.json``, ``dev.json``, ``cmrc2018_test.json`` and the like are found by name.

        Raises:
            DataError: a file or folder is missing, or a split has more than one file.
            UsageError: nothing is named.
        """
        files = own_files(data, (".json", ".jsonl"), _OFFICIAL_NAME)

        def read(split: str) -> Split:
            (file,) = files[split]
            return read_questions(file, may_lack=split == "test", encoding=data.encoding)

        return Dataset(files, read)

    def traits(self, example: Example) -> tuple[str, ...]:
        """Whether it has an answer; see :meth:`bertcore.contracts.task.Task.traits`."""
        return ("answerable" if example.label is not None and example.label.answers else "unanswerable",)

    def group(self, example: Example) -> Hashable:
        """The context: what is asked about one of them tells of it; see :meth:`bertcore.contracts.task.Task.group`."""
        return example.texts["context"]

    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], Origin]], data: QuestionsT) -> list[Example]:
        """Reads ``{"question": ..., "context": ...}``; see :meth:`bertcore.contracts.task.Task.parse_input`."""
        return text_examples(records, ("question", "context"), "id")

    def read_input(self, file: Path, data: QuestionsT) -> list[tuple[Mapping[str, Any], Origin]] | None:
        """The questions of a ``.json`` in SQuAD's form or one of its kin, with or without answers."""
        if file.suffix.lower() != ".json":
            return None
        return [
            ({"id": asked.identifier, "question": asked.question, "context": asked.context}, asked.place)
            for asked in read_asked(file, data.encoding)
        ]

    def input_fields(self, data: QuestionsT) -> tuple[str, ...]:
        """The question and what it is asked of; see :meth:`bertcore.contracts.task.Task.input_fields`."""
        return ("question", "context")

    # Learning

    def head(self, labels: tuple[str, ...], options: HeadConfig) -> SpanExtraction:
        """Start and end of a span."""
        return SpanExtraction()

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, head: SpanExtraction, max_length: int, data: QuestionsT
    ) -> Encoding:
        """See :func:`bertcore_tasks.qa.encoding.encode_windows`."""
        return encode_windows(
            examples, tokenizer, max_length, data.doc_stride, data.max_question_length, data.max_answer_length
        )

    def accumulator(self, examples: Sequence[Example], head: SpanExtraction, data: QuestionsT) -> Accumulator:
        """See :class:`SpanAccumulator`."""
        return SpanAccumulator(examples, head, data, self.scorer(data))

    def metrics(self, examples: Sequence[Example], head: SpanExtraction, data: QuestionsT) -> tuple[Metric, ...]:
        """Both scores, and those of questions with and without an answer.

        See :meth:`bertcore.contracts.task.Task.metrics`.
        """
        return tuple(map(Metric, score_names(examples)))

    def scorer(self, data: QuestionsT) -> Scorer:
        """What a prediction is judged by."""
        return self.score_answer

    # Files of predictions

    def score(
        self, examples: Sequence[Example], labels: tuple[str, ...], predictions: Path, data: QuestionsT
    ) -> Evaluation:
        """Scores ``{"id": "text"}``; see :meth:`bertcore.contracts.task.Task.score`.

        A question without a prediction is wrong, as in the scripts of SQuAD v1.1 and CMRC 2018 (that of v2.0 leaves it
        out of the mean), and a prediction for another question counts for nothing; the summary says how many there are.
        """
        file = read_predictions(predictions, examples)
        entries = [
            {**question_entry(example), "prediction": text} for example, text in zip(examples, file.texts, strict=True)
        ]
        return evaluate_answers(examples, file.texts, self.scorer(data), entries, file.strangers)

    def submission(self, split: str, predictions: Sequence[Mapping[str, Any]]) -> str:
        """``{"id": "text"}`` in the order of the examples; see :meth:`bertcore.contracts.task.Task.submission`.

        Raises:
            DataError: two questions have the same name.
        """
        require_distinct([Example(str(entry["id"]), {}, origin=Origin(split)) for entry in predictions])
        return json_text({entry["id"]: entry["prediction"] for entry in predictions}, indent=2) + "\n"
