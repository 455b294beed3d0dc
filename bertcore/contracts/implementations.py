"""Which code computes a head or an objective on which backend; the code is imported when it is first used."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from bertcore.contracts.head import Head
from bertcore.contracts.objective import Objective
from bertcore.errors import PluginError


@dataclass(frozen=True)
class HeadImplementation:
    """The code of one head for one backend.

    Attributes:
        head: the description that is implemented.
        backend: name of the backend.
        target: ``module:attribute``; what it must be is said by the backend's documentation.
    """

    head: type[Head]
    backend: str
    target: str


@dataclass(frozen=True)
class ObjectiveImplementation:
    """The code of one objective for one backend; attributes as in :class:`HeadImplementation`."""

    objective: type[Objective]
    backend: str
    target: str


def load_target(target: str) -> Any:
    """Imports ``module:attribute``.

    Raises:
        PluginError: it cannot be imported; the cause is chained.
    """
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:
        raise PluginError(
            f"{target} cannot be imported: {type(error).__name__}: {error}",
            "repair or uninstall the plugin that registered it",
            code="plugin-broken",
        ) from error
