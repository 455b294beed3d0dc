"""The run folder: what lies where, and when it may be made."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from bertcore.config import FILE_OPTIONS, RunConfig, Setting, config_toml, gather_settings
from bertcore.engine.checkpoint import ADAPTER, NEWEST, kept_checkpoints
from bertcore.engine.run_lock import LOCK_FILE, is_held, run_lock
from bertcore.errors import Origin, OutputError, UsageError
from bertcore.files.durable import make_folders
from bertcore.files.manifest import verified_facts
from bertcore.files.writing import LEFT_OVER_AFTER, atomic_write, leftovers, remove_leftovers, restore_displaced
from bertcore.near_misses import did_you_mean, nearest_path, other_level

EVALUATIONS = "evaluations"
"""Folder of the evaluations of a run."""

KEPT_DATA = "data"
"""Folder of the data that a run keeps itself: rows that a program gave, and which examples a division chose."""


@dataclass(frozen=True)
class RunFolder:
    """Paths in a run folder."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration, as ``-c`` reads it."""
        return self.path / "config.toml"

    @property
    def best(self) -> Path:
        """Hugging Face folder of the best checkpoint."""
        return self.path / "best"

    @property
    def adapter(self) -> Path:
        """The adapter of the best checkpoint in peft's layout, of a run with LoRA."""
        return self.path / ADAPTER

    def found_best(self) -> Path:
        """:attr:`best`, put back where a process was killed while it gave way to a new one."""
        if not self.best.exists() and not is_held(self.path):
            restore_displaced(self.best)
        return self.best

    @property
    def checkpoint(self) -> Path:
        """The last complete checkpoint, see :func:`bertcore.engine.checkpoint.kept_checkpoints` for those before."""
        return self.path / NEWEST

    @property
    def predictions(self) -> Path:
        """Predictions of the best checkpoint."""
        return self.path / "predictions.jsonl"

    @staticmethod
    def planned(config: RunConfig) -> Path:
        """Where the folder of a new run shall lie."""
        name = f"{config.task}-{config.backend}-{datetime.now():%Y%m%d-%H%M%S}"
        return Path(config.run.output or f"runs/{name}")

    @classmethod
    def create(cls, config: RunConfig, suffix: str = "", prepared: bool = False) -> RunFolder:
        """Makes a new folder.

        Args:
            config: of the run.
            suffix: of a run among others, below their folder.
            prepared: whether the run has put its data there already.

        Raises:
            OutputError: the folder holds something already, or cannot be made.
        """
        path = cls.planned(config) / suffix
        if not prepared:
            require_free(path)
            remove_early_data(path)
        try:
            make_folders(path)
        except OSError as error:
            raise OutputError(
                f"{error.strerror}", "give another --output", origin=Origin(str(path)), code="output-unwritable"
            ) from None
        return cls(path)

    @classmethod
    @contextmanager
    def begin(
        cls, config: RunConfig, suffix: str = "", prepared: bool = False
    ) -> Iterator[tuple[RunFolder, list[str]]]:
        """Makes a new folder and holds its lock; arguments as in :meth:`create`.

        Yields:
            The folder, and what the user should read.

        Raises:
            OutputError: the folder holds something already, cannot be made, or another process was quicker.
        """
        folder = cls.create(config, suffix, prepared)
        with run_lock(folder.path) as notes:
            # Again, now that nobody else can write: another process may have been quicker between the two lines above.
            if not prepared:
                require_free(folder.path)
            remove_leftovers(folder.path)
            yield folder, notes

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Opens the folder of a run.

        Raises:
            UsageError: there is none.
        """
        folder = cls(path)
        if not folder.config.is_file():
            raise no_run_folder(path, "no run folder")
        return folder

    @contextmanager
    def go_on(self) -> Iterator[list[str]]:
        """Holds the lock of a folder that is there, and removes what a killed process left in it.

        Yields:
            What the user should read.

        Raises:
            OutputError: another process works on it, or it cannot be written to.
        """
        with run_lock(self.path) as notes:
            if not kept_checkpoints(self.path):
                restore_displaced(self.checkpoint)
            restore_displaced(self.best)
            for place in (self.path, self.path / KEPT_DATA):
                remove_leftovers(place)
            # Whoever evaluates holds no lock, and may be writing there.
            remove_leftovers(self.path / EVALUATIONS, older_than=LEFT_OVER_AFTER)
            yield notes

    def settings(self) -> list[Setting]:
        """The settings of the run; the data that it keeps itself is found where the folder was moved or copied."""
        return [self._found_again(setting) for setting in gather_settings(file=self.config, environment={})]

    def _found_again(self, setting: Setting) -> Setting:
        section, _, option = setting.key.partition(".")
        if section == "data" and option in (*FILE_OPTIONS, "division") and not Path(str(setting.value)).exists():
            for home in (self.path, self.path.parent):  # a run among others has the data of all
                kept = home / KEPT_DATA / Path(str(setting.value)).name
                if kept.is_file():
                    return replace(setting, value=str(kept.resolve()))
        return setting

    @property
    def has_just_begun(self) -> bool:
        """Whether the run was killed before its first checkpoint, so that it can only begin again."""
        if not self.config.is_file() or kept_checkpoints(self.path) or (self.path / "report.json").exists():
            return False
        return not self.best.exists() or bool(verified_facts(self.best).get("precedes_checkpoints"))

    def write_config(self, config: RunConfig) -> None:
        """Writes the resolved configuration."""
        with atomic_write(self.config) as file:
            file.write(config_toml(config).encode())

    def discard_if_useless(self) -> None:
        """Removes the folder of a run that failed before anything could be gone on from."""
        if not (kept_checkpoints(self.path) or self.best.exists()):
            shutil.rmtree(self.path, ignore_errors=True)


def remove_early_data(path: Path) -> None:
    """Removes the data of a run that was killed before it wrote its configuration."""
    if _was_killed_early(path):
        shutil.rmtree(path / KEPT_DATA, ignore_errors=True)


def require_free(path: Path) -> None:
    """Checks that a run folder can be made, before anything expensive is done.

    Raises:
        OutputError: the folder holds something already.
    """
    if path.exists() and (not path.is_dir() or _content(path)):
        resumable = path.is_dir() and (bool(kept_checkpoints(path)) or RunFolder(path).has_just_begun)
        raise OutputError(
            "it holds something already",
            f"give another --output{', or go on with an unfinished run by --resume' if resumable else ''}",
            origin=Origin(str(path)),
            code="output-exists",
        )


def no_run_folder(path: Path, problem: str) -> UsageError:
    """The error about a path that is not what it should be, with the run folder that was probably meant."""
    meant = other_level(path, _is_run) if path.is_dir() else nearest_path(path)
    reason = "has no config.toml" if path.exists() else "does not exist"
    remedy = did_you_mean(meant, "give the --output of an earlier run")
    return UsageError(f"{problem}, it {reason}", remedy, origin=Origin(str(path)), code="run-missing")


def _is_run(path: Path) -> bool:
    return (path / "config.toml").is_file()


def _content(path: Path) -> list[Path]:
    """What a folder holds, beside what a process left that was killed before it wrote its configuration."""
    ignored = {path / LOCK_FILE, *leftovers(path)}
    if _was_killed_early(path):
        ignored.add(path / KEPT_DATA)
    return [entry for entry in path.iterdir() if entry not in ignored]


def _was_killed_early(path: Path) -> bool:
    return (path / LOCK_FILE).exists() and not (path / "config.toml").exists() and not is_held(path)
