"""Entry point ``mindspore`` of the group ``bertcore``: registers the backend and what it computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.backend import Backend
    from bertcore.contracts.implementations import HeadImplementation, ObjectiveImplementation
    from bertcore.contracts.record_format import RecordFormat


@hookimpl
def bertcore_register_backends() -> list[Backend]:
    """Registers the backend ``mindspore``."""
    from bertcore_mindspore.backend import MindSporeBackend

    return [MindSporeBackend()]


@hookimpl
def bertcore_register_heads() -> list[HeadImplementation]:
    """Registers the heads that MindSpore computes."""
    from bertcore.contracts.implementations import HeadImplementation
    from bertcore.heads import Regression, SequenceClassification, SpanExtraction, TokenClassification

    return [
        HeadImplementation(head, "mindspore", f"bertcore_mindspore.heads:{head.__name__}Head")
        for head in (SequenceClassification, Regression, TokenClassification, SpanExtraction)
    ]


@hookimpl
def bertcore_register_objectives() -> list[ObjectiveImplementation]:
    """Registers the objectives that MindSpore computes."""
    from bertcore.contracts.implementations import ObjectiveImplementation
    from bertcore.contracts.objective import HeadLoss

    return [ObjectiveImplementation(HeadLoss, "mindspore", "bertcore_mindspore.objectives:HeadLossObjective")]


@hookimpl
def bertcore_register_record_formats() -> list[RecordFormat]:
    """Registers the record format ``mindrecord``."""
    from bertcore_mindspore.record_format import MindRecordFormat

    return [MindRecordFormat()]
