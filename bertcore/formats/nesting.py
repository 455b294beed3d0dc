"""Containers that hold themselves, or lie so deep in one another that nobody can walk through them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from bertcore.files.bounds import DEEPEST


def check_nesting(value: Any, held: Callable[[Any], Iterable[Any] | None]) -> None:
    """Refuses containers that hold themselves, or lie more than ``DEEPEST`` deep.

    Args:
        value: what may be a container.
        held: what one holds; None for what is none.

    Raises:
        ValueError: they do.
    """
    # Each container is entered once, however often it is held, for two that hold each other twice are four one level
    # below. Without recursion, which is what is at stake.
    depths: dict[int, int] = {}
    path: list[tuple[Any, Iterator[Any]]] = []
    on_path: set[int] = set()

    def enter(container: Any, content: Iterable[Any]) -> None:
        path.append((container, iter(content)))
        on_path.add(id(container))
        deepen(container, 1)

    def deepen(container: Any, depth: int) -> None:
        depths[id(container)] = max(depth, depths.get(id(container), 0))
        if max(depth, len(path)) > DEEPEST:
            raise ValueError(f"containers lie more than {DEEPEST} deep")

    content = held(value)
    if content is not None:
        enter(value, content)
    while path:
        container, waiting = path[-1]
        for inner in waiting:
            content = held(inner)
            if content is None:
                continue
            if id(inner) in on_path:
                raise ValueError("a container holds itself")
            if id(inner) in depths:
                deepen(container, depths[id(inner)] + 1)
                continue
            enter(inner, content)
            break
        else:
            path.pop()
            on_path.remove(id(container))
            if path:
                deepen(path[-1][0], depths[id(container)] + 1)
