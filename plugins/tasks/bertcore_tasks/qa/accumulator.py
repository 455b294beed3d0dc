"""What is kept of a model's outputs, and which spans of a context become answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch
from bertcore.contracts.dataset import Example
from bertcore.contracts.evaluation import Accumulator, Evaluation
from bertcore.contracts.head import Head
from bertcore.heads import SpanExtraction
from numpy.typing import NDArray

from bertcore_tasks.qa.decoding import Candidate, best_null_threshold, best_spans, merge_candidates, probabilities
from bertcore_tasks.qa.metrics import Scorer
from bertcore_tasks.qa.options import QuestionAnsweringConfig
from bertcore_tasks.qa.scoring import evaluate_answers, has_unanswerable, judge, scorer_of

SHOWN_ANSWERS = 5
"""Answers that the predictions list for a question."""


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
        character_start, character_end = (
            batch.columns[name].values.astype(np.int32, copy=False) for name in ("character_start", "character_end")
        )
        max_context = batch.columns["max_context"].values.astype(np.bool_, copy=False)
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
                max_context[context],
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
        entry: dict[str, Any] = {**question_entry(example), "prediction": "", "probability": 0.0}
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


def question_entry(example: Example) -> dict[str, Any]:
    """What the predictions say of a question beside its answer."""
    return {"id": example.identifier, "question": example.texts["question"]}
