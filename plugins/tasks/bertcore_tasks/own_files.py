"""Where the user's own files are: named one by one, or as ``train``, ``dev`` and ``test`` of one folder."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertcore.config import DataConfig
from bertcore.data.file_kinds import refuse_other_kinds
from bertcore.errors import DataError, Origin, UsageError
from bertcore.near_misses import did_you_mean, nearest_path, other_level
from pydantic import Field

SPLITS = ("train", "dev", "test")
SYNONYMS = {"training": "train", "validation": "dev", "valid": "dev", "val": "dev"}
"""What other programs call the splits, and their files in a folder."""


_HEAD = 1 << 16

_FOREIGN = {
    ".ann": (
        "brat's standoff annotations, which stand beside a text",
        "convert both to columns, with brat's tools/anntoconll.py",
    ),
    ".spacy": (
        "spaCy's binary documents",
        'write JSON lines: {"text": doc.text, "entities": [[e.start_char, e.end_char, e.label_] for e in doc.ents]}',
    ),
    ".xmi": ("UIMA's XMI", "export the documents as CoNLL 2002 or CoNLL 2003"),
    ".arrow": ("a table of the datasets library", "write JSON lines: dataset.to_json(FILE, force_ascii=False)"),
}
"""What other suffixes mean, and what helps."""


class OwnFilesConfig(DataConfig):
    """Data options of a task on the user's own files."""

    train: str | None = Field(None, description="training file")
    dev: str | None = Field(None, description="file to evaluate on")
    test: str | None = Field(None, description="file to predict")
    encoding: str | None = Field(
        None, description="of the files, as gb18030 or cp1252; default: UTF-8, or UTF-16 with a byte-order mark"
    )


def own_files(
    data: OwnFilesConfig,
    suffixes: Sequence[str],
    official: re.Pattern[str] | None = None,
    *,
    any_suffix: bool = False,
) -> dict[str, tuple[Path, ...]]:
    """Finds the file of each split.

    Args:
        data: names files, or a folder that holds ``train``, ``dev`` and ``test`` (or what ``SYNONYMS`` calls them) with
            one of the suffixes, or a single file, which is then the split ``dev``.
        suffixes: what the task can read, as ``.csv``.
        official: further names that the files of a folder may have; its first group is the split.
        any_suffix: whether a file that is named may have any other suffix, since its content tells its form.

    Raises:
        UsageError: nothing is named.
        DataError: a file or folder is missing, of a form that the task does not read, or not the only one of its split.
    """
    names = _Names(tuple(suffixes), official)
    path = None if data.path is None else Path(data.path)
    named = {split: Path(name) for split in SPLITS if (name := getattr(data, split)) is not None}
    files = {} if path is None else _files_at(path, names, besides=named)
    files |= {split: (file,) for split, file in named.items()}
    if not files and path is not None:
        raise _no_file_in(path, names)
    if not files:
        raise UsageError("no data", "give --train FILE and --dev FILE, or --data FOLDER", code="argument-missing")
    for split, (file,) in files.items():
        if not file.is_file():
            remedy = did_you_mean(nearest_path(file), f"check --{split}")
            raise DataError("no such file", remedy, origin=Origin(str(file)), code="file-missing")
        if file.suffix.lower() not in suffixes and not any_suffix:
            raise _not_of_form(file, names)
    return files


@dataclass(frozen=True)
class _Names:
    """What the files of a task are called: suffixes, and further whole names; their first group is the split."""

    suffixes: tuple[str, ...]
    official: re.Pattern[str] | None

    def split_of(self, file: Path) -> str | None:
        """The split that a file of a folder is; None for another file."""
        match = self.official.fullmatch(file.name) if self.official is not None else None
        name = file.stem if match is None else match[1].lower()
        split = SYNONYMS.get(name, name)
        return split if match is not None or (split in SPLITS and file.suffix in self.suffixes) else None

    def in_folder(self, folder: Path) -> dict[str, list[Path]]:
        """All files of each split."""
        found: dict[str, list[Path]] = {}
        for file in sorted(file for file in folder.iterdir() if file.is_file()):
            split = self.split_of(file)
            if split is not None:
                found.setdefault(split, []).append(file)
        return found


def _files_at(path: Path, names: _Names, besides: Container[str]) -> dict[str, tuple[Path, ...]]:
    """The single file, or those of a folder but for the splits that are named ``besides``."""
    if path.is_file():
        return {"dev": (path,)}
    if not path.is_dir():
        remedy = did_you_mean(nearest_path(path), "name single files with --train, --dev and --test")
        raise DataError("no such file or folder", remedy, origin=Origin(str(path)), code="file-missing")
    files: dict[str, tuple[Path, ...]] = {}
    found = names.in_folder(path)
    for split in [split for split in SPLITS if split in found and split not in besides]:
        if len(found[split]) > 1:
            several = " and ".join(file.name for file in found[split])
            remedy = f"choose one with --set data.{split}=FILE"
            raise DataError(f"both {several}", remedy, origin=Origin(str(path)), code="file-ambiguous")
        files[split] = (found[split][0],)
    return files


def _no_file_in(folder: Path, names: _Names) -> DataError:
    """The error about a folder without a file of any split."""
    for file in sorted(folder.iterdir()):
        if SYNONYMS.get(file.stem, file.stem) in SPLITS and file.is_file():
            _refuse_other_kinds(file)
    problem = f"no train, dev or test with a suffix {', '.join(names.suffixes)}"
    meant = other_level(folder, lambda other: bool(names.in_folder(other)))
    remedy = did_you_mean(meant, "name the files with --set data.train=FILE --set data.dev=FILE")
    return DataError(problem, remedy, origin=Origin(str(folder)), code="file-missing")


def _not_of_form(file: Path, names: _Names) -> DataError:
    """The error about a file that the task does not read."""
    _refuse_other_kinds(file)
    problem, remedy = f"not one of {', '.join(names.suffixes)}", "convert the file, or give it the suffix of its form"
    if file.suffix.lower() in _FOREIGN:
        what, remedy = _FOREIGN[file.suffix.lower()]
        problem = f"{what}, and {problem}"
    return DataError(problem, remedy, origin=Origin(str(file)), code="file-kind-wrong")


def _refuse_other_kinds(file: Path) -> None:
    """Names a workbook or an archive for what it is, before something is said of its suffix."""
    with file.open("rb") as stream:
        refuse_other_kinds(stream.read(_HEAD), str(file))
