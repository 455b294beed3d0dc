"""SWAG: how does the scene go on?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bertcore.config import DataConfig
from bertcore.contracts.dataset import Dataset, Example, Split
from bertcore.data.bad_examples import one_example
from bertcore.data.table_files import read_table
from bertcore.errors import DataError, Origin

from bertcore_tasks.choices.base import ChoiceTask
from bertcore_tasks.choices.columns import ChoiceColumns, example_of
from bertcore_tasks.choices.gold import right_choice
from bertcore_tasks.choices.questions import choices_of
from bertcore_tasks.fields import identifier_of
from bertcore_tasks.official_files import find_official_files

FILE_NAMES = {"train": ("train.csv",), "dev": ("val.csv",), "test": ("test.csv",)}
COLUMNS = ChoiceColumns("sent1", "sent2", ("ending0", "ending1", "ending2", "ending3"), "label")
NUMBER = "1"
"""The column of the number of a row has no name, and so is called by its place."""


class SwagTask(ChoiceTask[DataConfig]):
    """SWAG (Zellers et al. 2018, arXiv 1808.05326), in the files ``train.csv``, ``val.csv``, ``test.csv`` of swagaf."""

    name = "swag"
    description = "SWAG: which of four endings a scene has, accuracy"

    def open(self, data: DataConfig) -> Dataset:
        """Finds the files of a folder, or takes a single one; see :meth:`bertcore.contracts.task.Task.open`."""
        files = find_official_files(Path(data.path or "."), FILE_NAMES, self.evaluation_split, self.name, "CSV files")
        return Dataset(files, lambda split: _read_split(split, files[split][0]))


def _read_split(split: str, file: Path) -> Split:
    """Reads a file, whose labels are missing in ``test``.

    Raises:
        DataError: a column is missing, or a row is wrong.
    """
    table = read_table(file)
    needed = [str(COLUMNS.context), str(COLUMNS.question), *COLUMNS.choices, *(["label"] if split != "test" else [])]
    absent = next((name for name in needed if name not in table.columns), None)
    if absent is not None:
        raise DataError(
            f"no column {absent!r} among {', '.join(map(repr, table.columns))}",
            "check that this is a file of SWAG, with its header",
            origin=Origin(str(file), 1),
            code="column-missing",
        )
    examples: list[Example] = []
    for number, (record, origin) in enumerate(table.take_records()):
        with one_example:
            example = example_of(record, COLUMNS, origin, identifier_of(record, NUMBER, number))
            examples.append(example if split == "test" else _labeled(example, record))
    return Split(examples, table.notes, table.left_out)


def _labeled(example: Example, record: Mapping[str, Any]) -> Example:
    number = right_choice(record["label"], choices_of(example.texts), example.origin)
    return Example(example.identifier, example.texts, str(number), example.origin)
