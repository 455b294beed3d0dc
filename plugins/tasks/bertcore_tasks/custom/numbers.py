"""Regression of the user's own texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from bertcore.config import DataConfig
from bertcore.errors import DataError
from bertcore.task import Dataset, Example, Metric

from bertcore_tasks.custom.files import own_files
from bertcore_tasks.custom.tables import (
    SUFFIXES,
    TableConfig,
    label_column,
    label_field,
    parse_records,
    read_examples,
    read_table,
)
from bertcore_tasks.regression import RegressionTask, parse_number

LABEL_COLUMNS = ("label", "score")


class OwnRegressionTask(RegressionTask):
    """A number for each of the user's own texts."""

    name = "regression"
    description = "your own texts, from CSV, TSV or JSON lines: a number each, errors and correlations"
    metric = Metric("mse", greater_is_better=False)
    scores = ("pearson", "spearman", "mse", "mae")
    data_config: ClassVar[type[DataConfig]] = TableConfig
    own_files: ClassVar[bool] = True

    def open(self, data: DataConfig) -> Dataset:
        """Finds the files; see :meth:`bertcore.task.Task.open`."""
        assert isinstance(data, TableConfig)
        files = own_files(data, SUFFIXES)
        return Dataset(files, lambda split: _read(split, files[split][0], data))

    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], str]], data: DataConfig) -> list[Example]:
        """Reads the text columns; see :meth:`bertcore.task.Task.parse_input`."""
        assert isinstance(data, TableConfig)
        return parse_records(records, data)


def _read(split: str, file: Path, data: TableConfig) -> list[Example]:
    table = read_table(file, header=data.header)
    column = label_column(table, data, LABEL_COLUMNS, required=split != "test")
    found = read_examples(table, data)
    if column is None:
        return found
    examples: list[Example] = []
    for example, (record, origin) in zip(found, table.records, strict=True):
        value = label_field(record, column, origin)
        if value is None and split != "test":
            raise DataError(f"{origin}: the field {column!r} is empty", f"the split {split} needs numbers")
        number = None if value is None else parse_number(value, origin, column)
        examples.append(Example(example.identifier, example.texts, number, origin))
    return examples
