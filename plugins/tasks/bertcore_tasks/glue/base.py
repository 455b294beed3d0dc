"""What the GLUE tasks share: the layout of the official TSV files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertcore.config import DataConfig
from bertcore.data.tables import read_tsv
from bertcore.errors import DataError
from bertcore.task import Dataset, Example, Metric

from bertcore_tasks.classification import ClassificationTask

SPLITS = ("train", "dev", "test")


@dataclass
class GlueTask(ClassificationTask):
    """A classification task in the form of GLUE's ``train.tsv``, ``dev.tsv`` and ``test.tsv``.

    Attributes:
        name: as in ``--task rte``.
        description: one line.
        text_columns: one or two columns of the header.
        labels: label names in the order of their ids, as in transformers' ``run_glue``.
        metric: by which the best checkpoint is chosen.
        label_column: column of the label; a file without it has none (``test.tsv``).
        identifier_column: column of the identifier; the line's number where there is none.
        sample: folder beside this module that ``--data sample`` reads, or None.
    """

    name: str
    description: str
    text_columns: tuple[str, ...]
    labels: tuple[str, ...]
    metric: Metric = field(default_factory=lambda: Metric("accuracy"))
    label_column: str = "label"
    identifier_column: str = "index"
    sample: str | None = None

    def sample_folder(self) -> Path | None:
        """Folder of the sample that the package brings."""
        return None if self.sample is None else Path(__file__).parent / self.sample

    def open(self, data: DataConfig) -> Dataset:
        """Finds ``train.tsv``, ``dev.tsv`` and ``test.tsv``; see :meth:`bertcore.task.Task.open`."""
        folder = Path(data.path or ".")
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder", f"give the folder of {self.name}'s TSV files with --data")
        files = {split: (folder / f"{split}.tsv",) for split in SPLITS if (folder / f"{split}.tsv").is_file()}
        if not files:
            raise DataError(
                f"{folder}: no train.tsv, dev.tsv or test.tsv", f"give the folder of {self.name}'s TSV files"
            )
        return Dataset(files, lambda split: self._read(files[split][0]), self.labels)

    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], str]], data: DataConfig) -> list[Example]:
        """Reads ``{"sentence1": ..., "sentence2": ...}``; see :meth:`bertcore.task.Task.parse_input`."""
        examples: list[Example] = []
        for number, (record, origin) in enumerate(records):
            for column in self.text_columns:
                if not isinstance(record.get(column), str):
                    problem = "is no text" if column in record else "is missing"
                    raise DataError(
                        f"{origin}: the field {column!r} {problem}",
                        f"give {' and '.join(self.text_columns)} as texts",
                    )
            texts = {column: record[column] for column in self.text_columns}
            examples.append(Example(str(record.get(self.identifier_column, number)), texts, origin=origin))
        return examples

    def _read(self, file: Path) -> list[Example]:
        examples: list[Example] = []
        for number, row in enumerate(read_tsv(file, required=self.text_columns)):
            label = row.fields.get(self.label_column)
            if label is not None and label not in self.labels:
                raise DataError(
                    f"{row.origin}: unknown label {label!r} in the column {self.label_column!r}",
                    f"{self.name} knows {', '.join(self.labels)}",
                )
            examples.append(
                Example(
                    identifier=row.fields.get(self.identifier_column, str(number)),
                    texts={column: row.fields[column] for column in self.text_columns},
                    label=label,
                    origin=row.origin,
                )
            )
        return examples
