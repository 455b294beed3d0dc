"""Named entities in the user's own files: columns or tables of units and tags, and JSON of spans or tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from bertcore.contracts.dataset import Dataset, Example, Split
from bertcore.contracts.tagging import scheme_tags
from bertcore.data.table_files import TableForm
from bertcore.data.tables import Record
from bertcore.errors import DataError, Origin
from pydantic import Field

from bertcore_tasks.ner.base import NerTask
from bertcore_tasks.ner.columns import Columns, read_columns
from bertcore_tasks.ner.input_columns import input_records
from bertcore_tasks.ner.invisible import notes_on_invisible
from bertcore_tasks.ner.json_files import (
    SUFFIXES,
    JsonForm,
    is_annotated_table,
    read_annotated,
    read_unlabeled,
    split_texts,
)
from bertcore_tasks.ner.options import NerDataConfig
from bertcore_tasks.ner.tagged_file import TaggedFile
from bertcore_tasks.ner.tagged_sentences import tagged_sentences
from bertcore_tasks.ner.tags import found_scheme
from bertcore_tasks.ner.token_tables import TokenColumns, is_token_table, numbers_sentences, read_token_table
from bertcore_tasks.ner.units import UnitKind, sentences_of, unit_of_sentences, unit_of_texts
from bertcore_tasks.own_files import OwnFilesConfig, own_files

SCHEME_OF_SUFFIX = {
    ".bio": "BIO",
    ".iob2": "BIO",
    ".iob1": "IOB1",
    ".bioes": "BIOES",
    ".iobes": "BIOES",
    ".bmes": "BMES",
    ".bilou": "BILOU",
}
COLUMNS = (*SCHEME_OF_SUFFIX, ".iob", ".txt", ".conll", ".tsv", ".csv")


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
    tag_names: str | None = Field(
        None,
        description="names of tags that are numbers in JSON, in their order: between commas, or a file; default: "
        "dataset_info.json or labels.txt beside the data",
    )
    span_end: Literal["behind", "inside"] | None = Field(
        None,
        description="what the end of a span in a list names: the character behind the last, or the last itself; "
        "default: behind, but inside for end_idx",
    )


class OwnNerTask(NerTask[OwnNerConfig]):
    """Named entities whose types are read from the training file."""

    name = "ner"
    description = "your own named entities, from columns (.bio, .bmes, .txt) or JSON of spans or tokens: entity F1"
    own_files: ClassVar[bool] = True

    def open(self, data: OwnNerConfig) -> Dataset:
        """Finds the files and reads the types of the entities; see :meth:`bertcore.contracts.task.Task.open`."""
        files = own_files(data, (*COLUMNS, *SUFFIXES))
        known_from = next(iter(files))
        file = files[known_from][0]
        first = _read(file, data, known_from)
        unit = data.unit or _unit(first)
        splits = {known_from: first.in_units(unit)}

        def read(split: str) -> Split:
            if split not in splits:
                splits[split] = _read(files[split][0], data, split).in_units(unit)
            return splits[split]

        types = _types(first.split)
        if not types and known_from == "train":
            raise DataError(
                f"no entity in {len(first.split)} texts",
                "check the column or the field of the tags: --set data.label=NAME",
                origin=Origin(str(file)),
                code="entities-missing",
            )
        labels = scheme_tags(first.scheme, types)
        return Dataset(files, read, labels, discovered=True, options={"unit": unit})

    def read_input(self, file: Path, data: OwnNerConfig) -> list[Record] | None:
        """Tables with a row for each token, too, and JSON; see :meth:`bertcore.contracts.task.Task.read_input`."""
        if file.suffix.lower() in SUFFIXES:
            return read_unlabeled(file, JsonForm(data.text, encoding=data.encoding))
        named = data.sentence is not None
        if not named and not numbers_sentences(file, data.encoding):
            return super().read_input(file, data)
        return input_records(_read_tokens(file, data, tagged=False).sentences, file)

    def scheme_of(self, labels: tuple[str, ...], examples: Sequence[Example], data: OwnNerConfig) -> str:
        """That of the labels; that of the examples' file where they have no entity, and so no labels, or in IOB1."""
        origin = examples[0].origin
        of_file = _scheme(Path("" if origin is None else origin.file), data, ())
        if len(labels) > 1 and of_file != "IOB1":  # whose labels are those of BIO
            return super().scheme_of(labels, examples, data)
        return of_file

    def prediction_columns(self, data: OwnNerConfig) -> Columns:
        """The column of the text as the options name it, and the last one."""
        return Columns(_column(data.text, 0), -1)


