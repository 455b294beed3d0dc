"""Data that a program hands over as rows: written as JSON lines, so that everything else reads files as ever.

A training run keeps them in ``data/`` of its folder, where ``--resume`` and ``evaluate`` find them again; elsewhere
they lie in a temporary folder. Errors name the rows as the program knows them, ``train[2]``.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertcore.config import RunConfig, Setting
from bertcore.data.memory import WrittenRows, write_rows
from bertcore.engine.run_folder import KEPT_DATA, RunFolder, remove_early_data, require_free
from bertcore.errors import BertcoreError, shown_as_rows

_ABOUT_FIELDS = ("column-missing", "field-missing", "field-wrong")
"""Kinds of errors that a column may be the reason of whose values could not be read."""


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

    def write(self) -> None:
        """Writes a file for each split into the folder of :meth:`kept_in`.

        Raises:
            DataError: the rows are none, or cannot be read.
        """
        for name, rows in self.values.items():
            self._files[name].parent.mkdir(parents=True, exist_ok=True)
            written: WrittenRows = write_rows(rows, self._files[name], name)
            self.notes += written.notes(name)
            self._left_out |= written.left_out

    def settings(self) -> list[Setting]:
        """The settings that name the files."""
        keys = {"data": "path"}
        return [Setting(f"data.{keys.get(name, name)}", str(file), name) for name, file in self._files.items()]

    def named(self, value: Any) -> Any:
        """A value of a report, in which the path of a file becomes the name of its rows."""
        if isinstance(value, dict):
            return {key: self.named(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.named(item) for item in value]
        return self._names.get(value, value) if isinstance(value, str) else value

    @contextmanager
    def kept_in(self, folder: Path) -> Iterator[None]:
        """Lets places in the files of a folder, and errors about them, name the rows that the files hold.

        An error about a field also names the columns that could not be read.
        """
        self._files = {name: folder / f"{name}.jsonl" for name in self.values}
        with shown_as_rows(self._names):
            try:
                yield
            except BertcoreError as error:
                found = error.at(error.origin.shown()) if error.origin is not None else error
                if self._left_out and error.code in _ABOUT_FIELDS:
                    kinds = ", ".join(f"{column!r} holds {kind}" for column, kind in self._left_out.items())
                    found = found.saying_also(f" ({kinds})")
                raise found from error

    @property
    def _names(self) -> dict[str, str]:
        return {str(file): name for name, file in self._files.items()}


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
        with rows.kept_in(path / KEPT_DATA):
            rows.write()
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
    with tempfile.TemporaryDirectory(prefix="bertcore-") as folder, rows.kept_in(Path(folder).resolve() / KEPT_DATA):
        rows.write()
        yield rows.settings()
