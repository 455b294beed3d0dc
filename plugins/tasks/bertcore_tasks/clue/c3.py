"""C3 of CLUE: questions about Chinese dialogues and texts, with two to four choices."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from bertcore.config import DataConfig
from bertcore.contracts.benchmark import Benchmark
from bertcore.contracts.dataset import Dataset, Example, Split
from bertcore.data.bad_examples import one_example
from bertcore.data.tables import read_content
from bertcore.errors import DataError, Origin
from bertcore.files.writing import json_text
from bertcore.near_misses import did_you_mean, nearest_path, other_level

from bertcore_tasks.benchmarks import CLUE
from bertcore_tasks.choices.base import ChoiceTask
from bertcore_tasks.choices.gold import right_choice, text_way
from bertcore_tasks.choices.questions import question_example
from bertcore_tasks.fields import identifier_of, json_identifier
from bertcore_tasks.qa.forms import read_json

FORM = 'a file is [[["line", ...], [{"question": "...", "choice": ["...", "..."], "answer": "..."}], "id"], ...]'
PARTS: Mapping[str, Sequence[Sequence[str]]] = {
    "train": (("d-train.json", "c3-d-train.json"), ("m-train.json", "c3-m-train.json")),
    "dev": (("d-dev.json", "c3-d-dev.json"), ("m-dev.json", "c3-m-dev.json")),
    "test": (("test1.1.json", "test.json", "c3-d-test.json"), ("c3-m-test.json",)),
    "test1.0": (("test1.0.json",),),
}
"""Split to its files: dialogues and mixed texts, each with the names that it has in CLUE and in dataset-c3/c3."""

_LISTS = re.compile(rb"\s*\[\s*\[")


class C3Task(ChoiceTask[DataConfig]):
    """C3 (Sun et al. 2020, arXiv 1904.09679) in the files of CLUE 1.0 and 1.1, or those of its authors."""

    name = "c3"
    description = "CLUE C3: multiple choice about Chinese dialogues and texts, accuracy"
    leaderboard: Mapping[str, str] | None = {"test": "c311_predict.json", "test1.0": "c310_predict.json"}
    optional_submissions: ClassVar[frozenset[str]] = frozenset({"test1.0"})
    benchmark: ClassVar[Benchmark | None] = CLUE

    def open(self, data: DataConfig) -> Dataset:
        """Finds the files of a folder, or takes a single one; see :meth:`bertcore.contracts.task.Task.open`."""
        files = _find_files(Path(data.path or "."), self.evaluation_split)
        return Dataset(files, lambda split: _read_split(split, files[split]))

    def read_input(self, file: Path, data: DataConfig) -> list[tuple[Mapping[str, Any], Origin]] | None:
        """The questions of a file in C3's form; see :meth:`bertcore.contracts.task.Task.read_input`."""
        if not _LISTS.match(read_content(file, None)):
            return None
        return [
            ({**asked, "context": context}, origin)
            for index, document in enumerate(read_json(file, FORM))
            for asked, context, origin in _questions(document, Origin(str(file)).within(f"[{index}]"))
        ]

    def submission(self, split: str, predictions: Sequence[Mapping[str, Any]]) -> str:
        """One object ``{"id": 0, "label": 2}`` a line, in the order of the test file; choices are counted from 0."""
        rows = ({"id": json_identifier(entry["id"]), "label": entry["prediction"]} for entry in predictions)
        return "".join(json_text(row) + "\n" for row in rows)


def _find_files(path: Path, evaluation_split: str) -> dict[str, tuple[Path, ...]]:
    """The files of each split.

    Raises:
        DataError: there are none.
    """
    remedy = "give the folder of c3's JSON files with --data"
    if path.is_file():
        named = next((split for split in PARTS if any(path.name in names for names in PARTS[split])), evaluation_split)
        return {named: (path,)}
    if not path.is_dir():
        remedy = did_you_mean(nearest_path(path), remedy)
        raise DataError("no such folder", remedy, origin=Origin(str(path)), code="file-missing")
    found = {split: _in_folder(path, split) for split in PARTS}
    files = {split: several for split, several in found.items() if several}
    if not files:
        meant = other_level(path, lambda folder: any(_in_folder(folder, split) for split in PARTS), "c3")
        problem = "no d-train.json, m-train.json, d-dev.json, m-dev.json or test1.1.json"
        raise DataError(problem, did_you_mean(meant, remedy), origin=Origin(str(path)), code="file-missing")
    return files


def _in_folder(folder: Path, split: str) -> tuple[Path, ...]:
    parts = ([folder / name for name in names if (folder / name).is_file()] for names in PARTS[split])
    return tuple(several[0] for several in parts if several)


def _read_split(split: str, files: Sequence[Path]) -> Split:
    """Reads the questions of all files; those of the leaderboard have no answers.

    Raises:
        DataError: a file is no JSON of this form, or a question is wrong.
    """
    examples: list[Example] = []
    for file in files:
        documents = read_json(file, FORM)
        if not isinstance(documents, list) or not documents:
            raise DataError("no list of texts", FORM, origin=Origin(str(file)), code="json-form-unknown")
        for index, document in enumerate(documents):
            with one_example:
                for asked, context, origin in _questions(document, Origin(str(file)).within(f"[{index}]")):
                    with one_example:
                        examples.append(
                            _example(asked, context, len(examples), origin, may_lack=split.startswith("test"))
                        )
    return Split(examples)


def _questions(document: Any, origin: Origin) -> Iterator[tuple[Mapping[str, Any], str, Origin]]:
    """Each question about a text, with the text and where it stands."""
    match document:
        case [[*lines], [*questions], *_] if all(isinstance(line, str) for line in lines):
            for number, asked in enumerate(questions):
                if not isinstance(asked, dict):
                    raise DataError(
                        "no question", FORM, origin=origin.within(f"[1][{number}]"), code="json-form-unknown"
                    )
                yield asked, "\n".join(lines), origin.within(f"[1][{number}]")
        case _:
            raise DataError("no text with its questions", FORM, origin=origin, code="json-form-unknown")


def _example(asked: Mapping[str, Any], context: str, number: int, origin: Origin, *, may_lack: bool) -> Example:
    question, choices = asked.get("question"), asked.get("choice")
    if not isinstance(question, str) or not isinstance(choices, list) or not all(isinstance(c, str) for c in choices):
        name = "choice" if isinstance(question, str) else "question"
        raise DataError(f"the field {name!r} is missing or wrong", FORM, origin=origin, code="field-wrong")
    example = question_example(
        identifier_of(asked if may_lack else {}, "id", number), context, question, choices, origin
    )
    answer = asked.get("answer")
    if answer in (None, "") and may_lack:
        return example
    return replace(example, label=str(right_choice(answer, choices, origin, text_way, "answer")))
