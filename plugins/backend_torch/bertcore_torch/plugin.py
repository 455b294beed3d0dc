"""The entry point of the PyTorch backend; PyTorch itself is imported when the backend is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.backend import Backend
    from bertcore.families import ModelFamily
    from bertcore.implementations import HeadImplementation, ObjectiveImplementation


@hookimpl
def bertcore_register_backends() -> list[Backend]:
    """The backend ``torch``."""
    from bertcore_torch.backend import TorchBackend

    return [TorchBackend()]


@hookimpl
def bertcore_register_families() -> list[ModelFamily]:
    """Every other encoder of transformers, on torch alone."""
    from bertcore_torch.auto import AutoFamily

    return [AutoFamily()]


@hookimpl
def bertcore_register_heads() -> list[HeadImplementation]:
    """The heads of the core on torch."""
    from bertcore.heads import Regression, SequenceClassification, SpanExtraction, TokenClassification
    from bertcore.implementations import HeadImplementation

    return [
        HeadImplementation(SequenceClassification, "torch", "bertcore_torch.heads:SequenceClassificationHead"),
        HeadImplementation(Regression, "torch", "bertcore_torch.heads:RegressionHead"),
        HeadImplementation(TokenClassification, "torch", "bertcore_torch.heads:TokenClassificationHead"),
        HeadImplementation(SpanExtraction, "torch", "bertcore_torch.heads:SpanExtractionHead"),
    ]


@hookimpl
def bertcore_register_objectives() -> list[ObjectiveImplementation]:
    """The head's own loss on torch."""
    from bertcore.implementations import ObjectiveImplementation
    from bertcore.objectives import HeadLoss

    return [ObjectiveImplementation(HeadLoss, "torch", "bertcore_torch.objectives:HeadLossObjective")]
