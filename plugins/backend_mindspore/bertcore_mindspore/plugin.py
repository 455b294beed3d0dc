"""Entry point ``mindspore`` of the group ``bertcore``: registers the backend and what it computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.backend import Backend
    from bertcore.contracts.implementations import Implementation
    from bertcore.contracts.record_format import RecordFormat


@hookimpl
def bertcore_register_backends() -> list[Backend]:
    """Registers the backend ``mindspore``."""
    from bertcore_mindspore.backend import MindSporeBackend

    return [MindSporeBackend()]


@hookimpl
def bertcore_register_implementations() -> list[Implementation]:
    """What MindSpore computes: BERT's encoder, the heads of the core and their loss, and LoRA."""
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

    return [
        Implementation(BertConfig, "mindspore", "bertcore_mindspore.encoder:Encoder"),
        Implementation(SequenceClassification, "mindspore", "bertcore_mindspore.heads:SequenceClassificationHead"),
        Implementation(Regression, "mindspore", "bertcore_mindspore.heads:RegressionHead"),
        Implementation(TokenClassification, "mindspore", "bertcore_mindspore.heads:TokenClassificationHead"),
        Implementation(SpanExtraction, "mindspore", "bertcore_mindspore.heads:SpanExtractionHead"),
        Implementation(GlobalPointer, "mindspore", "bertcore_mindspore.global_pointer:GlobalPointerHead"),
        Implementation(MultipleChoice, "mindspore", "bertcore_mindspore.multiple_choice:MultipleChoiceHead"),
        Implementation(HeadLoss, "mindspore", "bertcore_mindspore.objectives:HeadLossObjective"),
        Implementation(Lora, "mindspore", "bertcore_mindspore.adapters:LoraLinears"),
    ]


@hookimpl
def bertcore_register_record_formats() -> list[RecordFormat]:
    """Registers the record format ``mindrecord``."""
    from bertcore_mindspore.record_format import MindRecordFormat

    return [MindRecordFormat()]
