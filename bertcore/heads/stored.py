"""The head of a trained model, from its ``config.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bertcore.contracts.config_entries import number
from bertcore.contracts.head import Head
from bertcore.contracts.tagging import OUTSIDE, SCHEMES
from bertcore.errors import ModelError, Origin
from bertcore.heads.regression import Regression
from bertcore.heads.sequence_classification import SequenceClassification
from bertcore.heads.span_extraction import SpanExtraction
from bertcore.heads.token_classification import TokenClassification

HEAD_ENTRIES = (
    "id2label",
    "label2id",
    "num_labels",
    "problem_type",
    "threshold",
    "tag_scheme",
    "crf",
    "crf_forbid",
    "null_threshold",
)
"""What heads add to a ``config.json``; whoever writes another head into one must leave those of the old one out."""


def stated_architecture(config: Mapping[str, Any]) -> str:
    """The class of transformers that a ``config.json`` names, as ``BertForTokenClassification``, or ""."""
    names = config.get("architectures")
    return str(names[0]) if isinstance(names, list) and names else ""


class RepeatedLabelError(ModelError):
    """Two labels of a model have one name, by which their probabilities could not be told apart."""


def head_from_config(config: Mapping[str, Any], origin: str = "config.json") -> Head:
    """The head that a ``config.json`` of a fine-tuned model describes.

    Raises:
        RepeatedLabelError: two labels have one name. ``O`` may be there twice: no entity has it, and nothing is lost.
        ModelError: ``architectures`` names no head, the labels are incomplete, a threshold is no number, or the tag
            scheme is unknown.
    """
    architecture = stated_architecture(config)
    if architecture.endswith("ForSequenceClassification"):
        if config.get("problem_type") == "regression":
            return Regression()
        labels = _labels(config, origin)
        _refuse_repeated(labels, origin)
        if config.get("problem_type") != "multi_label_classification":
            return SequenceClassification(labels)
        threshold = number({"threshold": 0.5, **config}, "threshold", origin)
        return SequenceClassification(labels, multi_label=True, threshold=threshold)
    if architecture.endswith("ForTokenClassification"):
        scheme = config.get("tag_scheme", "")
        if scheme not in ("", *SCHEMES):
            raise ModelError(
                f"tag_scheme is {scheme!r}, none of {', '.join(SCHEMES)}",
                "correct the model's config.json",
                origin=Origin(origin),
                code="model-config-wrong",
            )
        labels = _labels(config, origin)
        _refuse_repeated(labels, origin, besides=OUTSIDE)
        return TokenClassification(
            labels,
            crf=config.get("crf") is True,
            scheme=scheme,
            forbid=config.get("crf_forbid", "decoding"),
        )
    if architecture.endswith("ForQuestionAnswering"):
        stored = config.get("null_threshold")
        return SpanExtraction(None if stored is None else number(config, "null_threshold", origin))
    raise ModelError(
        f"architectures {config.get('architectures')} names no fine-tuned head",
        "give the folder of a finished run, or a model with a classification head",
        origin=Origin(origin),
        code="head-missing",
    )


def _labels(config: Mapping[str, Any], origin: str) -> tuple[str, ...]:
    # transformers leaves its default of two labels out of the file.
    names = config.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
    if not isinstance(names, Mapping):
        raise ModelError(
            "id2label is no object of names by number",
            "correct the model's config.json",
            origin=Origin(origin),
            code="model-config-wrong",
        )
    try:
        return tuple(str(names[str(index)]) for index in range(len(names)))
    except KeyError as error:
        raise ModelError(
            f"id2label has no label {error}",
            "number the labels from 0",
            origin=Origin(origin),
            code="model-config-wrong",
        ) from None


def _refuse_repeated(labels: Sequence[str], origin: str, besides: str | None = None) -> None:
    for index, label in enumerate(labels):
        if label in labels[:index] and label != besides:
            raise RepeatedLabelError(
                f"the labels {labels.index(label)} and {index} of id2label are both named {label!r}",
                "give each a name of its own in id2label, as its probabilities are shown by name",
                origin=Origin(origin),
                code="model-config-wrong",
            )
