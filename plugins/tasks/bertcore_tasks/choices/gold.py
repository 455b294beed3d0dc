"""Which choice is right: what the question calls it, its number, its letter or its text.

Files say it in one of these ways, and what a label means may depend on which: among the choices 3, 4 and 5 the label 4
is a text, among four names it would be a number. So the first way is taken in which all labels of a file can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bertcore.data.bad_examples import one_example
from bertcore.errors import DataError, Origin

from bertcore_tasks.fields import plain_text
from bertcore_tasks.label_texts import without_blanks

Way = Callable[[str, Sequence[str]], int | None]

_FEW = 20


@dataclass(frozen=True)
class Gold:
    """What a file says of the right choice of a question.

    Attributes:
        label: as the file has it.
        choices: their texts.
        names: what the question calls them, as ``A`` or ``1``, in the order of the choices; empty where it does not.
        origin: where the label stands.
    """

    label: str
    choices: Sequence[str]
    names: Sequence[str] = ()
    origin: Origin | None = None


@dataclass(frozen=True)
class ReadGold:
    """What was read of them.

    Attributes:
        numbers: of each question the number of the right choice, from 0, as a text; None where a check of data goes on
            without it.
        first: what the labels call the first choice, 0 or 1; None where they are no numbers.
        notes: what must be known of them.
    """

    numbers: list[str | None]
    first: int | None = None
    notes: tuple[str, ...] = ()


def _by_number_from(first: int) -> Way:
    def by_number(label: str, choices: Sequence[str]) -> int | None:
        digits = label.removesuffix(".0")  # as pandas writes it in a column with gaps
        number = int(digits) - first if digits.isascii() and digits.isdecimal() else -1
        return number if 0 <= number < len(choices) else None

    return by_number


def _by_letter(label: str, choices: Sequence[str]) -> int | None:
    number = ord(label.upper()) - ord("A") if len(label) == 1 else -1
    return number if 0 <= number < len(choices) else None


def text_way(label: str, choices: Sequence[str]) -> int | None:
    """The choice that is the label itself."""
    return next((number for number, choice in enumerate(choices) if without_blanks(choice) == label), None)


_NUMBERS: tuple[Way, Way] = (_by_number_from(0), _by_number_from(1))
_WAYS: tuple[Way, ...] = (_NUMBERS[0], _by_letter, text_way)


def _in_any_way(label: str, choices: Sequence[str]) -> int | None:
    return next((found for way in _WAYS if (found := way(label, choices)) is not None), None)


def way_of(labels: Sequence[Gold]) -> Way:
    """The way in which all labels can be read; each as it comes where there is none.

    Numbers from 1 are the last way: what can be a number from 0 in all questions is one.
    """
    ways = (*_WAYS, _NUMBERS[1])
    return next(
        (way for way in ways if all(way(without_blanks(one.label), one.choices) is not None for one in labels)),
        _in_any_way,
    )


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
        problem = f"the {what} {label!r} is none of {len(choices)} choices"
        raise DataError(problem, _remedy(way, len(choices)), origin=origin, code="label-unknown")
    return number


def _remedy(way: Way, count: int) -> str:
    if way is text_way:
        return "write the text of the choice"
    first = int(way is _NUMBERS[1])
    number = f"write a number from {first} to {count - 1 + first}"
    if way in _NUMBERS:
        return number
    return f"{number}, a letter from A to {chr(ord('A') + count - 1)}, or the text of the choice"


def read_gold(labels: Sequence[Gold], first: int | None = None) -> ReadGold:
    """The right choice of each question.

    Args:
        labels: of all questions of a file.
        first: what they call the first choice, 0 or 1; None to find it.

    Raises:
        DataError: one means none of the choices of its question.
    """
    unnamed = [one for one in labels if not one.names]
    way = way_of(unnamed) if first is None else _NUMBERS[first]
    numbers: list[str | None] = []
    for one in labels:
        number = None
        with one_example:
            number = str(_named(one) if one.names else right_choice(one.label, one.choices, one.origin, way))
        numbers.append(number)
    is_counted = bool(unnamed) and way in _NUMBERS
    counted_from = _NUMBERS.index(way) if is_counted else None
    return ReadGold(numbers, counted_from, _notes(numbers, counted_from) if first is None else ())


def _named(gold: Gold) -> int:
    label, names = without_blanks(gold.label), [without_blanks(name) for name in gold.names]
    if label not in names:
        raise DataError(
            f"the label {gold.label!r} is none of the names of its choices",
            f"write one of {', '.join(names)}",
            origin=gold.origin,
            code="label-unknown",
        )
    return names.index(label)


def _notes(numbers: Sequence[str | None], first: int | None) -> tuple[str, ...]:
    if first == 1:
        return ("the labels are numbers from 1",)
    if first == 0 and len(numbers) >= _FEW and "0" not in numbers:  # as likely as one in 300 of two choices by chance
        return ("no label is 0: where they are numbers from 1, --set data.first_choice=1",)
    return ()
