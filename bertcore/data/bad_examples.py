"""Going on behind an example that cannot be read, so that a check names more than the first.

Whoever reads a file wraps the reading of each example::

    for record, origin in read_json_lines(file):
        with one_example:
            examples.append(make_example(record, origin))

A :class:`~bertcore.errors.DataError` leaves such a block as usual, and ends reading: nothing is trained on files with
errors. While :func:`gather_errors` is at work it is written down instead, and the example is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from bertcore.data.label_spelling import other_spelling
from bertcore.errors import DataError, Origin

_LONGEST_SHOWN = 80
"""Characters of a label that an error shows."""

_gathered: ContextVar[dict[str, DataError] | None] = ContextVar("gathered", default=None)


@contextmanager
def gather_errors() -> Iterator[dict[str, DataError]]:
    """Gathers the errors of single examples, by their cause and in their order, each once however often it is read."""
    errors: dict[str, DataError] = {}
    token = _gathered.set(errors)
    try:
        yield errors
    finally:
        _gathered.reset(token)


class _OneExample:
    """What fails in here fails for one example of a file."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        gathered = _gathered.get()
        if gathered is None or not isinstance(error, DataError):
            return False
        gathered.setdefault(error.cause, error)
        return True


one_example = _OneExample()


def unknown_label(origin: Origin | None, label: Any, labels: Sequence[str], field: str = "") -> DataError:
    """The error about a label that is not among the known ones; names the one that it may be in another spelling."""
    place = f" in the field {field!r}" if field else ""
    known = "known labels are " + ", ".join(map(_shown, labels[:20])) + (", ..." if len(labels) > 20 else "")
    alike = other_spelling(label, labels) if isinstance(label, str) else None
    problem, remedy = f"unknown label {_shown(label)}{place}", known
    if alike is not None:
        problem += f", likely {_shown(alike)} in another spelling"
        remedy = f"write it as {_shown(alike)}; {known}"
    return DataError(problem, remedy, origin=origin, code="label-unknown" if alike is None else "label-spelling")


def _shown(label: Any) -> str:
    shown = repr(label)
    return shown if len(shown) <= _LONGEST_SHOWN else shown[:_LONGEST_SHOWN] + "..."
