"""A teacher for distillation (Hinton et al. 2015, arXiv 1503.02531): what it gives for every training row, as columns.

::

    teacher, on its own backend         its memory is freed         student, on any backend
    training split -> outputs           ------------------->        rows + columns teacher_logits, ...
                      outputs.safetensors in RUN/teacher/, for a run that goes on

So the teacher is asked once, whatever it is: the student sees numbers, those of an evaluation, without dropout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.config import RunConfig, Setting
from bertcore.contracts.backend import Session
from bertcore.contracts.batch import Batch, Column
from bertcore.contracts.dataset import Split
from bertcore.contracts.head import Head
from bertcore.contracts.objective import TEACHER
from bertcore.contracts.task import Task
from bertcore.data.encoder import EncodedSplit, Encoder
from bertcore.engine.prediction import predictions
from bertcore.engine.trained_model import TrainedModel, open_trained
from bertcore.errors import DeviceError, ModelError, Origin, UsageError
from bertcore.files.manifest import verified_facts, write_manifest
from bertcore.files.writing import atomic_folder
from bertcore.formats.safetensors_file import read_safetensors, write_safetensors
from bertcore.plugins.registry import Registry
from bertcore.progress import about, work

_FOLDER, _FILE = "teacher", "outputs.safetensors"
_PLACES = "places_per_"


@dataclass(frozen=True)
class TeacherOutputs:
    """What a teacher gives for the training rows.

    Attributes:
        columns: float32, by the names that the objective reads.
        origin: the teacher and what computed it, or that they were kept, in words.
        kept: whether they lie in the run folder already.
    """

    columns: Mapping[str, Column]
    origin: str
    kept: bool = False

    def beside(self, split: EncodedSplit) -> EncodedSplit:
        """The training rows with these columns."""
        batch = replace(split.batch, columns={**split.batch.columns, **self.columns})
        return replace(split, encoding=replace(split.encoding, batch=batch))

    def keep(self, run: Path) -> None:
        """Writes them into a run folder, so that a run that goes on needs no teacher."""
        if self.kept:
            return
        with atomic_folder(run / _FOLDER) as folder:
            write_safetensors(folder / _FILE, {name: column.values for name, column in self.columns.items()})
            write_manifest(folder)


@dataclass(frozen=True)
class Student:
    """Who shall learn.

    Attributes:
        task: its task.
        head: its head.
        training: its training rows.
        max_length: tokens of its longest row.
    """

    task: Task
    head: Head
    training: EncodedSplit
    max_length: int


def outputs_of_teacher(
    config: RunConfig, registry: Registry, student: Student, resumed: Path | None, note: Callable[[str], None]
) -> TeacherOutputs:
    """Asks the teacher of the configuration, or reads what it said when the run began.

    Args:
        config: names the teacher.
        registry: the plugins.
        student: its training split is what is asked.
        resumed: the folder of a run that goes on.
        note: told why a teacher is asked again.

    Raises:
        UsageError: there is no such folder, or the teacher reads other rows than the student.
        ModelError: the teacher predicts other labels, or is damaged.
    """
    assert config.train.distill.teacher is not None
    if resumed is not None:
        kept = _read(resumed / _FOLDER, student, note)
        if kept is not None:
            return kept
    path = Path(config.train.distill.teacher)
    trained = _open(path, config, registry)
    head = trained.source.head()
    order = _label_order(head, student.head, path)
    batch = _rows(trained, head, config, student, path)
    with closing(trained.load(head, batch.lengths)) as model:
        outputs = _predict(model.session, batch, student.head, model.batch_size)
    columns = {
        f"{TEACHER}{name}": Column(values if order is None else values[..., order], student.head.outputs[name])
        for name, values in outputs.items()
    }
    return TeacherOutputs(columns, f"{Origin(str(path))}, {trained.target.backend.name} on {trained.target.device}")


def refuse_stream(split: Split) -> None:
    """Refuses a teacher for a training split that is not held.

    Raises:
        UsageError: it is a stream.
    """
    if split.is_stream:
        raise UsageError(
            "a teacher is asked for every training row before the first step, and the training split is a stream",
            "give a training split that is read whole, or leave --teacher out",
            code="split-endless",
        )


def _open(path: Path, config: RunConfig, registry: Registry) -> TrainedModel:
    """On the backend of its own run, or where that is not here, on that of the student."""
    own = [Setting("backend", config.backend, "the student")]
    if not (path / "config.toml").is_file():
        return open_trained(path, registry, [Setting("task", config.task, "the student"), *own])
    try:
        return open_trained(path, registry)
    except (DeviceError, UsageError):
        return open_trained(path, registry, own)


def _label_order(teacher: Head, student: Head, path: Path) -> NDArray[np.int64] | None:
    """Where each label of the student stands among those of the teacher; None where both have one order."""
    same_kind = type(teacher) is type(student)
    if same_kind and teacher.labels == student.labels and student.predicts_as(teacher):
        return None
    reordered = replace(teacher, labels=student.labels) if same_kind and student.labels else teacher
    if not same_kind or {*teacher.labels} != {*student.labels} or not student.predicts_as(reordered):
        raise ModelError(
            f"the teacher predicts {_described(teacher)}, and the student {_described(student)}",
            "give a teacher that was trained for the same labels",
            origin=Origin(str(path)),
            code="head-mismatch",
        )
    return np.array([teacher.labels.index(label) for label in student.labels], dtype=np.int64)


def _described(head: Head) -> str:
    names = ", ".join(head.labels[:20]) + (", ..." if len(head.labels) > 20 else "")
    return f"{names} ({head.name})" if names else head.name


def _rows(trained: TrainedModel, head: Head, config: RunConfig, student: Student, path: Path) -> Batch:
    """The training rows as the teacher reads them, of which each is one of the student."""
    max_length = min(trained.max_length, student.max_length)
    encoder = Encoder(student.task, config.data, trained.tokenizer, head, max_length)
    theirs, ours = encoder.whole(student.training.examples).batch, student.training.batch
    of_rows = all(student.head.outputs[name] == "row" for name in student.head.compared_outputs)
    pairs: list[tuple[Any, Any]] = [(theirs.example_index, ours.example_index), (theirs.groups, ours.groups)]
    if not of_rows:
        pairs += [(theirs.offsets, ours.offsets), (theirs.input_ids, ours.input_ids)]
        pairs += [(theirs.label_offsets, ours.label_offsets), (theirs.label_positions, ours.label_positions)]
    if all(_are_equal(*pair) for pair in pairs):
        return theirs
    raise UsageError(
        "the teacher cuts the training examples into other rows than the student"
        if of_rows
        else "the teacher's tokens are not the student's, and each of them is to be learned",
        "give a teacher with the same tokenizer and as long rows, or lower data.max_length to what both allow",
        origin=Origin(str(path)),
        code="teacher-unfit",
    )


def _are_equal(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    return one is other if one is None or other is None else np.array_equal(one, other)


def _predict(session: Session, batch: Batch, head: Head, batch_size: int) -> dict[str, NDArray[np.float32]]:
    """The outputs for all rows, in their order; the longest rows are computed first."""
    pers = {name: head.outputs[name] for name in head.compared_outputs}
    # Which values a part of the rows has, in the order of the whole.
    places = {f"{_PLACES}{per}": Column(np.arange(batch.count(per)), per) for per in {*pers.values()}}
    found: dict[str, NDArray[np.float32]] = {}
    numbered = replace(batch, columns=places)
    unit = "rows" if batch.groups is None else "examples"
    with about("teacher"), work("predicting", batch.unit_count, unit, float(batch.lengths.sum())) as progress:
        for part, outputs in predictions(session, numbered, tuple(pers), batch_size):
            for name, per in pers.items():
                values = outputs[name]
                if name not in found:
                    found[name] = np.zeros((batch.count(per), *values.shape[1:]), dtype=np.float32)
                found[name][part.columns[f"{_PLACES}{per}"].values] = values
            progress.advance(part.unit_count, float(part.lengths.sum()))
    return found


def _read(folder: Path, student: Student, note: Callable[[str], None]) -> TeacherOutputs | None:
    """What lies in a run folder; None where it is missing, damaged or of other rows."""
    try:
        verified_facts(folder)
        arrays = read_safetensors(folder / _FILE) if (folder / _FILE).is_file() else {}
    except ModelError as error:
        note(f"{error.cause}: the teacher is asked again")
        return None
    pers = {f"{TEACHER}{name}": student.head.outputs[name] for name in student.head.compared_outputs}
    sizes = {name: student.training.batch.count(per) for name, per in pers.items()}
    if {name: len(values) for name, values in arrays.items()} != sizes:
        note("the run folder holds no outputs of the teacher for these rows: it is asked again")
        return None
    columns = {name: Column(np.array(arrays[name]), per) for name, per in pers.items()}
    return TeacherOutputs(columns, f"as kept in {folder.name}/", kept=True)
