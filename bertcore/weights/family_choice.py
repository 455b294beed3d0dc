"""Chooses the model family by a ``config.json``: by its ``model_type``, or else by its architecture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bertcore.contracts.config_entries import stated_architecture
from bertcore.contracts.family import ModelFamily
from bertcore.errors import ModelError, Origin, UsageError
from bertcore.plugins.registry import Registry
from bertcore.weights.stored_head import without_head


def with_model_type(config: Mapping[str, Any], registry: Registry) -> dict[str, Any]:
    """A ``config.json`` without ``model_type``, as before transformers 3, with the one that its architecture tells."""
    stated = stated_architecture(config)
    if config.get("model_type") is not None or not stated:
        return dict(config)
    families = [entry.item for _, entry in sorted(registry.families.items()) if not entry.item.any_model_type]
    fitting = (
        family
        for family in families
        if re.fullmatch(rf"{re.escape(family.architecture)}(Model|For\w+|LMHead\w+)", stated)
    )
    family = next(fitting, None)
    return dict(config) if family is None else {**config, "model_type": family.name}


def find_family(config: Mapping[str, Any], registry: Registry, origin: str, backend: str | None = None) -> ModelFamily:
    """The family that a ``config.json`` names, or else one that stands in for every other.

    Args:
        config: content of ``config.json``.
        registry: where families are looked up.
        origin: where the configuration stands, for the message.
        backend: name of the backend that shall compute the model; None where nothing is computed.

    Raises:
        ModelError: no plugin brings this family, or the backend does not compute it.
        PluginError: the plugin of this name is broken; shows its error in full.
    """
    families = {name: entry.item for name, entry in sorted(registry.families.items())}
    named = ", ".join(name for name, family in families.items() if not family.any_model_type) or "none"
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        stated = stated_architecture(config)
        raise ModelError(
            "no model_type" + (f", and no family has the architecture {stated}" if stated else ""),
            f'name one of {named}, as "model_type": "bert"',
            origin=Origin(origin),
            code="family-unknown",
        )
    try:
        family = registry.family(model_type)
    except UsageError:
        stand_in = next((family for family in families.values() if family.any_model_type), None)
        if stand_in is None:
            raise ModelError(
                f"model_type {model_type!r} is not known",
                f"known are {named}; a plugin can add a family",
                origin=Origin(origin),
                code="family-unknown",
            ) from None
        family = stand_in
    if backend is not None and family.backends is not None and backend not in family.backends:
        able = [
            name
            for name, other in families.items()
            if not other.any_model_type and (other.backends is None or backend in other.backends)
        ]
        raise ModelError(
            f"model_type is {model_type!r}, and {backend} computes {', '.join(able) or 'none'}",
            f"use --backend {' or '.join(family.backends)}",
            origin=Origin(origin),
            code="family-unknown",
        )
    return family.bound(without_head(config, registry.heads), origin)
