"""What was probably meant: names and paths that nearly exist."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

_LOOKED_AT = 2000
"""Entries of a folder that are compared at most."""


def nearest_name(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that is most like this one, whatever its capitals, dots, dashes and underscores; None: none is."""
    names: dict[str, str] = {}
    for candidate in known:
        names.setdefault(_plain(candidate), candidate)
    found = difflib.get_close_matches(_plain(name), names, n=1, cutoff=cutoff)
    return names[found[0]] if found else None


def nearest_path(path: Path) -> Path | None:
    """The path that exists and is most like one that does not; None: there is none, or the path does exist."""
    if os.path.lexists(path):
        return None
    # Not expanduser() of a path, which raises RuntimeError where there is no such user.
    for other in (Path(os.path.expanduser(path)), Path(str(path).replace("\\", "/"))):
        if other != path and other.exists():
            return other
    parts = path.parts
    place = Path(parts[0]) if path.is_absolute() else Path()
    for part in parts[1:] if path.is_absolute() else parts:
        following = place / part
        if not os.path.lexists(following):
            near = None if part.startswith(".") else nearest_name(part, _names(place))
            if near is None:
                return None
            following = place / near
        place = following
    return place


def other_level(folder: Path, fits: Callable[[Path], bool], name: str = "") -> Path | None:
    """The folder that was meant where the one given is a level too high or too low.

    Args:
        folder: exists.
        fits: whether a folder is of the kind that is looked for.
        name: of several, the one that is most like this name is meant, else the newest.
    """
    inside = [folder / name for name in _names(folder) if (folder / name).is_dir()]
    fitting = [child for child in inside if fits(child)]
    if fitting:
        named = nearest_name(name, (child.name for child in fitting)) if name else None
        if named is not None:
            return folder / named
        return max(fitting, key=lambda child: child.stat().st_mtime)
    return next((parent for parent in islice(_parents(folder), 2) if fits(parent)), None)


def did_you_mean(path: Path | None, otherwise: str) -> str:
    """A remedy: the path, or what helps where there is none."""
    return otherwise if path is None else f"did you mean {path}?"


def _parents(folder: Path) -> Iterator[Path]:
    # Of the path as it was given, as far as that goes; above it is nobody's mistake.
    yield from (parent for parent in folder.parents if parent != Path())


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower()) or name


def _names(folder: Path) -> list[str]:
    with suppress(OSError), os.scandir(folder) as entries:
        return [entry.name for entry in islice(entries, _LOOKED_AT)]
    return []
