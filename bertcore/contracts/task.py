"""The contract of a task: what to learn.

A task knows data and meaning: which splits there are, how an example becomes tokens and labels, which head it needs,
and how predictions become scores. It knows no framework and no training.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, get_args, get_origin

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeVar

from bertcore.config import DataConfig, HeadConfig
from bertcore.contracts.batch import Batch
from bertcore.contracts.benchmark import Benchmark
from bertcore.contracts.dataset import Dataset, Example, Split
from bertcore.contracts.evaluation import Accumulator, Evaluation, Metric
from bertcore.contracts.head import Head
from bertcore.contracts.tokenizer import Tokenizer
from bertcore.errors import Origin, PluginError, UsageError

DataT = TypeVar("DataT", bound=DataConfig, default=Any)
HeadT = TypeVar("HeadT", bound=Head, default=Any)
HeadConfigT = TypeVar("HeadConfigT", bound=HeadConfig, default=Any)


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


class Task(ABC, Generic[DataT, HeadT, HeadConfigT]):
    """Base of all tasks; an instance is registered by ``bertcore_register_tasks``.

    ``Task[ColourData, SequenceClassification]`` says what the methods are given: the task's data options and its head.
    A third parameter names its head options. What is left out is what every task has: ``DataConfig``, any head,
    ``HeadConfig``. They are read from class statements: a class that leaves one open is instantiated with its bound.

    Attributes, of the class or of the instance:
        name: as in ``--task rte``.
        description: one line.
        labels: label names in the order of their ids, where they are the same for all data of the task.
        metric: by which the best checkpoint is chosen.
        evaluation_split: the split that is evaluated during training.
        data_config: the class of its data options; follows from the first parameter.
        head_config: the class of its head options; follows from the third parameter.
        encoding_version: counted up when ``encode`` changes, so that cached encodings are made anew.
        own_files: whether options of the task's own may name the data instead of ``data.path``.
        identifier_field: the field of a record of :meth:`parse_input` that names the example.
        leaderboard: the splits that the leaderboard asks for, each with the name of its file; or None.
        optional_submissions: those of them that the data may lack.
        benchmark: that the task belongs to, whose leaderboard takes the files of all its tasks in one archive; or None.
    """

    name: str
    description: str
    labels: tuple[str, ...] = ()
    metric: Metric
    evaluation_split: str = "dev"
    data_config: type[DataT]
    head_config: type[HeadConfigT]
    encoding_version: ClassVar[int] = 1
    own_files: ClassVar[bool] = False
    identifier_field: str = "id"
    leaderboard: Mapping[str, str] | None = None
    optional_submissions: ClassVar[frozenset[str]] = frozenset()
    benchmark: ClassVar[Benchmark | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Reads the classes of the options from the parameters.

        Raises:
            PluginError: the class sets them itself, or a parameter is no class of options.
        """
        super().__init_subclass__(**options)
        for attribute in ("data_config", "head_config"):
            if attribute in vars(cls):
                raise PluginError(
                    f"the task {cls.__qualname__} sets {attribute} itself, which follows from its parameters",
                    _DERIVE.format(name=cls.__name__),
                    code="contract-broken",
                )
        data, _, head = _arguments(cls)
        cls.data_config = _option_class(cls, data, DataConfig)
        cls.head_config = _option_class(cls, head, HeadConfig)

    @abstractmethod
    def open(self, data: DataT) -> Dataset:
        """Finds the splits of a data source.

        Raises:
            DataError: the folder or file is missing, or is not this task's.
        """

    def sample_folder(self) -> Path | None:
        """Folder of the data that the plugin brings for ``--data sample``, or None."""
        return None

    @abstractmethod
    def head(self, labels: tuple[str, ...], options: HeadConfigT) -> HeadT:
        """Chooses the head."""

    def choose_head(self, dataset: Dataset, data: DataT, options: HeadConfigT) -> HeadT:
        """Chooses the head for data that was opened; a task overrides it whose head depends on its data options."""
        return self.head(dataset.labels, options)

    @abstractmethod
    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, head: HeadT, max_length: int, data: DataT
    ) -> Encoding:
        """Turns examples into rows of at most ``max_length`` tokens, with the columns that the head reads.

        Labels are encoded where the examples carry them, and left out where none of them does. ``data`` holds the
        task's further options; its ``max_length`` is what the user wished, not what the model allows.
        """

    @abstractmethod
    def accumulator(self, examples: Sequence[Example], head: HeadT, data: DataT) -> Accumulator:
        """Returns what turns the outputs of these examples into predictions and scores."""

    def metrics(self, examples: Sequence[Example], head: HeadT, data: DataT) -> tuple[Metric, ...]:
        """What an evaluation of these examples reports: each may be named to choose the best checkpoint."""
        return (self.metric,)

    def baseline(
        self,
        training: Callable[[], Sequence[Example]],
        examples: Sequence[Example],
        labels: tuple[str, ...],
        data: DataT,
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
    def parse_input(self, records: Iterable[tuple[Mapping[str, Any], Origin]], data: DataT) -> list[Example]:
        """Turns the records of ``bertcore predict`` into examples; each comes with where it stands (``in.jsonl:3``).

        Raises:
            DataError: a field is missing, with its line.
        """

    def read_input(self, file: Path, data: DataT) -> list[tuple[Mapping[str, Any], Origin]] | None:
        """Reads a file for ``bertcore predict`` in a form of the task's own, as records of :meth:`parse_input`.

        None where the file has none of these forms: then it is read as a table, as JSON lines or as plain lines.

        Raises:
            DataError: the file is missing or wrong.
        """
        return None

    def input_fields(self, data: DataT) -> tuple[str, ...]:
        """The fields of :meth:`parse_input` that hold the texts, in the order in which the model reads them.

        So a plain text finds its field. Where the options leave open whether there is a second text, both are named.
        """
        return ("text",)

    def score(self, examples: Split, labels: tuple[str, ...], predictions: Path, data: DataT) -> Evaluation:
        """Scores a file of predictions in the task's official form, without a model: ``bertcore score``.

        Args:
            examples: all of the split, each with its label; what reading left out is known, too.
            labels: of the dataset.
            predictions: the file.
            data: the data options.

        Raises:
            UsageError: the task has no official form.
            DataError: the file is damaged, or lacks an example or holds one that is not in the split.
        """
        raise UsageError(
            f"the task {self.name} has no official form of predictions", "see bertcore tasks", code="not-offered"
        )

    def submission(self, split: str, predictions: Sequence[Mapping[str, Any]]) -> str:
        """Returns the content of the leaderboard's file: its header, its order, its names of labels.

        Args:
            split: one of ``leaderboard``.
            predictions: of all examples of the split, as the accumulator gives them.
        """
        raise UsageError(f"the task {self.name} has no leaderboard", "see bertcore tasks", code="not-offered")


def _arguments(task: Any) -> tuple[Any, ...]:
    """What a class says for the three parameters of ``Task``, followed from base to base.

    ::

        class TextTask(Task[OptionsT, SequenceClassification])    OptionsT, SequenceClassification, Any
        class TopicTask(TextTask[TopicOptions])                   TopicOptions, SequenceClassification, Any
    """
    if task is Task:
        return Task.__parameters__  # type: ignore[attr-defined, no-any-return]
    bases = vars(task).get("__orig_bases__", task.__bases__)
    base = next(base for base in bases if issubclass(get_origin(base) or base, Task))
    origin = get_origin(base) or base
    given = dict(zip(getattr(origin, "__parameters__", ()), get_args(base), strict=False))
    return tuple(given.get(argument, argument) for argument in _arguments(origin))


def _option_class(task: type[Task], argument: Any, base: type[Any]) -> Any:
    """The class of options that is meant; of a variable its bound, which is all that a base knows of it.

    Raises:
        PluginError: it is no class derived from ``base``.
    """
    meant = base if argument is Any else getattr(argument, "__bound__", argument)
    if isinstance(meant, type) and issubclass(meant, base):
        return meant
    raise PluginError(
        f"the task {task.__qualname__} names {argument!r}, which is no class derived from {base.__name__}",
        _DERIVE.format(name=task.__name__),
        code="contract-broken",
    )


_DERIVE = "write class {name}(Task[DATA_OPTIONS, HEAD, HEAD_OPTIONS]), with the classes themselves"
