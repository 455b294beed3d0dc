"""Standard input as lines that come when they come, so that each can be answered at once."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Iterator, Sequence

from bertcore.data.tables import Record, parse_json_lines, text_of_line
from bertcore.engine.prediction_input import record_of_line
from bertcore.errors import Origin

NAME = "standard input"

_AT_ONCE = 4096
"""How many lines are taken together where more of them are waiting."""
_PATIENCE = 0.01
"""Seconds to wait for another line before those that have come are answered."""
_PIECE = 1 << 16
_MARK = b"\xef\xbb\xbf"


def is_conversation() -> bool:
    """Whether lines come one by one, from a person or another program, and not from a file."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):  # it is no file of the system at all
        return False
    return not stat.S_ISREG(mode)


def whole_input() -> list[bytes]:
    """All lines, without their line feeds."""
    lines = sys.stdin.buffer.read().split(b"\n")
    return lines if lines[-1] else lines[:-1]


def waiting_lines() -> Iterator[list[bytes]]:
    """Yields the lines of a conversation as they come, together what has come together, without their line feeds."""
    descriptor = sys.stdin.fileno()
    lines: list[bytes] = []
    rest, at_end = b"", False
    while not at_end:
        if lines and (len(lines) >= _AT_ONCE or not _is_ready(descriptor)):
            yield lines
            lines = []
        piece = os.read(descriptor, _PIECE)
        at_end = not piece
        *whole, rest = (rest + piece).split(b"\n")
        lines += whole
    lines += [rest] * bool(rest)
    if lines:
        yield lines


def _is_ready(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], _PATIENCE)[0])


class LineParser:
    """Turns lines into records: JSON objects where the first one is one, plain texts otherwise.

    Args:
        fields: of the task's texts.
    """

    def __init__(self, fields: Sequence[str]) -> None:
        self._fields = fields
        self._is_json: bool | None = None
        self._lines = 0

    def parse(self, lines: Sequence[bytes]) -> list[Record]:
        """The records of the next lines; an empty line is an empty text among plain ones, and none among JSON.

        Raises:
            DataError: a line is no UTF-8, or no JSON object behind another.
            UsageError: a line has more texts than the model reads.
        """
        begin, self._lines = self._lines, self._lines + len(lines)
        if begin == 0 and lines:
            lines = [lines[0].removeprefix(_MARK), *lines[1:]]
        if self._is_json is None:
            first = next((line for line in lines if line.strip()), None)
            self._is_json = None if first is None else first.lstrip().startswith(b"{")
        numbered = enumerate(lines, begin + 1)
        texts = ((number, text_of_line(line, Origin(NAME, number), line)) for number, line in numbered)
        if self._is_json:
            return list(parse_json_lines(texts, NAME))
        return [record_of_line(text, self._fields, Origin(NAME, number)) for number, text in texts]
