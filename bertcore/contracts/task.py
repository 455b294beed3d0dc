"""The contract of a task: what to learn.

A task knows data and meaning: which splits there are, how an example becomes tokens and labels, which head it needs,
and how predictions become scores. It knows no framework and no training.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bertcore.config import DataConfig, HeadConfig
from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch
from bertcore.contracts.benchmark import Benchmark
from bertcore.contracts.class_score import CLASS_FIGURES, ClassScore
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import Parameters
from bertcore.errors import PluginError, UsageError

if TYPE_CHECKING:
    from bertcore.tokenization.tokenizer import Tokenizer


@dataclass(frozen=True)
class Example:
    """One thing to judge.

    Attributes:
        identifier: as the official files name it.
        texts: name of each text field to its text, in the order in which the model reads them.
        label: what the task makes of it, or None where the file has none.
        origin: where it stands, as ``RTE/dev.tsv:17``.
    """

    identifier: str
    texts: Mapping[str, str]
    label: Any = None
    origin: str = ""


@dataclass(frozen=True)
class ExampleStream:
    """A split that is too large, or too endless, to be held: examples in a fixed order, opened anew for each epoch.

    The engine reads it in windows, shuffles inside a window, and needs ``train.max_steps``.
    """

    open: Callable[[], Iterator[Example]]


Split = Sequence[Example] | ExampleStream


@dataclass(frozen=True)
class Dataset:
    """The splits of one data source, each read when it is first asked for.

    Attributes:
        files: name of each split to the files that it is read from.
        read: reads a split by name.
        labels: the label names, in the order of their ids; empty for a regression.
        discovered: whether the labels were read from these files; a trained model's own then take their place.
        notes: what reading left out or repaired, with its count; ``read`` adds to it, the engine shows it to the user.
        options: values of data options that the user left open and the files decided. A run keeps them, so that other
            data and ``bertcore predict`` are read in the same way.
    """

    files: Mapping[str, tuple[Path, ...]]
    read: Callable[[str], Split]
    labels: tuple[str, ...] = ()
    discovered: bool = False
    notes: list[str] = field(default_factory=list)
    options: Mapping[str, Any] = field(default_factory=dict)

    def split(self, name: str) -> Split:
        """Reads a split.

        Raises:
            UsageError: there is no such split.
            DataError: a file is missing or wrong, with its line and field.
        """
        if name not in self.files:
            raise UsageError(f"there is no split {name!r}", f"this data has {', '.join(self.files) or 'no split'}")
        return self.read(name)


@dataclass(frozen=True)
class Encoding:
    """Examples as rows of tokens.

    Attributes:
        batch: all rows; ``example_index`` counts the examples given.
        truncated: int64, indices of the examples of which something was cut.
        notes: what encoding cost, in words and numbers (characters cut, entities that no token carries).
    """

    batch: Batch
    truncated: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Metric:
    """The figure by which the best checkpoint is chosen."""

    name: str
    greater_is_better: bool = True


@dataclass(frozen=True)
class Evaluation:
    """What an accumulator made of all predictions of a split.

    Attributes:
        metrics: name to value; holds the task's metric.
        total: examples judged, each once.
        summary: one line with the scores, the last line of a run.
        baseline: the same metrics for a model that needs no text (the majority class), as far as that means something.
        predictions: one JSON object per example, in the order of the examples.
        confusion: label names and counts ``[gold, predicted]``, or None.
        errors: the worst errors, worst first, each with its text.
        per_class: each class, label or type of entity to how well it is found; empty where there are none.
        notes: what a reader must know beside the scores, a line each: that only one class is ever predicted.
        thresholds: name to value of what was chosen on a split and not learned, and is predicted with.
    """

    metrics: Mapping[str, float]
    total: int
    summary: str
    baseline: Mapping[str, float] = field(default_factory=dict)
    predictions: Sequence[Mapping[str, Any]] = ()
    confusion: tuple[tuple[str, ...], NDArray[np.int64]] | None = None
    errors: Sequence[Mapping[str, Any]] = ()
    per_class: Mapping[str, ClassScore] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def value(self, name: str) -> float:
        """A figure by its name: one of the metrics, or of one class, as ``f1_PER``.

        Raises:
            PluginError: there is none.
        """
        if name in self.metrics:
            return self.metrics[name]
        figure, _, of_class = name.partition("_")
        if figure not in CLASS_FIGURES or of_class not in self.per_class:
            raise PluginError(f"the task reported no {name}", "choose another metric with --metric")
        return float(getattr(self.per_class[of_class], figure))


class Accumulator(ABC):
    """Takes predictions as they come, merges the rows of an example, and nobody holds all logits.

    Attributes:
        want: outputs of the head that it reads.
    """

    want: tuple[str, ...] = ("logits",)

    @abstractmethod
    def add(self, batch: Batch, outputs: Outputs) -> None:
        """Takes the outputs of some rows, which may come in any order, each row once."""

    def read_parameters(self, parameters: Parameters) -> bool:
        """Takes the parameters of the head that predicted, before :meth:`predictions` where these are written.

        For what its outputs alone do not tell, as the probability of an entity under a conditional random field.

        Returns:
            Whether :meth:`predictions` now says more than before.
        """
        return False

    @abstractmethod
    def predictions(self) -> list[dict[str, Any]]:
        """One JSON object per example, in the order of the examples."""

    @abstractmethod
    def result(self) -> Evaluation:
        """Scores all examples; each must have been added, and must carry a label."""

    def tune(self) -> Head | None:
        """Chooses what is chosen on the evaluation split and not learned, as the threshold of a multi-label head.

        Called by a training run, between the last :meth:`add` and :meth:`result`, which then scores with it. The head
        that is returned is saved with the checkpoint; None where nothing is to be chosen.
        """
        return None


class Task(ABC):
    """Base of all tasks; an instance is registered by ``bertcore_register_tasks``.

    Attributes, of the class or of the instance:
        name: as in ``--task rte``.
        description: one line.
        labels: label names in the order of their ids, where they are the same for all data of the task.
        metric: by which the best checkpoint is chosen.
        evaluation_split: the split that is evaluated during training.
        data_config: the task's data options, a subclass of ``DataConfig``.
        head_config: the task's head options, a subclass of ``HeadConfig``.
        encoding_version: counted up when ``encode`` changes, so that cached encodings are made anew.
        own_files: whether options of the task's own may name the data instead of ``data.path``.
        identifier_field: the field of a record of :meth:`parse_input` that names the example.
        optional_submissions: splits of :meth:`submissions` that the data may lack.
        benchmark: that the task belongs to, whose leaderboard takes the files of all its tasks in one archive; or None.
    """

    name: str
    description: str
    labels: tuple[str, ...] = ()
    metric: Metric
    evaluation_split: str = "dev"
    data_config: ClassVar[type[DataConfig]] = DataConfig
    head_config: ClassVar[type[HeadConfig]] = HeadConfig
    encoding_version: ClassVar[int] = 1
    own_files: ClassVar[bool] = False
    identifier_field: str = "id"
    optional_submissions: ClassVar[frozenset[str]] = frozenset()
    benchmark: ClassVar[Benchmark | None] = None

    @abstractmethod
    def open(self, data: DataConfig) -> Dataset:
        """Finds the splits of a data source.

        Raises:
            DataError: the folder or file is missing, or is not this task's.
        """

    def sample_folder(self) -> Path | None:
        """Folder of the data that the plugin brings for ``--data sample``, or None."""
        return None

    @abstractmethod
    def head(self, labels: tuple[str, ...], options: HeadConfig) -> Head:
        """Chooses the head."""

    def choose_head(self, dataset: Dataset, data: DataConfig, options: HeadConfig) -> Head:
        """Chooses the head for data that was opened; a task overrides it whose head depends on its data options."""
        return self.head(dataset.labels, options)

    @abstractmethod
    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, head: Head, max_length: int, data: DataConfig
    ) -> Encoding:
        """Turns examples into rows of at most ``max_length`` tokens, with the columns that the head reads.

        Labels are encoded where the examples carry them, and left out where none of them does. ``data`` holds the
        task's further options; its ``max_length`` is what the user wished, not what the model allows.
        """

    @abstractmethod
    def accumulator(self, examples: Sequence[Example], head: Head, data: DataConfig) -> Accumulator:
        """Returns what turns the outputs of these examples into predictions and scores."""

    def metrics(self, examples: Sequence[Example], head: Head, data: DataConfig) -> tuple[Metric, ...]:
        """What an evaluation of these examples reports: each may be named to choose the best checkpoint."""
        return (self.metric,)

    def baseline(
        self,
        training: Callable[[], Sequence[Example]],
        examples: Sequence[Example],
        labels: tuple[str, ...],
        data: DataConfig,
    ) -> Mapping[str, float]:
        """Scores of what remembers the training split and is no model; they go beside ``Evaluation.baseline``.

        Args:
            training: reads the training split.
            examples: that are evaluated, each with its label.
            labels: of the model, or of the dataset where there is none.
            data: the data options.
        """
        return {}

    def traits(self, example: Example) -> tuple[str, ...]:
        """What a part of the examples should have as often as the whole: the label, or several of them."""
        label = example.label
        labels = label if isinstance(label, tuple) else (label,)
        return tuple(one for one in labels if isinstance(one, str))

    def group(self, example: Example) -> Hashable:
        """What two examples share that must not be trained on in one and evaluated in the other: their texts."""
        return tuple(example.texts.values())

    @abstractmethod
    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], str]], data: DataConfig) -> list[Example]:
        """Turns the records of ``bertcore predict`` into examples; each comes with where it stands (``in.jsonl:3``).

        Raises:
            DataError: a field is missing, with its line.
        """

    def read_input(self, file: Path, data: DataConfig) -> list[tuple[Mapping[str, Any], str]] | None:
        """Reads a file for ``bertcore predict`` in a form of the task's own, as records of :meth:`parse_input`.

        None where the file has none of these forms: then it is read as a table, as JSON lines or as plain lines.

        Raises:
            DataError: the file is missing or wrong.
        """
        return None

    def input_fields(self, data: DataConfig) -> tuple[str, ...]:
        """The fields of :meth:`parse_input` that hold the texts, in the order in which the model reads them.

        So a plain text finds its field. Where the options leave open whether there is a second text, both are named.
        """
        return ("text",)

    def score(
        self, examples: Sequence[Example], labels: tuple[str, ...], predictions: Path, data: DataConfig
    ) -> Evaluation:
        """Scores a file of predictions in the task's official form, without a model: ``bertcore score``.

        Args:
            examples: all examples of the split, each with its label.
            labels: of the dataset.
            predictions: the file.
            data: the data options.

        Raises:
            UsageError: the task has no official form.
            DataError: the file is damaged, or lacks an example or holds one that is not in the split.
        """
        raise UsageError(f"the task {self.name} has no official form of predictions", "see bertcore tasks")

    def submissions(self) -> Mapping[str, str]:
        """Splits that the leaderboard asks for, each with the name of its file; empty where there is none."""
        return {}

    def submission(self, split: str, predictions: Sequence[Mapping[str, Any]]) -> str:
        """Returns the content of the leaderboard's file: its header, its order, its names of labels.

        Args:
            split: one of :meth:`submissions`.
            predictions: of all examples of the split, as the accumulator gives them.
        """
        raise UsageError(f"the task {self.name} has no leaderboard", "see bertcore tasks")
