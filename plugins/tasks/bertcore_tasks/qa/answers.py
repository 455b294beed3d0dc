"""What is right for a question: its accepted answers, and the one that is learned, as files of questions hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bertcore.errors import DataError, Origin

from bertcore_tasks.fields import text_field

ANSWERS = ("answers", "answer")
"""What the field of the answers may be called."""

ANSWER_FORM = 'write "answers": [{"text": "...", "answer_start": 0}]'

WORDS_OF_JUDGEMENT = frozenset({"yes", "no", "unknown"})
"""Answers that CAIL 2019 (CJRC) gives in words of its own, with the ``answer_start`` -1."""

NOWHERE = -1
"""The ``answer_start`` of what is no span of the context."""

_TRUE = ("true", "1", "yes")
_FALSE = ("false", "0", "no")


@dataclass(frozen=True)
class Gold:
    """What is right for a question.

    Attributes:
        answers: the accepted texts; none where the question has no answer in its context.
        span: the answer that is learned, as its first character in the context and one past its last; None where there
            is no answer, or where none of them stands in the context.
        blanks: how many annotators say, beside others who give one of ``answers``, that there is no answer.
    """

    answers: tuple[str, ...]
    span: tuple[int, int] | None = None
    blanks: int = 0

    @property
    def is_lost(self) -> bool:
        """Whether there is an answer, but none that stands in the context: it is scored and not trained on."""
        return bool(self.answers) and self.span is None


@dataclass(frozen=True)
class GivenAnswers:
    """The answers of a question as its file gives them.

    Attributes:
        answers: text and first character of each, where it is given; a text without anything is no answer.
        is_impossible: what the file says, None where it says nothing.
        is_withheld: whether the fields are there and left empty, as test files do whose answers are secret.
    """

    answers: tuple[tuple[str, int | None], ...]
    is_impossible: bool | None
    is_withheld: bool

    @property
    def texts(self) -> tuple[str, ...]:
        """The answers that say something."""
        return tuple(text for text, _ in self.answers if text.strip())


def read_answers(question: Mapping[str, Any], place: Origin) -> GivenAnswers | None:
    """Reads the answers of a question, in any of the forms in which files hold them.

    ``answers`` (or ``answer``) is a list of objects as SQuAD's, a single one, an object of two lists as the datasets
    library writes it, or a list of texts as in CMRC 2018's first files. Numbers and truth values may be texts.

    Args:
        question: the object.
        place: where it stands.

    Returns:
        None where the question has no field of answers and does not say that it has none.

    Raises:
        DataError: a field has another form.
    """
    flag = question.get("is_impossible")
    is_impossible = _truth_value(flag, place)
    name = next((name for name in ANSWERS if question.get(name) is not None), None)
    if name is None:
        return GivenAnswers((), True, False) if is_impossible else None
    answers = tuple(_answers(question[name], question, name, place))
    return GivenAnswers(answers, is_impossible, isinstance(flag, str) and not flag.strip() and not answers)


def find_gold(given: GivenAnswers, context: str) -> tuple[Gold, bool]:
    """Finds the answers in their context.

    Returns:
        What is right, and whether an answer stands elsewhere than the file says.
    """
    answers = [(text, start) for text, start in given.answers if text.strip()]
    spans = [locate(context, text, start) for text, start in answers]
    span = next((span for span in spans if span is not None), None)
    moved = any(
        span is not None and start not in (None, span[0]) for (_, start), span in zip(answers, spans, strict=True)
    )
    blanks = len(given.answers) - len(answers) if answers else 0
    return Gold(tuple(text for text, _ in answers), span, blanks), moved


def locate(context: str, answer: str, start: int | None) -> tuple[int, int] | None:
    """Finds an answer in its context: at its offset, else the occurrence that is nearest to it, else nowhere.

    Args:
        context: the text.
        answer: as the file has it; white space around it is of no account where it does not stand there with it.
        start: its first character according to the file, or None.

    Returns:
        Its first character and one past its last, or None; also None for a judgement ("YES") that the file says to
        stand nowhere, even where the letters happen to occur.
    """
    if not answer.strip() or (start == NOWHERE and is_judgement(answer)):
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


def is_judgement(answer: str) -> bool:
    """Whether an answer is a word of judgement and no part of a context."""
    return answer.strip().lower() in WORDS_OF_JUDGEMENT


def _answers(given: Any, question: Mapping[str, Any], name: str, place: Origin) -> Iterator[tuple[str, int | None]]:
    if isinstance(given, str) and name == "answer":
        yield text_field(question, name, place, ANSWER_FORM), _start(question.get("answer_start"), place)
        return
    if isinstance(given, dict) and isinstance(given.get("text"), str):
        given = [given]
    elif isinstance(given, dict):
        texts, starts = given.get("text"), given.get("answer_start")
        if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
            problem = f"{name!r} has no lists 'text' and 'answer_start' of one length"
            raise DataError(problem, ANSWER_FORM, origin=place, code="answer-wrong")
        given = [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]
    if not isinstance(given, list):
        raise DataError(f"{name!r} is no list", ANSWER_FORM, origin=place, code="answer-wrong")
    for number, answer in enumerate(given):
        here = place.within(f"{name}[{number}]")
        if isinstance(answer, str):
            answer = {"text": answer}
        if not isinstance(answer, dict):
            problem = f"{name}[{number}] is neither an object nor a text"
            raise DataError(problem, ANSWER_FORM, origin=place, code="answer-wrong")
        yield text_field(answer, "text", here, ANSWER_FORM), _start(answer.get("answer_start"), place)


def _start(value: Any, place: Origin) -> int | None:
    """A number of characters, also one that is written as text or with a decimal point; None where there is none."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        number = None if isinstance(value, bool) or not isinstance(value, int | float | str) else float(value)
    except ValueError:
        number = None
    if number is None or not number.is_integer():
        raise DataError(
            f"answer_start {value!r} is no whole number",
            "count the characters from 0",
            origin=place,
            code="answer-wrong",
        )
    return int(number)


def _truth_value(value: Any, place: Origin) -> bool | None:
    """``is_impossible``, also one that is written as text or number; None where it says nothing."""
    if value is None or isinstance(value, bool):
        return value
    written = str(value).strip().lower() if isinstance(value, str | int | float) else None
    if written == "":
        return None
    if written in (*_TRUE, "1.0"):
        return True
    if written in (*_FALSE, "0.0"):
        return False
    problem = f"is_impossible {value!r} is no truth value"
    raise DataError(problem, "write true or false", origin=place, code="answer-wrong")
