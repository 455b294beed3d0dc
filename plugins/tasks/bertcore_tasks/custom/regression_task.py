"""Regression of the user's own texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from bertcore.config import DataConfig
from bertcore.task import Dataset, Example, Metric

from bertcore_tasks.custom.tables import SUFFIXES, TableConfig, parse_records, read_split, text_options
from bertcore_tasks.own_files import own_files
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
        first = next(iter(files))
        splits = {first: read_split(first, files[first][0], data, LABEL_COLUMNS, parse_number)}
        options = text_options(splits[first])
        settled = data.model_copy(update=options)

        def read(split: str) -> list[Example]:
            if split not in splits:
                splits[split] = read_split(split, files[split][0], settled, LABEL_COLUMNS, parse_number)
            return splits[split]

        return Dataset(files, read, options=options)

    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], str]], data: DataConfig) -> list[Example]:
        """Reads the text columns; see :meth:`bertcore.task.Task.parse_input`."""
        assert isinstance(data, TableConfig)
        return parse_records(records, data)
