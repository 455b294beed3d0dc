"""Predictions of one text, or a pair of texts: their lines in files and reports, and files of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertcore.contracts.dataset import Example, Split
from bertcore.data.table_files import read_table
from bertcore.data.tables import read_json_lines
from bertcore.errors import DataError, Origin

WORST_ERRORS = 20
"""How many errors a report names."""


def prediction_entry(
    example: Example, prediction: Any, probabilities: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """A line of ``predictions.jsonl``, which :func:`read_predictions` reads: a JSON object.

    Args:
        example: with or without a label.
        prediction: in the form of its label, but a set of labels as a list.
        probabilities: of all labels, where they are known; rounded to six digits.
    """
    entry: dict[str, Any] = {"id": example.identifier, **example.texts, "prediction": prediction}
    if probabilities is not None:
        entry["probabilities"] = {label: round(value, 6) for label, value in probabilities.items()}
    if example.label is not None:
        entry["label"] = _json_label(example)
    return entry


def error_entry(example: Example, prediction: Any, probability: float | None = None) -> dict[str, Any]:
    """An error as a report shows it.

    Args:
        example: with its label.
        prediction: as in :func:`prediction_entry`.
        probability: of what was predicted, where it is known; rounded to four digits.
    """
    entry = {
        "id": example.identifier,
        "origin": str(example.origin or ""),
        "label": _json_label(example),
        "prediction": prediction,
    }
    if probability is not None:
        entry["probability"] = round(probability, 4)
    return {**entry, **example.texts}


def _json_label(example: Example) -> Any:
    return list(example.label) if isinstance(example.label, tuple) else example.label


@dataclass(frozen=True)
class StoredPrediction:
    """One prediction of a file.

    Attributes:
        value: text or JSON value.
        origin: where it stands.
    """

    value: Any
    origin: Origin


def read_predictions(file: Path, examples: Split) -> list[StoredPrediction]:
    """Reads a file of predictions, and returns that of each example.

    It is a table with the columns ``index`` (or ``id``) and ``prediction``, as in GLUE's tab-separated form; JSON
    lines with ``id`` and ``label``, CLUE's form; or bertcore's own ``predictions.jsonl`` with ``id`` and
    ``prediction``. CLUE's form holds no texts: beside those, or beside predictions, a label is the right one and is
    not read.

    Args:
        file: the file.
        examples: all of the split. Predictions for what reading left out of it are passed over: whoever wrote the file
            need not have left it out.

    Raises:
        DataError: it is damaged, or an example has no prediction or two, or a prediction no example.
    """
    expected = _by_identifier(examples)
    passed_over = {one.identifier for one in examples.left_out}
    found: dict[str, StoredPrediction] = {}
    text_fields = {name for example in examples for name in example.texts}
    for identifier, prediction in _stored_predictions(file, text_fields):
        if identifier in found:
            raise DataError(
                f"a second prediction for {identifier!r}, as at {found[identifier].origin}",
                "keep one prediction of each example",
                origin=prediction.origin,
                code="prediction-repeated",
            )
        if identifier not in expected and identifier not in passed_over:
            raise DataError(
                f"a prediction for {identifier!r}, which is no example of this split",
                "check --split, and that data and predictions belong together",
                origin=prediction.origin,
                code="prediction-unknown",
            )
        found[identifier] = prediction
    missing = [example for example in examples if example.identifier not in found]
    if missing:
        raise _missing(missing, len(examples), file)
    return [found[example.identifier] for example in examples]


def _by_identifier(examples: Sequence[Example]) -> dict[str, Example]:
    """The examples by what they are called; two of one name could not be told apart."""
    found: dict[str, Example] = {}
    for example in examples:
        if example.identifier in found:
            raise DataError(
                f"the identifier {example.identifier!r} again, as at {found[example.identifier].origin}",
                "predictions are found by their identifiers: make them differ",
                origin=example.origin,
                code="identifier-repeated",
            )
        found[example.identifier] = example
    return found


def _missing(examples: Sequence[Example], total: int, file: Path) -> DataError:
    first = examples[0]
    return DataError(
        f"no prediction for {len(examples)} of {total} examples, the first is {first.identifier!r} ({first.origin})",
        "every example of the split is scored: give the whole file, or check --split",
        origin=Origin(str(file)),
        code="prediction-missing",
    )


def _stored_predictions(file: Path, text_fields: Set[str]) -> Iterable[tuple[str, StoredPrediction]]:
    if _is_json_lines(file):
        records = read_json_lines(file)
        beside_gold = {"prediction", "probabilities", *text_fields}
        name = "label" if all(beside_gold.isdisjoint(record) for record, _ in records) else "prediction"
        for record, origin in records:
            absent = next((field for field in ("id", name) if field not in record), None)
            if absent is not None:
                remedy = f'write {{"id": ..., "{name}": ...}} a line'
                raise DataError(f"the field {absent!r} is missing", remedy, origin=origin, code="field-missing")
            yield str(record["id"]), StoredPrediction(record[name], origin)
        return
    table = read_table(file)
    identifier = table.column("index") or table.column("id")
    for column, name in ((table.column("prediction"), "prediction"), (identifier, "index")):
        if column is None:
            shown = ", ".join(map(repr, table.columns))
            raise DataError(
                f"no column {name!r} among {shown}",
                "the header is: index, tab, prediction",
                origin=Origin(str(file), 1),
                code="column-missing",
            )
    for fields, origin in table.records:
        yield fields[identifier or "index"], StoredPrediction(fields["prediction"], origin)


def _is_json_lines(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
    except OSError as error:
        remedy = "give the file of predictions with --predictions"
        missing = isinstance(error, FileNotFoundError)
        raise DataError(
            error.strerror or str(error),
            remedy,
            origin=Origin(str(file)),
            code="file-missing" if missing else "file-unreadable",
        ) from None
