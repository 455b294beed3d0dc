"""Labels as files hold them: blanks around them, marks that stand for no label, and two spellings of one label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from bertcore.contracts.dataset import LeftOut
from bertcore.data.label_spelling import spelling
from bertcore.errors import DataError, Origin

from bertcore_tasks.wording import counted

NO_AGREEMENT = "-"
"""The label of an example on whose label the annotators did not agree, in SNLI, MultiNLI and OCNLI."""

HIDDEN = "-1"
"""The label of every example of a split whose labels are not handed out, in exports of the datasets library."""

MARKS = (NO_AGREEMENT, HIDDEN)
AUTO = "auto"

_BLANKS = " \t\r\n\f\v\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u202f\u3000\ufeff"
_MEANING = {NO_AGREEMENT: "the annotators did not agree", HIDDEN: "the label is not handed out"}
_AS_FLOAT = {"-1.0": HIDDEN}  # as pandas writes it in a column with gaps


def as_mark(text: str) -> str:
    """A label as marks are written."""
    return _AS_FLOAT.get(text, text)


def without_blanks(text: str) -> str:
    """A label without the blanks around it, those of no width and of full width among them."""
    return text.strip(_BLANKS)


def marks_of(option: str | None, values: Iterable[str], split: str, *, numeric: bool) -> frozenset[str]:
    """Which labels of a file stand for no label.

    Args:
        option: ``data.ignore_labels``: marks between commas; None for none; ``auto`` for those of known data sets.
            Then ``-`` is one, but where ``+`` is a label, too, or fewer than two others are left; and ``-1`` is one
            where a test file has no other label. Elsewhere -1 is a class, or a number, as good as any.
        values: the labels of the file, without blanks around them.
        split: that the file is.
        numeric: whether labels are numbers.
    """
    if option is None:
        return frozenset()
    if option != AUTO:
        return frozenset(filter(None, map(without_blanks, option.split(","))))
    found = {as_mark(value) for value in values if value}
    marks: set[str] = set()
    if numeric or split == "test" or ("+" not in found and len(found - {NO_AGREEMENT}) > 1):
        marks.add(NO_AGREEMENT)
    if split == "test":
        marks -= {NO_AGREEMENT} if "+" in found else set()
        marks |= {HIDDEN} if found <= {HIDDEN, NO_AGREEMENT} else set()
    return frozenset(marks)


def settled_marks(labels: Iterable[str]) -> str | None:
    """The marks of further files where a training file has these labels, as ``data.ignore_labels`` names them."""
    known = set(labels)
    return ",".join(mark for mark in MARKS if mark not in known) or None


class LabelNotes:
    """Counts what reading the labels of a file repaired and left out, and says it.

    Attributes:
        left_out: the examples without label, in the order of the file.

    Args:
        file: that is read.
        split: that it is; examples of ``test`` are not left out.
    """

    def __init__(self, file: Path, split: str) -> None:
        self._name = file.name
        self._split = split
        self._trimmed: list[Origin | None] = []
        self._ignored: dict[str, int] = {}
        self._first: dict[str, Origin | None] = {}
        self.left_out: list[LeftOut] = []

    def trimmed(self, text: str, origin: Origin | None) -> str:
        """A label without the blanks around it, which are counted."""
        label = text.strip(_BLANKS)
        if label != text:
            self._trimmed.append(origin)
        return label

    def ignored(self, mark: str, identifier: str, origin: Origin | None) -> None:
        """Counts an example without label."""
        self._ignored[mark] = self._ignored.get(mark, 0) + 1
        self._first.setdefault(mark, origin)
        if self._split != "test":
            self.left_out.append(LeftOut(identifier, origin, _reason(mark)))

    @property
    def ignored_marks(self) -> list[str]:
        """The marks that were found."""
        return [*self._ignored]

    def lines(self, total: int) -> list[str]:
        """What is to be said of the file, which has so many examples."""
        notes = []
        if self._trimmed:
            notes.append(
                f"{self._name}: {counted(len(self._trimmed), 'label')} with blanks around "
                f"{'them' if len(self._trimmed) != 1 else 'it'}, read without; the first is {self._trimmed[0]}"
            )
        done = "are predicted and not scored" if self._split == "test" else "are left out"
        unscored = sum(self._ignored.values())
        # A test file is scored as a whole or not at all.
        others = "; as a dev file it is scored without them" if self._split == "test" and unscored < total else ""
        for mark, count in self._ignored.items():
            notes.append(
                f"{self._name}: {count} of {total} examples {done}, because their label is {_reason(mark)}; the first "
                f"is {self._first[mark]}{others}"
            )
        return notes


def _reason(mark: str) -> str:
    return f"{mark!r}: {_MEANING.get(mark, 'data.ignore_labels names it')}"


def refuse_two_spellings(first: Mapping[str, Origin | None]) -> None:
    """Refuses labels of a training file that are one label in two spellings.

    Args:
        first: each label to where it stands first.

    Raises:
        DataError: two of them differ in spelling alone.
    """
    by_spelling: dict[str, str] = {}
    for label, origin in first.items():
        other = by_spelling.setdefault(spelling(label), label)
        if other != label:
            raise DataError(
                f"the label {label!r} is {other!r} ({first[other]}) in another spelling",
                "write both alike; where they are two labels, rename one of them",
                origin=origin,
                code="label-spelling",
            )
