"""Heads: what stands on top of an encoder, one description a file."""

from __future__ import annotations

from bertcore.heads.global_pointer import GlobalPointer
from bertcore.heads.multiple_choice import MultipleChoice
from bertcore.heads.regression import Regression
from bertcore.heads.sequence_classification import SequenceClassification
from bertcore.heads.span_extraction import SpanExtraction
from bertcore.heads.token_classification import TokenClassification

__all__ = [
    "GlobalPointer",
    "MultipleChoice",
    "Regression",
    "SequenceClassification",
    "SpanExtraction",
    "TokenClassification",
]
