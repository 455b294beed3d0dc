"""A plugin that is data: which hook it implements, and where what it brings is found."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bertcore.plugins.hookspecs import hookimpl


class LazyPlugin:
    """Implements one hook, and imports what it brings when the hook is called: listings load every entry point.

    An entry point names the instance, as ``bertcore_x.plugins:curve``, where the module ``bertcore_x.plugins`` has
    ``curve = LazyPlugin("bertcore_register_trackers", "bertcore_x.curve:FACTORY")``.

    Args:
        hook: name of the hook.
        targets: what it returns, each as ``module:attribute``; a class or a function is called without arguments.
    """

    def __init__(self, hook: str, *targets: str) -> None:
        def bring() -> list[Any]:
            return [made() if callable(made) else made for made in map(_found, targets)]

        setattr(self, hook, hookimpl(bring))


def _found(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
