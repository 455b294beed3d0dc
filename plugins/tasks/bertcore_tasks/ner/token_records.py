"""JSON records of tokens and tags, as transformers' ``run_ner.py`` and the datasets library have them.

``{"tokens": [...], "ner_tags": [...]}``, ``{"words": [...], "ner": [...]}`` and the like; tags may be numbers, whose
names stand in ``data.tag_names`` or in a file of the datasets library beside the data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from bertcore.contracts.dataset import LeftOut
from bertcore.contracts.tagging import Span
from bertcore.data.bad_examples import one_example
from bertcore.data.tables import Record, read_content
from bertcore.errors import DataError, Origin

from bertcore_tasks.fields import identifier_of
from bertcore_tasks.ner.span_lists import read_span_list
from bertcore_tasks.ner.tagged_file import TaggedFile
from bertcore_tasks.ner.tags import LONGEST_UNIT, TaggedLines
from bertcore_tasks.wording import counted

TOKENS = ("tokens", "words", "tokenized_text")
TAGS = ("ner_tags", "ner", "tags", "labels", "label", "bio_tags", "bio")
SPANS = ("entities", "ner", "spans")
FORM = 'write {"tokens": ["...", "..."], "ner_tags": ["B-...", "O"]}'

NAME_FILES = ("dataset_info.json", "dataset_infos.json", "features.json", "labels.txt")
"""Files beside the data that may name numbers: the datasets library's, and one name a line."""


def token_field(fields: Mapping[str, Any], wanted: str | None) -> str | None:
    """The field of a record that holds its tokens, None where it has none."""
    names = TOKENS if wanted is None else (wanted,)
    return next((name for name in names if _is_texts(fields.get(name))), None)


def read_token_records(
    records: Sequence[Record], file: Path, tokens: str, label: str | None, names: str | None, *, tagged: bool
) -> TaggedFile:
    """Reads the sentences of a file.

    Args:
        records: of the file.
        file: beside which the names of numbers may stand.
        tokens: the field of the tokens.
        label: the field of the tags; None: the one with a name that is known.
        names: of tags that are numbers: between commas, or a file; None: found beside the data.
        tagged: whether each sentence must have tags.

    Raises:
        DataError: a field is missing or has another form, tags and tokens are not as many, or numbers have no names
            (with the line).
    """
    field = label or next((name for name in TAGS if any(_is_tags(fields.get(name)) for fields, _ in records)), None)
    named: tuple[str, ...] | None = None
    sentences: list[TaggedLines] = []
    empty: list[LeftOut] = []
    for number, (fields, origin) in enumerate(records):
        with one_example:
            if fields.get(tokens) == []:
                empty.append(LeftOut(identifier_of(fields, "id", number), origin, "no token"))
                continue
            words = _words(fields, tokens, origin)
            tags = _tags(fields, field, words, origin)
            spans = _spans(fields, words, origin) if tags is None else None
            if tags is None and spans is None and tagged:
                problem = f"the field {field!r} is missing" if field else "no field of tags, as 'ner_tags'"
                remedy = f"{FORM}, or name the field: --set data.label=NAME"
                raise DataError(problem, remedy, origin=origin, code="labels-missing")
            if tags is not None and any(isinstance(tag, int) for tag in tags):
                named = named or tag_names(file, field or TAGS[0], names, origin)
                tags = [_name_of(tag, named, origin) for tag in tags]
            lines, identifier = [origin.line or 0] * len(words), identifier_of(fields, "id", number)
            sentences.append(TaggedLines(words, tags, lines, identifier, spans))
    words_on_empty = f"{counted(len(empty), 'record')} without any token left out"
    notes = (f"{file.name}: {words_on_empty} (first: {empty[0].origin})",) if empty else ()
    return TaggedFile(sentences, notes=notes, left_out=tuple(empty))


def tag_names(file: Path, field: str, given: str | None, origin: Origin) -> tuple[str, ...]:
    """The names of tags that are numbers, in the order of the numbers.

    Args:
        file: of the data.
        field: of the tags.
        given: names between commas, or a file of names; None: a file beside the data.
        origin: where the first number stands.

    Raises:
        DataError: there are no names, or the file has none of the field.
    """
    if given is not None and "," in given:
        return tuple(name.strip() for name in given.split(","))
    beside = [file.parent / name for name in NAME_FILES] if given is None else [Path(given)]
    for candidate in beside:
        if candidate.is_file():
            found = _names_of_file(candidate, field)
            if found:
                return found
    if given is not None:
        problem = f"no names of the tags of the field {field!r}"
        raise DataError(problem, "write one name a line", origin=Origin(given), code="labels-unnamed")
    raise DataError(
        f"the tags of the field {field!r} are numbers, and nothing names them",
        f"--set data.tag_names=O,B-PER,... in the order of the numbers, or put {NAME_FILES[0]} or {NAME_FILES[-1]} "
        "beside the data",
        origin=origin,
        code="labels-unnamed",
    )


