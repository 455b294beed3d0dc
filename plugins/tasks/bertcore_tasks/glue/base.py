"""What the GLUE tasks share: the layout of the official TSV files, and of the leaderboard's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from bertcore.config import DataConfig
from bertcore.contracts.benchmark import Benchmark
from bertcore.contracts.dataset import Dataset, Example, LeftOut, Split
from bertcore.contracts.evaluation import Metric
from bertcore.contracts.task import HeadT, Task
from bertcore.data.bad_examples import one_example, unknown_label
from bertcore.data.tables import read_tsv
from bertcore.errors import Origin
from bertcore.heads import Regression, SequenceClassification

from bertcore_tasks.benchmarks import GLUE
from bertcore_tasks.classification import ClassificationTask
from bertcore_tasks.label_texts import HIDDEN, NO_AGREEMENT, LabelNotes, as_mark
from bertcore_tasks.official_files import find_official_files
from bertcore_tasks.regression import RegressionTask, parse_number
from bertcore_tasks.texts import text_examples
from bertcore_tasks.wording import counted

FILE_NAMES = {"train": ("train.tsv",), "dev": ("dev.tsv",), "test": ("test.tsv",)}
ACCURACY = Metric("accuracy")
PEARSON = Metric("pearson")


@dataclass
class GlueFiles(Task[DataConfig, HeadT]):
    """Reads a task in the form of GLUE's ``train.tsv``, ``dev.tsv`` and ``test.tsv``.

    Attributes:
        name: as in ``--task rte``.
        description: one line.
        text_columns: one or two columns of the header.
        labels: label names in the order of their ids, as in transformers' ``run_glue``; empty for a regression.
        text_names: what the texts are called elsewhere; by default as their columns.
        label_column: column of the label; a file without it has none (``test.tsv``).
        identifier_column: column of the identifier; the number of the row, from 0, where there is none.
        file_names: split to the names that its file may have; the first that is there is read.
        headers: columns of the splits whose files have no header.
        leaves_out_ragged_lines: whether a training line with another number of fields is left out and counted.
        evaluation_split: the split that is evaluated during training.
        leaderboard: split to the name of the file that gluebenchmark.com takes.
        sample: folder beside this module that ``--data sample`` reads, or None.
    """

    benchmark: ClassVar[Benchmark | None] = GLUE

    name: str
    description: str
    text_columns: tuple[str, ...]
    labels: tuple[str, ...] = ()
    text_names: tuple[str, ...] = ()
    label_column: str = "label"
    identifier_column: str = "index"
    file_names: Mapping[str, tuple[str, ...]] = field(default_factory=FILE_NAMES.copy)
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    leaves_out_ragged_lines: bool = False
    evaluation_split: str = "dev"
    leaderboard: Mapping[str, str] = field(default_factory=dict)
    sample: str | None = None

    def sample_folder(self) -> Path | None:
        """Folder of the sample that the package brings."""
        return None if self.sample is None else Path(__file__).parent / self.sample

    def open(self, data: DataConfig) -> Dataset:
        """Finds the TSV files of a folder, or takes a single one; see :meth:`bertcore.contracts.task.Task.open`.

        A single file is the split whose file has its name, or else the split that is evaluated.
        """
        files = self.find_files(Path(data.path or "."))
        return Dataset(files, lambda split: self.read_split(split, files[split][0]), self.labels)

    def find_files(self, path: Path) -> dict[str, tuple[Path, ...]]:
        """The file of each split; see :func:`bertcore_tasks.official_files.find_official_files`."""
        return find_official_files(path, self.file_names, self.evaluation_split, self.name, "TSV files")

    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], Origin]], data: DataConfig) -> list[Example]:
        """Reads ``{"sentence1": ..., "sentence2": ...}``, or the columns of the official files.

        See :meth:`bertcore.contracts.task.Task.parse_input`.
        """
        return text_examples((self._renamed(record) for record in records), self._names, self.identifier_column)

    def input_fields(self, data: DataConfig) -> tuple[str, ...]:
        """One or two sentences; see :meth:`bertcore.contracts.task.Task.input_fields`."""
        return self._names

    @property
    def identifier_field(self) -> str:  # type: ignore[override]
        """The column of the official files."""
        return self.identifier_column

    def submission(self, split: str, predictions: Sequence[Mapping[str, Any]]) -> str:
        """The header ``index``, tab, ``prediction``, and a line for each example in the order of the test file."""
        lines = [f"{entry['id']}\t{self.submitted(entry['prediction'])}" for entry in predictions]
        return "\n".join(["index\tprediction", *lines]) + "\n"

    def submitted(self, prediction: Any) -> str:
        """A prediction as the leaderboard takes it."""
        return str(prediction)

    def parse_label(self, text: str, origin: Origin) -> Any:
        """Makes an example's label of a field.

        Raises:
            DataError: it is none.
        """
        if text not in self.labels:
            raise unknown_label(origin, text, self.labels, self.label_column)
        return text

    def read_split(self, split: str, file: Path) -> Split:
        """Reads one file.

        Raises:
            DataError: a line or the header is wrong.
        """
        to_predict = split == "test" or split in self.leaderboard
        ragged: list[Origin] = []
        rows = read_tsv(
            file,
            columns=self.headers.get(split),
            required=self.text_columns if to_predict else (*self.text_columns, self.label_column),
            leave_out=ragged.append if self.leaves_out_ragged_lines and split == "train" else None,
        )
        of_labels = LabelNotes(file, "test" if to_predict else split)
        # Labels of a split for the leaderboard are not handed out; copies of the files hold placeholders.
        marks = {NO_AGREEMENT, HIDDEN, ""} if to_predict else {NO_AGREEMENT}
        examples: list[Example] = []
        for number, row in enumerate(rows):
            with one_example:
                label = row.fields.get(self.label_column)
                text = None if label is None else of_labels.trimmed(label, row.origin)
                is_mark = text is not None and as_mark(text) in marks
                if is_mark and text:
                    of_labels.ignored(as_mark(text), self._identifier(number, row.fields), row.origin)
                if not is_mark or to_predict:
                    examples.append(self._example(number, row.fields, None if is_mark else text, row.origin))
        notes = [*_words_on_ragged(file, ragged), *of_labels.lines(len(rows))]
        left_out = [LeftOut("", origin, "a wrong number of fields") for origin in ragged] + of_labels.left_out
        return Split(examples, tuple(notes), tuple(left_out))

    @property
    def _names(self) -> tuple[str, ...]:
        return self.text_names or self.text_columns

    def _renamed(self, record: tuple[Mapping[str, Any], Origin]) -> tuple[Mapping[str, Any], Origin]:
        fields, origin = record
        names = zip(self._names, self.text_columns, strict=True)
        return {**{name: fields[column] for name, column in names if column in fields}, **fields}, origin

    def _identifier(self, number: int, fields: Mapping[str, str]) -> str:
        return fields.get(self.identifier_column, str(number))

    def _example(self, number: int, fields: Mapping[str, str], label: str | None, origin: Origin) -> Example:
        return Example(
            identifier=self._identifier(number, fields),
            texts={name: fields[column] for name, column in zip(self._names, self.text_columns, strict=True)},
            label=None if label is None else self.parse_label(label, origin),
            origin=origin,
        )


def _words_on_ragged(file: Path, origins: Sequence[Origin]) -> list[str]:
    if not origins:
        return []
    lines = f"{counted(len(origins), 'line')} with a wrong number of fields"
    return [f"{file.name}: {lines} left out, the first is {origins[0]}"]


@dataclass
class GlueTask(GlueFiles[SequenceClassification], ClassificationTask[DataConfig]):
    """A classification task of GLUE.

    Attributes:
        metric: by which the best checkpoint is chosen.
        scores: names in ``metrics.CLASSIFICATION``; the accuracy among them.

    The others are those of :class:`GlueFiles`.
    """

    metric: Metric = ACCURACY
    scores: tuple[str, ...] = ("accuracy",)


@dataclass(kw_only=True)
class GlueRegressionTask(GlueFiles[Regression], RegressionTask[DataConfig]):
    """A regression task of GLUE.

    Attributes:
        low: smallest score.
        high: largest score; what is submitted is cut to this range.

    The others are those of :class:`GlueFiles`.
    """

    low: float
    high: float
    label_column: str = "score"
    metric: Metric = PEARSON

    def parse_label(self, text: str, origin: Origin) -> float:
        """A number in the range of the scores."""
        return parse_number(text, origin, self.label_column, self.low, self.high)

    def submitted(self, prediction: Any) -> str:
        """Three digits, in the range of the scores."""
        return f"{min(max(float(prediction), self.low), self.high):.3f}"
