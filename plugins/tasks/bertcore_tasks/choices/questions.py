"""Questions with their choices as examples: texts named ``context``, ``question``, ``choice0``, ``choice1``, ..."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bertcore.contracts.dataset import Example
from bertcore.errors import DataError, Origin

CONTEXT, QUESTION, CHOICE = "context", "question", "choice"
LEAST_CHOICES = 2
_MOST_FIELDS = 26


def input_fields() -> tuple[str, ...]:
    """The names of the texts in their order, of more choices than a question has."""
    return (CONTEXT, QUESTION, *(choice_field(number) for number in range(_MOST_FIELDS)))


def choice_field(number: int) -> str:
    """The name of a choice among the texts of an example."""
    return f"{CHOICE}{number}"


def choices_of(texts: Mapping[str, str]) -> list[str]:
    """The choices among the texts of an example."""
    return [text for name, text in texts.items() if name not in (CONTEXT, QUESTION)]


def question_example(
    identifier: str, context: str | None, question: str | None, choices: Sequence[str], origin: Origin
) -> Example:
    """Makes an example without a label.

    Args:
        identifier: what it is called.
        context: what is asked about, or what the choices go on from; None where the data has none.
        question: what is asked, or how each choice begins; None where the data has none.
        choices: two or more.
        origin: where it stands.

    Raises:
        DataError: there are fewer, or all are empty.
    """
    if len(choices) < LEAST_CHOICES or not any(choices):
        raise DataError(
            f"{'one choice' if len(choices) == 1 else 'no choice'}, and a question has two or more",
            "give every question its choices",
            origin=origin,
            code="field-missing",
        )
    texts = {CONTEXT: context, QUESTION: question, **{choice_field(n): text for n, text in enumerate(choices)}}
    return Example(identifier, {name: text for name, text in texts.items() if text is not None}, origin=origin)
