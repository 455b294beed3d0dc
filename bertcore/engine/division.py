"""Which training examples are kept back for evaluation: a part of them, or one of several folds.

The choice is made once and kept as ``data/division.json`` of the run, so that a resumed run, another backend and
``evaluate`` have the very same examples on each side.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.config import DataConfig, RunConfig
from bertcore.contracts.dataset import TRAINING_SPLIT, Dataset, Example, Split
from bertcore.contracts.task import Task
from bertcore.data.splitting import fold_numbers, groups_of, part_of, strata_of
from bertcore.data.tables import unreadable
from bertcore.engine.report import write_json
from bertcore.engine.run_folder import KEPT_DATA, RunFolder
from bertcore.errors import DataError, Origin, UsageError

FILE_NAME = "division.json"
FORMAT = 1


@dataclass(frozen=True)
class Division:
    """The two sides of the training examples.

    Attributes:
        held_out: int64, indices of the examples that are evaluated, rising.
        words: how they were chosen, for a header.
        digest: of all examples, by which data that has changed is found out.
        count: of all examples.
    """

    held_out: NDArray[np.int64]
    words: str
    digest: str
    count: int

    def write(self, file: Path) -> None:
        """Writes the division as JSON.

        Raises:
            OutputError: it could not be written.
        """
        content = {
            "format": FORMAT,
            "words": self.words,
            "examples": self.count,
            "digest": self.digest,
            "held_out": self.held_out.tolist(),
        }
        write_json(file, content)


def read_division(file: Path) -> Division:
    """Reads what :meth:`Division.write` wrote.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise DataError(
                f"a division of format {content['format']}",
                "use the release that wrote it",
                origin=Origin(str(file)),
                code="version-unknown",
            )
        held_out = np.array(content["held_out"], dtype=np.int64)
        if held_out.ndim != 1 or not len(held_out) or (np.diff(held_out) <= 0).any() or held_out[0] < 0:
            raise ValueError("no rising list of examples")
        if held_out[-1] >= content["examples"]:
            raise ValueError("an example beyond the last")
        return Division(held_out, str(content["words"]), str(content["digest"]), int(content["examples"]))
    except OSError as error:
        raise unreadable(file, error, "check data.division, or divide by data.dev_fraction") from None
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise DataError(
            f"no division of examples: {error}",
            "divide anew by data.dev_fraction",
            origin=Origin(str(file)),
            code="division-damaged",
        ) from None


def is_divided(data: DataConfig) -> bool:
    """Whether the options take the split that is evaluated from the training examples."""
    return data.dev_fraction is not None or data.division is not None


def divided(dataset: Dataset, task: Task, data: DataConfig) -> Dataset:
    """Returns the dataset with the split that is evaluated taken from the training examples, as the options say.

    Raises:
        UsageError: there is such a split already, or there are no training examples to take from.
    """
    if not is_divided(data):
        return dataset
    name = task.evaluation_split
    if name in dataset.files and data.division is None:
        raise UsageError(
            f"the data has a split {name} already, from {', '.join(map(str, dataset.files[name]))}",
            "leave out data.dev_fraction, or that file",
            code="arguments-conflict",
        )
    if TRAINING_SPLIT not in dataset.files:
        raise UsageError(
            "there are no training examples to take a part of",
            "give them with --train or --data",
            code="division-impossible",
        )
    sides = _Sides(dataset, task, data)
    others = {split: files for split, files in dataset.files.items() if split not in (TRAINING_SPLIT, name)}
    of_training = dataset.files[TRAINING_SPLIT]

    def read(split: str) -> Split:
        if split == TRAINING_SPLIT:
            return sides.trained
        return sides.held_out if split == name else dataset.read(split)

    return replace(dataset, files={TRAINING_SPLIT: of_training, name: of_training, **others}, read=read)


