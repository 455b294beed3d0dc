"""What the entry points of ``pyproject.toml`` name: each class is one plugin and implements the hooks that it needs.

Every listing of bertcore loads this module, so it imports nothing at the top but the hooks' decorator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore import hookimpl

if TYPE_CHECKING:
    from bertcore import (
        Backend,
        HeadImplementation,
        ModelFamily,
        ObjectiveImplementation,
        RecordFormat,
        Task,
        TrackerFactory,
        WeightConverter,
    )


class Colour:
    """A task: does a text speak of a warm or of a cold colour?"""

    @staticmethod
    @hookimpl
    def bertcore_register_tasks() -> list[Task]:
        """The task ``colour``."""
        from bertcore_example.colour import ColourTask

        return [ColourTask()]


class ReferenceNumpy:
    """A backend with two heads: slow, plain numpy."""

    @staticmethod
    @hookimpl
    def bertcore_register_backends() -> list[Backend]:
        """The backend ``reference-numpy``."""
        from bertcore_example.reference_backend import ReferenceBackend

        return [ReferenceBackend()]

    @staticmethod
    @hookimpl
    def bertcore_register_heads() -> list[HeadImplementation]:
        """The heads of the backend; their code is imported when a session first needs it."""
        from bertcore import HeadImplementation, Regression, SequenceClassification

        module = "bertcore_example.reference_heads"
        return [
            HeadImplementation(SequenceClassification, "reference-numpy", f"{module}:ClassificationLoss"),
            HeadImplementation(Regression, "reference-numpy", f"{module}:RegressionLoss"),
        ]

    @staticmethod
    @hookimpl
    def bertcore_register_objectives() -> list[ObjectiveImplementation]:
        """The loss of the heads, which every backend must have; this one needs no code beside that of its heads."""
        from bertcore import HeadLoss, ObjectiveImplementation

        return [ObjectiveImplementation(HeadLoss, "reference-numpy", "bertcore_example.reference_heads:RowLoss")]


class ExampleBert:
    """A model family: the same encoder under other names."""

    @staticmethod
    @hookimpl
    def bertcore_register_families() -> list[ModelFamily]:
        """The family of every ``config.json`` with ``"model_type": "example_bert"``."""
        from bertcore_example.family import ExampleBertFamily

        return [ExampleBertFamily()]


class Npz:
    """A weight converter."""

    @staticmethod
    @hookimpl
    def bertcore_register_converters() -> list[WeightConverter]:
        """Files with the suffix ``.npz``, for ``bertcore convert`` and as a model."""
        from bertcore_example.npz import NpzConverter

        return [NpzConverter()]


class RDrop:
    """An objective with a second forward pass, for the torch backend."""

    @staticmethod
    @hookimpl
    def bertcore_register_objectives() -> list[ObjectiveImplementation]:
        """The objective ``r_drop``: its description, and where its torch code is."""
        from bertcore import ObjectiveImplementation

        from bertcore_example.r_drop import RDropObjective

        return [ObjectiveImplementation(RDropObjective, "torch", "bertcore_example.r_drop_torch:RDropLoss")]


class LossCsv:
    """A tracker: the loss curve as a CSV file in the run folder."""

    @staticmethod
    @hookimpl
    def bertcore_register_trackers() -> list[TrackerFactory]:
        """The tracker ``loss_csv``, on when it is named in ``run.trackers``."""
        from bertcore import TrackerFactory

        from bertcore_example.loss_csv import LossCsvTracker

        return [TrackerFactory("loss_csv", "loss curve in loss.csv", LossCsvTracker, default=False)]


class Npy:
    """A record format: each row an array of numpy behind the other."""

    @staticmethod
    @hookimpl
    def bertcore_register_record_formats() -> list[RecordFormat]:
        """The format ``npy`` of ``bertcore data convert``."""
        from bertcore_example.npy_records import NpyRecords

        return [NpyRecords()]
