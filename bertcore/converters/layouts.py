"""Tells by the names in a file whose layout it is, where several layouts share a suffix."""

from __future__ import annotations

import re
from collections.abc import Iterable

BERT4TORCH = re.compile(r"((?:\w+\.)*)encoderLayer\.\d+\.multiHeadAttention\.q\.weight")
MINDFORMERS = re.compile(r"((?:\w+\.)*)encoder\.blocks\.\d+\.attention\.dense1\.weight")
"""Each has a name that only its own layout has; the group is what stands before it."""


def prefixes(names: Iterable[str], mark: re.Pattern[str]) -> list[str]:
    """What stands before the mark of a layout; nothing at all where the file is of another one."""
    return sorted({match[1] for name in names if (match := mark.fullmatch(name))})


def is_of_other_layout(names: Iterable[str]) -> bool:
    """Whether the names are those of a library that has names of its own."""
    return any(mark.fullmatch(name) for name in names for mark in (BERT4TORCH, MINDFORMERS))
