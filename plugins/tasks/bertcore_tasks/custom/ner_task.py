"""Named entities in the user's own files: columns of units and tags, or JSON lines of spans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from bertcore.config import DataConfig
from bertcore.data.table_files import TableForm
from bertcore.data.tables import Record
from bertcore.errors import DataError
from bertcore.tagging import scheme_tags
from bertcore.task import Dataset, Example
from pydantic import Field

from bertcore_tasks.ner.base import NerDataConfig, NerTask
from bertcore_tasks.ner.column_task import read_column_split, tagged_sentences
from bertcore_tasks.ner.columns import Columns, TaggedLines
from bertcore_tasks.ner.input_columns import input_records
from bertcore_tasks.ner.spans import read_span_file
from bertcore_tasks.ner.token_tables import TokenColumns, is_token_table, numbers_sentences, read_token_table
from bertcore_tasks.ner.units import Sentence, UnitKind, split_units, unit_of_sentences, unit_of_texts
from bertcore_tasks.own_files import OwnFilesConfig, own_files

SCHEME_OF_SUFFIX = {".bio": "BIO", ".bioes": "BIOES", ".bmes": "BMES"}
COLUMNS = (*SCHEME_OF_SUFFIX, ".txt", ".conll", ".tsv", ".csv")
JSON_LINES = (".jsonl", ".json")


class OwnNerConfig(OwnFilesConfig, NerDataConfig):
    """Data options of the task ``ner``."""

    repair: bool = Field(False, description="read tags that break the scheme as conlleval does, and count them")
    unit: UnitKind | None = Field(
        None,
        description="what carries a tag where a text comes without units: character or word; default: as in the "
        "training file's columns, else by the script of its texts",
    )
    text: str | None = Field(
        None, description="column of the character or word, by number from 1 or by name; in JSON lines the text's field"
    )
    label: str | None = Field(
        None, description="column of the tag, by number from 1 or by name, default: the last; in JSON lines its field"
    )
    sentence: str | None = Field(
        None, description="column that numbers the sentences of a table with a row for each token, by name or number"
    )
    separator: str | None = Field(None, description="what stands between two columns of such a table; default: found")


class OwnNerTask(NerTask):
    """Named entities whose types are read from the training file."""

    name = "ner"
    description = "your own named entities, from columns (.bio, .bmes, .txt) or JSON lines of spans: entity F1"
    data_config: ClassVar[type[DataConfig]] = OwnNerConfig
    own_files: ClassVar[bool] = True

    def open(self, data: DataConfig) -> Dataset:
        """Finds the files and reads the types of the entities; see :meth:`bertcore.task.Task.open`."""
        assert isinstance(data, OwnNerConfig)
        files = own_files(data, (*COLUMNS, *JSON_LINES))
        known_from = next(iter(files))
        file = files[known_from][0]
        notes: list[str] = []
        sentences = _read(file, data, known_from, notes)
        settled = data.model_copy(update={"unit": data.unit or _unit(file, sentences)})
        splits = {known_from: _split_anew(sentences, settled) if _has_spans(file) else sentences}

        def read(split: str) -> list[Sentence]:
            if split not in splits:
                splits[split] = _read(files[split][0], settled, split, notes)
            return splits[split]

        types = _types(read(known_from))
        if not types and known_from == "train":
            raise DataError(
                f"{file}: no entity in {len(sentences)} texts",
                "check the column or the field of the tags: --set data.label=NAME",
            )
        labels = scheme_tags(_scheme(file, data), types)
        return Dataset(files, read, labels, discovered=True, notes=notes, options={"unit": settled.unit})

    def read_input(self, file: Path, data: DataConfig) -> list[Record] | None:
        """Tables with a row for each token, too; see :meth:`bertcore.task.Task.read_input`."""
        assert isinstance(data, OwnNerConfig)
        named = data.sentence is not None and file.suffix.lower() not in JSON_LINES
        if not named and not numbers_sentences(file, data.encoding):
            return super().read_input(file, data)
        return input_records(_read_tokens(file, data, tagged=False, notes=[]), file)

    def scheme_of(self, labels: tuple[str, ...], examples: Sequence[Example], data: NerDataConfig) -> str:
        """That of the labels; where the examples have no entity, so that there are none, that of their file."""
        assert isinstance(data, OwnNerConfig)
        if len(labels) > 1:
            return super().scheme_of(labels, examples, data)
        return _scheme(Path(examples[0].origin.rpartition(":")[0]), data)

    def prediction_columns(self, data: NerDataConfig) -> Columns:
        """The column of the text as the options name it, and the last one."""
        assert isinstance(data, OwnNerConfig)
        return Columns(_column(data.text, 0), -1)


def _read(file: Path, data: OwnNerConfig, split: str, notes: list[str]) -> list[Sentence]:
    labeled = split != "test"
    if _has_spans(file):
        unit = data.unit or "character"
        return read_span_file(file, unit, text_field=data.text or "text", label_field=data.label, labeled=labeled)
    if data.sentence is not None or is_token_table(file, data.encoding):
        read = _read_tokens(file, data, tagged=labeled, notes=notes)
        return tagged_sentences(file, read, _scheme(file, data), types=None, repair=data.repair, notes=notes)
    columns = Columns(_column(data.text, 0), _column(data.label, -1), data.encoding)
    return read_column_split(
        file,
        _scheme(file, data),
        types=None,
        repair=data.repair,
        tagged=labeled,
        notes=notes,
        columns=columns,
    )


def _read_tokens(file: Path, data: OwnNerConfig, *, tagged: bool, notes: list[str]) -> list[TaggedLines]:
    columns = TokenColumns(data.sentence, data.text, data.label)
    form = TableForm(separator=data.separator, encoding=data.encoding)
    return read_token_table(file, columns, form, tagged=tagged, notes=notes)


def _has_spans(file: Path) -> bool:
    return file.suffix.lower() in JSON_LINES


def _unit(file: Path, sentences: Sequence[Sentence]) -> UnitKind:
    if _has_spans(file):
        return unit_of_texts(sentence.text for sentence in sentences)
    return unit_of_sentences(sentences)


def _split_anew(sentences: Sequence[Sentence], data: OwnNerConfig) -> list[Sentence]:
    assert data.unit is not None
    return [replace(sentence, units=split_units(sentence.text, data.unit)) for sentence in sentences]


def _scheme(file: Path, data: OwnNerConfig) -> str:
    return data.scheme or SCHEME_OF_SUFFIX.get(file.suffix.lower(), "BIO")


def _column(wanted: str | None, default: int) -> int | str:
    """Number of a column, from 0, or its name."""
    if wanted is None:
        return default
    return int(wanted) - 1 if wanted.isdecimal() and int(wanted) > 0 else wanted


def _types(sentences: Sequence[Sentence]) -> tuple[str, ...]:
    return tuple(sorted({span.type for sentence in sentences for span in sentence.label or ()}))
