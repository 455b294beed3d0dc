"""From a text for each question to scores of the whole split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bertcore.contracts.dataset import Example
from bertcore.contracts.evaluation import Evaluation
from bertcore.errors import DataError, Origin
from numpy.typing import NDArray

from bertcore_tasks.predictions import WORST_ERRORS
from bertcore_tasks.qa.answers import Gold
from bertcore_tasks.qa.cjrc import cjrc
from bertcore_tasks.qa.metrics import AnswerScore, Scorer, squad_v1, squad_v2


def scorer_of(examples: Sequence[Example], scorer: Scorer) -> Scorer:
    """The scorer of a split: SQuAD's is that of v2.0 as soon as one question has no answer."""
    if scorer is squad_v1 and has_unanswerable(examples):
        return squad_v2
    return scorer


def has_unanswerable(examples: Sequence[Example]) -> bool:
    """Whether one of the questions has no answer."""
    return any(isinstance(example.label, Gold) and not example.label.answers for example in examples)


def judge(prediction: str | None, gold: Gold, scorer: Scorer) -> AnswerScore:
    """Judges one prediction; None is always wrong, and a question without an answer is judged as in SQuAD v2.0."""
    if prediction is None:
        return AnswerScore(0.0, 0.0)
    if scorer is cjrc:  # its script compares all annotators, also those who found no answer
        return cjrc(prediction, [*gold.answers, *[""] * gold.blanks] or [""])
    if not gold.answers:
        return squad_v2(prediction, ())
    return scorer(prediction, gold.answers)


def evaluate_answers(
    examples: Sequence[Example],
    predictions: Sequence[str | None],
    scorer: Scorer,
    entries: Sequence[Mapping[str, Any]],
    strangers: int = 0,
) -> Evaluation:
    """Scores one text for each question, in percent, as the official scripts do.

    Args:
        examples: each with its :class:`~bertcore_tasks.qa.answers.Gold`.
        predictions: a text for each, or None where there is none.
        scorer: what one prediction is judged by.
        entries: what is written for each example.
        strangers: predictions of other questions, which count for nothing.

    Raises:
        DataError: a question has no label.
    """
    unlabeled = next((example for example in examples if example.label is None), None)
    if unlabeled is not None:
        raise DataError(
            "no answers to score by",
            'add them, or write "answers": [] for a question that has none',
            origin=unlabeled.origin or Origin(unlabeled.identifier),
            code="answer-missing",
        )
    scorer = scorer_of(examples, scorer)
    scores = [judge(text, example.label, scorer) for example, text in zip(examples, predictions, strict=True)]
    answerable = np.array([bool(example.label.answers) for example in examples], dtype=np.bool_)
    metrics = _means(scores, answerable)
    summary = [f"total_num {len(examples)}", *(f"{name} {metrics[name]:.3f}" for name in _SUMMARY if name in metrics)]
    unanswered = sum(text is None for text in predictions)
    summary += [f"{unanswered} without a prediction"] if unanswered else []
    summary += [f"{strangers} predictions of other questions"] if strangers else []
    return Evaluation(
        metrics=metrics,
        total=len(examples),
        summary=", ".join(summary),
        baseline=_without_any_answer(metrics, answerable),
        predictions=list(entries),
        errors=_worst_errors(examples, predictions, scores, entries),
        notes=_never_answered(predictions, answerable),
    )


_SUMMARY = ("exact_match", "f1", "answerable_f1", "unanswerable_accuracy")
"""The scores that are shown in one line, where there are questions of both kinds."""


def _means(scores: Sequence[AnswerScore], answerable: NDArray[np.bool_]) -> dict[str, float]:
    """The scores of all questions in percent, and where some have no answer, those of both kinds."""
    exact = np.array([score.exact for score in scores], dtype=np.float64)
    f1 = np.array([score.f1 for score in scores], dtype=np.float64)
    means = {"exact_match": _percent(exact), "f1": _percent(f1)}
    if not answerable.all():
        if answerable.any():
            means |= {"answerable_exact_match": _percent(exact[answerable]), "answerable_f1": _percent(f1[answerable])}
        means["unanswerable_accuracy"] = _percent(exact[~answerable])
    return means


def _without_any_answer(metrics: Mapping[str, float], answerable: NDArray[np.bool_]) -> dict[str, float]:
    """The scores of saying of every question that it has no answer, where some have none."""
    if answerable.all():
        return {}
    right = _percent(~answerable)
    return dict.fromkeys(metrics, 0.0) | {"exact_match": right, "f1": right, "unanswerable_accuracy": 100.0}


def score_names(examples: Sequence[Example]) -> list[str]:
    """Names of the scores that :func:`evaluate_answers` gives for these examples."""
    names = ["exact_match", "f1"]
    if has_unanswerable(examples):
        if any(example.label.answers for example in examples):
            names += ["answerable_exact_match", "answerable_f1"]
        names.append("unanswerable_accuracy")
    return names


def _never_answered(predictions: Sequence[str | None], answerable: NDArray[np.bool_]) -> tuple[str, ...]:
    """Says that no question is answered, or that every one is, where there are questions of the other kind."""
    answered = sum(bool(text) for text in predictions)
    if answerable.any() and not answered:
        return (f"none of {len(predictions)} questions is answered, and {int(answerable.sum())} have an answer",)
    if answered == len(predictions) and not answerable.all():
        return (f"all {len(predictions)} questions are answered, and {int((~answerable).sum())} have no answer",)
    return ()


def _percent(values: NDArray[np.generic]) -> float:
    return 100.0 * float(values.mean()) if len(values) else float("nan")


def _worst_errors(
    examples: Sequence[Example],
    predictions: Sequence[str | None],
    scores: Sequence[AnswerScore],
    entries: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Answers that are not exact, those of lowest F1 first, and of these the surest."""
    wrong = [index for index, score in enumerate(scores) if score.exact < 1]
    wrong.sort(key=lambda index: (scores[index].f1, -entries[index].get("probability", 0.0)))
    errors = []
    for index in wrong[:WORST_ERRORS]:
        example = examples[index]
        error: dict[str, Any] = {
            "id": example.identifier,
            "origin": str(example.origin or ""),
            "label": list(example.label.answers),
            "prediction": predictions[index],
            "f1": round(100 * scores[index].f1, 2),
        }
        if "probability" in entries[index]:
            error["probability"] = round(entries[index]["probability"], 4)
        errors.append({**error, **example.texts})
    return errors
