"""Tells by the names in a file whose layout it is, where several layouts share a suffix."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from bertcore.contracts.converter import KeyReport
from bertcore.errors import ModelError, Origin
from bertcore.weights.converters.rules import Tensors
from bertcore.weights.converters.wrappers import one_encoder, set_aside_copies

BERT4TORCH = re.compile(r"((?:\w+\.)*)encoderLayer\.\d+\.multiHeadAttention\.q\.weight")
MINDFORMERS = re.compile(r"((?:\w+\.)*)encoder\.blocks\.\d+\.attention\.dense1\.weight")
MINDSPORE_ZOO = re.compile(r"((?:\w+\.)*)bert_encoder\.layers\.\d+\.attention\.attention\.query_layer\.weight")
"""Each has a name that only its own layout has; the group is what stands before it."""


def prefixes(names: Iterable[str], mark: re.Pattern[str]) -> list[str]:
    """What stands before the mark of a layout; nothing at all where the file is of another one."""
    return sorted({match[1] for name in names if (match := mark.fullmatch(name))})


def take_encoder(
    tensors: Tensors, mark: re.Pattern[str], path: Path, layout: str
) -> tuple[str, Tensors, Tensors, tuple[KeyReport, ...]]:
    """Finds the one encoder of a layout in a file, and takes copies of it, such as moments, out of the tensors.

    Returns:
        what stands before the mark, the tensors that are left, those that were taken out, and a report of these.

    Raises:
        ModelError: there is no encoder of the layout, or there are several.
    """
    found = prefixes(tensors, mark)
    if not found:
        raise ModelError(
            f"holds no {layout}",
            "name the layout that it has with --from NAME",
            origin=Origin(str(path)),
            code="layout-unknown",
        )
    prefix = one_encoder(dict.fromkeys(found, 1), str(path))
    return prefix, *set_aside_copies(tensors, prefix, found)


def is_of_other_layout(names: Iterable[str]) -> bool:
    """Whether the names are those of a library that has names of its own."""
    return any(mark.fullmatch(name) for name in names for mark in (BERT4TORCH, MINDFORMERS, MINDSPORE_ZOO))
