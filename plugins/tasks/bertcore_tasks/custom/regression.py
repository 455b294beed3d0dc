"""Regression of the user's own texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from bertcore.contracts.dataset import Dataset, Example
from bertcore.contracts.evaluation import Metric
from bertcore.errors import Origin

from bertcore_tasks.custom.columns import TextTableConfig
from bertcore_tasks.custom.labels import LabelForm
from bertcore_tasks.custom.tables import SUFFIXES, input_fields, open_splits, parse_records
from bertcore_tasks.own_files import own_files
from bertcore_tasks.regression import RegressionTask, parse_number

NUMBERS = LabelForm(("label", "score"), parse_number, numeric=True)


class OwnRegressionTask(RegressionTask[TextTableConfig]):
    """A number for each of the user's own texts."""

    name = "regression"
    description = "your own texts, from CSV, TSV or JSON lines: a number each, errors and correlations"
    metric = Metric("mse", greater_is_better=False)
    scores = ("pearson", "spearman", "mse", "mae")
    own_files: ClassVar[bool] = True

    def open(self, data: TextTableConfig) -> Dataset:
        """Finds the files; see :meth:`bertcore.contracts.task.Task.open`."""
        files = own_files(data, SUFFIXES, any_suffix=True)
        opened = open_splits(files, data, NUMBERS, lambda reading: {})
        return Dataset(files, opened.read, options=opened.options)

    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], Origin]], data: TextTableConfig) -> list[Example]:
        """Reads the text columns; see :meth:`bertcore.contracts.task.Task.parse_input`."""
        return parse_records(records, data)

    def input_fields(self, data: TextTableConfig) -> tuple[str, ...]:
        """The text columns; see :meth:`bertcore.contracts.task.Task.input_fields`."""
        return input_fields(data)
