"""Entry point ``mindspore`` of the group ``bertcore``: registers the backend and what it computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.backend import Backend
    from bertcore.data.records import RecordFormat
    from bertcore.implementations import HeadImplementation, ObjectiveImplementation


@hookimpl
def bertcore_register_backends() -> list[Backend]:
    """Registers the backend ``mindspore``."""
    from bertcore_mindspore.backend import MindSporeBackend

    return [MindSporeBackend()]


@hookimpl
def bertcore_register_heads() -> list[HeadImplementation]:
    """Registers the heads that MindSpore computes."""
    from bertcore.heads import Regression, SequenceClassification, SpanExtraction, TokenClassification
    from bertcore.implementations import HeadImplementation

    return [
        HeadImplementation(head, "mindspore", f"bertcore_mindspore.heads:{head.__name__}Head")
        for head in (SequenceClassification, Regression, TokenClassification, SpanExtraction)
    ]


@hookimpl
def bertcore_register_objectives() -> list[ObjectiveImplementation]:
    """Registers the objectives that MindSpore computes."""
    from bertcore.implementations import ObjectiveImplementation
    from bertcore.objectives import HeadLoss

    return [ObjectiveImplementation(HeadLoss, "mindspore", "bertcore_mindspore.objectives:HeadLossObjective")]


@hookimpl
def bertcore_register_record_formats() -> list[RecordFormat]:
    """Registers the record format ``mindrecord``."""
    from bertcore_mindspore.record_format import MindRecordFormat

    return [MindRecordFormat()]
