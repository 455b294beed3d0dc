"""Questions with their answers, from SQuAD JSON (v1.1, v2.0, CMRC 2018's SQuAD-like files) and from JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertcore.data.bad_examples import one_example
from bertcore.data.tables import read_json_lines
from bertcore.errors import DataError
from bertcore.task import Example

from bertcore_tasks.texts import identifier_of

SQUAD_FORM = 'a SQuAD file is {"data": [{"paragraphs": [{"context": "...", "qas": [...]}]}]}'
LINE_FORM = 'write {"question": "...", "context": "...", "answers": [{"text": "...", "answer_start": 0}]}'


@dataclass(frozen=True)
class Gold:
    """What is right for a question.

    Attributes:
        answers: the accepted texts; none where the question has no answer in its context.
        span: the answer that is learned, as its first character in the context and one past its last; None where there
            is no answer, or where none of them stands in the context.
    """

    answers: tuple[str, ...]
    span: tuple[int, int] | None = None

    @property
    def is_lost(self) -> bool:
        """Whether there is an answer, but none that stands in the context: it is scored and not trained on."""
        return bool(self.answers) and self.span is None


@dataclass
class ReadingReport:
    """What reading had to repair or leave out, each with the first question that it happened to."""

    contradicting: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def notes(self, name: str) -> list[str]:
        """The report in words.

        Args:
            name: of the file.
        """
        notes = []
        if self.contradicting:
            notes.append(
                f"{name}: {_questions(self.contradicting)} with is_impossible and answers; the answers count (first: "
                f"{self.contradicting[0]})"
            )
        if self.moved:
            notes.append(
                f"{name}: the answers of {_questions(self.moved)} do not stand at their answer_start; the nearest "
                f"occurrence is taken (first: {self.moved[0]})"
            )
        if self.lost:
            notes.append(
                f"{name}: no answer of {_questions(self.lost)} stands in the context; scored, but not trained on "
                f"(first: {self.lost[0]})"
            )
        return notes


def _questions(found: list[str]) -> str:
    return f"{len(found)} question{'s' * (len(found) != 1)}"


def read_squad(file: Path, report: ReadingReport) -> list[Example]:
    """Reads a file in SQuAD's form; questions without ``answers`` are unlabeled.

    A question with an empty list of answers, or with ``is_impossible`` and no such list, has no answer, as in SQuAD
    v2.0. One with ``is_impossible`` and answers has those: ``evaluate-v2.0.py`` scores by the answers alone, although
    ``run_squad.py`` trains by ``is_impossible``.

    Raises:
        DataError: the file is missing, no UTF-8 or no JSON (with the line), or a field is missing or wrong (with the
            question).
    """
    content = read_json(file, SQUAD_FORM)
    articles = content.get("data") if isinstance(content, dict) else None
    if not isinstance(articles, list):
        raise DataError(f"{file}: no list of articles in 'data'", SQUAD_FORM)
    examples: list[Example] = []
    for paragraph, place in _paragraphs(articles, file):
        with one_example:
            questions = _list(paragraph, "qas", place)
            context = _text(paragraph, "context", place, SQUAD_FORM)
            for number, question in enumerate(questions):
                with one_example:
                    examples.append(_squad_example(question, context, f"{place}.qas[{number}]", file, report))
    return examples


def _paragraphs(articles: list[Any], file: Path) -> Iterator[tuple[Any, str]]:
    """Yields each paragraph and where it stands."""
    for article_number, article in enumerate(articles):
        place = f"{file}: data[{article_number}]"
        with one_example:
            for number, paragraph in enumerate(_list(article, "paragraphs", place)):
                yield paragraph, f"{place}.paragraphs[{number}]"


def _squad_example(question: Any, context: str, place_in_list: str, file: Path, report: ReadingReport) -> Example:
    if not isinstance(question, dict):
        raise DataError(f"{place_in_list} is no object", SQUAD_FORM)
    identifier = _identifier(question, place_in_list)
    place = f"{file}: question {identifier}"
    text = _text(question, "question", place, SQUAD_FORM)
    gold = _gold(question, context, identifier, place, report)
    return Example(identifier, {"question": text, "context": context}, gold, place)


def read_question_lines(file: Path, report: ReadingReport) -> list[Example]:
    """Reads one question a line: ``{"question", "context", "answers": [{"text", "answer_start"}], "id"}``.

    ``answers`` may also be ``{"text": [...], "answer_start": [...]}``, as the datasets library exports it. Without
    ``id`` a question is called by the number of its line.

    Raises:
        DataError: the file is missing or no JSON lines, or a field is missing or wrong (with the line).
    """
    examples: list[Example] = []
    for record, place in read_json_lines(file):
        with one_example:
            context = _text(record, "context", place, LINE_FORM)
            question = _text(record, "question", place, LINE_FORM)
            number = int(place.rpartition(":")[2])
            identifier = identifier_of(record, "id", number)
            gold = _gold(record, context, identifier, place, report)
            examples.append(Example(identifier, {"question": question, "context": context}, gold, place))
    return examples


def locate(context: str, answer: str, start: int | None) -> tuple[int, int] | None:
    """Finds an answer in its context: at its offset, else the occurrence that is nearest to it, else nowhere.

    Args:
        context: the text.
        answer: as the file has it; white space around it is of no account where it does not stand there with it.
        start: its first character according to the file, or None.

    Returns:
        Its first character and one past its last, or None.
    """
    if not answer.strip():
        return None
    wanted = start or 0
    for text in (answer, answer.strip()):
        if start is not None and start >= 0 and context.startswith(text, start):
            return start, start + len(text)
        before = context.rfind(text, 0, max(wanted, 0) + len(text) - 1)
        after = context.find(text, max(wanted, 0))
        found = [place for place in (before, after) if place >= 0]
        if found:
            nearest = min(found, key=lambda place: abs(place - wanted))
            return nearest, nearest + len(text)
    return None


def _gold(question: Mapping[str, Any], context: str, identifier: str, place: str, report: ReadingReport) -> Gold | None:
    is_impossible = question.get("is_impossible") is True
    if question.get("answers") is None:
        return Gold(()) if is_impossible else None
    answers = list(_answers(question["answers"], place))
    if is_impossible and answers:
        report.contradicting.append(identifier)
    texts = tuple(text for text, _ in answers)
    spans = [locate(context, text, start) for text, start in answers]
    span = next((span for span in spans if span is not None), None)
    if answers and span is None:
        report.lost.append(identifier)
    elif any(
        span is not None and start not in (None, span[0]) for (_, start), span in zip(answers, spans, strict=True)
    ):
        report.moved.append(identifier)
    return Gold(texts, span)


def _answers(answers: Any, place: str) -> Iterator[tuple[str, int | None]]:
    form = 'write "answers": [{"text": "...", "answer_start": 0}]'
    if isinstance(answers, dict):
        texts, starts = answers.get("text"), answers.get("answer_start")
        if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
            raise DataError(f"{place}: 'answers' has no lists 'text' and 'answer_start' of one length", form)
        answers = [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]
    if not isinstance(answers, list):
        raise DataError(f"{place}: 'answers' is no list", form)
    for number, answer in enumerate(answers):
        if not isinstance(answer, dict):
            raise DataError(f"{place}: answers[{number}] is no object", form)
        text = _text(answer, "text", f"{place}: answers[{number}]", form)
        start = answer.get("answer_start")
        if start is not None and (not isinstance(start, int) or isinstance(start, bool)):
            raise DataError(f"{place}: answer_start {start!r} is no whole number", "count the characters from 0")
        yield text, start


def read_json(
    file: Path, form: str, object_pairs_hook: Callable[[list[tuple[str, Any]]], dict[str, Any]] | None = None
) -> Any:
    """Reads a file that is one JSON value in UTF-8.

    Args:
        file: the file.
        form: what to write, for the user whose file is no JSON.
        object_pairs_hook: makes each object of its names and values, as in :func:`json.loads`.

    Raises:
        DataError: it is missing, no UTF-8 or no JSON (with the line).
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}", "check the path") from None
    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=object_pairs_hook)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{file}:{line}: not UTF-8 (byte {error.start})", "convert the file to UTF-8") from None
    except json.JSONDecodeError as error:
        remedy = "call a file of JSON lines .jsonl" if error.msg == "Extra data" else form
        raise DataError(f"{file}:{error.lineno}: column {error.colno} is no JSON: {error.msg}", remedy) from None
    except (ValueError, RecursionError) as error:  # an integer of more digits than Python reads, or too deep a nesting
        raise DataError(f"{file}: no JSON: {error}", form) from None


def _list(value: Any, name: str, place: str) -> list[Any]:
    if not isinstance(value, dict) or not isinstance(value.get(name), list):
        raise DataError(f"{place}: no list {name!r}", SQUAD_FORM)
    found: list[Any] = value[name]
    return found


def _identifier(question: Mapping[str, Any], place: str) -> str:
    value = question.get("id")
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else _text(question, "id", place, SQUAD_FORM)


def _text(value: Mapping[str, Any], name: str, place: str, form: str) -> str:
    text = value.get(name)
    if not isinstance(text, str):
        raise DataError(f"{place}: the field {name!r} {'is no text' if name in value else 'is missing'}", form)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(f"{place}: half a surrogate pair is no character", "repair the \\u escapes") from None
    return text
