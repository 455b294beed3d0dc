"""The head of a trained model, from its ``config.json``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bertcore.contracts.config_entries import stated_architecture
from bertcore.contracts.head import Head
from bertcore.errors import ModelError, Origin, PluginError


def head_from_config(config: Mapping[str, Any], heads: Iterable[type[Head]], origin: str = "config.json") -> Head:
    """The head that a ``config.json`` of a fine-tuned model describes.

    Args:
        config: content of the file.
        heads: the classes of all heads that are registered.
        origin: the file, for messages.

    Raises:
        RepeatedLabelError: two labels have one name.
        ModelError: ``architectures`` names no head, or an entry of the head is wrong.
        PluginError: two heads take the file for theirs.
    """
    architecture = stated_architecture(config)
    asked = [head for head in heads if architecture.endswith(head.architecture)]
    found = [head for head in (one.from_config(config, origin) for one in asked) if head is not None]
    if not found:
        raise ModelError(
            f"architectures {config.get('architectures')} names no fine-tuned head",
            "give the folder of a finished run, or a model with a classification head; install the plugin of any other",
            origin=Origin(origin),
            code="head-missing",
        )
    if len(found) > 1:
        raise PluginError(
            f"the heads {' and '.join(repr(head.name) for head in found)} both take {architecture} for theirs",
            "switch one of their plugins off with -p no:NAME, and tell its authors",
            code="contract-broken",
        )
    return found[0]


def without_head(config: Mapping[str, Any], heads: Iterable[type[Head]]) -> dict[str, Any]:
    """A ``config.json`` without the entries of any head."""
    of_heads = {name for head in heads for name in head.entry_names}
    return {name: value for name, value in config.items() if name not in of_heads}