def _names_of_file(file: Path, field: str) -> tuple[str, ...]:
    content = read_content(file).decode("utf-8", "replace")
    if file.suffix.lower() != ".json":
        return tuple(line.strip() for line in content.split("\n") if line.strip())
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"no JSON: {error}",
            "put back the file of the datasets library",
            origin=Origin(str(file)),
            code="not-json",
        ) from None
    return _names_in(value, field)


def _names_in(value: Any, field: str) -> tuple[str, ...]:
    """The names below the field of this name, or in the value itself."""
    if isinstance(value, list):
        return tuple(value) if _is_texts(value) else ()
    if not isinstance(value, dict):
        return ()
    if field in value:
        return _class_names(value[field])
    return next((found for inner in value.values() if (found := _names_in_features(inner, field))), ())


def _names_in_features(value: Any, field: str) -> tuple[str, ...]:
    return _names_in(value, field) if isinstance(value, dict) else ()


def _class_names(value: Any) -> tuple[str, ...]:
    if isinstance(value, list):
        return next((found for inner in value if (found := _class_names(inner))), ())
    if not isinstance(value, dict):
        return ()
    names = value.get("names")
    if _is_texts(names):
        return tuple(names)
    return next((found for inner in value.values() if (found := _class_names(inner))), ())


def _words(fields: Mapping[str, Any], name: str, origin: Origin) -> list[str]:
    words = fields.get(name)
    if not isinstance(words, list):
        raise DataError(
            f"the field {name!r} {'is no list of texts' if name in fields else 'is missing'}",
            FORM,
            origin=origin,
            code="field-wrong" if name in fields else "field-missing",
        )
    for number, word in enumerate(words):
        if not isinstance(word, str) or not word:
            problem = f"{name}[{number}] is {word!r}, and no text that holds something"
            raise DataError(problem, FORM, origin=origin, code="unit-wrong")
        if len(word) > LONGEST_UNIT:
            problem = f"{name}[{number}] has {len(word)} characters"
            raise DataError(problem, FORM, origin=origin, code="unit-wrong")
    return list(words)


def _tags(fields: Mapping[str, Any], field: str | None, words: Sequence[str], origin: Origin) -> list[Any] | None:
    value = None if field is None else fields.get(field)
    if value is None or (value and not _is_tags(value) and _span_list(fields) is not None):
        return None
    if not isinstance(value, list):
        raise DataError(f"the field {field!r} is no list of tags", FORM, origin=origin, code="field-wrong")
    if len(value) != len(words):
        problem = f"{len(value)} tags for {len(words)} tokens"
        raise DataError(problem, "give every token its tag", origin=origin, code="tag-missing")
    return [int(tag) if isinstance(tag, str) and tag.isascii() and tag.isdecimal() else tag for tag in value]


def _spans(fields: Mapping[str, Any], words: Sequence[str], origin: Origin) -> tuple[Span, ...] | None:
    """Spans that count tokens; a list of start, end and type names the last token (GLiNER)."""
    spans = _span_list(fields)
    if spans is None:
        return None
    inside = True if any(isinstance(span, list) for span in spans) else None
    counted = "x" * len(words)  # a text of one character for each token
    found = read_span_list(
        [{**span, "text": None} if isinstance(span, dict) else span for span in spans],
        counted,
        origin.within("spans of tokens"),
        end_inside=inside,
    )
    return tuple(sorted(set(found)))


def _span_list(fields: Mapping[str, Any]) -> list[Any] | None:
    return next((fields[name] for name in SPANS if _is_span_list(fields.get(name))), None)


def _name_of(tag: Any, names: Sequence[str], origin: Origin) -> Any:
    if not isinstance(tag, int):
        return tag
    if not 0 <= tag < len(names):
        raise DataError(
            f"the tag {tag} has no name, which {len(names)} tags have",
            "name all tags in the order of their numbers: --set data.tag_names=O,B-...",
            origin=origin,
            code="labels-unnamed",
        )
    return names[tag]


def _is_texts(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def _is_tags(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, str) or (isinstance(one, int) and not isinstance(one, bool)) for one in value)
    )


def _is_span_list(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict) or (isinstance(one, list) and len(one) == 3) for one in value
    )
