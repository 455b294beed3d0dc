"""What the entry points of ``pyproject.toml`` name: each is one plugin and implements the hooks that it needs.

Every listing of bertcore loads this module, so it imports nothing at the top but what declares hooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore import LazyPlugin, hookimpl

if TYPE_CHECKING:
    from bertcore import Backend, Implementation, TrackerFactory


colour = LazyPlugin("bertcore_register_tasks", "bertcore_example.colour:ColourTask")
"""A task: does a text speak of a warm or of a cold colour?"""
stars = LazyPlugin("bertcore_register_tasks", "bertcore_example.stars:StarsTask")
"""A task with a head of its own: how many stars does a review give?"""
example_bert = LazyPlugin("bertcore_register_families", "bertcore_example.family:EXAMPLE_BERT")
"""A model family: the same encoder under other names, for ``"model_type": "example_bert"`` in ``config.json``."""
npz = LazyPlugin("bertcore_register_converters", "bertcore_example.npz:NpzConverter")
"""A weight converter: files with the suffix ``.npz``, for ``bertcore convert`` and as a model."""
kubectl = LazyPlugin("bertcore_register_launchers", "bertcore_example.kubectl:KUBECTL")
npy = LazyPlugin("bertcore_register_record_formats", "bertcore_example.npy_records:NpyRecords")
"""A record format: each row an array of numpy behind the other, ``npy`` of ``bertcore data convert``."""


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
    def bertcore_register_implementations() -> list[Implementation]:
        """What the backend computes; the code is imported when a session first needs it."""
        from bertcore import BertConfig, HeadLoss, Implementation, Regression, SequenceClassification

        heads = "bertcore_example.reference_heads"
        return [
            Implementation(BertConfig, "reference-numpy", "bertcore.testing.reference:ReferenceModel"),
            Implementation(SequenceClassification, "reference-numpy", f"{heads}:ClassificationLoss"),
            Implementation(Regression, "reference-numpy", f"{heads}:RegressionLoss"),
            Implementation(HeadLoss, "reference-numpy", f"{heads}:RowLoss"),  # the sum over the rows, nothing more
        ]


class Ordinal:
    """A head, for the backends torch and mindspore."""

    @staticmethod
    @hookimpl
    def bertcore_register_implementations() -> list[Implementation]:
        """The head ``ordinal_regression`` on both."""
        from bertcore import Implementation

        from bertcore_example.ordinal import OrdinalRegression

        code = "OrdinalRegressionHead"
        return [
            Implementation(OrdinalRegression, "torch", f"bertcore_example.ordinal_torch:{code}"),
            Implementation(OrdinalRegression, "mindspore", f"bertcore_example.ordinal_mindspore:{code}"),
        ]


class ConfidencePenalty:
    """An objective of its own, for the torch backend."""

    @staticmethod
    @hookimpl
    def bertcore_register_implementations() -> list[Implementation]:
        """The objective ``confidence_penalty`` on torch."""
        from bertcore import Implementation

        from bertcore_example import confidence_penalty

        code = "bertcore_example.confidence_penalty_torch:ConfidencePenaltyLoss"
        return [Implementation(confidence_penalty.ConfidencePenalty, "torch", code)]


class LossCsv:
    """A tracker: the loss curve as a CSV file in the run folder."""

    @staticmethod
    @hookimpl
    def bertcore_register_trackers() -> list[TrackerFactory]:
        """The tracker ``loss_csv``, on when it is named in ``run.trackers``."""
        from bertcore import TrackerFactory

        from bertcore_example.loss_csv import LossCsvTracker

        return [TrackerFactory("loss_csv", "loss curve in loss.csv", LossCsvTracker, default=False)]
