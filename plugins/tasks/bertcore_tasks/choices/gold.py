"""Which choice is right: its number, its letter or its text.

Files say it in one of these ways, and what a label means may depend on which: among the choices 3, 4 and 5 the label 4
is a text, among four names it would be a number. So the first way is taken in which all labels of a file can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bertcore.data.bad_examples import one_example
from bertcore.errors import DataError, Origin

from bertcore_tasks.fields import plain_text
from bertcore_tasks.label_texts import without_blanks

Way = Callable[[str, Sequence[str]], int | None]


def _by_number(label: str, choices: Sequence[str]) -> int | None:
    digits = label.removesuffix(".0")  # as pandas writes it in a column with gaps
    number = int(digits) if digits.isascii() and digits.isdecimal() else -1
    return number if 0 <= number < len(choices) else None


def _by_letter(label: str, choices: Sequence[str]) -> int | None:
    number = ord(label.upper()) - ord("A") if len(label) == 1 else -1
    return number if 0 <= number < len(choices) else None


def text_way(label: str, choices: Sequence[str]) -> int | None:
    """The choice that is the label itself."""
    return next((number for number, choice in enumerate(choices) if without_blanks(choice) == label), None)


_WAYS: tuple[Way, ...] = (_by_number, _by_letter, text_way)


def _in_any_way(label: str, choices: Sequence[str]) -> int | None:
    return next((found for way in _WAYS if (found := way(label, choices)) is not None), None)


def way_of(labels: Sequence[tuple[str, Sequence[str]]]) -> Way:
    """The way in which all labels can be read; each as it comes where there is none.

    Args:
        labels: each with the choices of its question.
    """
    return next((way for way in _WAYS if all(way(*label) is not None for label in labels)), _in_any_way)


def right_choice(
    label: Any, choices: Sequence[str], origin: Origin | None, way: Way = _in_any_way, what: str = "label"
) -> int:
    """The number of the right choice.

    Args:
        label: text or JSON value.
        choices: of the question.
        origin: where the label stands.
        way: that the file has of saying it.
        what: the label is, for the error.

    Raises:
        DataError: it means none of the choices.
    """
    text = plain_text(label)
    number = None if text is None else way(without_blanks(text), choices)
    if number is None:
        last = len(choices) - 1
        raise DataError(
            f"the {what} {label!r} is none of {len(choices)} choices",
            f"write a number from 0 to {last}, a letter from A to {chr(ord('A') + last)}, or the text of the choice",
            origin=origin,
            code="label-unknown",
        )
    return number


def read_gold(labels: Sequence[tuple[str, Sequence[str], Origin | None]]) -> list[str | None]:
    """The right choice of each question, as the name of its number; None where a check of data goes on without it.

    Args:
        labels: as the file has them, each with the choices of its question and where it stands.

    Raises:
        DataError: one means none of the choices of its question.
    """
    way = way_of([(without_blanks(label), choices) for label, choices, _ in labels])
    found: list[str | None] = []
    for label, choices, origin in labels:
        number = None
        with one_example:
            number = str(right_choice(label, choices, origin, way))
        found.append(number)
    return found
