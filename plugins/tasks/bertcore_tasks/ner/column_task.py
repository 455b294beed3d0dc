"""Tasks whose official files have a unit and its tag a line."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bertcore.contracts.dataset import Dataset, Split
from bertcore.contracts.tagging import scheme_tags, split_tag
from bertcore.data.tables import read_lines
from bertcore.errors import DataError, Origin
from bertcore.near_misses import did_you_mean, nearest_path

from bertcore_tasks.ner.base import NerTask
from bertcore_tasks.ner.columns import Columns, read_columns
from bertcore_tasks.ner.options import NerDataConfig, Scheme
from bertcore_tasks.ner.tagged_sentences import tagged_sentences
from bertcore_tasks.ner.tags import Clean, TaggedLines, found_scheme


@dataclass(frozen=True)
class Layout:
    """Names of a data set's files, as one source publishes them.

    Attributes:
        scheme: of the tags; None where the files of this name have several.
        pattern: name of a file, in which ``{split}`` stands for the split, as ``example.{split}``.
        train: what stands for the split ``train`` there.
    """

    scheme: Scheme | None
    pattern: str
    train: str = "train"

    @property
    def files(self) -> dict[str, str]:
        """Name of the file of each split."""
        stems = {"train": self.train, "dev": "dev", "test": "test"}
        return {split: self.pattern.format(split=stem) for split, stem in stems.items()}


@dataclass
class ColumnNerTask(NerTask[NerDataConfig]):
    """Named entities from column files of known names.

    Attributes:
        name: as in ``--task msra``.
        description: one line.
        types: of the entities, in the order of the tags' ids.
        layouts: known layouts; that of which a folder has most files is read.
        clean: turns the units of a file into those of the text.
        dev_is_test: whether a data set without dev split is evaluated on its test split.
        other_names: what files of other sources call a type, to its name here.
    """

    name: str
    description: str
    types: tuple[str, ...]
    layouts: tuple[Layout, ...]
    clean: Clean | None = None
    dev_is_test: bool = False
    other_names: Mapping[str, str] = field(default_factory=dict)

    def open(self, data: NerDataConfig) -> Dataset:
        """Finds the files of one of the layouts; see :meth:`bertcore.contracts.task.Task.open`."""
        known, files = self._find(Path(data.path or "."))
        notes: tuple[str, ...] = ()
        if self.dev_is_test and "dev" not in files and "test" in files:
            files["dev"] = files["test"]
            notes = (
                f"{self.name} has no dev split: the test split stands for it, so the best checkpoint is chosen on it",
            )
        scheme = data.scheme or known.scheme or _scheme_of_first_lines(next(iter(files.values()))[0])
        splits: dict[str, Split] = {}

        def read(split: str) -> Split:
            if split not in splits:
                splits[split] = self._read(files[split][0], scheme, data.repair, tagged=split != "test")
            return splits[split]

        return Dataset(files, read, scheme_tags(scheme, self.types), notes=notes)

    def _read(self, file: Path, scheme: str, repair: bool, *, tagged: bool) -> Split:
        read = read_columns(file, Columns(), tagged)
        read = replace(read, sentences=[_renamed(sentence, self.other_names) for sentence in read.sentences])
        return tagged_sentences(file, read, scheme, types=self.types, repair=repair, clean=self.clean)

    def _find(self, path: Path) -> tuple[Layout, dict[str, tuple[Path, ...]]]:
        if path.is_file():  # any file can be scored
            same_name = (known for known in self.layouts if path.name in known.files.values())
            return next(same_name, self.layouts[0]), {self.evaluation_split: (path,)}
        names = " or ".join(next(iter(known.files.values())) for known in self.layouts)
        if not path.is_dir():
            remedy = f"give the folder of {self.name}'s official files with --data"
            remedy = did_you_mean(nearest_path(path), remedy)
            raise DataError("no such folder", remedy, origin=Origin(str(path)), code="file-missing")
        found: list[tuple[Layout, dict[str, tuple[Path, ...]]]] = [
            (known, {split: (path / name,) for split, name in known.files.items() if (path / name).is_file()})
            for known in self.layouts
        ]
        # Two layouts may share the name of one file: the one that finds more is meant, of equals the first.
        best = max(found, key=lambda pair: len(pair[1]))
        if best[1]:
            return best
        raise DataError(
            f"no {names}",
            f"give the folder of {self.name}'s official files with --data, or files of other names with --task ner "
            "--train FILE --dev FILE",
            origin=Origin(str(path)),
            code="file-missing",
        )


def _scheme_of_first_lines(file: Path, lines: int = 20_000) -> str:
    tags = (line.split()[-1] for _, line in itertools.islice(read_lines(file), lines) if line.strip())
    return found_scheme(tags)


def _renamed(sentence: TaggedLines, names: Mapping[str, str]) -> TaggedLines:
    if sentence.tags is None or not names:
        return sentence
    pairs = map(split_tag, sentence.tags)
    return replace(
        sentence, tags=[f"{position}-{names.get(kind, kind)}" if kind else position for position, kind in pairs]
    )
