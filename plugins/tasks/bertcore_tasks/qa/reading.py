"""Questions with their answers as examples, and what reading had to repair or leave out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from bertcore.contracts.dataset import Example, Split
from bertcore.data.bad_examples import one_example
from bertcore.errors import DataError

from bertcore_tasks.qa.answers import NOWHERE, GivenAnswers, Gold, find_gold, is_judgement, read_answers
from bertcore_tasks.qa.forms import Asked, read_asked
from bertcore_tasks.wording import counted


def read_questions(file: Path, *, may_lack: bool = False, encoding: str | None = None) -> Split:
    """Reads the questions of a file, in any of the forms of :func:`bertcore_tasks.qa.forms.read_asked`.

    A question without ``answers`` is unlabeled. One whose answers say nothing, or with ``is_impossible`` and no
    answers, has no answer, as in SQuAD v2.0 (``evaluate-v2.0.py`` drops accepted texts without anything) and in CAIL
    2019. One with ``is_impossible`` and answers has those: ``evaluate-v2.0.py`` scores by the answers alone, although
    ``run_squad.py`` trains by ``is_impossible``. Where all answers of a file are empty or said to stand nowhere, and no
    question is said to be impossible, they are placeholders of a test file, and the questions unlabeled.

    Args:
        file: the file.
        may_lack: whether some of the questions may be unlabeled, and others not.
        encoding: of the file, as Python names it; None for UTF-8, or UTF-16 with a byte-order mark.

    Raises:
        DataError: see :func:`~bertcore_tasks.qa.forms.read_asked`; or a question has no answers, and others have.
    """
    examples: list[Example] = []
    are_placeholders = True
    report = _Report()
    for asked in read_asked(file, encoding):
        with one_example:
            given = read_answers(asked.fields, asked.place)
            gold = None if given is None else _gold(given, asked, report)
            texts = {"question": asked.question, "context": asked.context}
            examples.append(Example(asked.identifier, texts, gold, asked.place))
            are_placeholders &= given is None or _is_placeholder(given, gold)
    labeled = [example.identifier for example in examples if example.label is not None]
    if labeled and are_placeholders:
        unlabeled = [replace(example, label=None) for example in examples]
        return Split(unlabeled, tuple(_Report(withheld=labeled).notes(file.name)))
    if not may_lack:
        _require_answers(examples)
    return Split(examples, tuple(report.notes(file.name)))


def _require_answers(examples: list[Example]) -> None:
    """Refuses questions without answers among others that have some; a file of questions alone can be predicted."""
    unlabeled = [example for example in examples if example.label is None]
    if len(unlabeled) < len(examples):
        for example in unlabeled:
            with one_example:
                raise DataError(
                    "no answers, as other questions of the file have",
                    'add them, or write "answers": [] for a question that has none',
                    origin=example.origin,
                    code="answer-missing",
                )


def _gold(given: GivenAnswers, asked: Asked, report: _Report) -> Gold | None:
    if given.is_withheld:
        return None
    gold, moved = find_gold(given, asked.context)
    if given.is_impossible and gold.answers:
        report.contradicting.append(asked.identifier)
    said_otherwise = given.is_impossible is False or (given.is_impossible is None and bool(given.answers))
    if said_otherwise and not gold.answers:
        report.without_answer.append(asked.identifier)
    if gold.is_lost:
        (report.judged if all(map(is_judgement, gold.answers)) else report.lost).append(asked.identifier)
    elif moved:
        report.moved.append(asked.identifier)
    return gold


def _is_placeholder(given: GivenAnswers, gold: Gold | None) -> bool:
    """Whether the answers may be there for their form alone: they say nothing, or that they stand nowhere."""
    nowhere = all(start == NOWHERE or (start is None and not text.strip()) for text, start in given.answers)
    return given.is_withheld or (not given.is_impossible and nowhere and gold is not None and gold.span is None)


@dataclass
class _Report:
    """What reading had to repair or leave out: the questions that each thing happened to."""

    withheld: list[str] = field(default_factory=list)
    contradicting: list[str] = field(default_factory=list)
    without_answer: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def notes(self, name: str) -> list[str]:
        """The report in words, each with the number of questions and the first one; ``name`` is that of the file."""
        told = (
            (
                self.withheld,
                "the answers of {} are empty or stand nowhere, as in a test file: read as unlabeled; what has no "
                "answer needs is_impossible true",
            ),
            (self.contradicting, "{} with is_impossible and answers; the answers count"),
            (self.without_answer, "the answers of {} are empty, but is_impossible is not true; read as having none"),
            (self.moved, "the answers of {} do not stand at their answer_start; the nearest occurrence is taken"),
            (self.judged, "{} answered by YES, NO or UNKNOWN, which no span is; scored, but not trained on"),
            (self.lost, "no answer of {} stands in the context; scored, but not trained on"),
        )
        return [
            f"{name}: {text.format(counted(len(found), 'question'))} (first: {found[0]})"
            for found, text in told
            if found
        ]
