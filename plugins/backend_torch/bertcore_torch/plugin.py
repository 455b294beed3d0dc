"""The entry point of the PyTorch backend; PyTorch itself is imported when the backend is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.backend import Backend
    from bertcore.contracts.family import ModelFamily
    from bertcore.contracts.implementations import Implementation


@hookimpl
def bertcore_register_backends() -> list[Backend]:
    """The backend ``torch``."""
    from bertcore_torch.backend import TorchBackend

    return [TorchBackend()]


@hookimpl
def bertcore_register_families() -> list[ModelFamily]:
    """Every other encoder of transformers, on torch alone."""
    from bertcore_torch.foreign_family import ForeignEncoders

    return [ForeignEncoders()]


@hookimpl
def bertcore_register_implementations() -> list[Implementation]:
    """What torch computes: two forms of an encoder, the heads of the core and their loss, and LoRA."""
    from bertcore.contracts.bert_config import BertConfig
    from bertcore.contracts.implementations import Implementation
    from bertcore.contracts.objective import HeadLoss
    from bertcore.heads import (
        GlobalPointer,
        MultipleChoice,
        Regression,
        SequenceClassification,
        SpanExtraction,
        TokenClassification,
    )
    from bertcore.numerics.lora import Lora

    from bertcore_torch.foreign_family import ForeignConfig

    return [
        Implementation(BertConfig, "torch", "bertcore_torch.encoder:PackedModel"),
        Implementation(ForeignConfig, "torch", "bertcore_torch.foreign_encoder:ForeignModel"),
        Implementation(SequenceClassification, "torch", "bertcore_torch.heads:SequenceClassificationHead"),
        Implementation(Regression, "torch", "bertcore_torch.heads:RegressionHead"),
        Implementation(TokenClassification, "torch", "bertcore_torch.heads:TokenClassificationHead"),
        Implementation(SpanExtraction, "torch", "bertcore_torch.heads:SpanExtractionHead"),
        Implementation(GlobalPointer, "torch", "bertcore_torch.global_pointer:GlobalPointerHead"),
        Implementation(MultipleChoice, "torch", "bertcore_torch.multiple_choice:MultipleChoiceHead"),
        Implementation(HeadLoss, "torch", "bertcore_torch.objectives:HeadLossObjective"),
        Implementation(Lora, "torch", "bertcore_torch.adapters:LoraBranches"),
    ]
