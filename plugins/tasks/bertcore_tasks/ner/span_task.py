"""CLUENER: JSON lines with spans of characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from bertcore.contracts.benchmark import Benchmark
from bertcore.contracts.dataset import Dataset, Split
from bertcore.contracts.tagging import scheme_tags
from bertcore.files.writing import json_text

from bertcore_tasks.benchmarks import CLUE
from bertcore_tasks.fields import json_identifier
from bertcore_tasks.ner.base import NerTask
from bertcore_tasks.ner.options import NerDataConfig
from bertcore_tasks.ner.span_files import read_span_file, surfaces
from bertcore_tasks.official_files import find_official_files

FILE_NAMES = {split: (f"{split}.json",) for split in ("train", "dev", "test")}


@dataclass
class SpanNerTask(NerTask[NerDataConfig]):
    """Named entities from ``train.json``, ``dev.json`` and ``test.json`` in CLUENER's form.

    Attributes:
        name: as in ``--task cluener``.
        description: one line.
        types: of the entities, in the order of the tags' ids.
        leaderboard: split to the name of the file that cluebenchmarks.com takes.
    """

    scores_names: ClassVar[bool] = True
    benchmark: ClassVar[Benchmark | None] = CLUE

    name: str
    description: str
    types: tuple[str, ...]
    leaderboard: Mapping[str, str]

    def open(self, data: NerDataConfig) -> Dataset:
        """Finds the three files; see :meth:`bertcore.contracts.task.Task.open`."""
        path = Path(data.path or ".")
        if path.is_file():  # any file can be scored
            files: dict[str, tuple[Path, ...]] = {self.evaluation_split: (path,)}
        else:
            files = find_official_files(path, FILE_NAMES, self.evaluation_split, self.name, "JSON files")

        def read(split: str) -> Split:
            (file,) = files[split]
            return Split(read_span_file(file, data.unit or "character", labeled=split != "test", types=self.types))

        return Dataset(files, read, scheme_tags(data.scheme or "BIO", self.types))

    def submission(self, split: str, predictions: Sequence[Mapping[str, Any]]) -> str:
        """JSON lines ``{"id": 0, "label": {type: {surface: [[first, last]]}}}``, as CLUE wants them."""
        lines = [
            json_text({"id": json_identifier(prediction["id"]), "label": surfaces(prediction["entities"])})
            for prediction in predictions
        ]
        return "".join(f"{line}\n" for line in lines)
