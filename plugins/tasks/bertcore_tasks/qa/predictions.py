"""Files of predictions: a text for each question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertcore.contracts.dataset import Example
from bertcore.data.tables import read_json_lines
from bertcore.errors import DataError, Origin

from bertcore_tasks.qa.forms import read_json

_FORM = 'write {"ID": "text", ...} with one text for each question'
_LINE_FORM = 'write {"id": "...", "prediction": "..."} a line'


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
