"""How the configuration shapes the loss of a head, and what of it the training split decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from bertcore.config import HeadConfig, RunConfig
from bertcore.contracts.batch import Batch
from bertcore.contracts.head import Head
from bertcore.contracts.loss_options import LOSS_OPTIONS, LossOptions, in_order
from bertcore.errors import ConfigError, UsageError
from bertcore.near_misses import nearest_name

BALANCED = "balanced"

LONGEST_LIST = 12
"""Labels that are named one by one."""


def with_loss(head: Head, options: HeadConfig) -> Head:
    """The head with the loss that the options describe; balanced weights are still to come.

    Raises:
        ConfigError: the loss of this head is none over classes, or a weight is given to what is no label.
    """
    given = [name for name in LOSS_OPTIONS if getattr(options, name)]
    unfit = next((name for name in given if name not in head.loss_options), None)
    if unfit is not None:
        raise ConfigError(
            f"head.{unfit} does not fit the loss of this {head.name} head",
            "leave it out: it is for a softmax over labels, or a sigmoid for each",
            code="loss-option-unfit",
        )
    if not given:
        return head
    weights = options.class_weights if isinstance(options.class_weights, dict) else {}
    for label in weights:
        _require_label(label, head)
    shaped = LossOptions(options.label_smoothing, options.focal_gamma, in_order(weights, head.labels))
    return replace(head, loss=shaped)


def settle_weights(config: RunConfig, head: Head, training: Batch | None, note: Callable[[str], None]) -> RunConfig:
    """The configuration with balanced weights as numbers, which the run keeps: so it goes on with the same ones.

    Args:
        config: the configuration.
        head: that is trained.
        training: all rows of the training split; None of a stream.
        note: told which labels cannot be balanced.

    Raises:
        UsageError: the training split is a stream, whose labels cannot be counted.
    """
    if config.head.class_weights != BALANCED:
        return config
    if training is None:
        raise UsageError(
            "head.class_weights=balanced counts the labels of the training split, which is a stream",
            "give the weights by label: --set head.class_weights.LABEL=2.5",
            code="split-endless",
        )
    weights = dict(head.balanced_weights(training))
    left = [label for label in head.labels if label not in weights]
    if left:
        note(f"head.class_weights: nothing to balance of {_listed(left)} in the training split, whose weight stays 1")
    return config.model_copy(update={"head": config.head.model_copy(update={"class_weights": weights})})


def describe_loss(head: Head) -> str:
    """How the loss is shaped, in words; empty where it is not."""
    words = {
        "label_smoothing": f"label smoothing {head.loss.label_smoothing:g}",
        "focal_gamma": f"focal with gamma {head.loss.focal_gamma:g}",
    }
    if head.loss.class_weights:
        words["class_weights"] = f"weights {_weights_in_words(head)}"
    return ", ".join(words[name] for name in head.loss.given)


def _weights_in_words(head: Head) -> str:
    weights = head.loss.class_weights
    if len(weights) > LONGEST_LIST:
        return f"{min(weights):.4g} to {max(weights):.4g} of {len(weights)} labels"
    return ", ".join(f"{label} {weight:.4g}" for label, weight in zip(head.labels, weights, strict=True))


def _require_label(label: str, head: Head) -> None:
    if label in head.labels:
        return
    near = nearest_name(label, head.labels)
    raise ConfigError(
        f"head.class_weights has a weight for {label!r}, which is no label",
        f"did you mean {near!r}?" if near is not None else f"the labels are {_listed(head.labels)}",
        code="class-unknown",
    )


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels[:LONGEST_LIST]) + (", ..." if len(labels) > LONGEST_LIST else "")
