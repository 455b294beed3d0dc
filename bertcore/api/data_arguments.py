"""The arguments that hold data: paths, or rows that the program has."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from bertcore.data.memory import Frame, is_rows
from bertcore.engine.given_rows import GivenRows
from bertcore.errors import UsageError

SPLITS = {"train": "train", "dev": "dev", "validation": "dev", "test": "test"}
"""What a split may be called in a dictionary of splits."""


Rows = Iterable[Mapping[str, Any]] | Mapping[str, Any] | Frame
"""A list of dictionaries, columns by name, a data set of Hugging Face, or a pandas DataFrame."""

Data = str | os.PathLike[str] | Rows


def sort_data(*, one_split: bool = False, **data: Data | None) -> tuple[dict[str, Any], GivenRows | None]:
    """Tells paths from rows.

    Args:
        one_split: whether rows that are given as ``data`` are the split to look at.
        data: the arguments ``data``, ``train``, ``dev`` and ``test``.

    Returns:
        The paths by argument, and the rows.

    Raises:
        UsageError: a split is given twice, or rows without the name of their split.
    """
    whole = data.get("data")
    if isinstance(whole, Mapping) and whole and set(whole) <= set(SPLITS):
        data = {**data, "data": None}
        for name, rows in whole.items():
            if data.get(SPLITS[name]) is not None:
                raise UsageError(
                    f"the split {SPLITS[name]} is given twice", f"leave out {SPLITS[name]}=", code="arguments-conflict"
                )
            data[SPLITS[name]] = rows
    given = {name: value for name, value in data.items() if value is not None}
    rows = {name: value for name, value in given.items() if is_rows(value) and not isinstance(value, os.PathLike)}
    if "data" in rows and (not one_split or len(rows) > 1):
        raise UsageError(
            "data is rows, and does not say of which split",
            "name them: train=..., dev=..., test=...",
            code="argument-wrong",
        )
    return {name: value for name, value in given.items() if name not in rows}, GivenRows(rows) if rows else None


def placeholders(rows: GivenRows | None) -> dict[str, str]:
    """What stands in settings for rows that have no files yet, so that the options are checked before anything."""
    return {} if rows is None else {name: f"rows of {name}" for name in rows.values}
