"""Files of questions by their content: SQuAD's form, CMRC 2018's first one, and one question each, in JSON or lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bertcore.data.bad_examples import one_example
from bertcore.data.encodings import not_utf8
from bertcore.data.tables import json_lines_of, read_content
from bertcore.errors import DataError, Origin

from bertcore_tasks.fields import identifier_of, text_field

SQUAD_FORM = 'a SQuAD file is {"data": [{"paragraphs": [{"context": "...", "qas": [...]}]}]}'
LINE_FORM = 'write {"question": "...", "context": "...", "answers": [{"text": "...", "answer_start": 0}]}'

QUESTIONS = ("question", "query_text")
CONTEXTS = ("context", "context_text")
IDENTIFIERS = ("id", "query_id", "qid")
"""What the fields are called: in SQuAD, then in CMRC 2018's first files (and MRQA's)."""


@dataclass(frozen=True)
class Asked:
    """A question as its file has it.

    Attributes:
        identifier: what it is called.
        question: its text.
        context: what is asked about.
        fields: the object, which holds the answers, too.
        place: where it stands.
    """

    identifier: str
    question: str
    context: str
    fields: Mapping[str, Any]
    place: Origin


def read_asked(file: Path, encoding: str | None = None) -> Iterator[Asked]:
    """Yields the questions of a file; what is wrong with one is caught by the check of data.

    The content decides about the form, and not the suffix: a JSON value that is a SQuAD file, a list of its articles or
    paragraphs, CMRC 2018's list of contexts, a list of single questions (also below ``data``), or a line for each.

    Raises:
        DataError: the file is missing, no UTF-8 or no JSON (with the line), or a field is missing or wrong (with the
            question).
    """
    content = read_content(file, encoding)
    if _holds_lines(content, file):
        for value, place in json_lines_of(content, str(file)):
            number = place.line or 0
            if number > 1 or "header" not in value:  # MRQA's first line tells of the file
                with one_example:
                    yield from _questions(value, place, number)
        return
    value = read_json(file, SQUAD_FORM, encoding=encoding)
    # A list by itself must hold something, or it may be any other file.
    if not value or (not isinstance(value, list) and not _is_form(value)):
        problem = "no list of articles in 'data'"
        raise DataError(problem, SQUAD_FORM, origin=Origin(str(file)), code="json-form-unknown")
    yield from _questions(value, Origin(str(file)), 0)


def read_json(
    file: Path,
    form: str,
    object_pairs_hook: Callable[[list[tuple[str, Any]]], dict[str, Any]] | None = None,
    encoding: str | None = None,
) -> Any:
    """Reads a file that is one JSON value.

    Args:
        file: the file.
        form: what to write, for the user whose file is no JSON.
        object_pairs_hook: makes each object of its names and values, as in :func:`json.loads`.
        encoding: of the file, as Python names it; None for UTF-8, or UTF-16 with a byte-order mark.

    Raises:
        DataError: it is missing, no UTF-8 or no JSON (with the line).
    """
    content = read_content(file, encoding)
    try:
        return json.loads(content.decode(), object_pairs_hook=object_pairs_hook)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = error.start - (content.rfind(b"\n", 0, error.start) + 1)
        raise not_utf8(Origin(str(file), line), byte, content) from None
    except json.JSONDecodeError as error:
        remedy = "call a file of JSON lines .jsonl" if error.msg == "Extra data" else form
        problem = f"column {error.colno} is no JSON: {error.msg}"
        raise DataError(problem, remedy, origin=Origin(str(file), error.lineno), code="not-json") from None
    except (ValueError, RecursionError) as error:  # an integer of more digits than Python reads, or too deep a nesting
        raise DataError(f"no JSON: {error}", form, origin=Origin(str(file)), code="not-json") from None


def _holds_lines(content: bytes, file: Path) -> bool:
    """Whether a file holds a JSON object a line: its first line is one, and more lines follow."""
    first, _, rest = content.lstrip().partition(b"\n")
    is_named_so = file.suffix.lower() == ".jsonl"
    if not rest.strip():
        return is_named_so
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        # A damaged line; or the first one of a value that goes on below it, which a lone bracket tells.
        return is_named_so and first.strip() not in (b"{", b"[")
    return True


def _is_form(value: Any) -> bool:
    return isinstance(value, dict) and (
        isinstance(value.get("data"), list) or any(_name(value, names) for names in (("paragraphs", "qas"), QUESTIONS))
    )


def _questions(value: Any, place: Origin, number: int) -> Iterator[Asked]:
    """Yields the questions of a value: a list of others, an article, a paragraph or a single question."""
    inner = value.get("data") if isinstance(value, dict) and "paragraphs" not in value else value
    if isinstance(inner, list):
        place = place.within("data") if inner is not value else place
        for index, item in enumerate(inner):
            with one_example:
                yield from _questions(item, place.within(f"[{index}]"), index)
    elif isinstance(value, dict) and not _name(value, ("paragraphs", "qas")) and _name(value, (*QUESTIONS, *CONTEXTS)):
        yield _single(value, place, number)
    elif isinstance(value, dict) and "paragraphs" not in value and "qas" in value:
        yield from _of_paragraph(value, place)
    else:
        for index, paragraph in enumerate(_list(value, "paragraphs", place)):
            with one_example:
                yield from _of_paragraph(paragraph, place.within(f".paragraphs[{index}]"))


def _single(value: Mapping[str, Any], place: Origin, number: int) -> Asked:
    """A question that holds its own context; without a name it is called by the number of its line."""
    context = text_field(value, _name(value, CONTEXTS) or CONTEXTS[0], place, LINE_FORM)
    question = text_field(value, _name(value, QUESTIONS) or QUESTIONS[0], place, LINE_FORM)
    return Asked(identifier_of(value, _name(value, IDENTIFIERS) or "id", number), question, context, value, place)


def _of_paragraph(paragraph: Any, place: Origin) -> Iterator[Asked]:
    questions = _list(paragraph, "qas", place)
    context = text_field(paragraph, _name(paragraph, CONTEXTS) or CONTEXTS[0], place, SQUAD_FORM)
    for number, question in enumerate(questions):
        with one_example:
            yield _of_list(question, context, place.within(f".qas[{number}]"))


def _of_list(question: Any, context: str, place_in_list: Origin) -> Asked:
    if not isinstance(question, dict):
        raise DataError("no object", SQUAD_FORM, origin=place_in_list, code="json-form-unknown")
    identifier = _identifier(question, place_in_list)
    place = replace(place_in_list, part=f"question {identifier}")
    text = text_field(question, _name(question, QUESTIONS) or QUESTIONS[0], place, SQUAD_FORM)
    return Asked(identifier, text, context, question, place)


def _identifier(question: Mapping[str, Any], place: Origin) -> str:
    name = _name(question, IDENTIFIERS) or IDENTIFIERS[0]
    value = question.get(name)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else text_field(question, name, place, SQUAD_FORM)


def _list(value: Any, name: str, place: Origin) -> list[Any]:
    if not isinstance(value, dict) or not isinstance(value.get(name), list):
        raise DataError(f"no list {name!r}", SQUAD_FORM, origin=place, code="json-form-unknown")
    found: list[Any] = value[name]
    return found


def _name(value: Any, names: Iterable[str]) -> str | None:
    """The first of these names that an object has."""
    return next((name for name in names if name in value), None) if isinstance(value, dict) else None
