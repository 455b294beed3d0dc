"""Tables with a row for each token, in which a column numbers the sentences, as Kaggle's ``ner_dataset.csv``.

The number may stand in every row of a sentence, or in its first row alone. Where there is no such column, an empty
line or row stands between two sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertcore.data.bad_examples import one_example
from bertcore.data.encodings import utf8_content
from bertcore.data.table_files import Table, TableForm, read_table
from bertcore.data.tables import Record
from bertcore.errors import DataError, Origin

from bertcore_tasks.ner.tagged_file import TaggedFile
from bertcore_tasks.ner.tags import LONGEST_UNIT, TaggedLines

SENTENCES = ("sentence #", "sentence_id", "sentence id", "sentence_idx", "sent_id", "sentence_number", "sentence")
WORDS = ("word", "words", "token", "tokens", "char", "character", "text")
TAGS = ("tag", "tags", "label", "labels", "ner", "ner_tag", "ner_tags", "bio")
"""What the columns may be called, in small letters."""

_HEAD = 1 << 16


@dataclass(frozen=True)
class TokenColumns:
    """Which columns hold what, by name or by number from 1; None: the one with a name that is known."""

    sentence: str | None = None
    text: str | None = None
    label: str | None = None


def is_token_table(file: Path, encoding: str | None = None) -> bool:
    """Whether a file is such a table and not one of columns without names: a ``.csv``, or by its header."""
    return file.suffix.lower() == ".csv" or numbers_sentences(file, encoding)


def numbers_sentences(file: Path, encoding: str | None = None) -> bool:
    """Whether the header of a file names a column of sentences and one of words."""
    try:
        with file.open("rb") as stream:
            head = utf8_content(stream.read(_HEAD) if encoding is None else file.read_bytes(), str(file), encoding)
    except (OSError, DataError):
        return False  # whoever reads the file says what is wrong with it
    fields = {field.strip().strip('"').lower() for field in _split(head.partition(b"\n")[0].decode(errors="replace"))}
    return not fields.isdisjoint(SENTENCES) and not fields.isdisjoint(WORDS)


def _split(line: str) -> list[str]:
    return next((line.split(separator) for separator in "\t,;" if separator in line), [line])


def read_token_table(file: Path, columns: TokenColumns, form: TableForm, *, tagged: bool) -> TaggedFile:
    """Reads the sentences of a table of tokens.

    Args:
        file: the table.
        columns: which column holds what.
        form: how it is written.
        tagged: whether each token must have a tag; where not, the column of the tags may be absent or empty.

    Raises:
        DataError: a column is missing, nothing parts the sentences, or a token is empty or has no tag (with the line).
    """
    table = read_table(file, form)
    text = _column(table, columns.text, WORDS, "word", "data.text")
    tag = _column(table, columns.label, TAGS, "tag", "data.label", required=tagged)
    number = _column(table, columns.sentence, SENTENCES, "number of the sentence", "data.sentence", required=False)
    assert text is not None
    groups = [*_sentences(table.records, text, number)]
    if number is None and len(groups) == 1 and len(groups[0]) > LONGEST_UNIT:
        raise DataError(
            "no column numbers the sentences, and no empty line parts them",
            "name the column: --set data.sentence=NAME",
            origin=Origin(str(file)),
            code="column-missing",
        )
    sentences = []
    for group in groups:
        with one_example:
            sentences.append(_tagged_lines(group, text, tag, tagged))
    if not sentences:
        remedy = "give it a row for each token"
        raise DataError("no sentence", remedy, origin=Origin(str(file)), code="examples-missing")
    return TaggedFile(sentences, notes=table.notes)


def _column(
    table: Table, wanted: str | None, names: Sequence[str], what: str, key: str, *, required: bool = True
) -> str | None:
    if wanted is not None:
        column = table.column(wanted)
        if column is None and (required or key == "data.sentence"):
            raise _missing(table, f"no column {wanted!r}", key)
        return column
    known = {name.lower(): name for name in reversed(table.columns)}
    column = next((known[name] for name in names if name in known), None)
    if column is None and required:
        raise _missing(table, f"no column of the {what}, as {names[0]!r},", key)
    return column


def _missing(table: Table, problem: str, key: str) -> DataError:
    shown = ", ".join(map(repr, table.columns))
    return DataError(
        f"{problem} among {shown}",
        f"name the column: --set {key}=NAME or NUMBER",
        origin=Origin(table.name, 1),
        code="column-missing",
    )


def _sentences(records: Iterable[Record], text: str, number: str | None) -> Iterable[list[Record]]:
    """Yields the rows of each sentence; rows without a word that part sentences belong to none."""
    group: list[Record] = []
    current, line = "", 0
    for record in records:
        fields, origin = record
        previous, line = line, origin.line or 0
        own = str(fields.get(number) or "").strip() if number is not None else ""
        parts = own not in ("", current) if number is not None else line > previous + 1
        empty = not any(str(value or "").strip() for value in fields.values())
        if (parts or empty) and group:
            yield group
            group = []
        current = own or current
        if not empty:
            group.append(record)
    if group:
        yield group


def _tagged_lines(group: Sequence[Record], text: str, tag: str | None, tagged: bool) -> TaggedLines:
    words: list[str] = []
    tags: list[str] = []
    for fields, origin in group:
        word = fields.get(text)
        if not isinstance(word, str) or not word:
            problem = f"the field {text!r} holds no word"
            raise DataError(problem, "put it back, or delete the row", origin=origin, code="unit-wrong")
        if len(word) > LONGEST_UNIT:
            problem = f"a unit of {len(word)} characters"
            raise DataError(problem, "give every word a row of its own", origin=origin, code="unit-wrong")
        words.append(word)
        label = "" if tag is None else str(fields.get(tag) or "").strip()
        if label:
            tags.append(label)
        elif tagged:
            remedy = "give every word a tag, O outside of entities"
            raise DataError(f"the field {tag!r} is empty", remedy, origin=origin, code="tag-missing")
    if tags and len(tags) != len(words):
        raise DataError(
            f"{len(words) - len(tags)} of {len(words)} words of this sentence have no tag",
            "give every word a tag, or none",
            origin=group[0][1],
            code="tag-missing",
        )
    return TaggedLines(words, tags or None, [origin.line or 0 for _, origin in group])
