"""The task OCNLI, whose training file comes in several sizes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bertcore.config import DataConfig
from bertcore.errors import DataError, Origin
from pydantic import Field

from bertcore_tasks.clue.base import ClueTask


class OcnliConfig(DataConfig):
    """Data options of OCNLI."""

    training_file: str | None = Field(
        None,
        description="name of the training file in the folder, as train.3k.json; default: the largest that is there",
    )


class OcnliTask(ClueTask[OcnliConfig]):
    """Inference between two Chinese sentences."""

    def find_files(self, path: Path, data: OcnliConfig) -> dict[str, tuple[Path, ...]]:
        """As every task of CLUE, but with the training file that the options name.

        Raises:
            DataError: there are no files, or no training file of the name.
        """
        files = super().find_files(path, data)
        if path.is_dir() and data.training_file is not None:
            files["train"] = (path / data.training_file,)
            if not files["train"][0].is_file():
                origin = Origin(str(files["train"][0]))
                raise DataError("no such file", "check data.training_file", origin=origin, code="file-missing")
        return files

    def notes_on_files(self, path: Path, files: Mapping[str, tuple[Path, ...]]) -> tuple[str, ...]:
        """Which training files are not read."""
        read = files["train"][0].name if "train" in files else ""
        others = [name for name in self.file_names["train"] if name != read and (path / name).is_file()]
        if not others:
            return ()
        listed = ", ".join(others)
        return (f"the training file is {read}; not read: {listed} (--set data.training_file=NAME chooses)",)
