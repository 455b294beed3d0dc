"""Where the user's own files are: named one by one, or as ``train``, ``dev`` and ``test`` of one folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bertcore.config import DataConfig
from bertcore.errors import DataError, UsageError
from pydantic import Field

SPLITS = ("train", "dev", "test")


class OwnFilesConfig(DataConfig):
    """Data options of a task on the user's own files."""

    train: str | None = Field(None, description="training file")
    dev: str | None = Field(None, description="file to evaluate on")
    test: str | None = Field(None, description="file to predict")


def own_files(data: OwnFilesConfig, suffixes: Sequence[str]) -> dict[str, tuple[Path, ...]]:
    """Finds the file of each split.

    Args:
        data: names files, or a folder that holds ``train``, ``dev`` and ``test`` with one of the suffixes, or a single
            file to evaluate.
        suffixes: what the task can read, as ``.csv``.

    Raises:
        UsageError: nothing is named.
        DataError: a file is missing, of a form that the task does not read, or not the only one of its split.
    """
    known = ", ".join(suffixes)
    files: dict[str, tuple[Path, ...]] = {}
    if data.path is not None and Path(data.path).is_file():
        files["dev"] = (Path(data.path),)
    elif data.path is not None:
        folder = Path(data.path)
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder", "name single files with --train, --dev and --test")
        for split in SPLITS:
            found = [folder / f"{split}{suffix}" for suffix in suffixes if (folder / f"{split}{suffix}").is_file()]
            if len(found) > 1:
                names = " and ".join(file.name for file in found)
                raise DataError(f"{folder}: both {names}", f"choose one with --{split} FILE")
            if found:
                files[split] = (found[0],)
    for split in SPLITS:
        name = getattr(data, split)
        if name is not None:
            files[split] = (Path(name),)
    if not files and data.path is not None:
        raise DataError(f"{data.path}: no train, dev or test with a suffix {known}", "name the files with --train FILE")
    if not files:
        raise UsageError("no data", "give --train FILE and --dev FILE, or --data FOLDER")
    for split, (file,) in files.items():
        if not file.is_file():
            raise DataError(f"{file}: no such file", f"check --{split}")
        if file.suffix.lower() not in suffixes:
            raise DataError(f"{file}: not one of {known}", "convert the file, or give it the suffix of its form")
    return files
