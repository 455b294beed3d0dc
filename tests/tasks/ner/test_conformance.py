"""The tasks of named entities against the conformance suite, on real files and on small ones of the same layout."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from bertcore.testing import TaskConformance, never
from bertcore.testing.task_suite import Bench

from .conftest import write_layout

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def needs(name: str) -> pytest.MarkDecorator:
    reason = f"needs the folder ../shared/data/{name} beside the repository's root"
    return pytest.mark.skipif(not (DATA / name).is_dir(), reason=reason)


@needs("people_daily_ner")
class TestPeopleDaily(TaskConformance):
    plugin = "bertcore_tasks.plugins:people_daily"
    data = DATA / "people_daily_ner"


@needs("cluener")
class TestCluener(TaskConformance):
    plugin = "bertcore_tasks.plugins:cluener"
    data = DATA / "cluener"


class SmallFiles(TaskConformance):
    """Writes the data before the suite opens it."""

    layout: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls, tmp_path_factory: pytest.TempPathFactory) -> Bench:
        folder = cls.write(tmp_path_factory.mktemp(cls.layout) / "data")
        options, tokenizer = cls.data_options, tmp_path_factory.mktemp("tokenizer")
        return Bench(cls.plugin, cls.task, folder, options, cls.examples, tokenizer, cls.head_options)

    @classmethod
    def write(cls, folder: Path) -> Path:
        return write_layout(folder, cls.layout)


class TestChineseNer(SmallFiles):
    plugin = "bertcore_tasks.plugins:chinese_ner"
    layout = "chinese_ner"


class TestMsra(SmallFiles):
    plugin = "bertcore_tasks.plugins:msra"
    layout = "msra"


class TestResume(SmallFiles):
    plugin = "bertcore_tasks.plugins:resume"
    layout = "resume"


class TestWeibo(SmallFiles):
    plugin = "bertcore_tasks.plugins:weibo"
    layout = "weibo"


class TestOwnColumns(SmallFiles):
    plugin = "bertcore_tasks.plugins:ner"
    layout = "own-columns"

    @classmethod
    def write(cls, folder: Path) -> Path:
        folder.mkdir()
        words = "EU B-ORG\nrejects O\nGerman B-MISC\ncall O\n. O\n\nPeter B-PER\nBlackburn I-PER\n\nBRUSSELS B-LOC\n"
        for split in ("train", "dev", "test"):
            (folder / f"{split}.conll").write_text(f"-DOCSTART- -X-\n\n{words}", encoding="utf-8")
        return folder


class TestOwnSpans(SmallFiles):
    plugin = "bertcore_tasks.plugins:ner"
    layout = "own-spans"

    @classmethod
    def write(cls, folder: Path) -> Path:
        folder.mkdir()
        entities = '[{"start": 0, "end": 3, "type": "NAME"}, {"start": 4, "end": 6, "type": "GPE"}]'
        lines = f'{{"text": "彭小军在台湾，1999 ok", "entities": {entities}}}\n{{"text": "无", "label": {{}}}}\n'
        for split in ("train", "dev", "test"):
            (folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")
        return folder


class TestCmeee(SmallFiles):
    plugin = "bertcore_tasks.plugins:cmeee"
    layout = "cmeee"
    gaps: ClassVar = {"test_right_predictions_give_the_best_score": never("tags hold no entity within another one")}


class TestNestedSpans(SmallFiles):
    plugin = "bertcore_tasks.plugins:cmeee"
    layout = "cmeee"
    head_options: ClassVar = {"kind": "global_pointer"}


@needs("cluener")
class TestCluenerSpans(TaskConformance):
    plugin = "bertcore_tasks.plugins:cluener"
    data = DATA / "cluener"
    examples = 40
    head_options: ClassVar = {"kind": "efficient_global_pointer"}
