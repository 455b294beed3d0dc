"""From a text for each question to scores of the whole split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bertcore.contracts.dataset import Example
from bertcore.contracts.evaluation import Evaluation
from bertcore.data.tables import read_json_lines
from bertcore.errors import DataError, Origin
from numpy.typing import NDArray

from bertcore_tasks.qa.answers import Gold
from bertcore_tasks.qa.cjrc import cjrc
from bertcore_tasks.qa.forms import read_json
from bertcore_tasks.qa.metrics import AnswerScore, Scorer, squad_v1, squad_v2
from bertcore_tasks.texts import WORST_ERRORS


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
    exact = np.array([score.exact for score in scores], dtype=np.float64)
    f1 = np.array([score.f1 for score in scores], dtype=np.float64)
    answerable = np.array([bool(example.label.answers) for example in examples], dtype=np.bool_)
    metrics = {"exact_match": _percent(exact), "f1": _percent(f1)}
    summary = f"total_num {len(examples)}, exact_match {metrics['exact_match']:.3f}, f1 {metrics['f1']:.3f}"
    baseline: dict[str, float] = {}
    if not answerable.all():
        if answerable.any():
            metrics |= {
                "answerable_exact_match": _percent(exact[answerable]),
                "answerable_f1": _percent(f1[answerable]),
            }
            summary += f", answerable_f1 {metrics['answerable_f1']:.3f}"
        metrics["unanswerable_accuracy"] = _percent(exact[~answerable])
        summary += f", unanswerable_accuracy {metrics['unanswerable_accuracy']:.3f}"
        never = _percent(~answerable)  # to say of every question that it has no answer
        baseline = dict.fromkeys(metrics, 0.0) | {"exact_match": never, "f1": never, "unanswerable_accuracy": 100.0}
    unanswered = sum(text is None for text in predictions)
    if unanswered:
        summary += f", {unanswered} without a prediction"
    if strangers:
        summary += f", {strangers} predictions of other questions"
    return Evaluation(
        metrics=metrics,
        total=len(examples),
        summary=summary,
        baseline=baseline,
        predictions=list(entries),
        errors=_worst_errors(examples, predictions, scores, entries),
        notes=_never_answered(predictions, answerable),
    )


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


@dataclass(frozen=True)
class PredictionFile:
    """What a file of predictions says of a split.

    Attributes:
        texts: a text for each example, or None where the file has none.
        strangers: predictions of questions that are not in the split.
    """

    texts: tuple[str | None, ...]
    strangers: int


def read_predictions(file: Path, examples: Sequence[Example]) -> PredictionFile:
    """Reads ``{"id": "text"}``, CJRC's ``[{"id": "...", "answer": "..."}]``, or a ``predictions.jsonl`` of bertcore.

    Raises:
        DataError: the file is missing or no such JSON, has two predictions for a question, or a prediction for none of
            the questions.
    """
    found = _read_lines(file) if file.suffix == ".jsonl" else _read_object(file)
    wrong = next((name for name, text in found.items() if not isinstance(text, str)), None)
    if wrong is not None:
        problem = f"the prediction of question {wrong} is no text"
        raise DataError(problem, _FORM, origin=Origin(str(file)), code="prediction-wrong")
    require_distinct(examples)
    texts = tuple(found.get(example.identifier) for example in examples)
    answered = sum(text is not None for text in texts)
    if examples and not answered:
        raise DataError(
            f"no prediction for any of the {len(examples)} questions, the first is {examples[0].identifier}",
            "give the data that the predictions belong to",
            origin=Origin(str(file)),
            code="prediction-missing",
        )
    return PredictionFile(texts, len(found) - answered)


_FORM = 'write {"ID": "text", ...} with one text for each question'
_LINE_FORM = 'write {"id": "...", "prediction": "..."} a line'


def _read_object(file: Path) -> dict[str, Any]:
    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            twice = next(name for name, count in counts.items() if count > 1)
            raise _second(twice, Origin(str(file)))
        return found

    found = read_json(file, _FORM, distinct)
    if isinstance(found, list) and all(isinstance(entry, dict) and {"id", "answer"} <= entry.keys() for entry in found):
        return distinct([(str(entry["id"]), entry["answer"]) for entry in found])
    if not isinstance(found, dict):
        problem = f"a {type(found).__name__} instead of a JSON object"
        raise DataError(problem, _FORM, origin=Origin(str(file)), code="json-form-unknown")
    return found


def _read_lines(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for record, origin in read_json_lines(file):
        for name in ("id", "prediction"):
            if name not in record:
                problem = f"the field {name!r} is missing"
                raise DataError(problem, _LINE_FORM, origin=origin, code="field-missing")
        if str(record["id"]) in found:
            raise _second(record["id"], origin)
        found[str(record["id"])] = record["prediction"]
    return found


def _second(question: Any, origin: Origin) -> DataError:
    problem = f"a second prediction for question {question}"
    return DataError(problem, "keep one prediction of each question", origin=origin, code="prediction-repeated")


def require_distinct(examples: Sequence[Example]) -> None:
    """Refuses two questions of one name, of which a file of predictions could hold only one.

    Raises:
        DataError: names the second.
    """
    seen: set[str] = set()
    for example in examples:
        if example.identifier in seen:
            raise DataError(
                f"a second question is called {example.identifier}",
                "give each an id of its own",
                origin=example.origin,
                code="identifier-repeated",
            )
        seen.add(example.identifier)


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
