"""What the suites know of each kind of head, one file a kind, looked up by the name of the description.

A plugin that brings a head of its own registers its reference before it subclasses a suite::

    from bertcore.testing.heads import HeadReference, register

    class BiaffineReference(HeadReference[Biaffine]):
        ...

    register(BiaffineReference())
"""

from __future__ import annotations

from bertcore.testing.heads.base import (
    HeadReference,
    RowReference,
    descriptions,
    reference_of,
    register,
    shape_of,
    tokens_of,
)
from bertcore.testing.heads.global_pointer import GlobalPointerReference
from bertcore.testing.heads.multiple_choice import MultipleChoiceReference
from bertcore.testing.heads.regression import RegressionReference
from bertcore.testing.heads.sequence_classification import SequenceClassificationReference
from bertcore.testing.heads.span_extraction import SpanExtractionReference
from bertcore.testing.heads.token_classification import TokenClassificationReference

CORE_HEADS = (
    "sequence_classification",
    "regression",
    "token_classification",
    "span_extraction",
    "global_pointer",
    "multiple_choice",
)
"""Those that every backend computes, or declares a gap."""

__all__ = [
    "CORE_HEADS",
    "HeadReference",
    "RowReference",
    "descriptions",
    "reference_of",
    "register",
    "shape_of",
    "tokens_of",
]

register(SequenceClassificationReference())
register(RegressionReference())
register(TokenClassificationReference())
register(SpanExtractionReference())
register(GlobalPointerReference())
register(MultipleChoiceReference())
