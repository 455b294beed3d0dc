"""What the tasks of extractive question answering share: data options, windows, decoding and scores."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from bertcore.config import HeadConfig
from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch
from bertcore.contracts.dataset import Dataset, Example
from bertcore.contracts.evaluation import Accumulator, Evaluation, Metric
from bertcore.contracts.head import Head
from bertcore.contracts.task import Encoding, Task
from bertcore.files.writing import json_text
from bertcore.heads import SpanExtraction
from bertcore.tokenization.tokenizer import Tokenizer
from numpy.typing import NDArray
from pydantic import Field

from bertcore_tasks.own_files import OwnFilesConfig, own_files
from bertcore_tasks.qa.decoding import (
    Candidate,
    best_null_threshold,
    best_spans,
    merge_candidates,
    probabilities,
)
from bertcore_tasks.qa.forms import read_asked
from bertcore_tasks.qa.metrics import Scorer
from bertcore_tasks.qa.reading import read_questions
from bertcore_tasks.qa.scoring import (
    evaluate_answers,
    has_unanswerable,
    judge,
    read_predictions,
    require_distinct,
    score_names,
    scorer_of,
)
from bertcore_tasks.qa.windows import encode_windows
from bertcore_tasks.texts import text_examples

SHOWN_ANSWERS = 5
"""Answers that the predictions list for a question."""

# SQuAD, CMRC 2018, DRCD (DRCD_training.json) and CAIL 2019 (dev_ground_truth.json).
_OFFICIAL_NAME = re.compile(
    r"(?:(?:squad|cmrc2018|drcd)[-_])?(train|training|dev|test)(?:[-_.]v?\d.*|_ground_truth)?\.jsonl?", re.IGNORECASE
)


class QuestionAnsweringConfig(OwnFilesConfig):
    """Data options of extractive question answering."""

    doc_stride: int = Field(128, ge=1, description="tokens between the beginnings of two windows of a context")
    max_question_length: int = Field(64, ge=1, description="tokens of the longest question; what is beyond is cut")
    max_answer_length: int = Field(30, ge=1, description="tokens of the longest answer")
    n_best: int = Field(20, ge=1, description="answers that are kept for each window and each question")
    null_threshold: float | None = Field(
        None, description="how far no answer must be ahead of the best one to be given; default: tuned on dev"
    )


QuestionsT = TypeVar("QuestionsT", bound=QuestionAnsweringConfig)


class QuestionAnsweringTask(Task[QuestionsT, SpanExtraction]):
    """Questions whose answers are spans of a context, in files of SQuAD's form.

    Attributes:
        name: as in ``--task squad``.
        description: one line.
        scorer: what a prediction is judged by.
        submission_file: name of the file that the leaderboard asks for, by split.
    """

    metric = Metric("f1")
    own_files = True

    def __init__(
        self, name: str, description: str, scorer: Scorer, submission_file: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.description = description
        self._scorer = scorer
        self._submission_file = dict(submission_file or {})

    # Data

    def open(self, data: QuestionsT) -> Dataset:
        """Finds the files: those named, those of a folder, or one file, which is then the split ``dev``.

        In a folder, ``train-v1.1.json``, ``dev.json``, ``cmrc2018_test.json`` and the like are found by name.

        Raises:
            DataError: a file or folder is missing, or a split has more than one file.
            UsageError: nothing is named.
        """
        files = own_files(data, (".json", ".jsonl"), _OFFICIAL_NAME)
        notes: list[str] = []

        def read(split: str) -> list[Example]:
            (file,) = files[split]
            examples, told = read_questions(file, may_lack=split == "test", encoding=data.encoding)
            notes.extend(note for note in told if note not in notes)
            return examples

        return Dataset(files, read, notes=notes)

    def traits(self, example: Example) -> tuple[str, ...]:
        """Whether it has an answer; see :meth:`bertcore.contracts.task.Task.traits`."""
        return ("answerable" if example.label is not None and example.label.answers else "unanswerable",)

    def group(self, example: Example) -> Hashable:
        """The context: what is asked about one of them tells of it; see :meth:`bertcore.contracts.task.Task.group`."""
        return example.texts["context"]

    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], str]], data: QuestionsT) -> list[Example]:
        """Reads ``{"question": ..., "context": ...}``; see :meth:`bertcore.contracts.task.Task.parse_input`."""
        return text_examples(records, ("question", "context"), "id")

    def read_input(self, file: Path, data: QuestionsT) -> list[tuple[Mapping[str, Any], str]] | None:
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
        """See :func:`bertcore_tasks.qa.windows.encode_windows`."""
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
        return self._scorer

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
            {**_identity(example), "prediction": text} for example, text in zip(examples, file.texts, strict=True)
        ]
        return evaluate_answers(examples, file.texts, self.scorer(data), entries, file.strangers)

    def submissions(self) -> Mapping[str, str]:
        """The leaderboard's file by split."""
        return self._submission_file

    def submission(self, split: str, predictions: Sequence[Mapping[str, Any]]) -> str:
        """``{"id": "text"}`` in the order of the examples; see :meth:`bertcore.contracts.task.Task.submission`.

        Raises:
            DataError: two questions have the same name.
        """
        require_distinct([Example(str(entry["id"]), {}, origin=split) for entry in predictions])
        return json_text({entry["id"]: entry["prediction"] for entry in predictions}, indent=2) + "\n"