def choose_part(task: Task, examples: Sequence[Example], data: DataConfig) -> Division:
    """Keeps back the part that ``data.dev_fraction`` names.

    Raises:
        DataError: there are too few examples.
    """
    assert data.dev_fraction is not None
    chosen = part_of(strata_of(task, examples), groups_of(task, examples), data.dev_fraction, data.division_seed)
    if not chosen.any() or chosen.all():
        raise DataError(
            f"{data.dev_fraction:g} of {len(examples)} examples leaves none on one side",
            "give another data.dev_fraction, or more examples with different texts",
            code="division-empty",
        )
    words = f"{data.dev_fraction:g} of the training examples, seed {data.division_seed}"
    return Division(np.flatnonzero(chosen), words, digest_of(examples), len(examples))


def choose_folds(task: Task, examples: Sequence[Example], data: DataConfig, folds: int) -> list[Division]:
    """Divides the examples in folds, each of which is kept back once.

    Raises:
        UsageError: there are fewer than two folds, or more than groups of examples.
    """
    groups = groups_of(task, examples)
    most = len(np.unique(groups))
    if not 2 <= folds <= most:
        raise UsageError(
            f"{folds} folds of {len(examples)} examples, {most} of which have different texts",
            f"give --folds from 2 to {most}" if most >= 2 else "give more examples",
            code="division-impossible",
        )
    numbers = fold_numbers(strata_of(task, examples), groups, folds, data.division_seed)
    digest = digest_of(examples)
    return [
        Division(
            np.flatnonzero(numbers == fold),
            f"fold {fold + 1} of {folds} of the training examples, seed {data.division_seed}",
            digest,
            len(examples),
        )
        for fold in range(folds)
    ]


def digest_of(examples: Sequence[Example]) -> str:
    """What changes with any identifier or text of the examples, and with their order.

    Labels take no part: correcting one leaves every example on its side.
    """
    digest = hashlib.sha256()
    for example in examples:
        digest.update(repr((example.identifier, tuple(example.texts.values()))).encode(errors="surrogatepass"))
    return digest.hexdigest()


def whole_training_split(dataset: Dataset) -> Split:
    """All training examples.

    Raises:
        UsageError: they are a stream.
    """
    split = dataset.split(TRAINING_SPLIT)
    if split.is_stream:
        raise UsageError("a stream of training examples cannot be divided", "give --dev FILE", code="split-endless")
    return split


def keep_division(config: RunConfig, folder: RunFolder, trained: Split) -> RunConfig:
    """Writes the division of a run into its folder, and returns the configuration that names it there."""
    part = trained.part
    if part is None:
        return config
    file = (folder.path / KEPT_DATA / FILE_NAME).resolve()
    held_out = np.setdiff1d(np.arange(len(part.whole)), part.chosen)
    Division(held_out, part.words, digest_of(part.whole), len(part.whole)).write(file)
    return config.model_copy(update={"data": config.data.model_copy(update={"division": str(file)})})


class _Sides:
    """Both sides, made when the first of them is asked for."""

    def __init__(self, dataset: Dataset, task: Task, data: DataConfig) -> None:
        self._dataset = dataset
        self._task = task
        self._data = data

    @cached_property
    def _whole(self) -> Split:
        return whole_training_split(self._dataset)

    @cached_property
    def _division(self) -> Division:
        if self._data.division is None:
            return choose_part(self._task, self._whole, self._data)
        file = Path(self._data.division)
        division = read_division(file)
        if (division.count, division.digest) != (len(self._whole), digest_of(self._whole)):
            names = ", ".join(map(str, self._dataset.files[TRAINING_SPLIT]))
            raise DataError(
                f"divides {division.count} examples, which are not the {len(self._whole)} of {names}",
                "give the data as it was, or evaluate other data with --data",
                origin=Origin(str(file)),
                code="division-stale",
            )
        return division

    @cached_property
    def trained(self) -> Split:
        """What is trained on."""
        rest = np.setdiff1d(np.arange(len(self._whole)), self._division.held_out)
        return self._whole.take(rest, self._division.words)

    @cached_property
    def held_out(self) -> Split:
        """What is evaluated."""
        return self._whole.take(self._division.held_out, self._division.words)
