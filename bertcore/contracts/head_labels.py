"""Labels in a ``config.json``, as transformers writes them: ``id2label`` and ``label2id``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bertcore.errors import ModelError, Origin
from bertcore.files.bounds import MOST_LABELS

LABEL_ENTRIES = ("id2label", "label2id", "num_labels")
"""All entries of a ``config.json`` that say what labels there are."""


class RepeatedLabelError(ModelError):
    """Two labels of a model have one name, by which their probabilities could not be told apart."""


def label_entries(labels: Sequence[str]) -> dict[str, Any]:
    """The entries for labels in the order of their ids."""
    return {
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
    }


def labels_from_config(config: Mapping[str, Any], origin: str, besides: str | None = None) -> tuple[str, ...]:
    """The labels of a ``config.json`` in the order of their ids.

    Args:
        config: content of the file.
        origin: the file, for messages.
        besides: a label that may be there twice.

    Raises:
        RepeatedLabelError: two labels have one name.
        ModelError: the labels are incomplete.
    """
    # transformers leaves its default of two labels out of the file.
    names = config.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
    if not isinstance(names, Mapping):
        raise ModelError(
            "id2label is no object of names by number",
            "correct the model's config.json",
            origin=Origin(origin),
            code="model-config-wrong",
        )
    if len(names) > MOST_LABELS:
        raise ModelError(
            f"id2label has {len(names)} labels, and no model has more than {MOST_LABELS}",
            "correct the model's config.json",
            origin=Origin(origin),
            code="model-config-wrong",
        )
    try:
        labels = tuple(str(names[str(index)]) for index in range(len(names)))
    except KeyError as error:
        raise ModelError(
            f"id2label has no label {error}",
            "number the labels from 0",
            origin=Origin(origin),
            code="model-config-wrong",
        ) from None
    _refuse_repeated(labels, origin, besides)
    return labels


def _refuse_repeated(labels: Sequence[str], origin: str, besides: str | None) -> None:
    first: dict[str, int] = {}
    for index, label in enumerate(labels):
        if first.setdefault(label, index) != index and label != besides:
            raise RepeatedLabelError(
                f"the labels {first[label]} and {index} of id2label are both named {label!r}",
                "give each a name of its own in id2label, as its probabilities are shown by name",
                origin=Origin(origin),
                code="model-config-wrong",
            )