@dataclass(frozen=True)
class _Reading:
    """What was read of a file.

    Attributes:
        split: the sentences with their entities.
        scheme: of the file's tags, or the one that spans are learned in.
        has_units: whether the file says what carries a tag.
    """

    split: Split
    scheme: str
    has_units: bool

    def in_units(self, unit: UnitKind) -> Split:
        """The sentences, split into these units where the file does not split them."""
        return self.split if self.has_units else replace(self.split, held=split_texts(sentences_of(self.split), unit))


def _read(file: Path, data: OwnNerConfig, split: str) -> _Reading:
    labeled = split != "test"
    if file.suffix.lower() in SUFFIXES or is_annotated_table(file, data.encoding):
        end_inside = None if data.span_end is None else data.span_end == "inside"
        form = JsonForm(data.text, data.label, data.tag_names, end_inside, data.encoding)
        read = read_annotated(file, form, labeled=labeled)
        if read.texts:
            found = Split(read.texts, read.notes, read.left_out)
            return _Reading(_with_words_on_invisible(found, file), data.scheme or "BIO", has_units=False)
    elif data.sentence is not None or is_token_table(file, data.encoding):
        read = _read_tokens(file, data, tagged=labeled)
    else:
        columns = Columns(_column(data.text, 0), _column(data.label, -1), data.encoding)
        read = read_columns(file, columns, labeled)
    scheme = _scheme(file, data, [tag for sentence in read.sentences for tag in sentence.tags or ()])
    if scheme not in ("BIO", _said_scheme(file, data)):
        note = f"{file.name}: its tags are read as {scheme}; another scheme: --set data.scheme=NAME"
        read = replace(read, notes=(*read.notes, note))
    found = tagged_sentences(file, read, scheme, types=None, repair=data.repair)
    return _Reading(_with_words_on_invisible(found, file), scheme, has_units=True)


def _with_words_on_invisible(split: Split, file: Path) -> Split:
    return replace(split, notes=(*split.notes, *notes_on_invisible(sentences_of(split), file.name)))


def _read_tokens(file: Path, data: OwnNerConfig, *, tagged: bool) -> TaggedFile:
    columns = TokenColumns(data.sentence, data.text, data.label)
    form = TableForm(separator=data.separator, encoding=data.encoding)
    return read_token_table(file, columns, form, tagged=tagged)


def _unit(reading: _Reading) -> UnitKind:
    if reading.has_units:
        return unit_of_sentences(sentences_of(reading.split))
    return unit_of_texts(sentence.text for sentence in sentences_of(reading.split))


def _scheme(file: Path, data: OwnNerConfig, tags: Sequence[str]) -> str:
    """That of the options, of the suffix, or of the tags themselves."""
    return _said_scheme(file, data) or found_scheme(tags)


def _said_scheme(file: Path, data: OwnNerConfig) -> str | None:
    return data.scheme or SCHEME_OF_SUFFIX.get(file.suffix.lower())


def _column(wanted: str | None, default: int) -> int | str:
    """Number of a column, from 0, or its name."""
    if wanted is None:
        return default
    return int(wanted) - 1 if wanted.isdecimal() and int(wanted) > 0 else wanted


def _types(sentences: Sequence[Example]) -> tuple[str, ...]:
    return tuple(sorted({span.type for sentence in sentences for span in sentence.label or ()}))
