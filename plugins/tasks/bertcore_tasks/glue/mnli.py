"""MNLI and AX: the same three labels, so that a model of the one is scored on the other."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from bertcore.config import DataConfig
from bertcore.contracts.dataset import Dataset, Example, Split
from bertcore.data.bad_examples import one_example
from bertcore.data.tables import read_tsv
from bertcore.errors import DataError, Origin

from bertcore_tasks.glue.base import GlueTask

DIAGNOSTIC_NAMES = ("diagnostic.tsv", "AX.tsv", "test.tsv")
"""What the file without labels is called by those who hand it out."""


class MnliTask(GlueTask):
    """MNLI with its two development and test files, and AX for the leaderboard where its file is near."""

    optional_submissions: ClassVar[frozenset[str]] = frozenset({"ax"})

    def find_files(self, path: Path) -> dict[str, tuple[Path, ...]]:
        """Those of MNLI, and as the split ``ax`` a diagnostic file in this folder, or in one beside it."""
        files = super().find_files(path)
        near = [path / "diagnostic.tsv"]
        near += [path.resolve().parent / folder / name for folder in ("AX", "diagnostic") for name in DIAGNOSTIC_NAMES]
        found = next((file for file in near if file.is_file()), None)
        return files if found is None else {**files, "ax": (found,)}


class DiagnosticTask(GlueTask):
    """AX: no training split; the file with labels, the split ``full``, has columns of its own."""

    def open(self, data: DataConfig) -> Dataset:
        """Finds the files; see :meth:`bertcore.contracts.task.Task.open`."""
        found = super().open(data)
        return _Diagnostics(found.files, found.read, found.labels, notes=found.notes)

    def read_split(self, split: str, file: Path) -> Split:
        """Reads one file; in the one with labels the texts have other columns, and rows are numbered from 0."""
        if split != "full":
            return super().read_split(split, file)
        examples: list[Example] = []
        for number, row in enumerate(read_tsv(file, required=("Premise", "Hypothesis", "Label"))):
            with one_example:
                examples.append(
                    Example(
                        identifier=str(number),
                        texts={"sentence1": row.fields["Premise"], "sentence2": row.fields["Hypothesis"]},
                        label=self.parse_label(row.fields["Label"], row.origin),
                        origin=row.origin,
                    )
                )
        return Split(examples)


class _Diagnostics(Dataset):
    """Says what can be done with the file without labels, where the one with labels is asked for and absent."""

    def split(self, name: str) -> Split:
        """See :meth:`bertcore.contracts.dataset.Dataset.split`."""
        if name == "full" and name not in self.files and "test" in self.files:
            raise DataError(
                "no labels: predict or submit",
                "bertcore submit writes AX.tsv; to score it, give diagnostic-full.tsv",
                origin=Origin(str(self.files["test"][0])),
                code="labels-missing",
            )
        return super().split(name)
