"""Files of predictions: JSON lines, tables with the columns of the input, or the tags of units in columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bertcore.data.tables import Record
from bertcore.engine.prediction_input import Inputs
from bertcore.engine.report import write_json_lines
from bertcore.errors import DataError, Origin, OutputError, UsageError
from bertcore.files.writing import atomic_write, json_text

JSON_SUFFIXES = ("", ".jsonl", ".json", ".ndjson")
TABLE_SUFFIXES = (".csv", ".tsv")
COLUMN_SUFFIXES = (".bio", ".bioes", ".bilou", ".bmes", ".conll", ".iob", ".iob2", ".txt")
"""What a file of a unit and its tag a line may be called."""

Prediction = Mapping[str, Any]


class PredictionFile:
    """A file that predictions are going to be written to; what speaks against it is said before anything is computed.

    Args:
        path: whose suffix names the form.
        force: whether it may replace a file.

    Raises:
        OutputError: it exists.
        UsageError: its suffix names no form.
    """

    def __init__(self, path: Path, force: bool) -> None:
        self.path = path
        self._suffix = path.suffix.lower()
        known = (*JSON_SUFFIXES, *TABLE_SUFFIXES, *COLUMN_SUFFIXES)
        if self._suffix not in known:
            raise UsageError(
                f"predictions are not written as {self._suffix}",
                "name a file of .jsonl, .csv or .tsv, or, for the tags of entities, of .bio or .conll",
                origin=Origin(str(path)),
                code="suffix-unknown",
            )
        if path.exists() and not force:
            raise OutputError(
                "it exists",
                "choose another --output, or replace it with --force",
                origin=Origin(str(path)),
                code="output-exists",
            )

    def check(self, inputs: Inputs, *, has_tags: bool) -> None:
        """Refuses what cannot be written in this form.

        Args:
            inputs: what is going to be predicted.
            has_tags: whether the predictions are tags of units.

        Raises:
            DataError: a field holds a tab or a line end, and the form has no place for it.
            UsageError: the form is one of tagged units, and the predictions are something else.
        """
        if self._suffix in COLUMN_SUFFIXES and not has_tags:
            raise UsageError(
                "such a file holds tags of units, and these predictions are none",
                "name a file of .jsonl, .csv or .tsv",
                origin=Origin(str(self.path)),
                code="suffix-unknown",
            )
        if self._suffix in (".tsv", *COLUMN_SUFFIXES):
            for record, origin in inputs.records:
                for name, value in record.items():
                    if isinstance(value, str) and any(character in value for character in "\t\n\r"):
                        raise DataError(
                            f"the field {name!r} holds a tab or a line end, for which {self.path.name} has no place",
                            "write a .csv or .jsonl",
                            origin=origin,
                            code="field-unwritable",
                        )

    def write(self, predictions: Sequence[Prediction], inputs: Inputs, fields: Sequence[str]) -> None:
        """Writes the predictions of all records, in their order, whole or not at all.

        Args:
            predictions: one for each record.
            inputs: that they were made of.
            fields: the task's fields of texts, which a prediction repeats.
        """
        if self._suffix in TABLE_SUFFIXES:
            rows = table_rows(predictions, inputs, fields)
            content = _as_csv(rows) if self._suffix == ".csv" else _as_tsv(rows)
        elif self._suffix in COLUMN_SUFFIXES:
            content = _as_columns(predictions, inputs.records)
        else:
            write_json_lines(self.path, predictions)
            return
        with atomic_write(self.path) as file:
            file.write(content.encode())


def table_rows(predictions: Sequence[Prediction], inputs: Inputs, fields: Sequence[str]) -> list[list[str]]:
    """The header and a row for each prediction: the input's columns, and behind them what was predicted.

    ``probabilities`` become a column each; what is no text and no number is JSON. Where the input has a column of the
    same name, the new one has a number behind it. A text that a spreadsheet would run has an apostrophe in front.
    """
    repeated = {"id", "label", *fields, *_repeated_names(predictions, inputs.records)}
    flat = [_flat({name: value for name, value in entry.items() if name not in repeated}) for entry in predictions]
    added = list(dict.fromkeys(name for entry in flat for name in entry))
    names = _new_names(added, inputs.columns)
    rows = [[_cell(name) for name in (*inputs.columns, *(names[name] for name in added))]]
    for (record, _), entry in zip(inputs.records, flat, strict=True):
        kept = (_cell(record.get(name)) for name in inputs.columns)
        rows.append([*kept, *(_cell(entry.get(name)) for name in added)])
    return rows


def _repeated_names(predictions: Sequence[Prediction], records: Sequence[Record]) -> set[str]:
    """Names of what the predictions only repeat of their records."""
    pairs = [(entry, record) for entry, (record, _) in zip(predictions, records, strict=True)]
    return {
        name
        for name in (pairs[0][0] if pairs else ())
        if all(name in record and entry.get(name) == record[name] for entry, record in pairs)
    }


def _flat(entry: Prediction) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in entry.items():
        if name == "probabilities" and isinstance(value, Mapping):
            flat |= {f"probability_{label}": probability for label, probability in value.items()}
        else:
            flat[name] = value
    return flat


def _new_names(added: Iterable[str], taken: Iterable[str]) -> dict[str, str]:
    used = set(taken)
    names: dict[str, str] = {}
    for name in added:
        free, number = name, 2
        while free in used:
            free, number = f"{name}_{number}", number + 1
        names[name] = free
        used.add(free)
    return names


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return json_text(value)
    # Spreadsheets would run a text that begins as a formula does; they show what stands behind an apostrophe.
    return f"'{value}" if _FORMULA.match(value) and not _NUMBER.fullmatch(value) else value


_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def _as_csv(rows: Iterable[Sequence[str]]) -> str:
    return "".join(",".join(map(_quoted, row)) + "\n" for row in rows)


def _quoted(cell: str) -> str:
    # Python's csv module leaves a carriage return unquoted, where its own reader then ends the row.
    needs_quotes = not cell or any(character in cell for character in ',"\r\n')
    return '"' + cell.replace('"', '""') + '"' if needs_quotes else cell


def _as_tsv(rows: Iterable[Sequence[str]]) -> str:
    # What the input holds was checked; a label of the model may still hold a tab.
    return "".join("\t".join(re.sub(r"[\t\r\n]", " ", cell) for cell in row) + "\n" for row in rows)


def _as_columns(predictions: Sequence[Prediction], records: Sequence[Record]) -> str:
    """Unit, the input's own tag where it has one, and predicted tag, as conlleval reads them."""
    parts: list[str] = []
    for entry, (record, _) in zip(predictions, records, strict=True):
        tokens, tags, gold = entry["tokens"], entry["tags"], record.get("tags")
        given = [[tag] for tag in gold] if isinstance(gold, list) and len(gold) == len(tokens) else [[]] * len(tokens)
        lines = ("\t".join([token, *own, tag]) for token, own, tag in zip(tokens, given, tags, strict=True))
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)
