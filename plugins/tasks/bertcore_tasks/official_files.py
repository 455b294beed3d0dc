"""Where the official files of a task are: of known names in one folder, or a single one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bertcore.errors import DataError, Origin
from bertcore.near_misses import did_you_mean, nearest_path, other_level


def find_official_files(
    path: Path, names: Mapping[str, Sequence[str]], evaluation_split: str, task: str, kind: str
) -> dict[str, tuple[Path, ...]]:
    """Finds the file of each split.

    Args:
        path: a folder; or one file, which is the split whose file has its name, or else the one that is evaluated.
        names: split to the names that its file may have; the first that is there is read.
        evaluation_split: name of the split that is evaluated.
        task: name of the task, for the error.
        kind: the files in words, likewise.

    Raises:
        DataError: there are none.
    """
    remedy = f"give the folder of {task}'s {kind} with --data"
    if path.is_file():
        named = next((split for split, several in names.items() if path.name in several), evaluation_split)
        return {named: (path,)}
    if not path.is_dir():
        remedy = did_you_mean(nearest_path(path), remedy)
        raise DataError("no such folder", remedy, origin=Origin(str(path)), code="file-missing")
    found = {split: [path / name for name in several if (path / name).is_file()] for split, several in names.items()}
    files: dict[str, tuple[Path, ...]] = {split: (several[0],) for split, several in found.items() if several}
    if not files:
        *first, last = (name for several in names.values() for name in several)
        meant = other_level(path, lambda folder: any((folder / name).is_file() for name in (*first, last)), task)
        problem = f"no {', '.join(first)} or {last}"
        raise DataError(problem, did_you_mean(meant, remedy), origin=Origin(str(path)), code="file-missing")
    return files
