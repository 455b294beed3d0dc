"""The entry point of the PyTorch backend; PyTorch itself is imported when the backend is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.backend import Backend
    from bertcore.contracts.family import ModelFamily
    from bertcore.contracts.implementations import HeadImplementation, ObjectiveImplementation


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
    from bertcore.contracts.implementations import HeadImplementation
    from bertcore.heads import Regression, SequenceClassification, SpanExtraction, TokenClassification

    return [
        HeadImplementation(SequenceClassification, "torch", "bertcore_torch.heads:SequenceClassificationHead"),
        HeadImplementation(Regression, "torch", "bertcore_torch.heads:RegressionHead"),
        HeadImplementation(TokenClassification, "torch", "bertcore_torch.heads:TokenClassificationHead"),
        HeadImplementation(SpanExtraction, "torch", "bertcore_torch.heads:SpanExtractionHead"),
    ]


@hookimpl
def bertcore_register_objectives() -> list[ObjectiveImplementation]:
    """The head's own loss on torch."""
    from bertcore.contracts.implementations import ObjectiveImplementation
    from bertcore.contracts.objective import HeadLoss

    return [ObjectiveImplementation(HeadLoss, "torch", "bertcore_torch.objectives:HeadLossObjective")]