class SpanAccumulator(Accumulator):
    """Keeps the best spans of each row as characters of the context, and no logits.

    A row takes ``n_best`` spans of 20 bytes: 5 MB for the windows of SQuAD's dev split.
    """

    want = ("start_logits", "end_logits")

    def __init__(
        self, examples: Sequence[Example], head: SpanExtraction, data: QuestionAnsweringConfig, scorer: Scorer
    ) -> None:
        self._examples = examples
        self._data = data
        self._scorer = scorer
        # An answer may be missing where the model learned it, the user said so, or the data has such questions.
        threshold = data.null_threshold if data.null_threshold is not None else head.null_threshold
        self._may_be_null = threshold is not None or has_unanswerable(examples)
        self._threshold = threshold or 0.0
        # Example, first character, one past the last, and score of each span; one part for each batch.
        self._spans: list[tuple[NDArray[np.generic], ...]] = []
        self._null_scores = np.full(len(examples), np.inf)
        self._candidates: list[list[Candidate]] | None = None

    def add(self, batch: Batch, outputs: Outputs) -> None:
        """Takes ``start_logits`` and ``end_logits``, float32 ``[tokens]``."""
        self._candidates = None
        starts, ends = (np.asarray(outputs[name]) for name in self.want)
        character_start, character_end, max_context = (
            batch.columns[name].values for name in ("character_start", "character_end", "max_context")
        )
        null_scores = starts[batch.offsets[:-1]].astype(np.float64) + ends[batch.offsets[:-1]]
        with np.errstate(invalid="ignore"):  # a model that diverged gives no numbers
            np.minimum.at(self._null_scores, batch.example_index, null_scores)
        rows: list[tuple[NDArray[np.generic], ...]] = []
        for row, example in enumerate(batch.example_index.tolist()):
            tokens = np.arange(batch.offsets[row], batch.offsets[row + 1])
            context = tokens[character_start[tokens] >= 0]
            spans = best_spans(
                starts[context],
                ends[context],
                max_context[context].astype(np.bool_),
                self._data.max_answer_length,
                self._data.n_best,
            )
            rows.append(
                (
                    np.full(len(spans.scores), example, dtype=np.int32),
                    character_start[context[spans.starts]],
                    character_end[context[spans.ends]],
                    spans.scores,
                )
            )
        if rows:
            self._spans.append(tuple(np.concatenate(parts) for parts in zip(*rows, strict=True)))

    def tune(self) -> Head | None:
        """Chooses the threshold of the questions without an answer, where there are some, by the highest F1."""
        if self._data.null_threshold is not None:
            return SpanExtraction(self._data.null_threshold)
        if not has_unanswerable(self._examples):
            return None
        candidates = self._merged()
        scorer = scorer_of(self._examples, self._scorer)
        differences, gains = np.zeros(len(self._examples)), np.zeros(len(self._examples))
        for index, (example, found) in enumerate(zip(self._examples, candidates, strict=True)):
            text, differences[index] = (found[0].text, self._difference(index, found)) if found else ("", 0.0)
            if example.label is None:  # it says nothing about the threshold
                continue
            gains[index] = judge(text, example.label, scorer).f1 - judge("", example.label, scorer).f1
        self._threshold = best_null_threshold(differences, gains)
        return SpanExtraction(self._threshold)

    def predictions(self) -> list[dict[str, Any]]:
        """Identifier, question, answer with its characters and probability, and the best answers.

        The context is left out. Where questions may have no answer, ``null_score_difference`` says how far that is
        ahead of the best answer; an empty prediction means it.
        """
        return [self._entry(index, found) for index, found in enumerate(self._merged())]

    def result(self) -> Evaluation:
        """Scores all questions, each once however many windows it has."""
        entries = self.predictions()
        texts = [entry["prediction"] for entry in entries]
        evaluation = evaluate_answers(self._examples, texts, self._scorer, entries)
        return replace(evaluation, thresholds={"null_threshold": self._threshold} if self._may_be_null else {})

    def _merged(self) -> list[list[Candidate]]:
        if self._candidates is None:
            self._candidates = [[] for _ in self._examples]
            if self._spans:
                of, starts, ends, scores = (np.concatenate(parts) for parts in zip(*self._spans, strict=True))
                order = np.argsort(of, kind="stable")
                limits = np.searchsorted(of[order], np.arange(len(self._examples) + 1))
                for index, example in enumerate(self._examples):
                    own = order[limits[index] : limits[index + 1]]
                    self._candidates[index] = merge_candidates(
                        example.texts["context"], starts[own], ends[own], scores[own], self._data.n_best
                    )
        return self._candidates

    def _difference(self, index: int, found: Sequence[Candidate]) -> float:
        return float(self._null_scores[index]) - found[0].score

    def _entry(self, index: int, found: Sequence[Candidate]) -> dict[str, Any]:
        example = self._examples[index]
        scores = [candidate.score for candidate in found]
        if self._may_be_null:
            scores.append(float(self._null_scores[index]))
        chances = probabilities(scores)
        entry: dict[str, Any] = {**_identity(example), "prediction": "", "probability": 0.0}
        if found and not (self._may_be_null and self._difference(index, found) > self._threshold):
            best = found[0]
            entry |= {"prediction": best.text, "probability": chances[0], "start": best.start, "end": best.end}
        elif self._may_be_null:
            entry["probability"] = chances[-1]
        if self._may_be_null and found:
            entry["null_score_difference"] = round(self._difference(index, found), 6)
        entry["probability"] = round(entry["probability"], 6)
        entry["n_best"] = [
            {
                "text": candidate.text,
                "probability": round(chance, 6),
                "start": candidate.start,
                "end": candidate.end,
            }
            for candidate, chance in zip(found[:SHOWN_ANSWERS], chances, strict=False)
        ]
        if example.label is not None:
            entry["answers"] = list(example.label.answers)
        return entry


def _identity(example: Example) -> dict[str, Any]:
    return {"id": example.identifier, "question": example.texts["question"]}
