"""Data that a program hands over as rows: written as JSON lines, so that everything else reads files as ever.

A training run keeps them in ``data/`` of its folder, where ``--resume`` and ``evaluate`` find them again; elsewhere
they lie in a temporary folder. Errors name the rows as the program knows them, ``train[2]``.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bertcore.config import RunConfig, Setting
from bertcore.data.memory import write_rows
from bertcore.engine.ranks import this_rank
from bertcore.engine.run_folder import KEPT_DATA, RunFolder, remove_early_data, require_free
from bertcore.errors import BertcoreError, shown_as_rows

_ABOUT_FIELDS = ("answer-missing", "column-missing", "field-missing", "field-wrong", "labels-missing")
"""Kinds of errors that a column may be the reason of whose values could not be read."""


@dataclass(frozen=True)
class GivenRows:
    """Rows by the name of the argument that they are given as: ``train``, ``dev``, ``test``, or ``data``.

    Attributes:
        values: the rows, each read once.
    """

    values: Mapping[str, Any]

    @contextmanager
    def written_to(self, folder: Path) -> Iterator[RowFiles]:
        """Writes a file for each split, and lets places in it, and errors about them, name the rows that it holds.

        An error about a field also names the columns that could not be read.

        Raises:
            DataError: the rows are none, or cannot be read.
        """
        files = {name: folder / f"{name}.jsonl" for name in self.values}
        unread: Mapping[str, str] = {}
        with shown_as_rows({str(file): name for name, file in files.items()}):
            try:
                written = self._write(files)
                unread = written.unread
                yield written
            except BertcoreError as error:
                raise _about_rows(error, unread) from error

    def _write(self, files: Mapping[str, Path]) -> RowFiles:
        notes: list[str] = []
        unread: dict[str, str] = {}
        for name, rows in self.values.items():
            files[name].parent.mkdir(parents=True, exist_ok=True)
            written = write_rows(rows, files[name], name)
            notes += written.notes(name)
            unread |= written.left_out
        return RowFiles(files, tuple(notes), unread)


@dataclass(frozen=True)
class RowFiles:
    """The files in which rows lie; none where the program gave none.

    Attributes:
        files: name of the argument to its file.
        notes: what writing left out or named, in words.
        unread: columns of which values could not be read, with what they are.
    """

    files: Mapping[str, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)

    def settings(self) -> list[Setting]:
        """The settings that name the files."""
        keys = {"data": "path"}
        return [Setting(f"data.{keys.get(name, name)}", str(file), name) for name, file in self.files.items()]

    def named(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a report, in which the path of a file becomes the name of its rows."""
        names = {str(file): name for name, file in self.files.items()}
        return {key: _named(value, names) for key, value in options.items()}


def _named(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _named(item, names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_named(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def _about_rows(error: BertcoreError, unread: Mapping[str, str]) -> BertcoreError:
    found = error.at(error.origin.shown()) if error.origin is not None else error
    if not unread or error.code not in _ABOUT_FIELDS:
        return found
    return found.saying_also(f" ({', '.join(f'{column!r} holds {kind}' for column, kind in unread.items())})")


@contextmanager
def kept_in_run_folder(rows: GivenRows | None, config: RunConfig) -> Iterator[tuple[RunConfig, RowFiles | None]]:
    """Writes rows into the folder of a new run, and removes them again where the run comes to nothing.

    Args:
        rows: given by the program, or None.
        config: of the run.

    Yields:
        The configuration that names the files, and these; None where the program gave no rows.

    Raises:
        OutputError: the folder holds something already.
    """
    if rows is None:
        yield config, None
        return
    if not this_rank().is_first:  # the first rank keeps them
        with in_temporary_folder(rows) as written:
            yield _with_rows(config, written), written
        return
    path = RunFolder.planned(config)
    require_free(path)
    remove_early_data(path)
    try:
        with rows.written_to(path / KEPT_DATA) as written:
            names = ", ".join(written.files)
            kept = f"the rows of {names} are kept in {path / KEPT_DATA}, for --resume and evaluate"
            changed = _with_rows(config, written)
            changed = changed.model_copy(update={"run": changed.run.model_copy(update={"output": str(path)})})
            yield changed, replace(written, notes=(*written.notes, kept))
    except BaseException:
        if path.is_dir() and [item.name for item in path.iterdir()] == [KEPT_DATA]:
            shutil.rmtree(path, ignore_errors=True)
        raise


def _with_rows(config: RunConfig, written: RowFiles) -> RunConfig:
    options = {setting.key.partition(".")[2]: setting.value for setting in written.settings()}
    return config.model_copy(update={"data": config.data.model_copy(update=options)})


@contextmanager
def in_temporary_folder(rows: GivenRows | None) -> Iterator[RowFiles]:
    """Writes rows for as long as a call needs them."""
    if rows is None:
        yield RowFiles()
        return
    with (
        tempfile.TemporaryDirectory(prefix="bertcore-") as folder,
        rows.written_to(Path(folder).resolve() / KEPT_DATA) as written,
    ):
        yield written
