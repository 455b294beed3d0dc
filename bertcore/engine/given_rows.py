"""Data that a program hands over as rows: written as JSON lines, so that everything else reads files as ever.

A training run keeps them in ``data/`` of its folder, where ``--resume`` and ``evaluate`` find them again; elsewhere
they lie in a temporary folder. Errors name the rows as the program knows them, ``train[2]``.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from bertcore.config import RunConfig, Setting
from bertcore.data.memory import WrittenRows, write_rows
from bertcore.engine.run_folder import KEPT_DATA, RunFolder, remove_early_data, require_free
from bertcore.errors import BertcoreError

Found = TypeVar("Found")


@dataclass
class GivenRows:
    """Rows by the name of the argument that they are given as: ``train``, ``dev``, ``test``, or ``data``.

    Attributes:
        values: the rows, each read once.
        notes: what writing them left out or named, filled when they are written.
    """

    values: Mapping[str, Any]
    notes: list[str] = field(default_factory=list)
    _files: dict[str, Path] = field(default_factory=dict)
    _left_out: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Writes a file for each split.

        Raises:
            DataError: the rows are none, or cannot be read.
        """
        folder.mkdir(parents=True)
        for name, rows in self.values.items():
            self._files[name] = folder / f"{name}.jsonl"
            written: WrittenRows = write_rows(rows, self._files[name], name)
            self.notes += written.notes(name)
            self._left_out |= written.left_out

    def settings(self) -> list[Setting]:
        """The settings that name the files."""
        keys = {"data": "path"}
        return [Setting(f"data.{keys.get(name, name)}", str(file), name) for name, file in self._files.items()]

    def renamed(self, found: Found) -> Found:
        """Names rows in texts, as ``train[2]``, where those name lines of their files; looks into what holds texts."""
        result: Any = found
        if isinstance(found, str):
            result = self._renamed_text(found)
        elif is_dataclass(found) and not isinstance(found, type):
            changed = {part.name: self.renamed(getattr(found, part.name)) for part in fields(found) if part.init}
            result = replace(found, **changed)
        elif isinstance(found, dict):
            result = {self.renamed(key): self.renamed(value) for key, value in found.items()}
        elif isinstance(found, list | tuple):
            result = type(found)(map(self.renamed, found)) if type(found) in (list, tuple) else found
        return result  # type: ignore[no-any-return]

    def _renamed_text(self, text: str) -> str:
        for name, file in self._files.items():
            if file.name in text:
                for line in re.findall(rf"{re.escape(str(file))}:(\d+)", text):
                    text = text.replace(f"{file}:{line}", f"{name}[{int(line) - 1}]", 1)
                text = text.replace(str(file), name)
        return text

    @contextmanager
    def errors_renamed(self) -> Iterator[None]:
        """Lets errors name rows, and what of their columns could not be read."""
        try:
            yield
        except BertcoreError as error:
            cause = self.renamed(error.cause)
            if self._left_out and any(repr(column) in cause for column in self._left_out):
                cause += f" ({', '.join(f'{column!r} holds {kind}' for column, kind in self._left_out.items())})"
            raise type(error)(cause, self.renamed(error.remedy)) from error


@contextmanager
def kept_in_run_folder(rows: GivenRows | None, config: RunConfig) -> Iterator[RunConfig]:
    """Writes rows into the folder of a new run, and removes them again where the run comes to nothing.

    Args:
        rows: given by the program, or None.
        config: of the run.

    Raises:
        OutputError: the folder holds something already.
    """
    if rows is None:
        yield config
        return
    path = RunFolder.planned(config)
    require_free(path)
    remove_early_data(path)
    try:
        with rows.errors_renamed():
            rows.write(path / KEPT_DATA)
            names = ", ".join(rows.values)
            rows.notes.append(f"the rows of {names} are kept in {path / KEPT_DATA}, for --resume and evaluate")
            options = {setting.key.partition(".")[2]: setting.value for setting in rows.settings()}
            yield config.model_copy(
                update={
                    "data": config.data.model_copy(update=options),
                    "run": config.run.model_copy(update={"output": str(path)}),
                }
            )
    except BaseException:
        if path.is_dir() and [item.name for item in path.iterdir()] == [KEPT_DATA]:
            shutil.rmtree(path, ignore_errors=True)
        raise


@contextmanager
def in_temporary_folder(rows: GivenRows | None) -> Iterator[list[Setting]]:
    """Writes rows for as long as a call needs them; gives the settings that name their files."""
    if rows is None:
        yield []
        return
    with tempfile.TemporaryDirectory(prefix="bertcore-") as folder, rows.errors_renamed():
        rows.write(Path(folder).resolve() / KEPT_DATA)
        yield rows.settings()
